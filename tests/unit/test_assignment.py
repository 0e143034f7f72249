"""Sticky assignment of callers to the variants of an experiment."""

import pytest
from assignment import assign
from hypothesis import given
from hypothesis import strategies as st

SUBJECTS = [f"customer-{number}" for number in range(4000)]


@pytest.mark.lens("AB-08")
@given(st.text(max_size=50))
def test_the_same_caller_meets_the_same_variant(subject: str) -> None:
    assert assign(subject, {"A": 1, "B": 1}, "salt") == assign(subject, {"B": 50, "A": 50}, "salt")


def test_equal_weights_give_each_variant_half_of_the_callers() -> None:
    share = sum(assign(each, {"A": 1, "B": 1}, "salt") == "A" for each in SUBJECTS) / len(SUBJECTS)
    assert 0.47 < share < 0.53


@pytest.mark.lens("AB-07")
def test_shifting_the_weights_moves_only_those_between_the_borders() -> None:
    before = [assign(each, {"A": 50, "B": 50}, "salt") for each in SUBJECTS]
    after = [assign(each, {"A": 40, "B": 60}, "salt") for each in SUBJECTS]
    moved = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert {*moved} == {("A", "B")}
    assert 0.08 < len(moved) / len(SUBJECTS) < 0.12


def test_another_experiment_mixes_the_callers_anew() -> None:
    same = sum(
        assign(each, {"A": 1, "B": 1}, "one") == assign(each, {"A": 1, "B": 1}, "two") for each in SUBJECTS
    )
    assert 0.45 < same / len(SUBJECTS) < 0.55


def test_a_variant_without_weight_is_given_to_nobody() -> None:
    assert {assign(each, {"A": 0, "B": 1}, "salt") for each in SUBJECTS} == {"B"}
    with pytest.raises(ValueError, match="weight"):
        assign("anybody", {"A": 0, "B": 0}, "salt")
