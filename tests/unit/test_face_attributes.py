"""The function from a batch of messages to stored rows, erase messages and what has to come again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

import botocore.session
import connections
import deferral
import face_attributes
import pytest
import queue_messages
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.validate import validate_parameters
from faces import EMOTIONS
from uploads import Upload

MIB = 1024 * 1024
IMAGE_QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/images"
ERASE_QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/erase"
THRESHOLDS = {"age_range": 90.0, "gender": 90.0, "emotions": dict.fromkeys(EMOTIONS, 80.0)}


def error(operation: str, code: str, status: int = 400, message: str = "no") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        operation,
    )


def face(confidence: float = 99.0) -> dict[str, Any]:
    return {
        "Confidence": confidence,
        "AgeRange": {"Low": 20, "High": 30},
        "Gender": {"Value": "Female", "Confidence": confidence},
        "Emotions": [{"Type": name, "Confidence": 12.5} for name in EMOTIONS],
    }


@cache
def shape_of(service: str, operation: str) -> Any:
    return botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape


@dataclass
class Cloud:
    """S3, Rekognition and SQS at the edges of the function, held to the services' own parameters."""

    images: dict[tuple[str, str], bytes | Exception] = field(default_factory=dict)
    answers: dict[bytes, Any] = field(default_factory=dict)
    put_fault: Callable[[str], bool] = lambda key: False
    send_fault: Callable[[str, dict[str, Any]], bool] = lambda queue, entry: False
    call_fault: Callable[[str], Exception | None] = lambda operation: None
    puts: dict[str, bytes] = field(default_factory=dict)
    reads: list[dict[str, Any]] = field(default_factory=list)
    detections: list[dict[str, Any]] = field(default_factory=list)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    sends: list[int] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def _called(self, service: str, operation: str, given: dict[str, Any]) -> None:
        validate_parameters(given, shape_of(service, operation))
        self.order.append(operation)
        if fault := self.call_fault(operation):
            raise fault

    def get_object(self, **given: Any) -> dict[str, Any]:
        self._called("s3", "GetObject", given)
        self.reads.append(given)
        image = self.images[given["Key"], given["VersionId"]]
        if isinstance(image, Exception):
            raise image
        return {"Body": io.BytesIO(image)}

    def put_object(self, **given: Any) -> dict[str, Any]:
        self._called("s3", "PutObject", given)
        assert given["Bucket"] == "results"
        if self.put_fault(given["Key"]):
            raise error("PutObject", "InternalError", 500)
        self.puts[given["Key"]] = given["Body"]
        return {}

    def detect_faces(self, **given: Any) -> dict[str, Any]:
        self._called("rekognition", "DetectFaces", given)
        self.detections.append(given)
        reference = given["Image"].get("S3Object")
        image = self.images[reference["Name"], reference["Version"]] if reference else given["Image"]["Bytes"]
        answer = self.answers[image]
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return {"FaceDetails": answer}

    def send_message_batch(self, **given: Any) -> dict[str, Any]:
        self._called("sqs", "SendMessageBatch", given)
        assert len({entry["Id"] for entry in given["Entries"]}) == len(given["Entries"]) <= 10
        failed = [entry for entry in given["Entries"] if self.send_fault(given["QueueUrl"], entry)]
        good = [entry for entry in given["Entries"] if entry not in failed]
        self.sent += [(given["QueueUrl"], entry) for entry in good]
        self.sends.append(sum(len(entry["MessageBody"].encode()) for entry in given["Entries"]))
        return {
            "Successful": [{"Id": entry["Id"]} for entry in good],
            "Failed": [
                {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in failed
            ],
        }


@dataclass
class Function:
    """The deployed function: its cloud, its log, and a way to deliver messages to it."""

    cloud: Cloud
    log: io.StringIO
    seconds_left: Callable[[], float] = lambda: 120.0
    emitted: Callable[[], str] = lambda: ""

    def upload(
        self, key: str, answer: Any, *, size: int | None = None, image: bytes | None = None, **more: Any
    ) -> dict[str, Any]:
        """Put an image and return the message about it."""
        content = f"image {key}".encode() if image is None else image
        self.cloud.images[key, "v1"] = content
        self.cloud.answers[content] = answer
        return message(key, size=len(content) if size is None else size, **more)

    def deliver(self, *records: dict[str, Any]) -> set[str]:
        """Deliver a batch and return the ids of the messages that have to come again."""
        context = SimpleNamespace(
            function_name="face_attributes",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:face_attributes",
            aws_request_id="request",
            get_remaining_time_in_millis=lambda: self.seconds_left() * 1000,
        )
        answer = face_attributes.handler({"Records": list(records)}, context)  # type: ignore[arg-type]
        names = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
        assert len(names) == len(set(names))
        return set(names)

    def rows(self, folder: str) -> list[dict[str, str]]:
        bodies = [body for key, body in self.cloud.puts.items() if key.startswith(folder)]
        return [row for body in bodies for row in csv.DictReader(io.StringIO(body.decode()), strict=True)]

    def erasures(self) -> list[dict[str, str]]:
        return [json.loads(entry["MessageBody"]) for queue, entry in self.cloud.sent if queue == ERASE_QUEUE]

    def deferrals(self) -> list[dict[str, Any]]:
        return [entry for queue, entry in self.cloud.sent if queue == IMAGE_QUEUE]

    def metrics(self) -> dict[str, float]:
        emitted = json.loads(self.emitted())
        described = emitted["_aws"]["CloudWatchMetrics"][0]
        assert described["Namespace"] == "MLLens"
        assert described["Dimensions"] == [["service"]]
        return {metric["Name"]: emitted[metric["Name"]][0] for metric in described["Metrics"]}


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Function]:
    cloud, log = Cloud(), io.StringIO()
    for name, value in {
        "RESULTS_BUCKET": "results",
        "IMAGE_QUEUE_URL": IMAGE_QUEUE,
        "ERASE_QUEUE_URL": ERASE_QUEUE,
        "THRESHOLDS": json.dumps(THRESHOLDS),
        "PARALLEL_CALLS": "4",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        face_attributes, "connect", lambda calls: connections.Connections(cloud, cloud, cloud)
    )
    handler = face_attributes.logger.registered_handler
    monkeypatch.setattr(handler, "stream", log)
    yield Function(cloud, log, emitted=lambda: capsys.readouterr().out)
    face_attributes.metrics.clear_metrics()


def message(
    key: str,
    message_id: str = "",
    *,
    size: int = 1024,
    version_id: str = "v1",
    deferrals: int | None = None,
    uploaded_at: str = "2026-11-20T12:00:00Z",
    padding: str = "",
) -> dict[str, Any]:
    event = {
        "version": "0",
        "id": padding,
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": uploaded_at,
        "detail": {
            "bucket": {"name": "images"},
            "object": {"key": key, "size": size, "version-id": version_id},
        },
    }
    attributes = {"deferrals": {"stringValue": str(deferrals), "dataType": "Number"}} if deferrals else {}
    return {"messageId": message_id or key, "body": json.dumps(event), "messageAttributes": attributes}


def throttle() -> ClientError:
    return error("DetectFaces", "ThrottlingException")


@pytest.mark.lens("F2-13", "F2-15", "F2-16")
def test_faces_in_an_image_become_rows_with_their_confidences(function: Function) -> None:
    assert function.deliver(function.upload("1.jpg", [face(99.0), face(95.0)])) == set()
    rows = function.rows("faces/certainty=confident/upload_date=2026-11-20/")
    assert [(row["face_index"], row["age_confidence"], row["gender"]) for row in rows] == [
        ("0", "99.0", "Female"),
        ("1", "95.0", "Female"),
    ]
    assert function.cloud.detections == [{"Image": {"Bytes": b"image 1.jpg"}, "Attributes": ["ALL"]}]
    assert function.cloud.reads == [{"Bucket": "images", "Key": "1.jpg", "VersionId": "v1"}]


@pytest.mark.lens("AIS-02", "F2-29")
def test_rows_under_a_threshold_are_kept_apart(function: Function) -> None:
    function.deliver(function.upload("1.jpg", [face(90.0), face(89.9)]))
    assert [row["face_index"] for row in function.rows("faces/certainty=confident/")] == ["0"]
    assert [row["face_index"] for row in function.rows("faces/certainty=uncertain/")] == ["1"]


def test_an_image_id_is_the_digest_of_its_bytes_so_that_a_picture_sent_twice_is_one(
    function: Function,
) -> None:
    picture = b"the same picture"
    function.deliver(
        function.upload("1.jpg", [face()], image=picture), function.upload("2.jpg", [face()], image=picture)
    )
    rows = function.rows("faces/")
    assert {row["image_id"] for row in rows} == {hashlib.sha256(picture).hexdigest()}
    assert len({row["face_id"] for row in rows}) == 1
    assert len({row["upload_id"] for row in rows}) == 2


def test_a_batch_writes_one_object_for_each_class_and_date_under_a_name_that_sorts_by_time(
    function: Function,
) -> None:
    batch = [function.upload(f"{number}.jpg", [face(99.0), face(10.0)]) for number in range(30)]
    batch += [function.upload("old.jpg", [face()], uploaded_at="2026-11-19T23:59:59Z")]
    batch += [function.upload("none.jpg", [])]
    assert function.deliver(*batch) == set()
    names = Counter(re.sub(r"\d{8}T\d{12}-[0-9a-f]{8}", "<id>", key) for key in function.cloud.puts)
    assert names == {
        "faces/certainty=confident/upload_date=2026-11-20/<id>.csv": 1,
        "faces/certainty=confident/upload_date=2026-11-19/<id>.csv": 1,
        "faces/certainty=uncertain/upload_date=2026-11-20/<id>.csv": 1,
        "rejected/upload_date=2026-11-20/<id>.csv": 1,
    }
    assert {row["analysis_id"] for row in function.rows("")} == {
        key.rpartition("/")[2].removesuffix(".csv") for key in function.cloud.puts
    }


def test_analysis_ids_sort_by_time_and_differ_within_a_microsecond() -> None:
    moment = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
    first, again = face_attributes.new_analysis_id(moment), face_attributes.new_analysis_id(moment)
    assert first.startswith("20261120T120000000005-")
    assert first != again
    assert first < face_attributes.new_analysis_id(moment + timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("size", "inline"), [(5 * MIB, True), (5 * MIB + 1, False), (15 * MIB, False)], ids=["5", "5+", "15"]
)
def test_an_image_over_5_mb_is_named_to_rekognition_by_its_version(
    function: Function, size: int, inline: bool
) -> None:
    image = b"x" * size
    assert function.deliver(function.upload("1.jpg", [face()], image=image)) == set()
    [detection] = function.cloud.detections
    reference = {"S3Object": {"Bucket": "images", "Name": "1.jpg", "Version": "v1"}}
    assert detection["Image"] == ({"Bytes": image} if inline else reference)
    assert function.rows("faces/")[0]["image_id"] == hashlib.sha256(image).hexdigest()


@pytest.mark.lens("F2-31")
@pytest.mark.parametrize(("size", "reason"), [(0, "empty"), (15 * MIB + 1, "too_large")])
def test_an_empty_or_oversized_image_is_rejected_without_being_read(
    function: Function, size: int, reason: str
) -> None:
    assert function.deliver(function.upload("1.jpg", [face()], size=size)) == set()
    [row] = function.rows("rejected/upload_date=2026-11-20/")
    assert (row["reason"], row["size_bytes"]) == (reason, str(size))
    assert function.cloud.reads == function.cloud.detections == []


@pytest.mark.lens("F2-31", "F2-10")
@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ([], "no_face", ""),
        (
            error("DetectFaces", "InvalidImageFormatException", message="bad, format"),
            "not_an_image",
            "bad%2C format",
        ),
        (error("DetectFaces", "ImageTooLargeException", message="huge"), "too_large", "huge"),
        (error("DetectFaces", "InvalidParameterException", message="60 x 60"), "unreadable", "60 x 60"),
    ],
)
def test_an_image_that_gives_no_rows_is_recorded_with_its_reason_and_erased(
    function: Function, answer: Any, reason: str, detail: str
) -> None:
    assert function.deliver(function.upload("a b,c.jpg", answer)) == set()
    [row] = function.rows("rejected/")
    assert (row["reason"], row["detail"], row["image_key"]) == (reason, detail, "a%20b%2Cc.jpg")
    assert function.rows("faces/") == []
    assert function.erasures() == [{"bucket": "images", "key": "a b,c.jpg", "version_id": "v1"}]


@pytest.mark.lens("F2-31")
@pytest.mark.parametrize(
    "fault",
    [
        error("GetObject", "NoSuchVersion", 404),
        error("GetObject", "NoSuchKey", 404),
        error("GetObject", "MethodNotAllowed", 405),
    ],
    ids=lambda fault: fault.response["Error"]["Code"],
)
def test_a_version_that_no_longer_exists_is_recorded_as_gone_and_not_erased(
    function: Function, fault: ClientError
) -> None:
    record = function.upload("1.jpg", [])
    function.cloud.images["1.jpg", "v1"] = fault
    assert function.deliver(record) == set()
    assert [row["reason"] for row in function.rows("rejected/")] == ["gone"]
    assert function.erasures() == []


def test_an_archived_image_is_unreadable(function: Function) -> None:
    record = function.upload("1.jpg", [])
    function.cloud.images["1.jpg", "v1"] = error("GetObject", "InvalidObjectState", 403, "archived")
    function.deliver(record)
    assert [(row["reason"], row["detail"]) for row in function.rows("rejected/")] == [
        ("unreadable", "archived")
    ]


@pytest.mark.lens("F2-31")
@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (error("GetObject", "AccessDenied", 403), []),
        (error("GetObject", "NoSuchBucket", 404), []),
        (error("GetObject", "InternalError", 500), []),
        (ReadTimeoutError(endpoint_url="https://s3"), []),
        (None, error("DetectFaces", "AccessDeniedException")),
        (None, error("DetectFaces", "InternalServerError", 500)),
        (None, error("DetectFaces", "InvalidS3ObjectException")),
        (None, KeyError("surprise")),
    ],
    ids=str,
)
def test_a_fault_fails_its_own_message_and_leaves_the_image_alone(
    function: Function, read: Exception | None, answer: Any
) -> None:
    bad, good = function.upload("bad.jpg", answer), function.upload("good.jpg", [face()])
    if read is not None:
        function.cloud.images["bad.jpg", "v1"] = read
    assert function.deliver(bad, good) == {"bad.jpg"}
    assert [row["image_key"] for row in function.rows("")] == ["good.jpg"]
    assert [erasure["key"] for erasure in function.erasures()] == ["good.jpg"]


@pytest.mark.lens("F2-31")
@pytest.mark.parametrize("body", ["{", "[]", '{"Event": "s3:TestEvent"}', '{"detail-type": "Test"}'])
def test_a_message_that_announces_no_upload_fails_alone_with_its_reason_logged(
    function: Function, body: str
) -> None:
    stray = {"messageId": "stray", "body": body, "messageAttributes": {}}
    assert function.deliver(stray, function.upload("1.jpg", [face()])) == {"stray"}
    assert len(function.rows("faces/")) == 1
    assert '"message_id":"stray"' in function.log.getvalue()


def test_an_upload_announced_twice_in_a_batch_is_analysed_once_and_acknowledged_twice(
    function: Function,
) -> None:
    record = function.upload("1.jpg", [face()])
    assert function.deliver(record, record | {"messageId": "again"}) == set()
    assert len(function.cloud.detections) == len(function.rows("faces/")) == len(function.erasures()) == 1


def test_an_upload_announced_twice_fails_with_both_of_its_messages(function: Function) -> None:
    record = function.upload("1.jpg", error("DetectFaces", "InternalServerError", 500))
    assert function.deliver(record, record | {"messageId": "again"}) == {"1.jpg", "again"}


def test_an_image_delivered_again_gives_the_same_ids_in_the_same_partition(function: Function) -> None:
    record = function.upload("1.jpg", [face(), face()])
    function.deliver(record)
    function.deliver(record)
    rows = function.rows("faces/certainty=confident/upload_date=2026-11-20/")
    ids = [(row["face_id"], row["upload_id"]) for row in rows]
    assert Counter(ids) == dict.fromkeys(ids[:2], 2)
    assert len({row["analysis_id"] for row in rows}) == 2


@pytest.mark.lens("F2-10")
def test_an_image_is_erased_by_its_version_after_its_rows_are_stored(function: Function) -> None:
    odd = 'a+b "ü"\n\x01.jpg'
    function.deliver(function.upload(odd, [face()]))
    assert function.erasures() == [{"bucket": "images", "key": odd, "version_id": "v1"}]
    assert function.cloud.order == ["GetObject", "DetectFaces", "PutObject", "SendMessageBatch"]
    [(_, entry)] = function.cloud.sent
    assert entry["MessageBody"].isascii()
    assert entry["MessageBody"].isprintable()


@pytest.mark.lens("F2-10", "F2-31")
def test_what_could_not_be_stored_is_not_erased_and_comes_again(function: Function) -> None:
    confident, uncertain = function.upload("c.jpg", [face(99.0)]), function.upload("u.jpg", [face(1.0)])
    both, none = function.upload("b.jpg", [face(99.0), face(1.0)]), function.upload("n.jpg", [])
    function.cloud.put_fault = lambda key: "uncertain" in key
    assert function.deliver(confident, uncertain, both, none) == {"u.jpg", "b.jpg"}
    assert {erasure["key"] for erasure in function.erasures()} == {"c.jpg", "n.jpg"}
    assert '"cause":"PutObject InternalError"' in function.log.getvalue()


def test_a_rejection_that_could_not_be_stored_comes_again(function: Function) -> None:
    function.cloud.put_fault = lambda key: key.startswith("rejected/")
    assert function.deliver(function.upload("n.jpg", []), function.upload("1.jpg", [face()])) == {"n.jpg"}
    assert [erasure["key"] for erasure in function.erasures()] == ["1.jpg"]


@pytest.mark.lens("F2-10")
def test_an_image_whose_erasure_could_not_be_asked_for_comes_again(function: Function) -> None:
    batch = [function.upload(f"{number}.jpg", [face()]) for number in range(25)]
    function.cloud.send_fault = lambda queue, entry: '"13.jpg"' in entry["MessageBody"]
    assert function.deliver(*batch) == {"13.jpg"}
    assert len(function.erasures()) == 24
    assert len(function.cloud.sends) == 3


def test_a_send_that_fails_as_a_whole_brings_all_its_images_again(function: Function) -> None:
    batch = [function.upload(f"{number}.jpg", [face()]) for number in range(3)]
    function.cloud.call_fault = lambda operation: (
        error(operation, "AccessDenied", 403) if operation == "SendMessageBatch" else None
    )
    assert function.deliver(*batch) == {"0.jpg", "1.jpg", "2.jpg"}
    assert len(function.rows("faces/")) == 3


@pytest.mark.lens("QTA-02")
@pytest.mark.parametrize(
    "fault",
    [
        error("DetectFaces", "ThrottlingException"),
        error("DetectFaces", "ProvisionedThroughputExceededException"),
        error("DetectFaces", "LimitExceededException"),
        error("GetObject", "SlowDown", 503),
    ],
    ids=lambda fault: fault.response["Error"]["Code"],
)
def test_a_throttled_image_is_put_off_and_its_message_acknowledged(
    function: Function, fault: ClientError
) -> None:
    record = function.upload("1.jpg", fault)
    if fault.operation_name == "GetObject":
        function.cloud.images["1.jpg", "v1"] = fault
    assert function.deliver(record) == set()
    [entry] = function.deferrals()
    assert entry["MessageBody"] == record["body"]
    assert entry["MessageAttributes"] == {"deferrals": {"DataType": "Number", "StringValue": "1"}}
    assert 1 <= entry["DelaySeconds"] <= 2
    assert function.cloud.puts == {}
    assert function.erasures() == []


@pytest.mark.lens("QTA-02")
def test_a_deferred_image_that_is_throttled_again_waits_longer(function: Function) -> None:
    function.deliver(function.upload("1.jpg", throttle(), deferrals=5))
    [entry] = function.deferrals()
    assert entry["MessageAttributes"]["deferrals"]["StringValue"] == "6"
    assert 32 <= entry["DelaySeconds"] <= 64


@pytest.mark.lens("QTA-02")
def test_once_a_batch_is_throttled_no_further_image_is_tried(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARALLEL_CALLS", "1")
    batch = [function.upload(f"{number}.jpg", [face()]) for number in range(3)]
    batch += [function.upload("slow.jpg", throttle())]
    batch += [function.upload(f"late-{number}.jpg", [face()]) for number in range(40)]
    assert function.deliver(*batch) == set()
    assert len(function.cloud.detections) == 4
    assert len(function.rows("faces/")) == len(function.erasures()) == 3
    put_off = [json.loads(entry["MessageBody"])["detail"]["object"]["key"] for entry in function.deferrals()]
    assert put_off == ["slow.jpg", *(f"late-{number}.jpg" for number in range(40))]


@pytest.mark.lens("QTA-02", "F2-31")
def test_an_image_that_could_not_be_put_off_comes_again(function: Function) -> None:
    batch = [function.upload(f"{number}.jpg", throttle()) for number in range(12)]
    function.cloud.send_fault = lambda queue, entry: '"5.jpg"' in entry["MessageBody"]
    assert function.deliver(*batch) == {"5.jpg"}
    assert len(function.deferrals()) == 11


def test_an_upload_announced_twice_is_put_off_once(function: Function) -> None:
    record = function.upload("1.jpg", throttle())
    assert function.deliver(record, record | {"messageId": "again"}) == set()
    assert len(function.deferrals()) == 1


def test_no_call_to_a_queue_carries_more_than_256_kib(function: Function) -> None:
    batch = [function.upload(f"{n}.jpg", throttle(), padding="é" * 20_000) for n in range(7)]
    assert function.deliver(*batch) == set()
    assert len(function.deferrals()) == 7
    assert len(function.cloud.sends) > 1
    assert max(function.cloud.sends) <= 256 * 1024


def test_delays_double_with_every_deferral_up_to_the_longest_sqs_knows() -> None:
    for deferrals, longest in [(0, 2), (1, 4), (4, 32), (8, 512), (9, 900), (30, 900), (999_999, 900)]:
        drawn = {deferral.delay_seconds(deferrals) for _ in range(200)}
        assert min(drawn) >= longest // 2
        assert max(drawn) <= longest
        assert len(drawn) > 1


def test_with_little_time_left_no_image_is_begun(function: Function) -> None:
    batch = [function.upload(f"{number}.jpg", [face()]) for number in range(5)]
    function.seconds_left = lambda: 120.0 if len(function.cloud.detections) < 1 else 19.9
    again = function.deliver(*batch)
    done = {row["image_key"] for row in function.rows("faces/")}
    assert again == {record["messageId"] for record in batch} - done
    assert 1 <= len(done) <= 4
    assert len(function.cloud.detections) == len(done)


def test_an_image_that_takes_too_long_is_not_waited_for(function: Function) -> None:
    release, answered, test = threading.Event(), threading.Event(), threading.current_thread()
    slow = function.upload("slow.jpg", lambda: [face()] if release.wait(30) else None)
    quick = function.upload("1.jpg", lambda: answered.set() or [face()])

    def seconds_left() -> float:
        if threading.current_thread() is not test:
            return 120.0
        return 10.3 if answered.wait(30) else 0.0

    function.seconds_left = seconds_left
    try:
        assert function.deliver(quick, slow) == {"slow.jpg"}
    finally:
        release.set()
    assert [row["image_key"] for row in function.rows("faces/")] == ["1.jpg"]
    assert [erasure["key"] for erasure in function.erasures()] == ["1.jpg"]


def test_images_are_analysed_in_parallel(function: Function) -> None:
    together = threading.Barrier(4, timeout=10)
    batch = [function.upload(f"{n}.jpg", lambda: together.wait() >= 0 and [face()]) for n in range(4)]
    assert function.deliver(*batch) == set()
    assert len(function.rows("faces/")) == 4


def test_a_batch_is_counted(function: Function) -> None:
    uploaded_at = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    function.deliver(
        function.upload("1.jpg", [face(), face()], uploaded_at=uploaded_at),
        function.upload("2.jpg", [], uploaded_at=datetime.now(UTC).isoformat()),
        function.upload("3.jpg", KeyError()),
        {"messageId": "stray", "body": "", "messageAttributes": {}},
    )
    counted = function.metrics()
    assert 90 <= counted.pop("UploadToResult") < 120
    assert counted == {
        "ImagesAnalysed": 1,
        "FacesFound": 2,
        "ImagesRejected": 1,
        "ImagesDeferred": 0,
        "ImagesFailed": 2,
    }


def test_what_was_not_stored_or_not_put_off_is_counted_as_failed_only(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARALLEL_CALLS", "1")
    function.cloud.put_fault = lambda key: True
    function.cloud.send_fault = lambda queue, entry: '"3.jpg"' in entry["MessageBody"]
    unstored = [function.upload("1.jpg", [face()]), function.upload("none.jpg", [])]
    function.deliver(*unstored, *(function.upload(f"{n}.jpg", throttle()) for n in (2, 3)))
    assert function.metrics() == {
        "ImagesAnalysed": 0,
        "FacesFound": 0,
        "ImagesRejected": 0,
        "ImagesDeferred": 1,
        "ImagesFailed": 3,
    }


def test_the_log_tells_ids_and_counts_but_no_keys_faces_or_bytes(function: Function) -> None:
    secret = "customer-anna"
    quoting = error("GetObject", "AccessDenied", 403, f"not allowed on arn:aws:s3:::images/{secret}")
    denied = function.upload(f"{secret}-2.jpg", [])
    function.cloud.images[f"{secret}-2.jpg", "v1"] = quoting
    function.deliver(
        function.upload(f"{secret}.jpg", [face()]), denied, function.upload(f"{secret}-3.jpg", [])
    )
    log = function.log.getvalue()
    assert secret not in log
    assert "Female" not in log
    assert Upload("images", f"{secret}-2.jpg", "v1", 0, datetime.now(UTC)).upload_id in log
    assert '"cause":"GetObject AccessDenied"' in log
    assert '"reason":"no_face"' in log
    assert '"stored":2' in log


@pytest.fixture
def fresh_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    connections.connect.cache_clear()
    yield
    connections.connect.cache_clear()


@pytest.mark.usefixtures("fresh_connections")
def test_clients_are_made_once_with_room_for_every_parallel_call_and_short_timeouts() -> None:
    made = connections.connect(40)
    assert connections.connect(40) is made
    for client in (made.s3, made.rekognition, made.sqs):
        config = client.meta.config
        assert config.max_pool_connections >= 40
        assert config.connect_timeout + config.read_timeout < 20
        assert config.retries["mode"] == "standard"


@pytest.mark.lens("QTA-02")
@pytest.mark.usefixtures("fresh_connections")
def test_the_client_backs_off_with_jitter_before_a_call_counts_as_throttled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", slept.append)
    client = connections.connect(4).rekognition
    body = b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'

    def answer(request: Any, **_: Any) -> AWSResponse:
        raw = SimpleNamespace(stream=lambda: iter([body]))
        return AWSResponse(request.url, 400, {"x-amzn-errortype": "ThrottlingException"}, raw)

    client.meta.events.register("before-send.rekognition", answer)
    with pytest.raises(ClientError, match="ThrottlingException") as caught:
        client.detect_faces(Image={"Bytes": b"image"}, Attributes=["ALL"])
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 3
    assert len(set(slept)) == 3
    assert all(pause <= longest for pause, longest in zip(slept, (1, 2, 4), strict=True))


def test_a_message_too_long_to_share_a_call_is_sent_alone() -> None:
    cloud = Cloud()
    long, short = queue_messages.Message("1", "x" * 262_100), queue_messages.Message("2", "x")
    assert queue_messages.send_messages(cloud, IMAGE_QUEUE, [short, long, short], lambda fault: None) == set()  # type: ignore[arg-type]
    assert cloud.sends == [1, 262_100, 1]
