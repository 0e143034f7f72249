"""Whatever a template says, every rule answers: no rule breaks on a value of the wrong kind."""

import copy
import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_lens.rules import RULES
from ml_lens.rules.engine import judge
from ml_lens.rules.finding import Finding
from ml_lens.rules.options import Options
from ml_lens.rules.rule import APP, TRAINING_TASK, Rule
from ml_lens.rules.templates import TemplateFile
from tests.rules import cases as folder
from tests.rules.apps import read
from tests.rules.fixtures import Body, Case, rendered, template

CASES: list[Case] = [
    case
    for module in pkgutil.iter_modules(folder.__path__)
    for case in importlib.import_module(f"tests.rules.cases.{module.name}").CASES
]
APPS: list[dict[str, Any]] = [template(case.compliant) for case in CASES]
SOURCE = sorted(Path(importlib.import_module("ml_lens.rules").__path__[0]).rglob("*.py"))


def types_in(source: str) -> set[str]:
    """Return the resource types that a module names."""
    words = (word.strip("\"',()[]{}:") for word in source.replace('"', " ").split())
    return {word for word in words if word.startswith("AWS::") and word.count("::") == 2}


def property_names(raw: Any) -> Iterator[str]:
    match raw:
        case dict():
            for name, member in raw.items():
                yield str(name)
                yield from property_names(member)
        case list():
            for member in raw:
                yield from property_names(member)


TYPES = sorted(
    {kind for file in SOURCE for kind in types_in(file.read_text(encoding="utf-8"))}
    | {str(body["Type"]) for app in APPS for body in app["Resources"].values()}
    | {on for rule in RULES for on in rule.on if on not in (APP, TRAINING_TASK)}
)
NAMES = sorted({name for case in CASES for name in property_names(case.compliant)})
IDS = [f"R{number}" for number in range(6)]
FUNCTIONS = (
    "Ref",
    "Fn::GetAtt",
    "Fn::Sub",
    "Fn::Join",
    "Fn::If",
    "Fn::FindInMap",
    "Fn::ImportValue",
    "Fn::GetStackOutput",
    "Fn::Select",
    "Fn::Split",
    "Fn::Base64",
    "Fn::GetAZs",
    "Fn::Cidr",
    "Fn::Transform",
    "Fn::Nobody",
    "MLLens::Opaque",
)
STRINGS = (
    "",
    "*",
    "**",
    ":",
    "/",
    "//",
    "arn:",
    "arn:aws:s3:::",
    "arn:aws:s3:::data/*",
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "s3://",
    "s3:///",
    "s3://data",
    "endpoint//variant/",
    "endpoint/R1/variant/a",
    "{{resolve:ssm:x}}",
    "{% $states %}",
    "$.x",
    "${",
    "${R1}",
    "${R1.Arn}",
    "{",
    "[]",
    "{}",
    "null",
    "- a: [",
    '{"StartAt": 1, "States": [1, {"Type": []}]}',
    '{"States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync"}}}',
    '{"States": {"A": {"Resource": "arn:aws:states:::sagemaker:createEndpoint", "Next": "A", "Catch": 7}}}',
    '{"Steps": [{"Type": "Training", "Arguments": []}, 3]}',
    '{"Statement": [[], {"Effect": {}, "Action": {}, "Principal": [[]]}]}',
    '{"widgets": 3}',
    "bm90aGluZw==",
    "//79",
    "AWS::NoValue",
    "AWS::Region",
    "\ue000" + "0\ue001",
    "1" * 400,
    "1e999",
    "nan",
    "ml.",
    "ml.p3",
    "@sha256:",
    ":latest",
    "public.ecr.aws/x@",
    "at(",
    "true",
    "Enabled",
    "ENABLED",
    "sagemaker:*",
    "sagemaker:InvokeEndpoint",
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 1, 2, 10**400, 1e308, 0.5])
    | st.sampled_from(STRINGS)
    | st.sampled_from(IDS)
    | st.text(max_size=6)
)
references = st.sampled_from([*IDS, "AWS::NoValue", "AWS::StackName", "P0", "P1", "Nobody"]).flatmap(
    lambda name: st.sampled_from(
        [
            {"Ref": name},
            {"Fn::GetAtt": [name, "Arn"]},
            {"Fn::GetAtt": f"{name}.Name"},
            {"Fn::Sub": f"x${{{name}}}y"},
        ]
    )
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars | references,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(FUNCTIONS), inner | st.lists(inner, max_size=4), min_size=1, max_size=1
        )
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)
resources = st.fixed_dictionaries(
    {"Type": st.sampled_from(TYPES)},
    optional={
        "Properties": st.dictionaries(st.sampled_from(NAMES), values, max_size=8),
        "Metadata": st.dictionaries(st.sampled_from(["MLLens", "aws:cdk:path", "aws:asset:path"]), values),
        "DeletionPolicy": values,
        "Condition": values,
    },
)
sections = st.fixed_dictionaries(
    {},
    optional={
        "Parameters": st.dictionaries(st.sampled_from(["P0", "P1"]), values, max_size=2),
        "Mappings": st.dictionaries(st.sampled_from(["M0", "M1"]), values, max_size=2),
        "Conditions": st.dictionaries(st.sampled_from(["C0", "C1"]), values, max_size=2),
        "Outputs": st.dictionaries(st.sampled_from(["O0", "O1"]), values, max_size=2),
    },
)
bodies = st.builds(
    lambda made, other: {**other, "Resources": made},
    st.dictionaries(st.sampled_from(IDS), resources, min_size=1, max_size=6),
    sections,
)
lenient = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def answered(*templates: TemplateFile, rules: list[Rule] | None = None) -> tuple[Finding, ...]:
    """Judge, and refuse to accept that a rule broke."""
    found = judge(templates, Options(), RULES if rules is None else rules)
    broken = [each.message for each in found if "could not judge" in each.message]
    assert not broken, "\n".join(broken)
    return found


def places(raw: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside a template's resources."""
    match raw:
        case dict():
            for key, member in raw.items():
                yield (*way, key)
                yield from places(member, (*way, key))
        case list():
            for index, member in enumerate(raw):
                yield (*way, index)
                yield from places(member, (*way, index))


def put(body: dict[str, Any], way: tuple[Any, ...], value: Any) -> None:
    place: Any = body["Resources"]
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value


# A reader refuses templates in which these are not objects.
SHAPED = ("Type", "Properties", "Metadata")
PLACES = [
    [way for way in places(app["Resources"]) if len(way) > 2 or (len(way) == 2 and way[1] not in SHAPED)]
    for app in APPS
]


def in_documents(app: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return the way to every value that is part of the text of a document."""
    return [way for way in places(app) if any(isinstance(each, Body) for each in along(app, way[:-1]))]


def along(raw: Any, way: tuple[Any, ...]) -> Iterator[Any]:
    for step in way:
        raw = raw[step]
        yield raw


DOCUMENTS = [(dict(case.compliant), ways) for case in CASES if (ways := in_documents(dict(case.compliant)))]


def test_the_types_and_names_are_those_of_the_rules() -> None:
    assert {on for rule in RULES for on in rule.on if "::" in on} <= set(TYPES)
    assert {"AWS::EC2::FlowLog", "AWS::IAM::Role", "AWS::S3::Bucket", "AWS::Scheduler::Schedule"} <= set(
        TYPES
    )
    assert {"Properties", "SubnetId", "PolicyDocument", "States"} <= set(NAMES)


def test_a_rule_that_breaks_is_noticed() -> None:
    def breaks(node: Any) -> None:
        raise TypeError(node)

    broken = copy.copy(next(rule for rule in RULES if rule.on[0].startswith("AWS::")))
    object.__setattr__(broken, "judge", breaks)
    one = read("App", {"Resources": {"R0": {"Type": broken.on[0]}}})
    with pytest.raises(AssertionError, match="could not judge"):
        answered(one, rules=[broken])


@lenient
@given(body=bodies)
def test_any_template_is_judged(body: dict[str, Any]) -> None:
    answered(read("App", body))


@lenient
@given(one=bodies, other=bodies)
def test_any_two_templates_are_judged_together(one: dict[str, Any], other: dict[str, Any]) -> None:
    answered(read("One", one), read("Other", other))


@lenient
@given(data=st.data())
def test_an_app_with_anything_anywhere_is_judged(data: st.DataObject) -> None:
    number = data.draw(st.sampled_from([number for number, ways in enumerate(PLACES) if ways]))
    body = copy.deepcopy(APPS[number])
    ways = data.draw(st.lists(st.sampled_from(PLACES[number]), min_size=1, max_size=3, unique=True))
    for way in sorted(ways, key=len, reverse=True):
        put(body, way, data.draw(values))
    answered(read("App", body))


@lenient
@given(data=st.data())
def test_a_document_with_anything_in_it_is_judged(data: st.DataObject) -> None:
    """State machines, pipelines and policies, in which the change is inside the text of the body."""
    compliant, ways = data.draw(st.sampled_from(DOCUMENTS))
    app = copy.deepcopy(compliant)
    put({"Resources": app}, data.draw(st.sampled_from(ways)), data.draw(values))
    answered(read("App", {"Resources": rendered(app)}))


def deep(levels: int) -> Iterator[Any]:
    """Yield values that are nested deep, each in another way."""
    whole: Any = "x"
    for _ in range(levels):
        whole = [whole]
    yield whole
    for name in ("Statement", "Fn::Join", "Fn::Sub", "Fn::If", "Fn::Base64", "Fn::Select", "Fn::Split"):
        whole = "x"
        for _ in range(levels):
            arguments: dict[str, Any] = {
                "Fn::Join": ["", ["a", whole]],
                "Fn::Sub": ["${A}", {"A": whole}],
                "Fn::If": ["C", whole, "y"],
                "Fn::Select": [0, [whole]],
                "Fn::Split": [",", whole],
            }
            whole = {name: arguments.get(name, whole)}
        yield whole


CIRCLES: list[Any] = [
    {"Fn::GetAtt": ["Nested", "Outputs.A"]},
    {"Ref": "P"},
    {"Fn::ImportValue": "A"},
    {"Fn::ImportValue": {"Fn::ImportValue": "B"}},
    {"Fn::FindInMap": ["M", "a", "b"]},
    {"Fn::GetStackOutput": {"StackName": "App", "OutputName": "A"}},
]
ODD_NUMBERS: list[Any] = [
    {"Ref": "Bounded"},
    {"Fn::Select": ["²", ["a"]]},
    {"Fn::Select": ["9" * 5000, ["a"]]},
    {"Fn::Select": [-1, ["a"]]},
    {"Fn::Select": [True, ["a", "b"]]},
]


HUGE = (10**400, -(10**400), "9" * 400, "1e999", "nan", 1e308)


@pytest.mark.parametrize("value", [*deep(80), *CIRCLES, *ODD_NUMBERS, *HUGE])
def test_deep_values_circles_and_huge_numbers_are_judged_in_every_type(value: Any) -> None:
    outputs = {
        "A": {"Value": {"Fn::ImportValue": "B"}, "Export": {"Name": "A"}},
        "B": {
            "Value": {"Fn::GetStackOutput": {"StackName": "App", "OutputName": "A"}},
            "Export": {"Name": "B"},
        },
    }
    bounded = {"Type": "Number", "MinValue": 10**400, "MaxValue": "x"}
    maps = {"a": {"b": {"Fn::FindInMap": ["M", "a", "b"]}}}
    whole = {
        f"R{number}": {"Type": kind, "Properties": dict.fromkeys(NAMES, value)}
        for number, kind in enumerate(TYPES)
    }
    rest = {"Outputs": outputs, "Mappings": {"M": maps}, "Parameters": {"Bounded": bounded}}
    answered(read("App", {"Resources": whole, **rest}))
