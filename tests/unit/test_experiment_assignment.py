"""The same subject gets the same variant, and a shift moves no more subjects than it has to."""

from __future__ import annotations

from collections import Counter
from typing import Any

import assignment
import pytest
from assignment import assign, assigned_variant
from hypothesis import given
from hypothesis import strategies as st

SUBJECTS = [f"customer-{number}" for number in range(20_000)]
EQUAL = {"A": 50, "B": 50}


def moved(before: dict[str, float], after: dict[str, float]) -> Counter[tuple[str, str]]:
    pairs = ((assign(each, before, "s"), assign(each, after, "s")) for each in SUBJECTS)
    return Counter(pair for pair in pairs if pair[0] != pair[1])


@pytest.mark.lens("AB-03", "AB-08", "CHG-06")
def test_each_variant_gets_its_share_of_the_subjects() -> None:
    equal = Counter(assign(each, EQUAL, "s") for each in SUBJECTS)
    assert equal["A"] / len(SUBJECTS) == pytest.approx(0.5, abs=0.01)
    shifted = Counter(assign(each, {"A": 1, "B": 4}, "s") for each in SUBJECTS)
    assert shifted["B"] / len(SUBJECTS) == pytest.approx(0.8, abs=0.01)


@pytest.mark.lens("AB-08")
@given(st.text(max_size=256), st.text(max_size=80))
def test_a_subject_gets_the_same_variant_every_time(subject: str, salt: str) -> None:
    assert assign(subject, EQUAL, salt) == assign(subject, dict(reversed(EQUAL.items())), salt)


@pytest.mark.lens("AB-07")
@pytest.mark.parametrize(
    ("after", "way", "share"),
    [
        ({"A": 60, "B": 40}, ("B", "A"), 0.1),
        ({"A": 40, "B": 60}, ("A", "B"), 0.1),
        ({"A": 100, "B": 0}, ("B", "A"), 0.5),
        ({"A": 0.1, "B": 0.4}, ("A", "B"), 0.3),
    ],
)
def test_a_shift_moves_only_those_whom_the_other_variant_gains(
    after: dict[str, float], way: tuple[str, str], share: float
) -> None:
    found = moved(EQUAL, after)
    assert set(found) == {way}
    assert found[way] / len(SUBJECTS) == pytest.approx(share, abs=0.01)


@given(st.text(), st.integers(0, 100), st.integers(0, 100))
def test_whoever_has_a_variant_keeps_it_while_it_grows(subject: str, one: int, two: int) -> None:
    small, large = sorted((one, two))
    if assign(subject, {"A": small, "B": 100 - small}, "s") == "A":
        assert assign(subject, {"A": large, "B": 100 - large}, "s") == "A"


@given(st.text())
def test_a_variant_without_weight_gets_nobody(subject: str) -> None:
    assert assign(subject, {"A": 0, "B": 1}, "s") == "B"
    assert assign(subject, {"A": 1, "B": 0}, "s") == "A"


def test_without_any_weight_nobody_can_be_assigned() -> None:
    with pytest.raises(ValueError, match="no variant has a weight"):
        assign("customer-1", {"A": 0, "B": 0}, "s")


def test_another_experiment_mixes_the_subjects_anew() -> None:
    same = sum(assign(each, EQUAL, "one") == assign(each, EQUAL, "two") for each in SUBJECTS)
    assert same / len(SUBJECTS) == pytest.approx(0.5, abs=0.02)


class Table:
    def __init__(self, item: dict[str, Any] | None) -> None:
        self.item = item
        self.asked: list[dict[str, Any]] = []

    def get_item(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return {} if self.item is None else {"Item": self.item}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_remembered", {})


def shares(a: int, b: int) -> dict[str, Any]:
    return {"weights": {"M": {"A": {"N": str(a)}, "B": {"N": str(b)}}}, "salt": {"S": "s"}}


def test_the_shares_are_read_from_the_item_of_the_endpoint_and_remembered_for_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("assignment.time.monotonic", lambda: now[0])
    table = Table(shares(0, 100))
    assert assigned_variant(table, "outcomes", "serving", "customer-1") == "B"
    assert table.asked[0]["Key"] == {"pk": {"S": "experiment#serving"}, "sk": {"S": "-"}}
    table.item = shares(100, 0)
    now[0] += 4.9
    assert assigned_variant(table, "outcomes", "serving", "customer-1") == "B"
    now[0] += 0.1
    assert assigned_variant(table, "outcomes", "serving", "customer-1") == "A"
    assert len(table.asked) == 2


@pytest.mark.parametrize("item", [None, {}, {"salt": {"S": "s"}}])
def test_without_an_experiment_the_endpoint_chooses(item: dict[str, Any] | None) -> None:
    assert assigned_variant(Table(item), "outcomes", "serving", "customer-1") is None
