"""Whether an experiment goes on, has a winner, or ends without one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from significance import Comparison, compare
from spending import Look, level
from sums import Sums

WAIT, WINNER, NO_DIFFERENCE, UNHEALTHY = "wait", "winner", "no_difference", "unhealthy"
# With less than this between them, two looks see the same.
_GROWTH = 1.01


@dataclass(frozen=True, slots=True)
class Rules:
    """When an experiment may end, as it was agreed before it began."""

    variants: tuple[str, str]
    """The first one is kept when there is no difference."""
    minimum_seconds: float
    maximum_seconds: float
    minimum_outcomes: int
    """Outcomes that each variant needs."""
    significance: float
    looks: int
    higher_is_better: bool

    @classmethod
    def read(cls, text: str) -> Rules:
        """Read the rules that the stack has written."""
        told: Mapping[str, Any] = json.loads(text)
        first, second = told["variants"]
        return cls(
            variants=(first, second),
            minimum_seconds=told["minimum_seconds"],
            maximum_seconds=told["maximum_seconds"],
            minimum_outcomes=told["minimum_outcomes"],
            significance=told["significance"],
            looks=told["looks"],
            higher_is_better=told["better"] == "higher",
        )

    def times(self) -> list[float]:
        """Return the seconds after which there is a look: evenly from the minimum to the maximum."""
        if self.looks == 1 or self.maximum_seconds == self.minimum_seconds:
            return [self.maximum_seconds]
        apart = (self.maximum_seconds - self.minimum_seconds) / (self.looks - 1)
        return [self.minimum_seconds + number * apart for number in range(self.looks)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of the experiment, and why."""

    decision: str
    reason: str
    winner: str = ""
    """The variant that gets the traffic; empty while the experiment goes on, or when both variants are unhealthy."""
    looks: tuple[Look, ...] = ()
    """All looks so far."""
    comparison: Comparison | None = None
    level: float | None = None
    """What the p-value of the last look had to be below."""


def judge(rules: Rules, first: Sums, second: Sums, looks: Sequence[Look], elapsed: float) -> Verdict:
    """Judge an experiment.

    Args:
        rules: What was agreed.
        first: Outcomes of the first variant since the experiment began.
        second: Outcomes of the second.
        looks: The looks so far.
        elapsed: Seconds since it began.

    Lens: AB-05, AB-06, AB-08.
    """
    over = elapsed >= rules.maximum_seconds
    last = looks[-1].time * rules.maximum_seconds if looks else 0.0
    # Times are shares of the maximum, which division rounds.
    if not any(last * (1 + 1e-9) < time <= elapsed for time in rules.times()):
        return _undecided(rules, over, looks, "no look is due")
    if min(first.n, second.n) < rules.minimum_outcomes:
        return _undecided(
            rules, over, looks, f"fewer than {rules.minimum_outcomes} outcomes of a variant are known"
        )
    information = first.n * second.n / (first.n + second.n)
    # A look at what was known before is that look again, with more significance to spend.
    known = looks[:-1] if looks and information < looks[-1].information * _GROWTH else looks
    return _look(rules, first, second, (*known, Look(min(1.0, elapsed / rules.maximum_seconds), information)))


def _look(rules: Rules, first: Sums, second: Sums, looks: tuple[Look, ...]) -> Verdict:
    comparison = compare(first, second)
    below = level(looks, rules.significance)
    over = looks[-1].time >= 1
    if comparison.p_value < below:
        second_wins = (comparison.difference > 0) == rules.higher_is_better
        return Verdict(
            WINNER,
            "the difference is significant",
            winner=rules.variants[1 if second_wins else 0],
            looks=looks,
            comparison=comparison,
            level=below,
        )
    return Verdict(
        NO_DIFFERENCE if over else WAIT,
        "the difference is not significant",
        winner=rules.variants[0] if over else "",
        looks=looks,
        comparison=comparison,
        level=below,
    )


def _undecided(rules: Rules, over: bool, looks: Sequence[Look], reason: str) -> Verdict:
    return Verdict(
        NO_DIFFERENCE if over else WAIT,
        reason,
        winner=rules.variants[0] if over else "",
        looks=tuple(looks),
    )
