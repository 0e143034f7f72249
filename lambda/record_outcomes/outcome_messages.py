"""From a message of the queue to an outcome that can be counted."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

MOST = 1_000_000
"""Largest value, either side of zero: sums of squares have to fit into the 38 digits of a number in DynamoDB."""
DIGITS = 6
"""Digits after the point that are kept of a value."""
_NAME = re.compile(r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}")
_INFERENCE_ID = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one prediction."""

    endpoint: str
    inference_id: str
    variant: str | None
    """The variant that made the prediction, where the sender knows it."""
    value: Decimal
    at: datetime


class NotAnOutcome(ValueError):  # noqa: N818
    """The message cannot be counted, however often it is delivered; the text says which part of it is wrong."""

    def __init__(self, wrong: str, endpoint: str | None = None) -> None:
        super().__init__(wrong)
        self.endpoint = endpoint


def read_outcome(body: str) -> Outcome:
    """Read the body of a message.

    Raises:
        NotAnOutcome: A part is missing or cannot be meant.
    """
    try:
        said = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # The parser's own message may quote the body.
        raise NotAnOutcome("is not JSON") from None
    if not isinstance(said, dict):
        raise NotAnOutcome("is no JSON object")
    endpoint = _matching(said, "endpoint", _NAME, None)
    variant = said.get("variant")
    return Outcome(
        endpoint=endpoint,
        inference_id=_matching(said, "inference_id", _INFERENCE_ID, endpoint),
        variant=None if variant is None else _matching(said, "variant", _NAME, endpoint),
        value=_value(said.get("value"), endpoint),
        at=_time(said.get("at"), endpoint),
    )


def _matching(said: dict[str, Any], name: str, pattern: re.Pattern[str], endpoint: str | None) -> str:
    given = said.get(name)
    if not isinstance(given, str) or not pattern.fullmatch(given):
        raise NotAnOutcome(f"{name} is missing or malformed", endpoint)
    return given


def _value(given: Any, endpoint: str) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | float) or not _finite(given):
        raise NotAnOutcome("value is no number", endpoint)
    if abs(given) > MOST:
        raise NotAnOutcome(f"value is beyond {MOST}", endpoint)
    return round(Decimal(str(given)), DIGITS)


def _finite(given: float) -> bool:
    return isinstance(given, int) or math.isfinite(given)


def _time(given: Any, endpoint: str) -> datetime:
    try:
        at = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise NotAnOutcome("at is no time as ISO 8601 writes it", endpoint) from None
    if at.tzinfo is None:
        raise NotAnOutcome("at has no time zone", endpoint)
    return at.astimezone(UTC)


def _no_number(_: str) -> float:
    raise ValueError
