"""What is known of the outcomes of a variant: how many, their sum and the sum of their squares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of outcomes, exactly as they were counted: nothing is lost where large numbers differ a little."""

    n: int = 0
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.n - other.n, self.total - other.total, self.squares - other.squares)

    @property
    def mean(self) -> float:
        """The mean; of nothing, it is nought."""
        return float(self.total / self.n) if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance of the population, estimated from this sample of two or more."""
        if self.n < 2:
            return 0.0
        return float((self.squares - self.total * self.total / self.n) / (self.n - 1))

    @property
    def happens_or_not(self) -> bool:
        """Whether every outcome is 0 or 1: those are the numbers that are their own squares."""
        return self.total == self.squares and 0 <= self.total <= self.n

    def to_json(self) -> dict[str, str]:
        """Write the sums as texts, of which none is rounded."""
        return {"n": str(self.n), "total": str(self.total), "squares": str(self.squares)}

    @classmethod
    def from_json(cls, written: Mapping[str, str]) -> Sums:
        """Read what :meth:`to_json` wrote."""
        return cls(int(written["n"]), Fraction(written["total"]), Fraction(written["squares"]))


def added_up(items: Iterable[Mapping[str, Any]]) -> Sums:
    """Add up the items that the sums of a variant are spread over."""
    return sum(
        (
            Sums(
                int(item["n"]["N"]),
                Fraction(item["total"]["N"]),
                Fraction(item["squares"]["N"]),
            )
            for item in items
        ),
        Sums(),
    )
