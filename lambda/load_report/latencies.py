"""Latencies that workers counted in buckets, added up and asked for percentiles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class OtherScaleError(ValueError):
    """Two workers counted in different buckets, as they do while a new version is deployed: start the test again."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """How many answers took how long. Bucket *i* ends at ``least_ms * ratio ** i``."""

    least_ms: float
    ratio: float
    counts: Counter[int]

    @classmethod
    def of(cls, reported: Mapping[str, Any]) -> Latencies:
        """Read what a worker reports."""
        counts = Counter({int(number): int(count) for number, count in reported["counts"].items()})
        return cls(float(reported["least_ms"]), float(reported["ratio"]), counts)

    def __add__(self, other: Latencies) -> Latencies:
        """Return both together, as if one worker had counted them.

        Raises:
            OtherScaleError: They are counted in different buckets.
        """
        if (self.least_ms, self.ratio) != (other.least_ms, other.ratio):
            raise OtherScaleError("workers counted latencies in different buckets")
        return Latencies(self.least_ms, self.ratio, self.counts + other.counts)

    @property
    def total(self) -> int:
        """All answers."""
        return self.counts.total()

    def percentile(self, percent: float) -> float | None:
        """Return the latency in milliseconds within which ``percent`` of the answers came; ``None`` without any.

        It is the middle of a bucket, and wrong by half of the bucket's width at the most.
        """
        rank = max(1, math.ceil(self.total * percent / 100))
        seen = 0
        for number in sorted(self.counts):
            seen += self.counts[number]
            if seen >= rank:
                return self._middle(number)
        return None

    def _middle(self, number: int) -> float:
        upper = self.least_ms * self.ratio**number
        return float(upper if number == 0 else upper * (1 + 1 / self.ratio) / 2)


def together(reports: Iterable[Mapping[str, Any]]) -> Latencies:
    """Add up what several workers report; at least one has to."""
    first, *others = map(Latencies.of, reports)
    for other in others:
        first += other
    return first
