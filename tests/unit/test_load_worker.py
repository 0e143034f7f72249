"""The function that asks an endpoint without pause."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections import Counter
from typing import Any

import load_worker
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from driving import Load, Measured, drive, kind_of
from hypothesis import given
from hypothesis import strategies as st
from latency_buckets import LEAST_MS, MOST_MS, RATIO, bucket_of, upper_end
from load_settings import NoPayloadsError, Settings, payloads_in

from tests.unit.called import body, client, context

ENVIRONMENT = {
    "ENDPOINT_NAME": "churn",
    "PAYLOAD_BUCKET": "payloads",
    "PAYLOAD_KEY": "calls.jsonl",
    "CONTENT_TYPE": "application/json",
    "SECONDS": "0.2",
    "WARM_UP_SECONDS": "0",
}


class Endpoint:
    """An endpoint that takes a while, and tells how many calls were under way at most."""

    def __init__(self, seconds: float = 0.005) -> None:
        self.seconds = seconds
        self.bodies: Counter[bytes] = Counter()
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.bodies[request["Body"]] += 1
        time.sleep(self.seconds)
        with self.lock:
            self.under_way -= 1
        return {"Body": io.BytesIO(b"{}")}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    made = Endpoint()
    monkeypatch.setattr(load_worker, "_runtime", lambda threads: made)
    monkeypatch.setattr(load_worker, "_payloads", lambda settings: (b"1", b"2", b"3"))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.mark.lens("SCL-03", "SCL-11")
def test_as_many_requests_are_under_way_as_there_are_threads(endpoint: Endpoint) -> None:
    measured = load_worker.handler({"threads": 6}, context())
    assert endpoint.most == 6
    assert measured["calls"] == sum(measured["latencies"]["counts"].values()) > 20
    assert measured["failures"] == {}
    assert measured["seconds"] == 0.2
    # No answer came faster than the endpoint is.
    assert min(map(int, measured["latencies"]["counts"])) >= bucket_of(5)


def test_every_payload_is_sent(endpoint: Endpoint) -> None:
    load_worker.handler({"threads": 2}, context())
    assert set(endpoint.bodies) == {b"1", b"2", b"3"}


def test_payloads_are_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    made, stub = client("s3")
    monkeypatch.setattr("boto3.client", lambda service: made)
    stub.add_response(
        "get_object", {"Body": body(b'{"a":1}\n\n{"a":2}\r\n')}, {"Bucket": "p", "Key": "calls.jsonl"}
    )
    settings = Settings("churn", "p", "calls.jsonl", "application/json", 1, 0)
    assert load_worker._payloads(settings) == (b'{"a":1}', b'{"a":2}')


def test_no_payloads_are_no_test() -> None:
    with pytest.raises(NoPayloadsError):
        payloads_in(b"\n \n")


def test_the_endpoint_is_asked_once_for_each_request() -> None:
    runtime = load_worker._runtime(3)
    assert runtime.meta.config.retries == {"mode": "standard", "total_max_attempts": 1}
    assert runtime.meta.config.max_pool_connections >= 3


def test_what_is_begun_while_it_warms_up_does_not_count() -> None:
    times = itertools.count()
    sent: list[bytes] = []
    load = Load(threads=1, warm_up=10, seconds=10)
    measured = drive(sent.append, [b"1"], load, clock=lambda: next(times))
    assert 0 < measured.calls < len(sent)
    assert measured.seconds == 10


def test_failures_are_counted_by_kind_and_have_no_latency() -> None:
    kinds = itertools.cycle([None, "ThrottlingException"])

    def call(payload: bytes) -> None:
        code = next(kinds)
        if code:
            raise ClientError({"Error": {"Code": code}}, "InvokeEndpoint")

    times = itertools.count()
    measured = drive(call, [b"1"], Load(threads=1, warm_up=0, seconds=40), clock=lambda: next(times))
    assert set(measured.failures) == {"throttled"}
    assert abs(measured.latencies.total() - measured.failures["throttled"]) <= 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "I"), "throttled"),
        (ClientError({"Error": {"Code": "ModelError"}, "OriginalStatusCode": 400}, "I"), "refused"),  # type: ignore[typeddict-unknown-key]
        (ClientError({"Error": {"Code": "ModelError"}, "OriginalStatusCode": 500}, "I"), "model"),  # type: ignore[typeddict-unknown-key]
        (ClientError({"Error": {"Code": "ValidationError"}}, "I"), "ValidationError"),
        (ReadTimeoutError(endpoint_url="https://secret"), "late"),
        (ConnectionError("secret"), "ConnectionError"),
    ],
)
def test_a_failure_is_named_without_its_message(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


@pytest.mark.lens("SCL-11")
@given(st.floats(0, MOST_MS, allow_nan=False))
def test_a_latency_is_in_the_bucket_that_holds_it(milliseconds: float) -> None:
    number = bucket_of(milliseconds)
    assert milliseconds <= upper_end(number)
    assert number == 0 or milliseconds > upper_end(number - 1)


@given(st.floats(MOST_MS, allow_nan=False))
def test_what_takes_for_ever_is_in_the_last_bucket(milliseconds: float) -> None:
    assert bucket_of(milliseconds) == bucket_of(MOST_MS)


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_what_takes_longer_is_in_no_earlier_bucket(one: float, other: float) -> None:
    if one <= other:
        assert bucket_of(one) <= bucket_of(other)


def test_the_ends_of_buckets_are_in_them() -> None:
    assert [bucket_of(LEAST_MS * RATIO**number) for number in range(600)] == list(range(600))


def test_what_threads_counted_is_added_up() -> None:
    one, other = Measured(1), Measured(1)
    one.add(3, None)
    other.add(5, None)
    other.add(9, "late")
    one.merge(other)
    assert (one.calls, one.slowest_ms, dict(one.failures)) == (3, 5, {"late": 1})
