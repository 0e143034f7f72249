"""What the function puts off when it is throttled, and how it keeps to its time and to the limits of SQS."""

from __future__ import annotations

import json
import threading

import deferral
import pytest
import queue_messages
from botocore.exceptions import ClientError

from tests.unit.face_attributes_cloud import IMAGE_QUEUE, Cloud, Function, deployed, error, face, throttle

function = pytest.fixture(deployed)


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


def test_a_message_too_long_to_share_a_call_is_sent_alone() -> None:
    cloud = Cloud()
    long, short = queue_messages.Message("1", "x" * 262_100), queue_messages.Message("2", "x")
    assert queue_messages.send_messages(cloud, IMAGE_QUEUE, [short, long, short], lambda fault: None) == set()  # type: ignore[arg-type]
    assert cloud.sends == [1, 262_100, 1]


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
