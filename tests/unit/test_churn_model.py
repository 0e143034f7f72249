"""The sample model: it is what its data say, and the same bytes wherever it is trained."""

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import xgboost as xgb

from jobs.churn.customers import draw
from jobs.churn.features import FEATURES, columns, encode
from ml_lens.assets import job_code

CHURN = job_code("churn")
SERVED = ("1.0.0", "2.0.0")
REHEARSED = ("broken", "narrow")

Score = Callable[[str, str], float]


@pytest.fixture(scope="module")
def reproduction() -> Iterator[ModuleType]:
    sys.path.insert(0, str(CHURN))
    yield importlib.import_module("reproduce")
    sys.path.remove(str(CHURN))


@pytest.fixture(scope="module")
def population() -> Callable[[str], tuple[list[dict[str, Any]], list[int]]]:
    made = {name: draw(name, 10_000, seed=99) for name in ("A", "B", "all")}
    return made.__getitem__


@pytest.fixture(scope="module")
def right(population: Callable[[str], tuple[list[dict[str, Any]], list[int]]]) -> Score:
    """The share of customers that a version is right about."""

    def share(version: str, name: str) -> float:
        customers, left = population(name)
        return _right([each > 0.5 for each in probabilities(version, customers)], left)

    return share


def probabilities(version: str, customers: Sequence[dict[str, Any]]) -> list[float]:
    booster = xgb.Booster(model_file=str(CHURN / "models" / version / "model.json"))
    return list(map(float, booster.predict(xgb.DMatrix(encode(customers), feature_names=columns()))))


def _right(answers: Sequence[object], left: Sequence[int]) -> float:
    return sum(bool(said) == bool(was) for said, was in zip(answers, left, strict=True)) / len(left)


def text(version: str) -> bytes:
    return (CHURN / "models" / version / "model.json").read_bytes()


@pytest.mark.parametrize("version", [*SERVED, *REHEARSED])
def test_training_again_gives_the_text_in_the_repository_byte_by_byte(
    reproduction: ModuleType, version: str, tmp_path: Path
) -> None:
    made = reproduction.reproduce(version, tmp_path / "model")
    assert made.read_bytes() == text(version)
    assert len(text(version)) < 40_000
    assert json.loads((tmp_path / "model" / "version.json").read_text()) == {"version": version}


def test_every_version_in_the_repository_has_a_recipe(reproduction: ModuleType) -> None:
    assert set(reproduction.RECIPES) == {each.parent.name for each in CHURN.glob("models/*/model.json")}


def test_another_seed_of_the_data_gives_another_model(
    reproduction: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduction, "_SEED", 21)
    assert reproduction.reproduce("1.0.0", tmp_path).read_bytes() != text("1.0.0")


@pytest.mark.lens("AB-02")
def test_champion_and_challenger_differ_in_hyperparameters_alone(reproduction: ModuleType) -> None:
    champion, challenger = (reproduction.RECIPES[version] for version in SERVED)
    assert champion.contracts == challenger.contracts
    assert champion.hyperparameters.keys() == challenger.hyperparameters.keys()
    assert champion.hyperparameters != challenger.hyperparameters
    learners = [json.loads(text(version))["learner"] for version in SERVED]
    for shared in ("objective", "feature_names", "feature_types"):
        assert learners[0][shared] == learners[1][shared]
    names = {learner["gradient_booster"]["name"] for learner in learners}
    trees = [len(learner["gradient_booster"]["model"]["trees"]) for learner in learners]
    assert names == {"gbtree"}
    assert trees == [champion.hyperparameters["num_round"], challenger.hyperparameters["num_round"]]


@pytest.mark.parametrize("name", ["A", "B", "all"])
def test_the_models_beat_the_majority_and_every_rule_of_one_feature(
    population: Callable[[str], tuple[list[dict[str, Any]], list[int]]], right: Score, name: str
) -> None:
    customers, left = population(name)
    share = sum(left) / len(left)
    majority = max(share, 1 - share)
    rule = _best_rule_of_one_feature(customers, left)
    assert rule >= majority
    assert right("1.0.0", name) > rule + 0.08
    assert right("2.0.0", name) > right("1.0.0", name) + 0.01


def test_the_narrow_model_is_as_good_as_the_champion_where_it_was_trained_and_nowhere_else(
    right: Score,
) -> None:
    assert right("narrow", "A") > right("1.0.0", "A") - 0.02
    assert right("narrow", "B") < right("1.0.0", "B") - 0.2


def test_the_broken_model_loads_and_cannot_predict(
    population: Callable[[str], tuple[list[dict[str, Any]], list[int]]],
) -> None:
    with pytest.raises(ValueError, match="feature_names mismatch"):
        probabilities("broken", population("A")[0][:1])


def test_the_populations_differ_in_contracts_and_in_little_else(
    population: Callable[[str], tuple[list[dict[str, Any]], list[int]]],
) -> None:
    free = {
        name: sum(each["contract"] == "month-to-month" for each in population(name)[0]) / 10_000
        for name in ("A", "B")
    }
    assert free["A"] == pytest.approx(0.92, abs=0.01)
    assert free["B"] == pytest.approx(0.10, abs=0.01)
    for feature in ("tenure_months", "monthly_charge", "data_gb"):
        means = [sum(each[feature] for each in population(name)[0]) / 10_000 for name in ("A", "B")]
        assert math.isclose(*means, rel_tol=0.03)


def _best_rule_of_one_feature(customers: Sequence[dict[str, Any]], left: Sequence[int]) -> float:
    """The most that ``feature >= value``, or ``feature == word``, or its contrary gets right."""
    best = 0.0
    for name, rule in FEATURES.items():
        values = [each[name] for each in customers]
        if "enum" in rule:
            answers = [[value == choice for value in values] for choice in rule["enum"]]
        else:
            ordered = sorted(values)
            limits = {ordered[len(ordered) * part // 40] for part in range(40)}
            answers = [[value >= limit for value in values] for limit in limits]
        for each in answers:
            share = _right(each, left)
            best = max(best, share, 1 - share)
    return best
