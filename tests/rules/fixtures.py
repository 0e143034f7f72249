"""How a rule is tried: a compliant app as data, and what to change in it to make the rule speak.

Every change is tried as a literal, as an escape hatch of the CDK, and behind intrinsic functions.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ml_lens.rules import RULES
from ml_lens.rules.engine import judge
from ml_lens.rules.finding import Finding
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile

GONE: Final = object()
"""Stands for taking a property, or with an empty path a whole resource, away."""

OPEN_PARAMETER: Final = {"Ref": "NobodyKnows"}
"""A parameter of type String without default or allowed values."""

MAYBE_EMPTY: Final = {"Ref": "MaybeEmpty"}
"""A parameter that is empty unless somebody sets it."""

PARAMETERS: Final[Mapping[str, Any]] = {
    "NobodyKnows": {"Type": "String"},
    "NobodyKnowsNumber": {"Type": "Number"},
    "NobodyKnowsList": {"Type": "CommaDelimitedList"},
    "MaybeEmpty": {"Type": "String", "Default": ""},
}


class Body(dict[str, Any]):
    """A document inside a string property; references in it are written as CloudFormation writes them."""

    def rendered(self) -> Any:
        """Return the string, joined from its parts where it holds references."""
        held: list[Any] = []
        text = json.dumps(_held_apart(self, held))
        pieces: list[Any] = [text]
        for number, intrinsic in enumerate(held):
            before, after = pieces.pop().split(f'"@@{number}@@"')
            pieces += [f'{before}"', intrinsic, f'"{after}']
        return text if not held else {"Fn::Join": ["", pieces]}


@dataclass(frozen=True)
class Change:
    """One change to a compliant app, and the one finding that it makes.

    Attributes:
        resource: Logical id of the resource that changes.
        path: Dotted path under ``Properties``, list indices as numbers; ``@DeletionPolicy`` for what stands beside
            them; empty for the resource itself.
        value: What stands there then, ``GONE`` for nothing.
        finding: The aspect that is found, ``None`` for a rule with one, ``unresolved:…`` for an open answer.
        level: ``error`` or ``warning``.
        on: Where the finding lands, if not on ``resource``.
    """

    resource: str
    path: str
    value: Any
    finding: str | None = None
    level: str = "error"
    on: str | None = None

    @property
    def expected(self) -> tuple[str | None, str, str]:
        return (self.finding, self.level, self.on or self.resource)


@dataclass(frozen=True)
class Case:
    """A rule with an app that complies, changes that violate it, and changes that leave the answer open."""

    rule: str
    compliant: Mapping[str, Any]
    violations: tuple[Change, ...]
    unresolved: tuple[Change, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def changes(self) -> tuple[Change, ...]:
        return (*self.violations, *self.unresolved)

    @property
    def id(self) -> str:
        return f"{self.rule}{'-' if self.name else ''}{self.name}"


def template(resources: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    return {"Parameters": dict(PARAMETERS), "Resources": rendered(dict(resources)), **sections}


def rendered(raw: Any) -> Any:
    match raw:
        case Body():
            return raw.rendered()
        case dict():
            return {key: rendered(member) for key, member in raw.items()}
        case list():
            return [rendered(member) for member in raw]
        case _:
            return raw


def changed(resources: Mapping[str, Any], change: Change, value: Any) -> dict[str, Any]:
    """Return the resources with ``value`` at the place of the change."""
    after = copy.deepcopy(dict(resources))
    if not change.path:
        del after[change.resource]
        return after
    *way, last = steps(change.path)
    place: Any = after[change.resource]
    for step in way:
        place = place[step] if isinstance(place, list) else place.setdefault(step, {})
    if value is GONE:
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return after


def original(resources: Mapping[str, Any], change: Change) -> Any:
    """Return what stands in the compliant app at the place of the change, ``GONE`` for nothing."""
    place: Any = resources[change.resource]
    for step in steps(change.path):
        try:
            place = place[step]
        except (KeyError, IndexError, TypeError):
            return GONE
    return place


def steps(path: str) -> list[Any]:
    """Split a dotted path; a state's name may hold no dot."""
    first = [path[1:].split(".")[0]] if path.startswith("@") else ["Properties"]
    rest = path.split(".")[1:] if path.startswith("@") else path.split(".")
    return [*first, *(int(step) if step.isdigit() else step for step in rest)]


def said(rule: str, body: Mapping[str, Any], options: Mapping[str, Any]) -> list[Finding]:
    """Return what one rule says of one template."""
    read = TemplateFile(Path("Case.template.json"), "Case.template.json", body, "Case", {})
    return judged_by(rule, [read], options)


def judged_by(rule: str, read: Sequence[TemplateFile], options: Mapping[str, Any]) -> list[Finding]:
    """Return what one rule says of templates."""
    (judging,) = [each for each in RULES if each.name == rule]
    return list(judge(read, Options.of(**options), [judging]))


def told(findings: list[Finding]) -> list[tuple[str | None, str, str]]:
    return [(found.finding, str(found.level), found.resource) for found in findings]


def behind_intrinsics(case: Case, change: Change) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the change behind each intrinsic that can carry it: a name, the resources, further sections."""
    good = original(case.compliant, change)
    none = {"Ref": "AWS::NoValue"}
    if change.path and not change.path.startswith("@"):
        before = none if good is GONE else good
        after = none if change.value is GONE else change.value
        for name, branches in (("if true", [after, before]), ("if false", [before, after])):
            wrapped = changed(case.compliant, change, {"Fn::If": ["Sometimes", *branches]})
            yield name, wrapped, {"Conditions": {"Sometimes": {"Fn::Equals": ["a", "b"]}}}
    if isinstance(change.value, str) and change.value and not change.path.startswith("@"):
        yield "sub", changed(case.compliant, change, {"Fn::Sub": change.value}), {}
        mapped = {"Fn::FindInMap": ["Values", {"Ref": "AWS::Region"}, "value"]}
        both = {"eu-west-1": {"value": change.value}, "us-east-1": {"value": change.value}}
        yield "map", changed(case.compliant, change, mapped), {"Mappings": {"Values": both}}
        allowed = {**PARAMETERS, "Only": {"Type": "String", "AllowedValues": [change.value]}}
        yield "parameter", changed(case.compliant, change, {"Ref": "Only"}), {"Parameters": allowed}


def _held_apart(raw: Any, held: list[Any]) -> Any:
    match raw:
        case dict() if len(raw) == 1 and next(iter(raw)).startswith(("Ref", "Fn::")):
            held.append(rendered(raw))
            return f"@@{len(held) - 1}@@"
        case dict():
            return {key: _held_apart(member, held) for key, member in raw.items()}
        case list():
            return [_held_apart(member, held) for member in raw]
        case _:
            return raw
