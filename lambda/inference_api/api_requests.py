"""From what API Gateway hands over to a request that the schema allows."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from problems import bad_request, too_large, unsupported_media_type
from request_schema import Check

_LONGEST_SUBJECT = 256


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """A request that may go to the model."""

    body: bytes
    """The body, written anew from what was checked."""
    instances: int | None
    """How many predictions are asked for, where the body says so."""
    subject: str | None
    """Whom the predictions are about, in a word of the caller's own."""


def read_request(event: Mapping[str, Any], check: Check, largest_body: int) -> PredictionRequest:
    """Read the event of one call.

    Raises:
        Problem: The request cannot go to the model: 400, 413 or 415.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise unsupported_media_type()
    document = _parsed(_body(event, largest_body))
    violation = check(document, "")
    if violation is not None:
        where = violation.pointer or "The body"
        raise bad_request(f"{where} {violation.reason}.", violation.pointer)
    instances = document.get("instances") if isinstance(document, dict) else None
    return PredictionRequest(
        body=json.dumps(document, separators=(",", ":")).encode(),
        instances=len(instances) if isinstance(instances, list) else None,
        subject=_subject(headers.get("x-subject")),
    )


def _body(event: Mapping[str, Any], largest: int) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            raw = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise bad_request("The body cannot be decoded.") from None
    else:
        raw = body.encode(errors="surrogatepass")
    if len(raw) > largest:
        raise too_large(largest)
    if not raw.strip():
        raise bad_request("The body is empty.", "")
    return raw


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        # The parser's own message may quote the body.
        raise bad_request("The body is not JSON.", "") from None


def _no_number(_: str) -> float:
    raise ValueError


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


def _subject(given: str | None) -> str | None:
    if given is None:
        return None
    if not 0 < len(given) <= _LONGEST_SUBJECT or not given.isprintable():
        raise bad_request(f"The header x-subject is not a text of 1 to {_LONGEST_SUBJECT} characters.")
    return given
