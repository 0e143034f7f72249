import json
from dataclasses import FrozenInstanceError, dataclass, field

import aws_cdk as cdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_lens.foundation.props import PropError
from stacks.setting_values import fit
from stacks.settings import Settings, SettingsError, read_settings


@dataclass(frozen=True, kw_only=True)
class Portraits:
    purpose: str
    threshold: float = 90.0
    workers: int = 4
    audited: bool = True
    principal: str | None = None
    age_limit: int | None = 18
    emotions: dict[str, float] = field(default_factory=dict)
    regions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 100:
            raise PropError(
                "Portraits", [f"threshold: {self.threshold:g} is out of range; allowed are 0 to 100"]
            )
        if self.workers < 1:
            raise ValueError("workers: at least one\nis needed")


@dataclass(frozen=True, kw_only=True)
class Birds:
    species: int = 200


REGISTRY: dict[str, type] = {"Portraits": Portraits, "Birds": Birds}
PURPOSE = {"Portraits.purpose": "Counting visitors"}


def read(context: dict[str, object]) -> Settings:
    return read_settings(context, REGISTRY)


def problems(context: dict[str, object]) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        read(context)
    assert str(refusal.value).splitlines() == [*refusal.value.problems]
    return [*refusal.value.problems]


def portraits(**context: object) -> Portraits:
    settings = read({**PURPOSE, **{f"Portraits.{name}": value for name, value in context.items()}})
    assert isinstance(settings.of("Portraits"), Portraits)
    return settings.of("Portraits")


def test_little_has_to_be_said() -> None:
    settings = read({**PURPOSE})
    assert (settings.posture, settings.scenarios) == ("sandbox", ("Portraits", "Birds"))
    assert settings.of("Portraits") == Portraits(purpose="Counting visitors")
    assert settings.of("Birds") == Birds()
    with pytest.raises(FrozenInstanceError):
        settings.posture = "production"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ("all", ("Portraits", "Birds")),
        ("Birds", ("Birds",)),
        (" Birds , Portraits,", ("Portraits", "Birds")),
        ('["Birds", "Portraits"]', ("Portraits", "Birds")),
        (["Birds", "Birds"], ("Birds",)),
    ],
)
def test_scenarios_are_chosen_in_the_order_of_the_registry(given: object, chosen: tuple[str, ...]) -> None:
    settings = read({**PURPOSE, "scenarios": given, "posture": "production"})
    assert (settings.posture, settings.scenarios) == ("production", chosen)


def test_a_scenario_that_is_not_chosen_needs_nothing_and_has_no_settings() -> None:
    settings = read({"scenarios": "Birds", "Portraits": {"threshold": 80}})
    with pytest.raises(KeyError):
        settings.of("Portraits")


@pytest.mark.parametrize(
    "whole", [{"purpose": "Art", "threshold": 95}, '{"purpose": "Art", "threshold": 95}']
)
def test_single_settings_win_over_the_object(whole: object) -> None:
    settings = read({"Portraits": whole, "Portraits.threshold": "70"})
    assert settings.of("Portraits") == Portraits(purpose="Art", threshold=70.0)


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("threshold", "95", 95.0),
        ("threshold", 95, 95.0),
        ("threshold", " 9.5e1 ", 95.0),
        ("workers", "8", 8),
        ("workers", 8.0, 8),
        ("audited", "false", False),
        ("audited", "True", True),
        ("audited", False, False),
        ("purpose", "95", "95"),
        ("principal", "arn:aws:iam::1:role/x", "arn:aws:iam::1:role/x"),
        ("principal", "null", None),
        ("age_limit", None, None),
        ("age_limit", "21", 21),
        ("emotions", '{"HAPPY": 80, "SAD": "85.5"}', {"HAPPY": 80.0, "SAD": 85.5}),
        ("emotions", {"HAPPY": 80}, {"HAPPY": 80.0}),
        ("regions", "eu-west-1, eu-west-2", ("eu-west-1", "eu-west-2")),
        ("regions", '["eu-west-1"]', ("eu-west-1",)),
        ("regions", [], ()),
    ],
)
def test_text_of_the_command_line_becomes_what_the_dataclass_declares(
    name: str, value: object, typed: object
) -> None:
    read_value = getattr(portraits(**{name: value}), name)
    assert read_value == typed
    assert type(read_value) is type(typed)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("threshold", "high", "'high' is not a number"),
        ("threshold", True, "True is not a number"),
        ("threshold", "nan", "'nan' is not a number"),
        ("threshold", 10**400, f"{10**400} is not a number"),
        ("workers", "1.5", "'1.5' is not a whole number"),
        ("workers", 1.5, "1.5 is not a whole number"),
        ("audited", "yes", "'yes' is not true or false"),
        ("audited", 1, "1 is not true or false"),
        ("purpose", 7, "7 is not text"),
        ("purpose", None, "None is not text"),
        ("age_limit", "old", "'old' is not a whole number"),
        ("emotions", "HAPPY=80", "'HAPPY=80' is not an object by name"),
        ("emotions", ["HAPPY"], "['HAPPY'] is not an object by name"),
        ("regions", "[eu]", "'[eu]' is not a list"),
        ("regions", 7, "7 is not a list"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: object, problem: str) -> None:
    assert problems({**PURPOSE, f"Portraits.{name}": value}) == [f"Portraits.{name}: {problem}"]


def test_a_value_within_a_larger_one_is_named() -> None:
    whole = {"purpose": "Art", "emotions": {"HAPPY": "very"}, "regions": ["eu-west-1", 2]}
    assert problems({"Portraits": whole}) == [
        "Portraits.emotions.HAPPY: 'very' is not a number",
        "Portraits.regions[1]: 2 is not text",
    ]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (
            "postur",
            "unknown setting 'postur', did you mean 'posture'? known: posture, scenarios, Portraits, Birds",
        ),
        (
            "Portrait.purpose",
            "unknown setting 'Portrait.purpose', did you mean 'Portraits.purpose'? known: *",
        ),
        ("threshold", "unknown setting 'threshold', did you mean 'Portraits.threshold'? known: *"),
        ("Birds:species", "unknown setting 'Birds:species', did you mean 'Birds.species'? known: *"),
        (
            "Birds.specie",
            "unknown setting 'Birds.specie', did you mean 'Birds.species'? known: Birds.species",
        ),
        ("zzz", "unknown setting 'zzz'; known: posture, scenarios, Portraits, Birds"),
        (
            "ml-lens:destroy-dta",
            "unknown flag 'ml-lens:destroy-dta', did you mean 'ml-lens:destroy-data'? known: ml-lens:destroy-data",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(key: str, problem: str) -> None:
    [said] = problems({**PURPOSE, key: "1"})
    assert said == problem or (problem.endswith("*") and said.startswith(problem[:-1]))


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        (
            {"posture": "prod"},
            "unknown posture 'prod', did you mean 'production'? known: sandbox, production",
        ),
        ({"posture": ["sandbox"]}, "unknown posture \"['sandbox']\", did you mean 'sandbox'? known: *"),
        (
            {"scenarios": "Bird"},
            "unknown scenario 'Bird', did you mean 'Birds'? known: all, Portraits, Birds",
        ),
        ({"scenarios": ""}, "scenarios: none is named; known: all, Portraits, Birds"),
        ({"scenarios": 7}, "scenarios: 7 is not a list; known: all, Portraits, Birds"),
        ({"ml-lens:destroy-data": "yes"}, "ml-lens:destroy-data: 'yes' is not true or false"),
        (
            {"Portraits": "{purpose: Art}"},
            "Portraits: '{purpose: Art}' is not a JSON object; or one by one, *",
        ),
        ({"Portraits": ["Art"]}, "Portraits: ['Art'] is not a JSON object; *"),
        ({"Portraits.threshold": 120}, "Portraits.threshold: 120 is out of range; allowed are 0 to 100"),
        ({"Portraits.workers": 0}, "Portraits: workers: at least one is needed"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(context: dict[str, object], problem: str) -> None:
    [said] = problems({**PURPOSE, **context})
    assert said == problem or (problem.endswith("*") and said.startswith(problem[:-1]))


def test_a_missing_setting_is_named_with_a_command_that_gives_it() -> None:
    assert problems({}) == [
        'Portraits.purpose: is missing; give text, for example cdk synth -c Portraits.purpose="…"'
    ]


def test_nothing_is_called_missing_where_the_object_could_not_be_read() -> None:
    [said] = problems({"Portraits": "{purpose: Art}"})
    assert "is not a JSON object" in said


def test_all_problems_are_told_at_once() -> None:
    context = {
        "postur": 1,
        "posture": "x",
        "scenarios": "Portraits,Fish",
        "Birds.species": "many",
        "Portraits": {},
    }
    assert [problem.partition("'")[0].partition(";")[0] for problem in problems(context)] == [
        "unknown setting ",
        "unknown posture ",
        "unknown scenario ",
        "Portraits.purpose: is missing",
        "Birds.species: ",
    ]


@pytest.mark.parametrize(
    "key",
    [
        "@aws-cdk/core:checkSecretUsage",
        "aws:cdk:enable-path-metadata",
        "aws-cdk:enableDiffNoFail",
        "availability-zones:account=123456789012:region=eu-west-1",
        "acknowledged-issue-numbers",
        "cli-telemetry",
        "assets-ecr-repository-name",
        "ml-lens:destroy-data",
    ],
)
def test_what_cdk_puts_into_the_context_is_left_alone(key: str) -> None:
    assert read({**PURPOSE, key: True}).scenarios == ("Portraits", "Birds")


def test_the_context_of_a_real_app_can_be_read() -> None:
    context = {
        "posture": "production",
        "Portraits": {"purpose": "Art", "emotions": {"SAD": 9}},
        "Birds.species": 7,
    }
    settings = read(cdk.App(context=context).node.get_all_context())
    assert settings.of("Portraits") == Portraits(purpose="Art", emotions={"SAD": 9.0})
    assert settings.of("Birds") == Birds(species=7)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53), st.text())
def test_every_value_survives_the_command_line(number: float, whole: int, text: str) -> None:
    assert fit(str(number), float) == number
    assert fit(str(whole), int) == fit(float(whole), int) == whole
    assert fit(json.dumps([text]), tuple[str, ...]) == (text,)
    assert fit(json.dumps({text: number}), dict[str, float]) == {text: number}


def test_an_annotation_nobody_can_type_is_a_fault_of_the_scenario() -> None:
    with pytest.raises(TypeError, match="bytes"):
        fit("x", bytes)
