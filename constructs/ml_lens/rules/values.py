"""A property as a rule reads it: resolved, with its path, and never an exception for what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ml_lens.rules.intrinsics import resolve
from ml_lens.rules.resolved import (
    ABSENT,
    Followed,
    Opaque,
    Reference,
    Resolved,
    Text,
    identity,
    shown,
    text_of,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.scope import Scope

__all__ = ["Opaque", "Reference", "Value"]


class Value:
    """What stands at one path of a resource, or of a body inside it.

    Reading on from something that is not there, or not known, gives more of the same: ``value["A"]["B"]`` never
    raises.

    Attributes:
        node: The resource that holds the value.
        path: Dotted path under ``Properties``, without list indices.
        raw: The value as the template writes it.
        scope: The template in which the references of ``raw`` have a meaning.
    """

    __slots__ = ("_inner", "_members", "_resolved", "node", "path", "raw", "scope")

    def __init__(self, node: Node, raw: Any, scope: Scope, path: str) -> None:
        """Hold ``raw`` without resolving it."""
        self.node = node
        self.raw = raw
        self.scope = scope
        self.path = path
        self._resolved: Resolved = None
        self._inner = scope
        self._members: dict[str, Value] | None = None

    @property
    def resolved(self) -> Resolved:
        """The value as far as the templates tell."""
        if self._resolved is not None:
            return self._resolved
        if not isinstance(self.raw, dict) or len(self.raw) != 1:  # no function, and so no fork
            self._resolved, self._inner = resolve(self.raw, self.scope)
            return self._resolved
        assumptions = self.scope.graph.assumptions
        (found, self._inner), forks = assumptions.read(
            (self.node, self.path), lambda: resolve(self.raw, self.scope)
        )
        if not forks:  # a value that is kept for the whole run must not keep the way of one branch
            self._resolved = found
        return found

    def __getitem__(self, key: str) -> Value:
        """Return a member of an object; what is unknown has unknown members."""
        if self._members is not None and key in self._members:
            return self._members[key]
        member = self._member(key, self.resolved)
        if self._resolved is not None:  # nothing that one branch alone would answer
            self._members = self._members or {}
            self._members[key] = member
        return member

    def _member(self, key: str, whole: Resolved) -> Value:
        path = f"{self.path}.{key}" if self.path else key
        if isinstance(whole, dict):
            return Value(self.node, whole.get(key), self._inner, path)
        if not isinstance(whole, Opaque | Reference | Text):
            return Value(self.node, Followed(ABSENT), self._inner, path)
        # Nobody knows whether something unknown has the member at all.
        known = identity(whole)
        member = Opaque(shown(whole), None if known is None else (known, key), may_be_empty=True)
        return Value(self.node, Followed(member), self._inner, path)

    def __bool__(self) -> bool:
        """Whether there is anything, known or not."""
        whole = self.resolved
        return whole is not ABSENT and whole != [] and whole != {}

    def __repr__(self) -> str:
        """Show path and value, for a debugger."""
        return f"{self.path}={self.shown}"

    @property
    def elements(self) -> list[Value]:
        """The present elements of a list; a single value is a list of one, as in policies."""
        whole = self.resolved
        if whole is ABSENT:
            return []
        if not isinstance(whole, list):
            return [self]
        members = [Value(self.node, member, self._inner, self.path) for member in whole]
        return [member for member in members if member.resolved is not ABSENT]

    @property
    def members(self) -> Iterator[tuple[str, Value]]:
        """The members of an object, with their keys."""
        whole = self.resolved
        if isinstance(whole, dict):
            for key in whole:
                yield str(key), self[key]

    @property
    def is_list(self) -> bool:
        """Whether the value is a list whose length is known."""
        return isinstance(self.resolved, list)

    @property
    def is_object(self) -> bool:
        """Whether the value is an object whose keys are known."""
        return isinstance(self.resolved, dict)

    @property
    def is_literal(self) -> bool:
        """Whether the value is a string, a number or a boolean that is wholly known."""
        return isinstance(self.resolved, str | int | float)

    @property
    def is_open(self) -> bool:
        """Whether the value, or a part of it, is known only to a deployment."""
        return isinstance(self.resolved, Opaque | Reference | Text)

    @property
    def literal(self) -> Any:
        """The string, number or boolean, or ``None``."""
        return self.resolved if self.is_literal else None

    @property
    def number(self) -> float | None:
        """The number, also when it is written as a string."""
        whole = self.resolved
        if isinstance(whole, bool) or not isinstance(whole, str | int | float):
            return None
        try:
            return float(whole)
        except (ValueError, OverflowError):
            return None

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest number that the value can be."""
        whole = self.resolved
        if isinstance(whole, Opaque):
            return whole.low, whole.high
        exact = self.number
        return (float("-inf"), float("inf")) if exact is None else (exact, exact)

    @property
    def may_be_empty(self) -> bool:
        """Whether a deployment with the default parameters would leave the value empty."""
        return isinstance(self.resolved, Opaque) and self.resolved.may_be_empty

    @property
    def reference(self) -> Node | None:
        """The resource that the value, as a whole, refers to."""
        return self.resolved.node if isinstance(self.resolved, Reference) else None

    @property
    def attribute(self) -> str | None:
        """The attribute of ``reference``; ``None`` for ``Ref``."""
        return self.resolved.attribute if isinstance(self.resolved, Reference) else None

    @property
    def references(self) -> list[Node]:
        """Every resource named in a string, in order."""
        return [part.node for part in text_of(self.resolved) if isinstance(part, Reference)]

    @property
    def parts(self) -> tuple[str | Reference | Opaque, ...]:
        """The parts of a string: what is known, references, and what is open."""
        return () if self.is_list or self.is_object else text_of(self.resolved)

    @property
    def text(self) -> str | None:
        """The string with ``${Resource.Attribute}`` for what is not known; ``None`` for lists and objects."""
        if not self or self.is_list or self.is_object:
            return None
        return "".join(shown(part) for part in self.parts)

    @property
    def identity(self) -> object:
        """Equal for two values that are the same in every deployment; ``None`` when nobody can tell."""
        return identity(self.resolved)

    @property
    def shown(self) -> str:
        """The value as a message shows it, cut to a readable length."""
        whole = shown(self.resolved)
        return whole if len(whole) <= 80 else f"{whole[:77]}..."
