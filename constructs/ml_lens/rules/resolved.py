"""What a value is once its references are followed: known, a reference, partly known, or open."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

Resolved = Any
# As long as a whole template may be; only texts that repeat each other get longer.
_LONGEST_TEXT: Final = 1_000_000
_COMMA: Final = re.compile(r"\s*,\s*")


class Absent:
    """Nothing: a missing property, ``AWS::NoValue``, null or an empty string."""

    def __repr__(self) -> str:
        """Say so."""
        return "nothing"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a resource of the run; ``attribute`` is ``None`` for ``Ref``."""

    node: Node
    attribute: str | None

    @property
    def shown(self) -> str:
        """The reference as ``Fn::Sub`` writes it."""
        name = self.node.logical_id
        return f"${{{name}}}" if self.attribute is None else f"${{{name}.{self.attribute}}}"


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something that only a deployment knows.

    Attributes:
        shown: It, in few words.
        identity: Equal for two values that are the same in every deployment.
        low: The least number that it can be, if there is one.
        high: The greatest.
        may_be_empty: Whether a deployment with the defaults would leave it empty.
        is_list: Whether it stands for a list.
        plain: What ``Fn::Base64`` encodes, where that is not wholly known.
    """

    shown: str
    identity: object = None
    low: float = float("-inf")
    high: float = float("inf")
    may_be_empty: bool = False
    is_list: bool = False
    plain: Resolved = None


@dataclass(frozen=True, slots=True)
class Text:
    """A string of which some parts are known."""

    parts: tuple[str | Reference | Opaque, ...]


@dataclass(frozen=True, slots=True)
class Followed:
    """Something that has been resolved already, in a list that is read like any other."""

    resolved: Resolved


def text_of(resolved: Resolved) -> tuple[str | Reference | Opaque, ...]:
    """Return the parts of something that is used inside a string."""
    match resolved:
        case Text():
            return resolved.parts
        case Reference() | Opaque():
            return (resolved,)
        case Absent():
            return ()
        case bool():
            return (str(resolved).lower(),)
        case str() | int() | float():
            return (str(resolved),)
        case _:
            return (Opaque("a list or an object inside a string"),)


def joined(parts: list[str | Reference | Opaque]) -> Resolved:
    """Put the parts of a string together; one that is wholly known is a plain string."""
    merged: list[str | Reference | Opaque] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    if not merged:
        return ABSENT
    if sum(len(part) if isinstance(part, str) else 1 for part in merged) > _LONGEST_TEXT:
        return Opaque("a text too long to follow")
    if len(merged) == 1:
        return merged[0]
    return Text(tuple(merged))


def split(parts: tuple[str | Reference | Opaque, ...], delimiter: str) -> list[Any]:
    """Split a string; what is open stays in one piece."""
    pieces: list[list[str | Reference | Opaque]] = [[]]
    for part in parts:
        if not isinstance(part, str):
            pieces[-1].append(part)
            continue
        first, *others = part.split(delimiter)
        pieces[-1].append(first)
        pieces.extend([other] for other in others)
    return [Followed(joined(piece)) for piece in pieces]


def listed(whole: Resolved) -> Resolved:
    """Return the list that a list parameter makes of the string it is given; what is open may be of any length."""
    if isinstance(whole, Opaque):
        return replace(whole, is_list=True)
    parts = text_of(whole)
    commas = any(isinstance(part, str) and "," in part for part in parts)
    if isinstance(whole, Absent | list | dict) or (
        not commas and any(isinstance(part, Opaque) for part in parts)
    ):
        return whole
    return split(tuple(_COMMA.sub(",", part) if isinstance(part, str) else part for part in parts), ",")


def shown(resolved: Resolved) -> str:
    """Return a resolved value as a message shows it."""
    match resolved:
        case Reference() | Opaque():
            return resolved.shown
        case Text(parts=parts):
            return "".join(shown(part) for part in parts)
        case bool():
            return str(resolved).lower()
        case list() | dict():
            return "a list" if isinstance(resolved, list) else "an object"
        case _:
            return str(resolved)


def identity(resolved: Resolved) -> object:
    """Return something equal for values that are the same in every deployment, and ``None`` when that is open."""
    match resolved:
        case Text(parts=parts):
            return tuple(_identity(part) for part in parts)
        case Reference() | Opaque():
            return _identity(resolved)
        case str() | int() | float():
            return str(resolved)
        case _:
            return None


def _identity(part: str | Reference | Opaque) -> object:
    match part:
        case Reference(node=node, attribute=attribute):
            return (node.key, attribute)
        case Opaque(identity=known):
            return known
        case _:
            return part
