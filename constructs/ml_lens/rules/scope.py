"""One template as it is deployed once: its parameters have the values that its parent passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ml_lens.rules.assumptions import Assumptions, Fork
from ml_lens.rules.intrinsics import Found, resolve
from ml_lens.rules.resolved import ABSENT, Opaque, listed

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.templates import TemplateFile

# Longer than any chain of references that people write; what is longer is a circle.
_LONGEST_CHAIN = 100
_MOST_VALUES = 64


class Scope:
    """The place in which the names of one template have a meaning."""

    def __init__(
        self,
        graph: Graph,
        template: TemplateFile,
        *,
        key: str,
        parent: tuple[Scope, Mapping[str, Any]] | None,
    ) -> None:
        """Open ``template``; ``parent`` is the scope that deploys it and the parameters that it passes."""
        self.graph = graph
        self.template = template
        self.key = key
        self.parent = parent
        self.nodes: dict[str, Node] = {}
        self.children: dict[str, Scope] = {}
        self._parameters: Mapping[str, Any] = _section(template, "Parameters")
        self._outputs: Mapping[str, Any] = _section(template, "Outputs")
        self._mappings: Mapping[str, Any] = _section(template, "Mappings")
        self._following: list[object] = []

    @property
    def assumptions(self) -> Assumptions:
        """Which way each fork goes in the present run."""
        return self.graph.assumptions

    @property
    def ancestors(self) -> Iterator[Scope]:
        """The scope and those that deploy it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent[0] if scope.parent else None

    def enter(self, name: str, argument: Any) -> bool:
        """Begin to follow a reference; say no when it is being followed already."""
        reference = (name, argument) if isinstance(argument, str) else id(argument)
        if reference in self._following or len(self._following) > _LONGEST_CHAIN:
            return False
        self._following.append(reference)
        return True

    def leave(self) -> None:
        """End following the latest reference."""
        self._following.pop()

    def node(self, logical_id: str) -> Node | None:
        """Return the resource of that logical id."""
        return self.nodes.get(logical_id)

    def child(self, logical_id: str) -> Scope | None:
        """Return the template that a nested stack of that logical id deploys."""
        return self.children.get(logical_id)

    def mapping(self, name: str) -> Any:
        """Return a mapping of the template."""
        return self._mappings.get(name)

    def output(self, name: str) -> Found:
        """Return what an output of the template is."""
        output = self._outputs.get(name)
        if not isinstance(output, dict) or "Value" not in output:
            return Opaque(f"output {name}, which {self.template.name} does not have", (self.key, name)), self
        return self.graph.once(("output", self.key, name), lambda: resolve(output["Value"], self))

    def exports(self) -> Iterator[tuple[Any, Any]]:
        """Yield the name and the value of each export, as the template writes them."""
        for output in self._outputs.values():
            match output:
                case {"Export": {"Name": name}, "Value": value}:
                    yield name, value

    def parameter(self, name: str) -> Found:
        """Return what a parameter is: what the parent passes, or one of the allowed values, or open."""
        declared = self._parameters.get(name)
        if not isinstance(declared, dict):
            declared = {}
        kind = str(declared.get("Type", "String"))
        is_list = kind.startswith("List<") or kind == "CommaDelimitedList"
        if "SSM::Parameter::Value" in kind:  # what is given is where the value lies
            return Opaque(f"${{{name}}}", (self.key, name)), self
        found, inner = self._passed(name, declared)
        if found is not None:
            return (listed(found) if is_list else found), inner
        allowed = declared.get("AllowedValues")
        if isinstance(allowed, list) and allowed:
            return self._one_of(name, allowed)
        return (
            Opaque(
                f"${{{name}}}",
                (self.key, name),
                low=_number(declared.get("MinValue"), float("-inf")),
                high=_number(declared.get("MaxValue"), float("inf")),
                may_be_empty=declared.get("Default") == "",
                is_list=is_list,
            ),
            self,
        )

    def _passed(self, name: str, declared: Mapping[str, Any]) -> tuple[Any, Scope]:
        """Return what the parent makes of a parameter: a default stands where it passes nothing."""
        if self.parent is None:
            return None, self
        scope, passed = self.parent
        found, inner = resolve(passed.get(name), scope)
        if found is ABSENT and declared.get("Default") not in (None, ""):
            return resolve(declared["Default"], self)
        return (found, inner) if name in passed else (None, self)

    def _one_of(self, name: str, allowed: list[Any]) -> Found:
        if len(allowed) > _MOST_VALUES:
            return Opaque(f"${{{name}}}", (self.key, name), may_be_empty="" in allowed), self
        way = 0
        if len(allowed) > 1:
            way = self.assumptions.way(Fork(("parameter", self.key, name), len(allowed), each_counts=False))
        return (allowed[way] if allowed[way] != "" else ABSENT), self


def _section(template: TemplateFile, name: str) -> Mapping[str, Any]:
    section = template.body.get(name)
    return section if isinstance(section, dict) else {}


def _number(raw: Any, otherwise: float) -> float:
    try:
        return float(raw)
    except (TypeError, ValueError, OverflowError):
        return otherwise
