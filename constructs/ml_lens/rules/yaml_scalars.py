"""What a scalar and a tag of a YAML template mean to CloudFormation."""

import math
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from ml_lens.rules.refusals import LONGEST_NUMBER

_STANDARD = "tag:yaml.org,2002:"
_CONSTRUCTOR = SafeConstructor()
_RESOLVERS: dict[Any, list[tuple[str, Any]]] = yaml.SafeLoader.yaml_implicit_resolvers


def scalar_value(text: str, tag: str | None, plain: bool) -> Any:
    """Return the value of a scalar; a date stays text, as CloudFormation has it.

    Args:
        text: The scalar as written, without quotes.
        tag: Its tag, if it has one.
        plain: Whether it stands without quotes.
    """
    if tag is None:
        return _typed(text, _implied(text)) if plain else text
    if tag.startswith(_STANDARD):
        return _typed(text, tag)
    return tagged(tag, text)


def tagged(tag: str | None, value: Any) -> Any:
    """Return the long form of a short form: ``!Sub x`` is ``{"Fn::Sub": "x"}``.

    A tag that CloudFormation does not know is kept the same way.
    """
    if not is_short_form(tag) or tag is None:
        return value
    name = tag.removeprefix("!")
    if name in ("Ref", "Condition"):
        return {name: value}
    if name == "GetAtt" and isinstance(value, str) and "." in value:
        return {"Fn::GetAtt": value.split(".", 1)}
    return {f"Fn::{name}": value}


def is_short_form(tag: str | None) -> bool:
    """Return whether the tag stands for a function."""
    return tag is not None and tag != "!" and not tag.startswith(_STANDARD)


def _implied(text: str) -> str | None:
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            return tag
    return None


def _typed(text: str, tag: str | None) -> Any:
    kind = (tag or "").removeprefix(_STANDARD)
    if kind == "null":
        return None
    if kind == "bool":
        return SafeConstructor.bool_values.get(text.lower(), text)
    if kind in ("int", "float") and len(text) <= LONGEST_NUMBER:
        return _number(text, kind)
    return text


def _number(text: str, kind: str) -> Any:
    node = yaml.ScalarNode(_STANDARD + kind, text)
    try:
        if kind == "int":
            return _CONSTRUCTOR.construct_yaml_int(node)
        number = _CONSTRUCTOR.construct_yaml_float(node)
    except (ValueError, IndexError, OverflowError):
        return text
    return number if math.isfinite(number) else text
