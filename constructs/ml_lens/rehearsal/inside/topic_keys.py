"""Keys behind encrypted topics: whether whoever publishes may use them."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from ml_lens.rehearsal.inside.permissions import Gate, Proceed, Request, Response, through

_USES = ("kms:GenerateDataKey", "kms:Decrypt")
_PUBLISHING = ("Publish", "PublishBatch")


class TopicKeys(Protocol):
    """Finds the customer-managed key of a topic."""

    def of_topic(self, arn: str) -> str | None:
        """Return the key, as an ARN."""


class TopicEnforcement:
    """Refuses messages of those who may not use the key of the topic."""

    def __init__(self, gate: Gate, keys: TopicKeys) -> None:
        """Ask ``gate`` about the keys that ``keys`` finds."""
        self._gate = gate
        self._keys = keys

    async def sns(self, request: Request, proceed: Proceed) -> Response:
        """Serve a request to SNS if its caller may use the topic's key."""
        said = parse_qs(request.body.decode(errors="replace"))
        action = (said.get("Action") or [request.parameter("Action")])[0]
        topic = (said.get("TopicArn") or said.get("TargetArn") or [""])[0]
        key = self._keys.of_topic(topic) if action in _PUBLISHING else None
        for use in _USES if key else ():
            refused = self._gate.refusal(request.caller, use, str(key), through("sns", self._gate))
            if refused:
                return _denied(refused)
        return await proceed()


def _denied(message: str) -> Response:
    body = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>KMSAccessDenied</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    )
    return 400, {"Content-Type": "text/xml"}, body.encode()
