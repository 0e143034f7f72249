"""How likely a difference between two variants is, if there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from sums import Sums

# From here on the two distributions agree in every digit that matters.
_AS_GOOD_AS_NORMAL = 1e6
_SMALLEST = 1e-300
_TERMS = 10_000
_PRECISION = 1e-15


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of two means, and how likely one as large is by chance."""

    test: str
    difference: float
    """The mean of the second less that of the first."""
    error: float
    """Standard error of the difference."""
    p_value: float
    """Two-sided."""


def compare(first: Sums, second: Sums) -> Comparison:
    """Compare two samples: by a test of two proportions when outcomes are 0 and 1, by Welch's test otherwise."""
    if first.happens_or_not and second.happens_or_not:
        return _proportions(first, second)
    return _welch(first, second)


def _proportions(first: Sums, second: Sums) -> Comparison:
    difference = second.mean - first.mean
    pooled = float((first.total + second.total) / (first.n + second.n))
    error = math.sqrt(pooled * (1 - pooled) * (1 / first.n + 1 / second.n))
    p_value = 2 * NormalDist().cdf(-abs(difference) / error) if error else 1.0
    return Comparison("two proportions", difference, error, p_value)


def _welch(first: Sums, second: Sums) -> Comparison:
    difference = second.mean - first.mean
    of_first, of_second = first.variance / first.n, second.variance / second.n
    error = math.sqrt(of_first + of_second)
    if not error:
        return Comparison("Welch", difference, error, 0.0 if difference else 1.0)
    freedom = (of_first + of_second) ** 2 / (
        of_first**2 / max(1, first.n - 1) + of_second**2 / max(1, second.n - 1)
    )
    return Comparison("Welch", difference, error, student_tails(difference / error, freedom))


def student_tails(t: float, freedom: float) -> float:
    """Return the probability that Student's t is further from nought than ``t``."""
    if freedom > _AS_GOOD_AS_NORMAL:
        return 2 * NormalDist().cdf(-abs(t))
    return _beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) / (a * _continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    value = c = 1.0
    d = 0.0
    for term in range(1, _TERMS):
        half, odd = divmod(term, 2)
        if odd:
            step = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            step = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        d = 1 / _not_nought(1 + step * d)
        c = _not_nought(1 + step / c)
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _not_nought(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST
