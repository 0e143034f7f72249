"""Documents inside properties: state machines, pipelines, dashboards, recipes and scripts.

A body is read with its references left in place: a value in it is a ``Value`` like any other.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from ml_lens.rules.intrinsics import OPAQUE_MARK
from ml_lens.rules.resolved import Followed, Opaque, Reference, joined, shown
from ml_lens.rules.values import Value

Part = str | Reference | Opaque
# Two characters of the private use area, which no template holds.
_OPEN, _CLOSE = "\ue000", "\ue001"
_HOLE = re.compile(f"{_OPEN}([0-9]{{1,9}}){_CLOSE}")
_SUBSTITUTION = re.compile(r"\$\{([^}]+)\}")
_DEEPEST = 200
# More than the megabyte that a definition may have can hold; anchors of YAML multiply without end.
_MOST_VALUES = 300_000
_SURROGATE = re.compile("[\ud800-\udfff]")


def document(value: Value, substitutions: Mapping[str, Value] | None = None) -> Value | None:
    """Return the JSON or YAML document that ``value`` holds, or ``None`` when it cannot be read."""
    if value.is_object:
        return _filled(value, substitutions or {})
    text, held = _with_holes(value, substitutions or {})
    if not text.strip():
        return None
    parsed = _parsed(text)
    if not isinstance(parsed, dict | list) or _is_unusable(parsed):
        return None
    return Value(value.node, _restored(parsed, held), value.scope, value.path)


def state_machine(value: Value, substitutions: Mapping[str, Value] | None = None) -> Value | None:
    """Return a state machine's definition; what JSONPath or JSONata computes is open."""
    read = document(value, substitutions)
    return None if read is None else _with(read, _computed_by_states(read.raw))


def pipeline(value: Value) -> Value | None:
    """Return a SageMaker pipeline's definition; what the pipeline computes is open."""
    read = document(value)
    return None if read is None else _with(read, _computed_by_pipelines(read.raw))


def script(value: Value) -> str | None:
    """Return a script that is given in base64, with ``${…}`` for what is not known; ``None`` when unreadable."""
    whole = value.resolved
    if isinstance(whole, Opaque) and whole.plain is not None:
        return shown(whole.plain)
    encoded = value.literal
    if not isinstance(encoded, str):
        return None
    try:
        return base64.b64decode("".join(encoded.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _with(value: Value, raw: Any) -> Value:
    return Value(value.node, raw, value.scope, value.path)


def _with_holes(value: Value, substitutions: Mapping[str, Value]) -> tuple[str, list[Part]]:
    """Return the text with a numbered hole for each part that is not known."""
    held: list[Part] = []
    text: list[str] = []
    for part in value.parts:
        for piece in _substituted(part, substitutions) if isinstance(part, str) else (part,):
            if isinstance(piece, str):
                text.append(piece.replace(_OPEN, "").replace(_CLOSE, ""))
            else:
                text.append(f"{_OPEN}{len(held)}{_CLOSE}")
                held.append(piece)
    return "".join(text), held


def _substituted(text: str, substitutions: Mapping[str, Value]) -> list[Part]:
    pieces: list[Part] = []
    at = 0
    for hole in _SUBSTITUTION.finditer(text):
        if hole[1] in substitutions:
            pieces += [text[at : hole.start()], *substitutions[hole[1]].parts]
            at = hole.end()
    return [*pieces, text[at:]]


def _quoted(text: str) -> str:
    """Put quotes around each hole that stands outside a string, where a number or an object would."""
    if _OPEN not in text:
        return text
    written: list[str] = []
    in_string = escaped = False
    for character in text:
        if character == _OPEN and not in_string:
            written.append('"')
        written.append(character)
        if character == _CLOSE and not in_string:
            written.append('"')
        if character == '"' and not escaped:
            in_string = not in_string
        escaped = character == "\\" and not escaped
    return "".join(written)


def _parsed(text: str) -> Any:
    try:
        return json.loads(_quoted(text), strict=False)
    except (ValueError, RecursionError):
        pass
    if text.lstrip().startswith(("{", "[")):
        return None
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- both are safe
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _is_unusable(parsed: Any) -> bool:
    """Whether the document is nested too deep, has too many values, or holds text that nobody can print."""
    level, count = [parsed], 0
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for parent in level:
            pairs = parent.items() if isinstance(parent, dict) else ((0, child) for child in parent)
            for key, child in pairs:
                count += 1
                if count > _MOST_VALUES or _is_unprintable(key) or _is_unprintable(child):
                    return True
                if isinstance(child, dict | list):
                    below.append(child)
        if not below:
            return False
        level = below
    return True


def _is_unprintable(value: Any) -> bool:
    return isinstance(value, str) and _SURROGATE.search(value) is not None


def _restored(raw: Any, held: list[Part]) -> Any:
    """Put the references back into the holes."""
    return _mapped(raw, lambda text: _refilled(text, held))


def _refilled(text: str, held: list[Part]) -> Any:
    pieces = _HOLE.split(text)
    known = all(int(number) < len(held) for number in pieces[1::2])
    if len(pieces) == 1 or not known:
        return text
    return Followed(joined([held[int(piece)] if index % 2 else piece for index, piece in enumerate(pieces)]))


def _filled(value: Value, substitutions: Mapping[str, Value]) -> Value:
    """Put the substitutions into a definition that is written as an object."""
    return _with(value, _substituted_in(value.raw, substitutions)) if substitutions else value


def _substituted_in(raw: Any, substitutions: Mapping[str, Value]) -> Any:
    """Substitute outside functions only: ``${Role}`` in ``Fn::Sub`` is a resource, and is resolved before."""
    match raw:
        case {"Fn::If": [condition, *branches]} if len(raw) == 1:
            return {"Fn::If": [condition, *(_substituted_in(branch, substitutions) for branch in branches)]}
        case dict() if len(raw) == 1 and ("Ref" in raw or str(next(iter(raw))).startswith("Fn::")):
            return raw
        case dict():
            return {
                _key(key, lambda text: _substitute_in(text, substitutions)): _substituted_in(
                    member, substitutions
                )
                for key, member in raw.items()
            }
        case list():
            return [_substituted_in(member, substitutions) for member in raw]
        case str():
            return _substitute_in(raw, substitutions)
        case _:
            return raw


def _substitute_in(text: str, substitutions: Mapping[str, Value]) -> Any:
    pieces = _substituted(text, substitutions)
    return text if pieces == [text] else Followed(joined(pieces))


def _mapped(raw: Any, change: Callable[[str], Any]) -> Any:
    match raw:
        case dict():
            return {_key(key, change): _mapped(member, change) for key, member in raw.items()}
        case list():
            return [_mapped(member, change) for member in raw]
        case str():
            return change(raw)
        case _:
            return raw


def _key(key: Any, change: Callable[[str], Any]) -> str:
    changed = change(str(key))
    return shown(changed.resolved) if isinstance(changed, Followed) else str(changed)


def _computed_by_states(raw: Any) -> Any:
    match raw:
        case dict():
            return {
                (key.removesuffix(".$") if isinstance(key, str) else key): (
                    {OPAQUE_MARK: shown(member.resolved) if isinstance(member, Followed) else member}
                    if isinstance(key, str) and key.endswith(".$")
                    else _computed_by_states(member)
                )
                for key, member in raw.items()
            }
        case list():
            return [_computed_by_states(member) for member in raw]
        case str() if raw.lstrip().startswith("{%"):
            return {OPAQUE_MARK: raw}
        case _:
            return raw


def _computed_by_pipelines(raw: Any) -> Any:
    match raw:
        case {"Get": _, **others} if not others:
            return {OPAQUE_MARK: str(raw["Get"])}
        case dict() if len(raw) == 1 and next(iter(raw)).startswith("Std:"):
            return {OPAQUE_MARK: next(iter(raw))}
        case dict():
            return {key: _computed_by_pipelines(member) for key, member in raw.items()}
        case list():
            return [_computed_by_pipelines(member) for member in raw]
        case _:
            return raw
