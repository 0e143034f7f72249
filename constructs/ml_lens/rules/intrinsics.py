"""CloudFormation's functions, followed as far as the templates of one run tell."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ml_lens.rules.assumptions import Fork
from ml_lens.rules.resolved import (
    ABSENT,
    Followed,
    Opaque,
    Reference,
    Resolved,
    Text,
    identity,
    joined,
    shown,
    split,
    text_of,
)

if TYPE_CHECKING:
    from ml_lens.rules.scope import Scope

Found = tuple[Resolved, "Scope"]
DYNAMIC = "{{resolve:"
# More than any property that takes base64 may hold; encoding what is encoded grows without end.
_LONGEST_SCRIPT: Final = 100_000
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]*)\}")


def resolve(raw: Any, scope: Scope) -> Found:
    """Follow ``raw`` until it is a literal, a list, an object, a reference or something that stays open."""
    if isinstance(raw, dict) and len(raw) == 1:
        name, argument = next(iter(raw.items()))
        function = _FUNCTIONS.get(name)
        if function is not None:
            return _follow(function, name, argument, scope)
        if isinstance(name, str) and name.startswith("Fn::"):
            return _opaque(name, argument, scope)
    if isinstance(raw, str):
        if not raw:
            return ABSENT, scope
        return (Opaque(raw, raw), scope) if DYNAMIC in raw else (raw, scope)
    if isinstance(raw, Followed):
        return raw.resolved, scope
    return (ABSENT if raw is None else raw), scope


def _follow(function: Callable[[Any, Scope], Found], name: str, argument: Any, scope: Scope) -> Found:
    if not scope.enter(name, argument):
        return Opaque(f"a reference in a circle ({name})"), scope
    try:
        return function(argument, scope)
    finally:
        scope.leave()


def _ref(name: Any, scope: Scope) -> Found:
    if not isinstance(name, str):
        return _opaque("Ref", name, scope)
    if name == "AWS::NoValue":
        return ABSENT, scope
    if name == "AWS::StackName" and scope.parent is None:
        return scope.template.stack_name, scope
    if name.startswith("AWS::"):
        return Opaque(f"${{{name}}}", name), scope
    node = scope.node(name)
    if node is not None:
        return Reference(node, None), scope
    return scope.parameter(name)


def _get_att(argument: Any, scope: Scope) -> Found:
    match argument:
        case str():
            logical_id, _, attribute = argument.partition(".")
        case [str(logical_id), attribute]:
            pass
        case _:
            return _opaque("Fn::GetAtt", argument, scope)
    if not isinstance(attribute, str):
        return _opaque("Fn::GetAtt", argument, scope)
    return _attribute(logical_id, attribute, scope)


def _attribute(logical_id: str, attribute: str, scope: Scope) -> Found:
    if attribute.startswith("Outputs."):
        child = scope.child(logical_id)
        if child is not None:
            return child.output(attribute.removeprefix("Outputs."))
    node = scope.node(logical_id)
    if node is None:
        return Opaque(f"${{{logical_id}.{attribute}}}", (scope.key, logical_id, attribute)), scope
    return Reference(node, attribute), scope


def _sub(argument: Any, scope: Scope) -> Found:
    variables: Mapping[str, Any] = {}
    match argument:
        case str(template):
            pass
        case [str(template), dict(variables)]:
            pass
        case _:
            return _opaque("Fn::Sub", argument, scope)
    parts: list[str | Reference | Opaque] = []
    at = 0
    for hole in _PLACEHOLDER.finditer(template):
        parts.append(template[at : hole.start()])
        at = hole.end()
        name = hole[2].strip()
        if hole[1]:
            parts.append(f"${{{name}}}")
        elif name in variables:
            parts.extend(text_of(resolve(variables[name], scope)[0]))
        elif "." in name:
            parts.extend(text_of(_get_att(name, scope)[0]))
        else:
            parts.extend(text_of(_ref(name, scope)[0]))
    parts.append(template[at:])
    return joined(parts), scope


def _join(argument: Any, scope: Scope) -> Found:
    match argument:
        case [str(delimiter), source]:
            elements, inner = resolve(source, scope)
        case _:
            return _opaque("Fn::Join", argument, scope)
    if not isinstance(elements, list):
        return _opaque("Fn::Join", argument, scope)
    parts: list[str | Reference | Opaque] = []
    for index, element in enumerate(elements):
        if index and delimiter:
            parts.append(delimiter)
        parts.extend(text_of(resolve(element, inner)[0]))
    return joined(parts), scope


def _if(argument: Any, scope: Scope) -> Found:
    match argument:
        case [str(condition), if_true, if_false]:
            fork = Fork(("condition", scope.key, condition), 2, each_counts=True)
            return resolve(if_false if scope.assumptions.way(fork) else if_true, scope)
        case _:
            return _opaque("Fn::If", argument, scope)


def _find_in_map(argument: Any, scope: Scope) -> Found:
    match argument:
        case [str(name), top, second, *options] if isinstance(scope.mapping(name), dict):
            default = _default_of(options)
            entries = _entry(scope.mapping(name), top, scope, or_none=default is not ABSENT)
            found = ABSENT
            if isinstance(entries, dict):
                found = _entry(entries, second, scope, or_none=default is not ABSENT)
            if found is ABSENT and default is not ABSENT:
                return resolve(default, scope)
            if found is ABSENT:
                return _opaque("Fn::FindInMap", argument, scope)
            if not isinstance(found, dict):
                return resolve(found, scope)
            # Mappings that name each other twice would be followed for ever.
            return scope.graph.once(("mapped", scope.key, id(found)), lambda: resolve(found, scope))
        case _:
            return _opaque("Fn::FindInMap", argument, scope)


def _default_of(options: list[Any]) -> Any:
    match options:
        case [{"DefaultValue": default}]:
            return default
        case _:
            return ABSENT


def _entry(entries: Mapping[str, Any], key: Any, scope: Scope, *, or_none: bool) -> Any:
    """Return the entry of a known key, or try every key, the same one wherever the same key is asked for.

    With ``or_none`` a key that only a deployment knows may also be one that the mapping lacks.
    """
    known, _ = resolve(key, scope)
    if isinstance(known, str | int):
        return entries.get(str(known), ABSENT)
    keys: list[str | None] = [*sorted(entries), None] if or_none else [*sorted(entries)]
    if not entries:
        return ABSENT
    fork = Fork(("key", scope.key, _written(key), tuple(keys)), len(keys), each_counts=False)
    chosen = keys[scope.assumptions.way(fork)]
    return ABSENT if chosen is None else entries[chosen]


def _import_value(argument: Any, scope: Scope) -> Found:
    name, _ = resolve(argument, scope)
    exported = scope.graph.export(identity(name))
    if exported is not None:
        return exported
    return Opaque(f"an import ({shown(name)})", ("import", identity(name))), scope


def _get_stack_output(argument: Any, scope: Scope) -> Found:
    match argument:
        case {"StackName": stack, "OutputName": str(output)}:
            name, _ = resolve(stack, scope)
            other = scope.graph.stack(name) if isinstance(name, str) else None
            if other is not None:
                return other.output(output)
            return Opaque(f"output {output} of another stack", ("output", identity(name), output)), scope
        case _:
            return _opaque("Fn::GetStackOutput", argument, scope)


def _select(argument: Any, scope: Scope) -> Found:
    match argument:
        case [index, source]:
            position, _ = resolve(index, scope)
            elements, inner = resolve(source, scope)
            if isinstance(elements, list) and str(position) in map(str, range(len(elements))):
                return resolve(elements[int(position)], inner)
    return _opaque("Fn::Select", argument, scope)


def _split(argument: Any, scope: Scope) -> Found:
    match argument:
        case [str(delimiter), source] if delimiter:
            whole, _ = resolve(source, scope)
            parts = text_of(whole)
            if whole is not ABSENT and not any(isinstance(part, Opaque) for part in parts):
                return split(parts, delimiter), scope
    found, inner = _opaque("Fn::Split", argument, scope)
    return Opaque(found.shown, found.identity, is_list=True), inner


def _opaque(name: str, argument: Any, scope: Scope) -> tuple[Opaque, Scope]:
    return Opaque(f"{name}", (scope.key, name, _written(argument)), is_list=name == "Fn::GetAZs"), scope


def _marked(argument: Any, scope: Scope) -> Found:
    return Opaque(str(argument), (scope.key, str(argument)), may_be_empty=True), scope


def _base64(argument: Any, scope: Scope) -> Found:
    plain, _ = resolve(argument, scope)
    if isinstance(plain, str) and len(plain) <= _LONGEST_SCRIPT:
        return base64.b64encode(plain.encode("utf-8", "replace")).decode("ascii"), scope
    found, inner = _opaque("Fn::Base64", argument, scope)
    return Opaque(found.shown, found.identity, plain=plain if isinstance(plain, Text) else None), inner


def _written(raw: Any) -> str:
    return json.dumps(raw, sort_keys=True, default=str)


OPAQUE_MARK: Final = "MLLens::Opaque"
_FUNCTIONS: Final[Mapping[str, Callable[[Any, Scope], Found]]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Base64": _base64,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import_value,
    "Fn::GetStackOutput": _get_stack_output,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::ToJsonString": resolve,  # whoever reads the document takes it as an object too
    OPAQUE_MARK: _marked,
}
