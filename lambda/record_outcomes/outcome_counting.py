"""Counting every outcome once, whatever is delivered twice or at the same time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from random import SystemRandom
from typing import Protocol

from outcome_messages import Outcome

SHARDS = 8
"""Items that the sum of a variant is spread over, so that functions that count at once seldom meet."""
_TRIES = 8
_FIRST_WAIT = 0.02

_chance = SystemRandom()


class Reason(StrEnum):
    """Why an outcome is not counted, and never will be."""

    NOT_AN_OUTCOME = "not_an_outcome"
    UNKNOWN_PREDICTION = "unknown_prediction"
    OTHER_VARIANT = "other_variant"
    CONTRADICTION = "contradiction"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the table knows of a prediction."""

    variant: str
    value: Decimal | None
    """Its outcome; ``None`` as long as there is none."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The outcome counts for ``variant`` now."""

    variant: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same outcome was counted before."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The outcome cannot be counted."""

    reason: Reason
    detail: str


class Overtaken(Exception):  # noqa: N818
    """Somebody else changed what is known of the prediction, or the sum, at the same time."""


class Ledger(Protocol):
    """What predictions, outcomes and sums are kept in."""

    def look_up(self, outcome: Outcome) -> Kept | None:
        """Return what is known of the prediction."""

    def add(self, outcome: Outcome, variant: str, shard: int) -> None:
        """Keep the outcome and add it to the sum of the variant, both or neither.

        Raises:
            Overtaken: Neither was done, since something has changed.
        """


def decide(outcome: Outcome, kept: Kept | None) -> Counted | Repeated | Rejected:
    """Say what is to become of an outcome of a prediction of which ``kept`` is known."""
    variant = kept.variant if kept else outcome.variant
    if variant is None:
        return Rejected(Reason.UNKNOWN_PREDICTION, "the prediction is not known, and no variant was named")
    if outcome.variant not in (None, variant):
        return Rejected(Reason.OTHER_VARIANT, f"the prediction was made by {variant}")
    if kept is None or kept.value is None:
        return Counted(variant)
    if kept.value == outcome.value:
        return Repeated()
    return Rejected(Reason.CONTRADICTION, "another outcome of the prediction was counted before")


def count(outcome: Outcome, ledger: Ledger) -> Counted | Repeated | Rejected:
    """Count an outcome once.

    Raises:
        Overtaken: Others were faster every time.
    """
    wait = _FIRST_WAIT
    for attempt in range(_TRIES):
        decision = decide(outcome, ledger.look_up(outcome))
        if not isinstance(decision, Counted):
            return decision
        try:
            ledger.add(outcome, decision.variant, _chance.randrange(SHARDS))
        except Overtaken:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_chance.uniform(wait / 2, wait))
            wait *= 2
        else:
            return decision
    raise AssertionError


def keys(outcome: Outcome) -> Mapping[str, str]:
    """Return the primary key of a prediction."""
    return {"pk": f"inference#{outcome.endpoint}#{outcome.inference_id}", "sk": "-"}
