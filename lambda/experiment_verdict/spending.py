"""How much chance a look may take, so that all looks together take no more than was agreed.

Who looks at a comparison often, and stops as soon as it seems significant, finds differences that are not there. Here
the agreed significance is spent look by look, little at first and most at the end, in the way of O'Brien and Fleming;
Lan and DeMets showed that it may be spent by the calendar, whatever comes in between the looks. What remains at each
look follows from those before it, whose results are not independent of this one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_STANDARD = NormalDist()
_POINTS = 400
"""Even number of intervals in which a density is integrated."""
_FURTHEST = 8.0
"""Standard deviations beyond which nothing is left of a density."""
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the comparison."""

    time: float
    """Share of the longest duration that had gone by, above nought and up to one."""
    information: float
    """How much was known: twice as much halves the square of the standard error."""


def spent(time: float, significance: float) -> float:
    """Return how much of ``significance`` may be spent by ``time``."""
    if time <= 0:
        return 0.0
    # For each of the two directions half of it.
    return 4 * _STANDARD.cdf(_STANDARD.inv_cdf(significance / 4) / math.sqrt(min(1.0, time)))


def level(looks: Sequence[Look], significance: float) -> float:
    """Return the two-sided p-value below which the last of ``looks`` finds a difference.

    Args:
        looks: All looks so far, each with more information than the one before.
        significance: The chance of finding a difference where there is none, over all looks.
    """
    return 2 * _STANDARD.cdf(-_bounds(looks, significance)[-1])


def _bounds(looks: Sequence[Look], significance: float) -> list[float]:
    """Return the standardised difference that each look demands."""
    bounds: list[float] = []
    before = 0.0
    going_on: _Density | None = None
    for number, look in enumerate(looks):
        now = spent(look.time, significance)
        new = max(0.0, now - before)
        scale = math.sqrt(look.information)
        if going_on is None:
            bound = -_STANDARD.inv_cdf(new / 2) if new > 0 else _FURTHEST
            bound = min(bound, _FURTHEST)
        else:
            bound = going_on.bound(new, look.information)
        bounds.append(bound)
        if number < len(looks) - 1:
            going_on = (
                _Density.first(look.information, bound * scale)
                if going_on is None
                else going_on.next(look.information, bound * scale)
            )
        before = now
    return bounds


@dataclass(frozen=True, slots=True)
class _Density:
    """Density of the score of a comparison without a difference that no look has ended."""

    information: float
    points: list[float]
    weighted: list[float]
    """The density at each point, times the weight of the point in Simpson's rule."""

    @classmethod
    def first(cls, information: float, edge: float) -> _Density:
        deviation = math.sqrt(information)
        points, weights = _simpson(min(edge, _FURTHEST * deviation))
        return cls(
            information,
            points,
            [weight * _normal(point, deviation) for point, weight in zip(points, weights, strict=True)],
        )

    def next(self, information: float, edge: float) -> _Density:
        """Return the density after another look, which ends what is further out than ``edge``."""
        deviation = math.sqrt(information - self.information)
        points, weights = _simpson(min(edge, _FURTHEST * math.sqrt(information)))
        return _Density(
            information,
            points,
            [
                weight
                * sum(
                    map(
                        lambda there, mass: mass * _normal(point - there, deviation),
                        self.points,
                        self.weighted,
                    )
                )
                for point, weight in zip(points, weights, strict=True)
            ],
        )

    def bound(self, chance: float, information: float) -> float:
        """Return the standardised difference that is exceeded with ``chance`` at a look that knows so much."""
        deviation = math.sqrt(2 * (information - self.information))
        low, high = 0.0, _FURTHEST
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            edge = middle * math.sqrt(information)
            beyond = sum(
                mass * (math.erfc((edge - there) / deviation) + math.erfc((edge + there) / deviation)) / 2
                for there, mass in zip(self.points, self.weighted, strict=True)
            )
            low, high = (middle, high) if beyond > chance else (low, middle)
        return high


def _simpson(edge: float) -> tuple[list[float], list[float]]:
    step = 2 * edge / _POINTS
    points = [number * step - edge for number in range(_POINTS + 1)]
    weights = [step / 3 * (4 if number % 2 else 2) for number in range(_POINTS + 1)]
    weights[0] = weights[-1] = step / 3
    return points, weights


def _normal(x: float, deviation: float) -> float:
    scaled = x / deviation
    return math.exp(-scaled * scaled / 2) / (deviation * math.sqrt(2 * math.pi))
