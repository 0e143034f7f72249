"""Captured calls on their way to S3, in the records of SageMaker's data capture."""

from __future__ import annotations

import base64
import contextvars
import json
import random
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud, StoredObject
from ml_lens.rehearsal.inside.sagemaker.containers import Reply
from ml_lens.rehearsal.inside.sagemaker.fleets import Variant

if TYPE_CHECKING:
    from ml_lens.rehearsal.inside.sagemaker.runtime import Call

_PAUSE = 0.3
_S3 = re.compile(r"s3://([^/]+)/?(.*)")


class CapturedCalls:
    """Gathers records for a moment, and stores them with the rights of the endpoint's role."""

    def __init__(self, cloud: Cloud) -> None:
        """Store through ``cloud``."""
        self._cloud = cloud
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, StoredObject], list[str]] = {}

    def add(
        self, config: Mapping[str, Any] | None, endpoint: str, variant: Variant, call: Call, reply: Reply
    ) -> None:
        """Record a call, if the configuration wants this one recorded."""
        if not config or not config.get("EnableCapture"):
            return
        if random.random() * 100 >= float(config["InitialSamplingPercentage"]):  # noqa: S311 - a sample
            return
        now = datetime.now(UTC)
        found = _S3.fullmatch(config["DestinationS3Uri"])
        assert found is not None  # noqa: S101 - the schema of the request demands it
        folder = "/".join(part for part in (found[2].rstrip("/"), endpoint, variant.name) if part)
        target = StoredObject(found[1], f"{folder}/{now:%Y/%m/%d/%H}", config.get("KmsKeyId"))
        with self._lock:
            first = not self._waiting
            self._waiting.setdefault((variant.role, target), []).append(_record(call, reply, now))
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


def _record(call: Call, reply: Reply, now: datetime) -> str:
    return json.dumps(
        {
            "captureData": {
                "endpointInput": _side("INPUT", call.content_type, call.body),
                "endpointOutput": _side("OUTPUT", reply.content_type, reply.body),
            },
            "eventMetadata": {
                "eventId": str(uuid.uuid4()),
                "inferenceId": call.inference_id,
                "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            },
            "eventVersion": "0",
        }
    )


def _side(mode: str, content_type: str, body: bytes) -> dict[str, str]:
    kind = {"text/csv": "CSV", "application/json": "JSON"}.get(content_type.partition(";")[0])
    data = body.decode(errors="replace") if kind else base64.b64encode(body).decode()
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": data,
        "encoding": kind or "BASE64",
    }
