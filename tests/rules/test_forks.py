"""What a template leaves open is tried in every way, and merged as a careful reviewer would."""

import gc
import json
from typing import Any

import pytest

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.verdicts import (
    Verdict,
    must_be_at_least,
    must_be_at_most,
    must_equal,
    must_exist,
    must_hold,
)
from tests.rules.apps import read

CONDITIONS = {f"C{number}": {"Fn::Equals": ["a", "b"]} for number in range(40)}


def answers(judged: Any, properties: dict[str, Any], **sections: Any) -> list[tuple[str | None, str]]:
    """Return finding and level of a rule that ``judged`` makes, on a model with these properties."""
    made = rule(
        "SEC02-Tried",
        number=1,
        weight=ERROR,
        on="AWS::SageMaker::Model",
        title="",
        why="",
        fix="",
        cloudformation="",
    )(judged)
    resources = {"Model": {"Type": "AWS::SageMaker::Model", "Properties": properties}}
    body = {"Resources": resources, "Conditions": CONDITIONS, **sections}
    found = judge([read("App", body)], Options(), [made])
    return [(each.finding, str(each.level)) for each in found]


FAILS = [(None, "error")]
OPEN = [("unresolved:X", "warning")]


def x_is_good(model: Any) -> Verdict:
    return must_equal(model["X"], "good")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"Fn::If": ["C1", "good", "good"]}, []),
        ({"Fn::If": ["C1", "good", "bad"]}, FAILS),
        ({"Fn::If": ["C1", "bad", "good"]}, FAILS),
        ({"Fn::If": ["C1", "good", {"Ref": "AWS::NoValue"}]}, FAILS),
        ({"Fn::If": ["C1", {"Fn::If": ["C2", "good", "bad"]}, "good"]}, FAILS),
        ({"Fn::If": ["C1", {"Fn::If": ["C1", "good", "bad"]}, "good"]}, []),
        ({"Fn::If": ["C1", {"Ref": "Open"}, "good"]}, OPEN),
        ({"Fn::If": ["C1", {"Ref": "Open"}, "bad"]}, [*FAILS, *OPEN]),
        ({"Ref": "Open"}, OPEN),
        ({"Ref": "Defaulted"}, OPEN),
        ({"Ref": "AllGood"}, []),
        ({"Ref": "AllBad"}, FAILS),
        ({"Ref": "Mixed"}, OPEN),
        ({"Ref": "FromStore"}, OPEN),
        ({"Fn::FindInMap": ["Good", {"Ref": "AWS::Region"}, "v"]}, []),
        ({"Fn::FindInMap": ["Bad", {"Ref": "AWS::Region"}, "v"]}, FAILS),
        ({"Fn::FindInMap": ["Both", {"Ref": "AWS::Region"}, "v"]}, OPEN),
        ({"Fn::FindInMap": ["Both", "eu", "v"]}, []),
        ({"Fn::FindInMap": ["Both", "us", "v"]}, FAILS),
        ({"Fn::FindInMap": ["Both", {"Ref": "Mixed"}, "v"]}, OPEN),
    ],
)
def test_every_branch_counts_and_every_possible_value_has_to_agree(raw: Any, expected: list[Any]) -> None:
    parameters = {
        "Open": {"Type": "String"},
        "Defaulted": {"Type": "String", "Default": "good"},
        "AllGood": {"Type": "String", "AllowedValues": ["good"]},
        "AllBad": {"Type": "String", "AllowedValues": ["bad", "worse"]},
        "Mixed": {"Type": "String", "AllowedValues": ["good", "bad"], "Default": "good"},
        "FromStore": {"Type": "AWS::SSM::Parameter::Value<String>", "AllowedValues": ["good"]},
    }
    mappings = {
        "Good": {"eu": {"v": "good"}, "us": {"v": "good"}},
        "Bad": {"eu": {"v": "bad"}, "us": {"v": "bad"}},
        "Both": {"eu": {"v": "good"}, "us": {"v": "bad"}, "good": {"v": "good"}, "bad": {"v": "bad"}},
    }
    assert answers(x_is_good, {"X": raw}, Parameters=parameters, Mappings=mappings) == expected


def test_a_condition_goes_the_same_way_everywhere() -> None:
    def spot_needs_a_checkpoint(model: Any) -> Verdict | None:
        return must_exist(model["Checkpoint"]) if model["Spot"].literal is True else None

    together = {
        "Spot": {"Fn::If": ["C1", True, False]},
        "Checkpoint": {"Fn::If": ["C1", "s3://x", {"Ref": "AWS::NoValue"}]},
    }
    crossed = {**together, "Checkpoint": {"Fn::If": ["C1", {"Ref": "AWS::NoValue"}, "s3://x"]}}
    apart = {**together, "Checkpoint": {"Fn::If": ["C2", "s3://x", {"Ref": "AWS::NoValue"}]}}
    assert answers(spot_needs_a_checkpoint, together) == []
    assert answers(spot_needs_a_checkpoint, crossed) == FAILS
    assert answers(spot_needs_a_checkpoint, apart) == FAILS


def test_a_region_is_the_same_in_every_mapping() -> None:
    def image_fits(model: Any) -> Verdict:
        return must_equal(model["X"], model["Y"].literal)

    region = {"Ref": "AWS::Region"}
    same = {"X": {"Fn::FindInMap": ["M", region, "a"]}, "Y": {"Fn::FindInMap": ["M", region, "b"]}}
    mappings = {"M": {"eu": {"a": "1", "b": "1"}, "us": {"a": "2", "b": "2"}}}
    assert answers(image_fits, same, Mappings=mappings) == []


def test_forty_conditions_are_tried_in_linear_time_and_none_is_missed() -> None:
    def all_good(model: Any) -> list[Verdict]:
        return [must_equal(each, "good") for each in model["X"].elements]

    good = [{"Fn::If": [f"C{number}", "good", "good"]} for number in range(40)]
    one_bad = [*good[:23], {"Fn::If": ["C23", "good", "bad"]}, *good[24:]]
    assert answers(all_good, {"X": good}) == []
    assert answers(all_good, {"X": one_bad}) == FAILS


def test_forty_parameters_are_not_mistaken_for_failures() -> None:
    def all_good(model: Any) -> list[Verdict]:
        return [must_equal(each, "good") for each in model["X"].elements]

    parameters = {f"P{number}": {"Type": "String", "AllowedValues": ["good", "bad"]} for number in range(40)}
    raw = [{"Ref": f"P{number}"} for number in range(40)]
    assert answers(all_good, {"X": raw}, Parameters=parameters) == OPEN


def test_a_join_is_computed_again_for_the_other_branch() -> None:
    def remembered(model: Any) -> Verdict:
        return model.graph.once("the joined value", lambda: must_equal(model["X"], "good"))

    assert answers(remembered, {"X": {"Fn::If": ["C1", "good", "bad"]}}) == FAILS


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (5, []),
        ("5", []),
        (4, FAILS),
        ("four", FAILS),
        (None, FAILS),
        (True, FAILS),
        ({"Ref": "AtLeastFive"}, []),
        ({"Ref": "AtMostFour"}, FAILS),
        ({"Ref": "Any"}, OPEN),
        ({"Ref": "FiveOrSix"}, []),
        ("{{resolve:ssm:/n}}", OPEN),
    ],
)
def test_a_lower_bound_looks_at_the_least_that_a_parameter_allows(raw: Any, expected: list[Any]) -> None:
    parameters = {
        "AtLeastFive": {"Type": "Number", "MinValue": 5},
        "AtMostFour": {"Type": "Number", "MaxValue": "4"},
        "Any": {"Type": "Number", "Default": 9},
        "FiveOrSix": {"Type": "Number", "AllowedValues": [5, "6"]},
    }
    assert (
        answers(lambda model: must_be_at_least(model["X"], 5), {"X": raw}, Parameters=parameters) == expected
    )


def test_an_upper_bound_looks_at_the_most_that_a_parameter_allows() -> None:
    parameters = {"Low": {"Type": "Number", "MaxValue": 3}, "High": {"Type": "Number", "MinValue": 9}}
    at_most_five = lambda model: must_be_at_most(model["X"], 5)  # noqa: E731
    assert answers(at_most_five, {"X": {"Ref": "Low"}}, Parameters=parameters) == []
    assert answers(at_most_five, {"X": {"Ref": "High"}}, Parameters=parameters) == FAILS


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (["a", "b"], []),
        (["a"], FAILS),
        ([], FAILS),
        (None, FAILS),
        (["a", {"Fn::If": ["C1", "b", {"Ref": "AWS::NoValue"}]}], FAILS),
        (["a", {"Ref": "Bucket"}], []),
        ({"Ref": "Subnets"}, OPEN),
        ({"Fn::Split": [",", {"Ref": "Text"}]}, OPEN),
        ({"Fn::Split": [",", "a,b"]}, []),
        ({"Fn::GetAZs": ""}, OPEN),
    ],
)
def test_a_list_is_counted_where_its_length_is_known(raw: Any, expected: list[Any]) -> None:
    parameters = {"Subnets": {"Type": "List<AWS::EC2::Subnet::Id>"}, "Text": {"Type": "String"}}
    assert answers(lambda model: must_hold(model["X"], 2), {"X": raw}, Parameters=parameters) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("key", []),
        ({"Ref": "Any"}, []),
        ({"Fn::ImportValue": "key"}, []),
        ("{{resolve:ssm:/key}}", []),
        ("", FAILS),
        (None, FAILS),
        ({"Ref": "AWS::NoValue"}, FAILS),
        ({"Ref": "EmptyByDefault"}, OPEN),
        ({"Ref": "EmptyAllowed"}, OPEN),
    ],
)
def test_a_reference_counts_as_present_unless_it_may_be_empty(raw: Any, expected: list[Any]) -> None:
    parameters = {
        "Any": {"Type": "String"},
        "EmptyByDefault": {"Type": "String", "Default": ""},
        "EmptyAllowed": {"Type": "String", "AllowedValues": ["", "key"]},
    }
    assert answers(lambda model: must_exist(model["X"]), {"X": raw}, Parameters=parameters) == expected


def test_a_rule_that_breaks_leaves_the_answer_open_and_says_so() -> None:
    def broken(model: Any) -> Verdict:
        raise KeyError("oh")

    assert answers(broken, {}) == [("unresolved:Properties", "warning")]


@pytest.mark.parametrize("collects", [True, False])
def test_judging_leaves_the_garbage_collector_as_it_was(collects: bool) -> None:
    was_at_work = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        judge([read("App", {})], Options())
        assert gc.isenabled() is collects
    finally:
        (gc.enable if was_at_work else gc.disable)()


def test_open_answers_may_be_errors_or_left_out() -> None:
    made = rule(
        "SEC02-Tried",
        number=1,
        weight=ERROR,
        on="AWS::SageMaker::Model",
        title="",
        why="",
        fix="",
        cloudformation="",
    )(x_is_good)
    body = {"Resources": {"Model": {"Type": "AWS::SageMaker::Model", "Properties": {"X": {"Ref": "Nobody"}}}}}
    levels = {
        how: [str(each.level) for each in judge([read("App", body)], Options.of(unresolved=how), [made])]
        for how in ("warn", "error", "ignore")
    }
    assert levels == {"warn": ["warning"], "error": ["error"], "ignore": []}


def test_findings_can_be_written_as_json() -> None:
    made = rule(
        "SEC02-Tried",
        number=1,
        weight=ERROR,
        on="AWS::SageMaker::Model",
        title="",
        why="",
        fix="f",
        cloudformation="",
    )(x_is_good)
    found = judge(
        [read("App", {"Resources": {"Model": {"Type": "AWS::SageMaker::Model"}}})], Options(), [made]
    )
    assert json.loads(json.dumps([each.to_dict() for each in found])) == [
        {
            "rule": "MLLens-SEC02-Tried",
            "finding": None,
            "level": "error",
            "resource": "Model",
            "template": "App.template.json",
            "message": "X is missing, must be good",
            "fix": "f",
            "references": [],
            "property": "X",
            "construct_path": None,
        }
    ]
