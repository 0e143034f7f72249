"""A JSON Schema made into one function, which names the field that is wrong.

It knows the part of draft 4 that is listed here and refuses a schema that uses another: what is written in a schema
is checked. Values are never quoted, as they may be personal; what the schema allows may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

NOTES = frozenset({"$schema", "default", "description", "id", "title"})
"""Keywords that check nothing."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_LONGEST_POINTER = 200


@dataclass(frozen=True, slots=True)
class Violation:
    """One value that the schema does not allow."""

    pointer: str
    """Where it is, as RFC 6901 writes it; empty for the whole."""
    reason: str
    """What is wrong with it, in words that go on from its name."""


Check = Callable[[Any, str], Violation | None]


def compiled(schema: Mapping[str, Any]) -> Check:
    """Make the check of ``schema``: it returns the first violation, or ``None``.

    Raises:
        ValueError: The schema uses a keyword that is not known here.
    """
    checks: list[Check] = []
    # The type comes first, so that a number that should be a text is not called too large.
    for keyword in sorted(schema, key=lambda keyword: keyword != "type"):
        if keyword in _KEYWORDS:
            checks.append(_KEYWORDS[keyword](schema[keyword], schema))
        elif keyword not in NOTES | _BESIDE_OTHERS:
            raise ValueError(f"unknown keyword {keyword!r}")

    def check(value: Any, pointer: str) -> Violation | None:
        for each in checks:
            violation = each(value, pointer)
            if violation is not None:
                return violation
        return None

    return check


def _child(pointer: str, key: str | int) -> str:
    name = str(key).replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{name}"[:_LONGEST_POINTER]


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _type(wanted: str | list[str], _: Mapping[str, Any]) -> Check:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in names if name not in _TYPES]
    if unknown:
        raise ValueError(f"unknown type {unknown[0]!r}")
    reason = f"is not of type {' or '.join(names)}"

    def check(value: Any, pointer: str) -> Violation | None:
        for name in names:
            if _is(value, name):
                return None
        return Violation(pointer, reason)

    return check


def _properties(wanted: Mapping[str, Any], _: Mapping[str, Any]) -> Check:
    checks = [(name, compiled(schema)) for name, schema in wanted.items()]

    def check(value: Any, pointer: str) -> Violation | None:
        if isinstance(value, dict):
            for name, each in checks:
                if name in value:
                    violation = each(value[name], _child(pointer, name))
                    if violation is not None:
                        return violation
        return None

    return check


def _required(wanted: list[str], _: Mapping[str, Any]) -> Check:
    def check(value: Any, pointer: str) -> Violation | None:
        if isinstance(value, dict):
            for name in wanted:
                if name not in value:
                    return Violation(_child(pointer, name), "is missing")
        return None

    return check


def _additional(wanted: bool | Mapping[str, Any], schema: Mapping[str, Any]) -> Check:
    known = frozenset(schema.get("properties", {}))
    allowed = compiled(wanted) if isinstance(wanted, Mapping) else None

    def check(value: Any, pointer: str) -> Violation | None:
        if wanted is True or not isinstance(value, dict):
            return None
        for name, member in value.items():
            if name in known:
                continue
            if allowed is None:
                return Violation(_child(pointer, name), "is not known")
            violation = allowed(member, _child(pointer, name))
            if violation is not None:
                return violation
        return None

    return check


def _items(wanted: Mapping[str, Any], _: Mapping[str, Any]) -> Check:
    check_item = compiled(wanted)

    def check(value: Any, pointer: str) -> Violation | None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                violation = check_item(item, _child(pointer, index))
                if violation is not None:
                    return violation
        return None

    return check


def _enum(wanted: list[Any], _: Mapping[str, Any]) -> Check:
    if not all(isinstance(choice, str | int | float | bool | type(None)) for choice in wanted):
        raise ValueError("an enum of arrays or objects")
    reason = f"is none of {', '.join(repr(choice) for choice in wanted)}"

    def check(value: Any, pointer: str) -> Violation | None:
        for choice in wanted:
            # True is no 1 in JSON.
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return None
        return Violation(pointer, reason)

    return check


def _pattern(wanted: str, _: Mapping[str, Any]) -> Check:
    search = re.compile(wanted).search

    def check(value: Any, pointer: str) -> Violation | None:
        if isinstance(value, str) and not search(value):
            return Violation(pointer, f"does not match {wanted}")
        return None

    return check


def _bound(exclusive: str, sign: int, words: str) -> Callable[[Any, Mapping[str, Any]], Check]:
    def build(wanted: float, schema: Mapping[str, Any]) -> Check:
        strict = schema.get(exclusive) is True
        reason = f"is {'not ' if strict else ''}{words} {wanted}"

        def check(value: Any, pointer: str) -> Violation | None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            beyond = (value > wanted) - (value < wanted)
            if beyond == sign or (strict and beyond == 0):
                return Violation(pointer, reason)
            return None

        return check

    return build


def _size(kinds: type, sign: int, words: str) -> Callable[[Any, Mapping[str, Any]], Check]:
    def build(wanted: int, _: Mapping[str, Any]) -> Check:
        def check(value: Any, pointer: str) -> Violation | None:
            if isinstance(value, kinds) and sign * (len(value) - wanted) > 0:  # type: ignore[arg-type]
                return Violation(pointer, words.format(wanted))
            return None

        return check

    return build


_KEYWORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], Check]] = {
    "additionalProperties": _additional,
    "enum": _enum,
    "items": _items,
    "maxItems": _size(list, 1, "has more than {} items"),
    "maxLength": _size(str, 1, "has more than {} characters"),
    "maxProperties": _size(dict, 1, "has more than {} properties"),
    "maximum": _bound("exclusiveMaximum", 1, "more than"),
    "minItems": _size(list, -1, "has fewer than {} items"),
    "minLength": _size(str, -1, "has fewer than {} characters"),
    "minProperties": _size(dict, -1, "has fewer than {} properties"),
    "minimum": _bound("exclusiveMinimum", -1, "less than"),
    "pattern": _pattern,
    "properties": _properties,
    "required": _required,
    "type": _type,
}
_BESIDE_OTHERS = frozenset({"exclusiveMaximum", "exclusiveMinimum"})
KEYWORDS = frozenset(_KEYWORDS) | _BESIDE_OTHERS
"""Keywords that check something."""
