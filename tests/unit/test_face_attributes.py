"""The function from a batch of messages to stored rows, erase messages and what has to come again."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import face_attributes
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.unit.face_attributes_cloud import Function, deployed, error, face

MIB = 1024 * 1024

function = pytest.fixture(deployed)


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
