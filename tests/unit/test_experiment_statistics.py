"""The statistics of an experiment: compared with what is published, and with chance."""

from __future__ import annotations

import random
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from significance import compare, student_tails
from spending import Look, level, spent
from sums import Sums, added_up

# Made with scipy 1.17.1: scipy.stats.ttest_ind(…, equal_var=False) and 2 * scipy.stats.t.sf(…).
WELCH_FIRST = [12.1, 9.8, 11.4, 10.9, 13.2, 10.0, 11.7]
WELCH_SECOND = [9.1, 10.2, 8.8, 9.9, 11.0]
WELCH_P_VALUE = 0.031144684598514237
TAILS = [
    (2, 10, 0.07338803477074037),
    (1.5, 3.3, 0.22250319671929186),
    (2.5, 1000, 0.012578567801090807),
    (6, 50, 2.1889394850799978e-07),
]
# Two-sided bounds of five looks at equal distances with 0.05, as Lan and DeMets' spending function gives them.
PUBLISHED_BOUNDS = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]


def sums(values: list[float]) -> Sums:
    exact = [Fraction(str(value)) for value in values]
    return Sums(len(exact), sum(exact, Fraction(0)), sum((each * each for each in exact), Fraction(0)))


def of_tails(p_value: float) -> float:
    return -NormalDist().inv_cdf(p_value / 2)


@pytest.mark.parametrize(("t", "freedom", "p_value"), TAILS)
def test_the_tails_of_students_distribution_are_those_of_scipy(
    t: float, freedom: float, p_value: float
) -> None:
    assert student_tails(t, freedom) == pytest.approx(p_value, rel=1e-12)
    assert student_tails(-t, freedom) == student_tails(t, freedom)


def test_students_distribution_turns_into_the_normal_one() -> None:
    assert student_tails(1.96, 2e6) == pytest.approx(student_tails(1.96, 9e5), rel=1e-5)
    assert (student_tails(0, 5), student_tails(1e9, 5)) == (1, pytest.approx(0, abs=1e-30))


@pytest.mark.lens("AB-05")
def test_numbers_are_compared_by_welchs_test() -> None:
    compared = compare(sums(WELCH_FIRST), sums(WELCH_SECOND))
    assert compared.test == "Welch"
    assert compared.p_value == pytest.approx(WELCH_P_VALUE, rel=1e-12)
    assert compared.difference < 0


@pytest.mark.lens("AB-05")
def test_what_happens_or_not_is_compared_by_a_test_of_two_proportions() -> None:
    compared = compare(Sums(1000, Fraction(100), Fraction(100)), Sums(1000, Fraction(130), Fraction(130)))
    assert compared.test == "two proportions"
    assert compared.p_value == pytest.approx(0.03548845046647471, rel=1e-12)
    assert compared.difference == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("first", "second", "p_value"),
    [
        ([0] * 50, [0] * 60, 1.0),
        ([1] * 50, [1] * 60, 1.0),
        ([2] * 50, [2] * 60, 1.0),
        ([2] * 50, [3] * 60, 0),
    ],
)
def test_outcomes_that_are_all_the_same_are_no_trouble(
    first: list[float], second: list[float], p_value: float
) -> None:
    assert compare(sums(first), sums(second)).p_value == p_value


def test_a_small_spread_among_large_numbers_is_not_lost() -> None:
    near_a_million = sums([999_999.999999, 999_999.999998, 1_000_000])
    assert near_a_million.variance == pytest.approx(1e-12, rel=1e-9)


@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 6)), min_size=2, max_size=30),
    st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 6)), min_size=2, max_size=30),
)
def test_a_p_value_is_a_probability_and_sides_do_not_matter(first: list[float], second: list[float]) -> None:
    there, back = compare(sums(first), sums(second)), compare(sums(second), sums(first))
    assert 0 <= there.p_value <= 1
    assert there.p_value == pytest.approx(back.p_value)
    assert there.difference == pytest.approx(-back.difference)


@given(st.lists(st.floats(-100, 100).map(lambda value: round(value, 6)), max_size=20), st.integers(0, 20))
def test_what_was_there_before_is_taken_off_exactly(values: list[float], cut: int) -> None:
    before, after = sums(values[:cut]), sums(values[cut:])
    assert sums(values) - before == after
    assert Sums.from_json(after.to_json()) == after


def test_items_are_added_up() -> None:
    items = [
        {"n": {"N": "2"}, "total": {"N": "0.1"}, "squares": {"N": "0.01"}},
        {"n": {"N": "1"}, "total": {"N": "1"}, "squares": {"N": "1"}},
    ]
    assert added_up(items) == Sums(3, Fraction("1.1"), Fraction("1.01"))
    assert added_up([]) == Sums()


@pytest.mark.lens("AB-06")
def test_what_each_look_demands_is_what_is_published() -> None:
    looks = [Look(each / 5, each / 5) for each in range(1, 6)]
    bounds = [of_tails(level(looks[:each], 0.05)) for each in range(1, 6)]
    assert bounds == pytest.approx(PUBLISHED_BOUNDS, abs=2e-4)


def test_one_look_may_spend_everything() -> None:
    assert level([Look(1, 123)], 0.05) == pytest.approx(0.05)


@given(st.floats(0.001, 0.2), st.lists(st.floats(0.01, 1), min_size=2, max_size=4, unique=True))
def test_significance_is_spent_little_by_little_and_never_too_much(
    significance: float, times: list[float]
) -> None:
    spending = [spent(time, significance) for time in sorted(times)]
    assert spending == sorted(spending)
    assert spent(1, significance) == pytest.approx(significance)
    assert spent(0, significance) == 0


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.02, 1), st.floats(1, 1000)), min_size=1, max_size=4),
    st.sampled_from([0.01, 0.05, 0.1]),
)
def test_no_look_may_spend_more_than_there_is(grown: list[tuple[float, float]], significance: float) -> None:
    times = sorted(time for time, _ in grown)
    information = 0.0
    looks = []
    for time, (_, more) in zip(times, grown, strict=True):
        information += more
        looks.append(Look(time, information))
    assert 0 <= level(looks, significance) <= significance * 1.001


@pytest.mark.lens("AB-06")
def test_looking_five_times_finds_no_more_differences_that_are_not_there_than_agreed() -> None:
    """Ten thousand experiments without a difference; looked at naively, one in ten would have a winner."""
    chance = random.Random(4)  # noqa: S311 - the same experiments every time
    looks = [Look(time, time) for time in (0.5, 0.625, 0.75, 0.875, 1.0)]
    bounds = [of_tails(level(looks[: number + 1], 0.05)) for number in range(5)]
    found = naive = 0
    for _ in range(10_000):
        score, before = 0.0, 0.0
        ends = naively_ends = False
        for look, bound in zip(looks, bounds, strict=True):
            score += chance.gauss(0, (look.information - before) ** 0.5)
            before = look.information
            standardised = abs(score) / look.information**0.5
            ends |= standardised > bound
            naively_ends |= standardised > 1.96
        found += ends
        naive += naively_ends
    assert 0.044 < found / 10_000 < 0.056
    assert naive / 10_000 > 0.09
