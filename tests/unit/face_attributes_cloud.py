"""The function `face_attributes` among S3, Rekognition and SQS in memory, and messages to deliver to it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import botocore.session
import connections
import face_attributes
import pytest
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters
from faces import EMOTIONS

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


def deployed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Function]:
    """The body of the fixture `function`: each test file makes its own from it."""
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
