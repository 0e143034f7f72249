"""Captured calls on their way to S3, in the records of SageMaker's data capture."""

from __future__ import annotations

import base64
import contextvars
import json
import random
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud, StoredObject, place_of
from ml_lens.rehearsal.inside.sagemaker.containers import Reply
from ml_lens.rehearsal.inside.sagemaker.fleets import Variant

if TYPE_CHECKING:
    from ml_lens.rehearsal.inside.sagemaker.runtime import Call

_PAUSE = 0.3
Config = Mapping[str, Any]


class CapturedCalls:
    """Gathers records for a moment, and stores them with the rights of the endpoint's role."""

    def __init__(self, cloud: Cloud) -> None:
        """Store through ``cloud``."""
        self._cloud = cloud
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, StoredObject], list[str]] = {}

    def add(self, config: Config | None, endpoint: str, variant: Variant, call: Call, reply: Reply) -> None:
        """Record a call, if the configuration wants this one recorded."""
        if not config or not config.get("EnableCapture", True):
            return
        if random.random() * 100 >= float(config["InitialSamplingPercentage"]):  # noqa: S311 - a sample
            return
        now = datetime.now(UTC)
        found = place_of(config["DestinationS3Uri"])
        assert found is not None  # noqa: S101 - the schema of the request demands it
        folder = "/".join(part for part in (found.key.rstrip("/"), endpoint, variant.name) if part)
        target = StoredObject(found.bucket, f"{folder}/{now:%Y/%m/%d/%H}", config.get("KmsKeyId"))
        with self._lock:
            first = not self._waiting
            waiting = self._waiting.setdefault((variant.role, target), [])
            waiting.append(json.dumps(record(config, call, reply, now)))
        if first:
            context = contextvars.copy_context()
            threading.Timer(_PAUSE, context.run, (self._store,)).start()

    def _store(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for (role, target), lines in waiting.items():
            name = f"{datetime.now(UTC):%M-%S-%f}-{uuid.uuid4()}.jsonl"
            whole = StoredObject(target.bucket, f"{target.key}/{name}", target.kms_key)
            self._cloud.write(role, whole, ("\n".join(lines) + "\n").encode())


def record(config: Config, call: Call, reply: Reply, now: datetime) -> dict[str, Any]:
    """Return the record of a call."""
    modes = {each["CaptureMode"] for each in config["CaptureOptions"]}
    both = "InputAndOutput" in modes
    data = {}
    if both or "Input" in modes:
        data["endpointInput"] = _side(config, "INPUT", call.content_type, call.body)
    if both or "Output" in modes:
        data["endpointOutput"] = _side(config, "OUTPUT", reply.content_type, reply.body)
    named = {"inferenceId": call.inference_id} if call.inference_id else {}
    return {
        "captureData": data,
        "eventMetadata": {
            "eventId": call.invocation,
            **named,
            "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        },
        "eventVersion": "0",
    }


def _side(config: Config, mode: str, content_type: str, body: bytes) -> dict[str, str]:
    """Return one side of a call: as it is if the configuration says what it is, else encoded."""
    kind = content_type.partition(";")[0].strip().lower()
    headers = config.get("CaptureContentTypeHeader") or {}
    encoding = "BASE64"
    for name, types in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if kind in [each.lower() for each in headers.get(types) or []]:
            encoding = name
    data = base64.b64encode(body) if encoding == "BASE64" else body
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": data.decode(errors="replace"),
        "encoding": encoding,
    }
