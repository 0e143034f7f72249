"""Keys behind encrypted buckets and queues: who uses them, and whether they may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote
from xml.sax.saxutils import escape

from ml_lens.rehearsal.inside.permissions import Gate, Proceed, Request, Response, through

_SSE = "x-amz-server-side-encryption"
_SSE_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_ENCRYPT = "kms:GenerateDataKey"
_DECRYPT = "kms:Decrypt"

_QUEUE_KEY_USES = {
    "SendMessage": (_ENCRYPT, _DECRYPT),
    "SendMessageBatch": (_ENCRYPT, _DECRYPT),
    "ReceiveMessage": (_DECRYPT,),
}


class Keys(Protocol):
    """Finds the customer-managed key, as an ARN, that something is encrypted with."""

    def of_bucket(self, bucket: str) -> str | None:
        """Return the key of the bucket's default encryption."""

    def of_object(self, bucket: str, key: str, version: str | None) -> str | None:
        """Return the key that the stored object is encrypted with."""

    def of_queue(self, url: str) -> str | None:
        """Return the key of the queue."""

    def arn(self, reference: str) -> str | None:
        """Return the ARN of the key with this id, alias or ARN."""


@dataclass(frozen=True)
class KeyUse:
    """One use of a key on behalf of the caller of another service."""

    action: str
    key: str
    context: Mapping[str, Any]


class KeyEnforcement:
    """Refuses calls to S3 and SQS whose caller may not use the key behind them."""

    def __init__(self, gate: Gate, keys: Keys) -> None:
        """Ask ``gate`` about the keys that ``keys`` finds."""
        self._gate = gate
        self._keys = keys

    async def s3(self, request: Request, proceed: Proceed) -> Response:
        """Serve a request to S3 if the caller may use the keys of what it writes or reads."""
        bucket, _, key = request.path.lstrip("/").partition("/")
        if not key:
            return await proceed()
        writes = request.method == "PUT" or (
            request.method == "POST" and not request.query.keys() & {"select"}
        )
        if writes:
            refused = self._first_refusal(request.caller, self._uses_of_write(request, bucket, key))
            if refused:
                return _s3_denied(refused)
            return await proceed()
        response = await proceed()
        used = self._keys.arn(_header(response[1], _SSE_KEY))
        if request.method == "GET" and used and response[0] < 300:
            use = KeyUse(_DECRYPT, used, self.s3_context(bucket, key))
            refused = self._first_refusal(request.caller, [use])
            if refused:
                return _s3_denied(refused)
        return response

    async def sqs(self, request: Request, proceed: Proceed) -> Response:
        """Serve a request to SQS if the caller may use the queue's key."""
        actions = _QUEUE_KEY_USES.get(request.operation, ())
        key = self._keys.of_queue(str(json.loads(request.body).get("QueueUrl", ""))) if actions else None
        if key:
            uses = [KeyUse(action, key, through("sqs", self._gate)) for action in actions]
            refused = self._first_refusal(request.caller, uses)
            if refused:
                return _sqs_denied(refused)
        return await proceed()

    def s3_context(self, bucket: str, key: str) -> dict[str, Any]:
        """Condition keys of a key that S3 uses for an object."""
        return {
            **through("s3", self._gate),
            "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/{key}",
        }

    def _uses_of_write(self, request: Request, bucket: str, key: str) -> list[KeyUse]:
        if request.query.keys() & {"tagging", "acl", "retention", "legal-hold", "restore"}:
            return []
        context = self.s3_context(bucket, key)
        uses = []
        target = self._target_key(request, bucket)
        if target:
            uses.append(KeyUse(_ENCRYPT, target, context))
            if "uploadId" in request.query:
                uses.append(KeyUse(_DECRYPT, target, context))
        source = unquote(request.headers.get("x-amz-copy-source", "")).lstrip("/")
        if source:
            path, _, version = source.partition("?versionId=")
            source_bucket, _, source_key = path.partition("/")
            used = self._keys.of_object(source_bucket, source_key, version or None)
            if used:
                uses.append(KeyUse(_DECRYPT, used, self.s3_context(source_bucket, source_key)))
        return uses

    def _target_key(self, request: Request, bucket: str) -> str | None:
        asked = request.headers.get(_SSE, "")
        if not asked:
            return self._keys.of_bucket(bucket)
        named = request.headers.get(_SSE_KEY, "")
        return self._keys.arn(named) if asked.startswith("aws:kms") and named else None

    def _first_refusal(self, caller: str, uses: list[KeyUse]) -> str | None:
        for use in uses:
            refused = self._gate.refusal(caller, use.action, use.key, use.context)
            if refused:
                return refused
        return None


class QueueReader:
    """What the poller of an event source needs, asked of the function's role."""

    _ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

    def __init__(self, gate: Gate, keys: Keys) -> None:
        """Ask ``gate`` about queues and the keys that ``keys`` finds."""
        self._gate = gate
        self._keys = keys

    def refusal(self, role: str, queue: str, url: str) -> str | None:
        """Return why the role behind the access key ``role`` may not read the queue, or ``None``."""
        for action in self._ACTIONS:
            refused = self._gate.refusal(role, action, queue)
            if refused:
                return refused
        key = self._keys.of_queue(url)
        return self._gate.refusal(role, _DECRYPT, key, through("sqs", self._gate)) if key else None


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for found, value in headers.items() if found.lower() == name), "")


def _s3_denied(message: str) -> Response:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>{escape(message)}'
    )
    return 403, {"Content-Type": "application/xml"}, f"{text}</Message></Error>".encode()


def _sqs_denied(message: str) -> Response:
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-query-error": "KMS.AccessDeniedException;Sender",
    }
    return (
        400,
        headers,
        json.dumps({"__type": "com.amazonaws.sqs#KmsAccessDenied", "message": message}).encode(),
    )
