"""Whether a candidate may have more traffic: decided from numbers alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CERTAIN = 3.0
"""Standard errors by which an outcome has to be worse: chance alone does so in one rollout of a thousand."""


@dataclass(frozen=True)
class Measured:
    """What CloudWatch says of a variant."""

    calls: float
    errors: float
    latency_ms: float

    @property
    def failing(self) -> float:
        """The share of the calls that fail; errors without calls are all of them."""
        if not self.errors:
            return 0.0
        return min(self.errors / self.calls, 1.0) if self.calls else 1.0

    @classmethod
    def by_minute(
        cls, calls: Sequence[float], errors: Sequence[float], microseconds: Sequence[float]
    ) -> "Measured":
        """Take the values of each minute; a single late minute does not count among several, as with alarms."""
        late = sorted(microseconds, reverse=True)
        return cls(
            calls=sum(calls),
            errors=sum(errors),
            latency_ms=(late[min(1, len(late) - 1)] if late else 0.0) / 1000,
        )


@dataclass(frozen=True)
class Outcomes:
    """How many answers turned out, and how well in sum; one is the best for each."""

    count: int
    total: float

    @property
    def mean(self) -> float:
        """The mean value of an outcome; zero while there is none."""
        return self.total / self.count if self.count else 0.0

    def since(self, before: "Outcomes") -> "Outcomes":
        """Return what was added after ``before``."""
        return Outcomes(self.count - before.count, self.total - before.total)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as the state machine keeps them."""
        return {"count": self.count, "total": self.total}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Outcomes":
        """Take numbers back."""
        return cls(int(kept["count"]), float(kept["total"]))


@dataclass(frozen=True)
class Limits:
    """What a candidate has to keep to."""

    error_percent: float
    latency_ms: float
    least_calls: int
    least_outcomes: int
    outcome_loss: float
    slowdown: float | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Limits":
        """Read the limits that the construct has set."""
        return cls(
            error_percent=float(environment["ERROR_PERCENT"]),
            latency_ms=float(environment["LATENCY_MS"]),
            least_calls=int(environment["LEAST_CALLS"]),
            least_outcomes=int(environment["LEAST_OUTCOMES"]),
            outcome_loss=float(environment["OUTCOME_LOSS"]),
            slowdown=float(environment["SLOWDOWN"]) if "SLOWDOWN" in environment else None,
        )


def judge(
    measured: Measured, live: Measured, candidate: Outcomes, live_outcomes: Outcomes, limits: Limits
) -> dict[str, Any]:
    """Return pass, fail with its reason, or wait while there is too little to go by."""
    bad = (
        _failing(measured, live, limits)
        or _late(measured, live, limits)
        or _worse(candidate, live_outcomes, limits)
    )
    missing = "" if bad else _missing(measured, candidate, limits)
    return {
        "verdict": "fail" if bad else "wait" if missing else "pass",
        "reason": bad or missing,
        "calls": measured.calls,
        "errors": measured.errors,
        "latency_ms": round(measured.latency_ms, 1),
        "outcomes": candidate.to_json(),
    }


def _failing(measured: Measured, live: Measured, limits: Limits) -> str:
    """Callers who send what nobody understands are not the fault of a candidate: the live version fails them too."""
    if 100 * (measured.failing - live.failing) <= limits.error_percent:
        return ""
    beside = f" beside the {100 * live.failing:.1f} % of the live version" if live.failing else ""
    return f"{measured.errors:.0f} of {measured.calls:.0f} calls fail; {limits.error_percent:g} % may{beside}"


def _late(measured: Measured, live: Measured, limits: Limits) -> str:
    late = f"answers are late: {measured.latency_ms:.0f} ms for 99 of 100"
    if measured.latency_ms > limits.latency_ms:
        return f"{late}, promised are {limits.latency_ms:.0f} ms"
    if limits.slowdown and live.latency_ms and measured.latency_ms > limits.slowdown * live.latency_ms:
        return f"{late}, and {live.latency_ms:.0f} ms of the live version; {limits.slowdown:g} times as long may be"
    return ""


def _worse(candidate: Outcomes, live: Outcomes, limits: Limits) -> str:
    worse = live.mean - candidate.mean
    if candidate.count < limits.least_outcomes or worse <= limits.outcome_loss + _chance(candidate, live):
        return ""
    return (
        f"outcomes are worse: {candidate.mean:.3f} on average in {candidate.count}, and {live.mean:.3f} in "
        f"{live.count} of the live version"
    )


def _missing(measured: Measured, candidate: Outcomes, limits: Limits) -> str:
    if measured.calls < limits.least_calls:
        return f"{measured.calls:.0f} calls are too few to judge by; {limits.least_calls} are asked for"
    if candidate.count < limits.least_outcomes:
        return f"{candidate.count} outcomes are too few to judge by; {limits.least_outcomes} are asked for"
    return ""


def _chance(one: Outcomes, other: Outcomes) -> float:
    """Return by how much two shares may differ by chance."""
    if not one.count or not other.count:
        return math.inf
    pooled = min(max((one.total + other.total) / (one.count + other.count), 0.0), 1.0)
    return _CERTAIN * math.sqrt(pooled * (1 - pooled) * (1 / one.count + 1 / other.count))
