"""Every bad prop is named at once, before anything is created, with the way out."""

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from hypothesis import given
from hypothesis import strategies as st

from ml_lens.foundation.props import PropChecks, PropError, checked_props, nearest

RANGE = {"low": 1, "high": 10, "unit": "files", "way_out": "five is plenty"}


def problems_of_number(value: object) -> list[str]:
    checks = PropChecks()
    checks.number("size", value, **RANGE)
    return checks.problems


class Basket:
    """Owns props."""


def shop(size: int, colour: str, owner: str = "") -> None:
    with checked_props(Basket(), "Shopping") as props:
        props.number("size", size, **RANGE)
        if colour == "green":
            props.refuse("colour", "'green' is not for sale; take 'red'")
        props.require(bool(owner), "owner", "is missing; name one")


def test_all_problems_are_raised_together() -> None:
    with pytest.raises(PropError) as raised:
        shop(11, "green")
    assert raised.value.owner == "Shopping (Basket)"
    assert raised.value.problems == (
        "size: 11 is out of range; allowed are 1 to 10 files; five is plenty",
        "colour: 'green' is not for sale; take 'red'",
        "owner: is missing; name one",
    )
    assert str(raised.value).splitlines() == [
        "Shopping (Basket)",
        *(f"  {problem}" for problem in raised.value.problems),
    ]


def test_without_an_id_the_class_names_the_error() -> None:
    with pytest.raises(PropError, match=r"^Basket\n"), checked_props(Basket()) as props:
        props.refuse("size", "is odd")


def test_good_props_raise_nothing() -> None:
    with checked_props(Basket()) as props:
        props.number("size", 1, **RANGE)
        props.number("size", 10, **RANGE)
        props.whole_number("size", 3, **RANGE)
        props.words("purpose", "three good words", least=3, way_out="say more")
        assert props.require(True, "owner", "is missing")


def test_an_error_of_another_kind_is_not_hidden() -> None:
    def lose_the_list() -> None:
        with checked_props(Basket()) as props:
            props.refuse("size", "is odd")
            raise KeyError("list")

    with pytest.raises(KeyError):
        lose_the_list()


@given(st.floats(allow_nan=False) | st.integers())
def test_a_number_is_refused_exactly_outside_of_its_range(value: float) -> None:
    assert bool(problems_of_number(value)) == (not 1 <= value <= 10)


@pytest.mark.parametrize("value", [True, "3", None, float("nan"), [3]])
def test_what_is_no_number_is_refused(value: object) -> None:
    (problem,) = problems_of_number(value)
    assert problem.startswith("size: ")
    assert problem.endswith("allowed are 1 to 10 files; five is plenty")


@pytest.mark.parametrize("value", [2.5, 2.0, True, 0, 11])
def test_a_whole_number_is_an_int_in_range(value: object) -> None:
    checks = PropChecks()
    checks.whole_number("size", value, **RANGE)
    assert len(checks.problems) == 1


def test_tokens_pass_where_cloudformation_will_know_the_value() -> None:
    stack = cdk.Stack()
    parameter = cdk.CfnParameter(stack, "Size", type="Number").value_as_number
    checks = PropChecks()
    checks.number("size", parameter, **RANGE)
    checks.whole_number("size", parameter, **RANGE)
    days = Duration.days(parameter)
    assert checks.whole_days("age", days, default=1) is days
    assert checks.problems == []


def test_a_token_is_refused_where_the_value_has_to_be_literal() -> None:
    checks = PropChecks()
    checks.words("purpose", cdk.Aws.STACK_NAME, least=3, way_out="write it out")
    assert checks.problems == [
        "purpose: is a token, and must be known when the template is made; write it out"
    ]


@pytest.mark.parametrize("text", ["", "   ", "two words"])
def test_a_sentence_has_words(text: str) -> None:
    checks = PropChecks()
    checks.words("purpose", text, least=3, way_out="say more")
    assert checks.problems == [f"purpose: {text!r} is too short to mean anything; say more"]


@pytest.mark.parametrize("age", [Duration.days(1), Duration.days(400), Duration.hours(48)])
def test_whole_days_pass_as_they_are(age: Duration) -> None:
    checks = PropChecks()
    assert checks.whole_days("age", age, default=7) is age
    assert checks.problems == []


@pytest.mark.parametrize("age", [Duration.hours(36), Duration.seconds(0), Duration.minutes(1)])
def test_parts_of_days_are_refused(age: Duration) -> None:
    checks = PropChecks()
    checks.whole_days("age", age, default=7)
    (problem,) = checks.problems
    assert "is not a whole number of days" in problem
    assert problem.endswith("give Duration.days(1) or more")


def test_the_default_stands_in_for_nothing() -> None:
    assert PropChecks().whole_days("age", None, default=7).to_days() == 7


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("prodution", ", did you mean 'production'?"),
        ("sandbocks", ", did you mean 'sandbox'?"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_the_nearest_choice_is_offered_when_there_is_one(word: str, answer: str) -> None:
    assert nearest(word, ["sandbox", "production"]) == answer
