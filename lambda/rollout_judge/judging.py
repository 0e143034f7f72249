"""Whether a candidate may have more traffic: decided from numbers alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CERTAIN = 3.0
"""Standard errors by which an outcome has to be worse: chance alone does so in one rollout of a thousand."""


@dataclass(frozen=True)
class Measured:
    """What CloudWatch says of the candidate."""

    calls: float
    errors: float
    latency_ms: float


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

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Limits":
        """Read the limits that the construct has set."""
        return cls(
            error_percent=float(environment["ERROR_PERCENT"]),
            latency_ms=float(environment["LATENCY_MS"]),
            least_calls=int(environment["LEAST_CALLS"]),
            least_outcomes=int(environment["LEAST_OUTCOMES"]),
            outcome_loss=float(environment["OUTCOME_LOSS"]),
        )


def judge(measured: Measured, candidate: Outcomes, live: Outcomes, limits: Limits) -> dict[str, Any]:
    """Return pass, fail with its reason, or wait while there is too little to go by."""
    verdict, reason = _judged(measured, candidate, live, limits)
    return {
        "verdict": verdict,
        "reason": reason,
        "calls": measured.calls,
        "errors": measured.errors,
        "latency_ms": round(measured.latency_ms, 1),
        "outcomes": candidate.to_json(),
    }


def _judged(measured: Measured, candidate: Outcomes, live: Outcomes, limits: Limits) -> tuple[str, str]:
    if measured.errors and 100 * measured.errors > limits.error_percent * measured.calls:
        return "fail", (
            f"{measured.errors:.0f} of {measured.calls:.0f} calls fail; {limits.error_percent:g} % may"
        )
    if measured.latency_ms > limits.latency_ms:
        return "fail", (
            f"answers are late: {measured.latency_ms:.0f} ms for 99 of 100, promised are {limits.latency_ms:.0f} ms"
        )
    worse = live.mean - candidate.mean
    if candidate.count >= limits.least_outcomes and worse > limits.outcome_loss + _chance(candidate, live):
        return "fail", (
            f"outcomes are worse: {candidate.mean:.3f} on average in {candidate.count}, and {live.mean:.3f} in "
            f"{live.count} of the live version"
        )
    if measured.calls < limits.least_calls:
        return (
            "wait",
            f"{measured.calls:.0f} calls are too few to judge by; {limits.least_calls} are asked for",
        )
    if candidate.count < limits.least_outcomes:
        return "wait", (
            f"{candidate.count} outcomes are too few to judge by; {limits.least_outcomes} are asked for"
        )
    return "pass", ""


def _chance(one: Outcomes, other: Outcomes) -> float:
    """Return by how much two shares may differ by chance."""
    if not one.count or not other.count:
        return math.inf
    pooled = min(max((one.total + other.total) / (one.count + other.count), 0.0), 1.0)
    return _CERTAIN * math.sqrt(pooled * (1 - pooled) * (1 / one.count + 1 / other.count))
