"""Which variant answers whom, as long as an experiment lasts: the same one every time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_REMEMBERED_SECONDS = 5.0
_POINTS = 2**64


@dataclass(frozen=True, slots=True)
class Assignment:
    """How an experiment spreads subjects over variants."""

    weights: Mapping[str, float]
    salt: str
    """Belongs to one experiment, so that the next one mixes the subjects anew."""


_remembered: dict[tuple[str, str], tuple[float, Assignment | None]] = {}


def assign(subject: str, weights: Mapping[str, float], salt: str) -> str:
    """Return the variant of ``subject``.

    Every subject has a point between nought and one, and every variant a stretch as long as its share, in the order of
    the names. When weights change, the ends of the stretches move, and of the subjects those whom they pass: from 50/50
    to 60/40 it is one in ten.

    Args:
        subject: Whom the prediction is about.
        weights: Weight of every variant, not negative, of which one at least is above nought.
        salt: Belongs to the experiment.

    Raises:
        ValueError: No weight is above nought.

    Lens: AB-03, AB-08, CHG-06.
    """
    whole = sum(weights.values())
    digest = hashlib.sha256(f"{salt}:{subject}".encode(errors="surrogatepass")).digest()
    point = int.from_bytes(digest[:8], "big") / _POINTS * whole
    end = 0.0
    last = None
    for variant, weight in sorted(weights.items()):
        end += weight
        if weight > 0:
            last = variant
            if point < end:
                return variant
    if last is None:
        raise ValueError("no variant has a weight")
    # A point that was rounded up to the end.
    return last


def assigned_variant(client: Any, table: str, endpoint: str, subject: str) -> str | None:
    """Return the variant of ``subject`` at ``endpoint``; ``None`` when no experiment shares the subjects out.

    What is read is remembered for some seconds, and a subject whom a shift moves is moved as much later.
    """
    now = time.monotonic()
    read_at, assignment = _remembered.get((table, endpoint), (-_REMEMBERED_SECONDS, None))
    if now - read_at >= _REMEMBERED_SECONDS:
        assignment = _read(client, table, endpoint)
        _remembered[table, endpoint] = now, assignment
    return None if assignment is None else assign(subject, assignment.weights, assignment.salt)


def _read(client: Any, table: str, endpoint: str) -> Assignment | None:
    item = client.get_item(
        TableName=table,
        Key={"pk": {"S": f"experiment#{endpoint}"}, "sk": {"S": "-"}},
        ProjectionExpression="weights, salt",
    ).get("Item")
    # When one variant has everything, the weights of the endpoint say so.
    if not item or "weights" not in item:
        return None
    return Assignment(
        weights={variant: float(weight["N"]) for variant, weight in item["weights"]["M"].items()},
        salt=item["salt"]["S"],
    )
