"""What the function tells in its metrics and its log, and the clients that it calls the services with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import connections
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from uploads import Upload

from tests.unit.face_attributes_cloud import Function, deployed, error, face, throttle

function = pytest.fixture(deployed)


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
