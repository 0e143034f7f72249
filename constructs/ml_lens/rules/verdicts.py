"""The three answers of a check, and the vocabulary that rules are written in.

A rule names a property and what it must be; what an intrinsic, a parameter or a missing property means for the
answer is settled here, once, and by no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ml_lens.rules.rule import Weight

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value


class Answer(StrEnum):
    """What a check says."""

    PASS = "pass"  # noqa: S105 -- an answer, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


PASS, FAIL, UNKNOWN = Answer.PASS, Answer.FAIL, Answer.UNKNOWN


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer on one property of one resource.

    Attributes:
        answer: Pass, fail or unknown.
        node: The resource that has to change.
        path: Dotted path of the property under ``Properties``, without list indices; empty for the resource itself.
        message: What is wrong, without the name of the resource.
        part: The aspect of a rule with several.
        weight: Another level than the rule's own, for this aspect.
    """

    answer: Answer
    node: Node
    path: str = ""
    message: str = ""
    part: str | None = None
    weight: Weight | None = None

    @property
    def aspect(self) -> tuple[object, ...]:
        """What two branches have to agree on."""
        return (self.node, self.part)

    def named(self, part: str) -> Verdict:
        """Return the verdict as an aspect of its rule."""
        return self if self.answer is PASS else replace(self, part=part)

    def as_warning(self) -> Verdict:
        """Return the verdict as one that only warns."""
        return self if self.answer is PASS else replace(self, weight=Weight.WARNING)

    def as_error(self) -> Verdict:
        """Return the verdict as one that is an error, in a rule that warns otherwise."""
        return self if self.answer is PASS else replace(self, weight=Weight.ERROR)

    def saying(self, message: str) -> Verdict:
        """Return the verdict with another message."""
        return self if self.answer is PASS else replace(self, message=message)

    def landing_on(self, node: Node) -> Verdict:
        """Return the verdict for another resource, the one that has to change."""
        return self if self.answer is PASS else replace(self, node=node)

    def in_doubt(self, place: tuple[Node, str] | None = None) -> Verdict:
        """Return a failure as unknown; it lies at ``place``, where the open value stands, if it had no closer one."""
        if self.answer is not FAIL:
            return self
        node, path = self.node, self.path
        if place is not None and (not path or (place[0] is node and place[1].startswith(f"{path}."))):
            node, path = place
        message = f"{self.message}, for some of the allowed values"
        return replace(self, answer=UNKNOWN, node=node, path=path, message=message)


def passes(node: Node) -> Verdict:
    """Say that ``node`` complies."""
    return Verdict(PASS, node)


def fails(node: Node, message: str, *, path: str = "") -> Verdict:
    """Say that ``node`` does not comply."""
    return Verdict(FAIL, node, path, message)


def unknown(node: Node, message: str, *, path: str) -> Verdict:
    """Say that the template does not tell whether ``node`` complies; ``path`` is the property that hides it."""
    return Verdict(UNKNOWN, node, path, message)


def must_exist(value: Value) -> Verdict:
    """Demand a value that is not empty; a reference to anything counts."""
    if value.may_be_empty:
        return _open(value, "may be empty")
    return _verdict(value, bool(value), "is missing")


def must_not_exist(value: Value) -> Verdict:
    """Demand that a property is absent or empty."""
    if value.may_be_empty:
        return _open(value, "must be empty")
    return _verdict(value, not value, f"is {value.shown}, must not be given")


def must_have_key(value: Value) -> Verdict:
    """Demand a KMS key, and not one that AWS manages for the service."""
    present = must_exist(value)
    if present.answer is PASS and "alias/aws/" in (value.text or ""):
        return _verdict(value, False, f"is {value.shown}, a key that AWS manages; give a key of your own")
    return present


def must_equal(value: Value, expected: str | bool | int, *, when_absent: Answer = FAIL) -> Verdict:
    """Demand a literal, case-sensitive; booleans may be strings, as CloudFormation allows."""
    return must_be_one_of(value, (expected,), when_absent=when_absent)


def must_be_one_of(
    value: Value, allowed: Iterable[str | bool | int], *, when_absent: Answer = FAIL
) -> Verdict:
    """Demand one of several literals."""
    wanted = {written(option) for option in allowed}
    demand = " or ".join(sorted(wanted))
    return must_satisfy(
        value, lambda found: written(found) in wanted, f"must be {demand}", when_absent=when_absent
    )


def must_satisfy(
    value: Value, condition: Callable[[Any], bool], demand: str, *, when_absent: Answer = FAIL
) -> Verdict:
    """Demand a literal that satisfies ``condition``; ``demand`` says it in words, ``must be …``."""
    if not value:
        return Verdict(when_absent, value.node, value.path, f"{value.path} is missing, {demand}")
    if value.is_open:
        return _open(value, demand)
    return _verdict(value, value.is_literal and condition(value.literal), f"is {value.shown}, {demand}")


def must_be_at_least(value: Value, least: float, *, when_absent: Answer = FAIL) -> Verdict:
    """Demand a number not below ``least``; a parameter is judged by its ``MinValue``."""
    low, high = value.bounds
    return _must_be_within(value, low >= least, high < least, f"must be at least {least:g}", when_absent)


def must_be_at_most(value: Value, most: float, *, when_absent: Answer = FAIL) -> Verdict:
    """Demand a number not above ``most``; a parameter is judged by its ``MaxValue``."""
    low, high = value.bounds
    return _must_be_within(value, high <= most, low > most, f"must be at most {most:g}", when_absent)


def must_hold(value: Value, least: int) -> Verdict:
    """Demand a list of at least ``least`` elements; the length of an unknown list is unknown."""
    demand = f"must name at least {least}"
    if not value:
        return _verdict(value, False, f"is missing, {demand}")
    if value.is_open:
        return _open(value, demand)
    return _verdict(value, len(value.elements) >= least, f"has {len(value.elements)}, {demand}")


def any_of(*verdicts: Verdict) -> Verdict:
    """Pass when one passes; else unknown when one is unknown; else the first failure."""
    for answer in (PASS, UNKNOWN):
        for verdict in verdicts:
            if verdict.answer is answer:
                return verdict
    return verdicts[0]


def all_of(*verdicts: Verdict) -> Verdict:
    """Fail when one fails, with every failure told; else unknown when one is unknown."""
    failures = [verdict for verdict in verdicts if verdict.answer is FAIL]
    if failures:
        return failures[0].saying("; ".join(failure.message for failure in failures))
    return next((verdict for verdict in verdicts if verdict.answer is UNKNOWN), verdicts[0])


def written(value: Any) -> str:
    """Return a literal as CloudFormation compares it: ``True`` and ``"true"`` are one, and so are 1 and ``"1"``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _must_be_within(value: Value, inside: bool, outside: bool, demand: str, when_absent: Answer) -> Verdict:
    if not value:
        return Verdict(when_absent, value.node, value.path, f"{value.path} is missing, {demand}")
    if inside:
        return passes(value.node)
    if outside or not value.is_open:
        return _verdict(value, False, f"is {value.shown}, {demand}")
    return _open(value, demand)


def _verdict(value: Value, good: bool, problem: str) -> Verdict:
    if good:
        return passes(value.node)
    return Verdict(FAIL, value.node, value.path, f"{value.path} {problem}")


def _open(value: Value, demand: str) -> Verdict:
    return Verdict(
        UNKNOWN,
        value.node,
        value.path,
        f"{value.path} is {value.shown}, which the template leaves open; {demand}",
    )
