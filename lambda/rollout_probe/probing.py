"""Probes, and whether the answers to them are good enough."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Probe:
    """A request, and what is right for each of its instances: one or zero."""

    body: Mapping[str, Any]
    expected: Sequence[int]


@dataclass(frozen=True)
class Answer:
    """What came of a probe."""

    probe: Probe
    seconds: float
    said: Mapping[str, Any] | None = None
    failure: str = ""

    def right(self) -> int:
        """Return how many instances the answer is right about.

        Raises:
            ValueError: The answer has another form.
        """
        try:
            chances = [float(each["probability"]) for each in (self.said or {})["predictions"]]
        except (KeyError, TypeError) as other:
            raise ValueError("the answer has no predictions with a probability each") from other
        if len(chances) != len(self.probe.expected):
            raise ValueError(f"{len(chances)} predictions for {len(self.probe.expected)} instances")
        return sum(
            (chance >= 0.5) == bool(wanted)
            for chance, wanted in zip(chances, self.probe.expected, strict=True)
        )


@dataclass(frozen=True)
class Limits:
    """What a version has to reach."""

    latency_ms: float
    least_accuracy: float
    accuracy_loss: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Limits":
        """Read the limits that the construct has set."""
        return cls(
            latency_ms=float(environment["LATENCY_MS"]),
            least_accuracy=float(environment["LEAST_ACCURACY"]),
            accuracy_loss=float(environment["ACCURACY_LOSS"]),
        )


@dataclass(frozen=True)
class Verdict:
    """Whether a version passes, with what was measured."""

    passed: bool
    reason: str
    accuracy: float
    live_accuracy: float
    latency_ms: float

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as the state machine takes it."""
        return {
            "passed": self.passed,
            "reason": self.reason,
            "accuracy": round(self.accuracy, 4),
            "live_accuracy": round(self.live_accuracy, 4),
            "latency_ms": round(self.latency_ms, 1),
        }


def read_probes(text: str) -> list[Probe]:
    """Read JSON Lines.

    Raises:
        ValueError: There is none, or a line is no probe.
    """
    probes = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            read = json.loads(line)
            probes.append(Probe(body=read["body"], expected=[int(each) for each in read["expected"]]))
        except (ValueError, KeyError, TypeError) as broken:
            raise ValueError(f"line {number} of the probes is none: {broken}") from broken
    if not probes:
        raise ValueError("there are no probes")
    return probes


def verdict(tested: Sequence[Answer], live: Sequence[Answer], limits: Limits) -> Verdict:
    """Judge the answers of a version: none failed, all in time, right often enough, and not less than the live one."""
    late = _percentile([answer.seconds * 1000 for answer in tested], 95)
    failed = [answer for answer in tested if answer.failure]
    if failed:
        reason = f"{len(failed)} of {len(tested)} probes fail: {failed[0].failure[:300]}"
        return Verdict(False, reason, 0.0, 0.0, late)
    try:
        accuracy = _accuracy(tested)
    except ValueError as other:
        return Verdict(False, f"probes fail: {other}", 0.0, 0.0, late)
    live_accuracy = _live_accuracy(live)
    reason = ""
    if late > limits.latency_ms:
        reason = f"answers are late: {late:.0f} ms for 95 of 100, promised are {limits.latency_ms:.0f} ms"
    elif accuracy < limits.least_accuracy:
        reason = f"accuracy is {accuracy:.3f}, at least {limits.least_accuracy:.3f} is asked for"
    elif live and accuracy < live_accuracy - limits.accuracy_loss:
        reason = f"accuracy is {accuracy:.3f}, and that of the live version {live_accuracy:.3f}"
    return Verdict(not reason, reason, accuracy, live_accuracy, late)


def _live_accuracy(live: Sequence[Answer]) -> float:
    """A live version that fails is no measure for a candidate."""
    try:
        return _accuracy([answer for answer in live if not answer.failure])
    except ValueError:
        return 0.0


def _accuracy(answers: Sequence[Answer]) -> float:
    count = sum(len(answer.probe.expected) for answer in answers)
    return sum(answer.right() for answer in answers) / count if count else 0.0


def _percentile(values: Sequence[float], percent: int) -> float:
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else 0.0
