"""What an API takes: a JSON Schema, checked twice."""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from aws_cdk import Token

from ml_lens.foundation.props import PropChecks, nearest

NOTES = frozenset({"$schema", "default", "description", "id", "title"})
"""Keywords that check nothing."""
_SHAPES: Mapping[str, tuple[type, ...]] = {
    "additionalProperties": (bool, Mapping),
    "enum": (list, tuple),
    "exclusiveMaximum": (bool,),
    "exclusiveMinimum": (bool,),
    "items": (Mapping,),
    "maxItems": (int,),
    "maxLength": (int,),
    "maxProperties": (int,),
    "maximum": (int, float),
    "minItems": (int,),
    "minLength": (int,),
    "minProperties": (int,),
    "minimum": (int, float),
    "pattern": (str,),
    "properties": (Mapping,),
    "required": (list, tuple),
    "type": (str, list, tuple),
}
KEYWORDS = frozenset(_SHAPES)
"""Keywords that the function checks: the same as in its module ``request_schema``."""
_SAID: Mapping[type, str] = {
    Mapping: "an object",
    bool: "true or false, beside a minimum or maximum",
    float: "a number",
    int: "a whole number",
    str: "a text",
    tuple: "a list",
}
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_MOST_PACKED = 3000


def check_schema(props: PropChecks, schema: Mapping[str, Any]) -> None:
    """Record what the function could not check, so that no part of a schema is left unchecked in silence."""
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError):
        props.refuse("request_schema", "is not JSON; give what json.loads makes of a schema")
        return
    if Token.is_unresolved(text):
        props.refuse("request_schema", "holds a token, and must be known when the template is made")
        return
    props.require(
        schema.get("type") == "object",
        "request_schema",
        "describes no object; a request is an object such as {'instances': [...]}: give type 'object'",
    )
    before = len(props.problems)
    _check_node(props, schema, "request_schema")
    if len(props.problems) == before:
        size = len(packed(schema))
        props.require(
            size <= _MOST_PACKED,
            "request_schema",
            f"takes {size} bytes in the environment of the function, which has room for {_MOST_PACKED}; leave finer "
            "checks to the model",
        )


def outline(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the gateway checks of ``schema``: that fields are there, and known.

    Of these it names the field when it refuses a request. Of a wrong value it tells only the value: values are left
    to the function, which names the field.
    """
    return {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", **_outlined(schema)}


def packed(schema: Mapping[str, Any]) -> str:
    """Return ``schema`` without its notes, small enough for an environment variable."""
    text = json.dumps(_without_notes(schema), sort_keys=True, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _outlined(schema: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if not isinstance(schema, Mapping):
        return made
    if "properties" in schema:
        made["properties"] = {name: _outlined(value) for name, value in schema["properties"].items()}
    if schema.get("required"):
        made["required"] = list(schema["required"])
    if schema.get("additionalProperties") is False:
        made["additionalProperties"] = False
    if "items" in schema:
        made["items"] = _outlined(schema["items"])
    return made


def _without_notes(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in NOTES:
            continue
        if keyword == "properties":
            made[keyword] = {name: _without_notes(member) for name, member in value.items()}
        elif keyword in ("items", "additionalProperties"):
            made[keyword] = _without_notes(value)
        else:
            made[keyword] = value
    return made


def _check_node(props: PropChecks, schema: Any, path: str) -> None:
    if not props.require(
        isinstance(schema, Mapping),
        path,
        f"{schema!r} is no schema; give an object such as {{'type': 'number'}}",
    ):
        return
    for keyword, value in schema.items():
        if keyword in NOTES or not _is_usable(props, keyword, value, path):
            continue
        if keyword == "type":
            _check_type(props, value, path)
        elif keyword == "enum":
            props.require(
                all(isinstance(choice, str | int | float | bool | type(None)) for choice in value),
                path,
                "enum holds an array or an object; describe it by its properties or items",
            )
        elif keyword in ("items", "additionalProperties") and not isinstance(value, bool):
            _check_node(props, value, f"{path}.{keyword}")
        elif keyword == "properties":
            for name, member in value.items():
                _check_node(props, member, f"{path}.properties.{name}")


def _is_usable(props: PropChecks, keyword: str, value: Any, path: str) -> bool:
    if keyword not in KEYWORDS:
        props.refuse(
            path,
            f"{keyword!r} is not checked here{nearest(str(keyword), sorted(KEYWORDS))}; allowed are "
            f"{', '.join(sorted(KEYWORDS))}",
        )
        return False
    shapes = _SHAPES[keyword]
    return props.require(
        isinstance(value, shapes) and (bool in shapes or not isinstance(value, bool)),
        path,
        f"{keyword} is {value!r}, which draft 4 does not know; it takes {_SAID[shapes[-1]]}",
    )


def _check_type(props: PropChecks, value: Any, path: str) -> None:
    for name in [value] if isinstance(value, str) else value:
        props.require(
            name in _TYPES,
            path,
            f"{name!r} is no type{nearest(str(name), _TYPES)}; allowed are {', '.join(_TYPES)}",
        )
