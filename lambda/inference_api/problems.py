"""What is told when there is no prediction, as RFC 9457 writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818  (it is an answer, too)
    """Why a request is not answered with predictions."""

    status: int
    title: str
    detail: str
    pointer: str | None = None
    """The field that is wrong, as RFC 6901 writes it."""
    retry_after: int | None = None
    """Seconds after which another attempt makes sense."""

    def to_response(self, request_id: str) -> dict[str, Any]:
        """Return the answer as API Gateway takes it."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:uuid:{request_id}",
        }
        if self.pointer is not None:
            body["errors"] = [{"pointer": self.pointer, "detail": self.detail}]
        headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return {"statusCode": self.status, "headers": headers, "body": json.dumps(body)}


def bad_request(detail: str, pointer: str | None = None) -> Problem:
    """The request is wrong, and where."""
    return Problem(400, "Bad Request", detail, pointer=pointer)


def too_large(limit: int) -> Problem:
    """The body has too many bytes."""
    return Problem(
        413, "Content Too Large", f"The body has more than {limit} bytes; send fewer instances at a time."
    )


def unsupported_media_type() -> Problem:
    """The body is no JSON by its own account."""
    return Problem(
        415, "Unsupported Media Type", "The body has to be application/json, and the header has to say so."
    )


def refused_by_model() -> Problem:
    """The model itself did not want the request."""
    return Problem(
        422, "Unprocessable Content", "The request is well-formed, but the model refuses these instances."
    )


def away(detail: str, retry_after: int) -> Problem:
    """The endpoint does not answer now."""
    return Problem(503, "Service Unavailable", detail, retry_after=retry_after)


def internal() -> Problem:
    """Something is wrong on this side, and the log says what."""
    return Problem(
        500, "Internal Server Error", "The request was understood, but no prediction could be made."
    )
