"""The check of requests, held against jsonschema, and what of a schema is refused before it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import api_settings
import pytest
import request_schema
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from ml_lens.foundation.props import PropChecks
from ml_lens.hosting import api_schema
from tests.unit.inference_api_calls import CUSTOMER, SCHEMA, customers

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text("ab1", max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)
NUMBERS = st.integers(-2, 2)
SIZES = st.integers(0, 2)
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "number", "integer", "boolean", "null", ["string", "null"]]),
        "enum": st.lists(SCALARS, min_size=1, max_size=3),
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "minLength": SIZES,
        "maxLength": SIZES,
        "pattern": st.sampled_from(["a", "^b", "1$"]),
        "title": st.just("a note"),
    },
)


def exclusive(schema: dict[str, Any], keyword: str, bound: str, strict: bool) -> dict[str, Any]:
    # Draft 4 knows exclusive bounds only beside the bounds themselves.
    return {**schema, keyword: strict} if bound in schema else schema


BOUNDED = st.builds(exclusive, LEAVES, st.just("exclusiveMinimum"), st.just("minimum"), st.booleans())
SCHEMAS = st.recursive(
    BOUNDED,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "array"]]),
            "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            "required": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "minItems": SIZES,
            "maxItems": SIZES,
            "minProperties": SIZES,
            "maxProperties": SIZES,
        },
    ),
    max_leaves=6,
)


@pytest.mark.lens("F14-10")
@settings(max_examples=600, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_the_check_agrees_with_jsonschema(schema: dict[str, Any], value: object) -> None:
    allowed = request_schema.compiled(schema)(value, "") is None
    assert allowed is Draft4Validator(schema).is_valid(value)


@settings(max_examples=200, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_the_pointer_of_a_violation_points_at_what_jsonschema_refuses(
    schema: dict[str, Any], value: object
) -> None:
    violation = request_schema.compiled(schema)(value, "")
    if violation is None:
        return
    paths = {
        "".join(f"/{step}" for step in error.absolute_path)
        for error in Draft4Validator(schema).iter_errors(value)
    }
    # What is missing or not known is a child of what jsonschema refuses.
    assert violation.pointer in paths or violation.pointer.rpartition("/")[0] in paths


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_the_gateway_refuses_nothing_that_the_schema_allows(schema: dict[str, Any], value: object) -> None:
    if not isinstance(value, dict):
        return
    outline = api_schema.outline(schema)
    Draft4Validator.check_schema(outline)
    if Draft4Validator({**schema, "type": "object"}).is_valid(value):
        assert Draft4Validator(outline).is_valid(value)


def test_the_gateway_checks_that_fields_are_there_and_known() -> None:
    validator = Draft4Validator(api_schema.outline(SCHEMA))
    assert validator.is_valid(customers())
    assert validator.is_valid(customers(tenure_months="long"))
    assert not validator.is_valid(customers(colour="red"))
    assert not validator.is_valid({"instances": [{**CUSTOMER} | {"payment": "card"}], "more": 1})
    missing = {name: value for name, value in CUSTOMER.items() if name != "payment"}
    assert not validator.is_valid({"instances": [missing]})


@settings(max_examples=100, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_a_schema_is_the_same_check_after_it_was_packed(schema: dict[str, Any], value: object) -> None:
    unpacked = api_settings.unpacked(api_schema.packed(schema))
    assert (request_schema.compiled(unpacked)(value, "") is None) is (
        request_schema.compiled(schema)(value, "") is None
    )


def test_a_property_may_be_called_like_a_note() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string", "title": "A title"}}}
    unpacked = api_settings.unpacked(api_schema.packed(schema))
    assert unpacked == {"type": "object", "properties": {"title": {"type": "string"}}}


def test_stack_and_function_know_the_same_keywords() -> None:
    assert api_schema.KEYWORDS == request_schema.KEYWORDS
    assert api_schema.NOTES == request_schema.NOTES


def problems(schema: Mapping[str, Any]) -> list[str]:
    checks = PropChecks()
    api_schema.check_schema(checks, schema)
    return list(checks.problems)


@pytest.mark.parametrize(
    "keyword", ["$ref", "anyOf", "format", "multipleOf", "patternProperties", "uniqueItems"]
)
def test_a_keyword_that_nobody_checks_is_refused_by_both(keyword: str) -> None:
    schema = {"type": "object", "properties": {"a": {"items": {keyword: "x"}}}}
    (problem,) = problems(schema)
    assert problem.startswith("request_schema.properties.a.items: ")
    assert repr(keyword) in problem
    with pytest.raises(ValueError, match="unknown keyword"):
        request_schema.compiled(schema)


def test_a_schema_that_cannot_be_checked_is_refused_with_every_reason() -> None:
    found = problems(
        {
            "type": "array",
            "properties": {"a": {"type": "strng"}, "b": {"enum": [[1]]}, "c": 1},
            "maximun": 1,
        }
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "request_schema",
        "request_schema.properties.a",
        "request_schema.properties.b",
        "request_schema.properties.c",
        "request_schema",
    ]
    assert "did you mean 'string'?" in found[1]
    assert "did you mean 'maximum'?" in found[4]
    assert "is not JSON" in problems({"type": object()})[0]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"exclusiveMinimum": 0}, "true or false"),
        ({"minimum": "0"}, "a number"),
        ({"maxLength": True}, "a whole number"),
        ({"required": "a"}, "a list"),
        ({"items": [{}]}, "an object"),
        ({"pattern": 1}, "a text"),
    ],
)
def test_what_another_draft_would_take_is_refused(part: dict[str, Any], said: str) -> None:
    (problem,) = problems({"type": "object", "properties": {"a": part}})
    assert f"takes {said}" in problem


def test_a_schema_that_fills_the_environment_is_refused() -> None:
    import random

    chance = random.Random(7)  # noqa: S311  (not for secrets)
    names = ["".join(chance.choices("abcdefghijklmnop", k=40)) for _ in range(200)]
    (problem,) = problems({"type": "object", "properties": {name: {"type": "number"} for name in names}})
    assert "takes" in problem
    assert problems(SCHEMA) == []
