"""What starts a state machine, a pipeline or a function: schedules, events, alarms and new data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.deliveries import PIPE, RULE, SCHEDULE, beginnings, onward, switch
from ml_lens.rules.startable import FUNCTION, started_by_role, started_of

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

__all__ = ["DEPTH", "PIPE", "RULE", "SCHEDULE", "Trigger", "open_deliveries", "triggers_of"]

DEPTH: Final = 3
_MAY_TRAIN: Final = re.compile(":(states|sagemaker|lambda):")


@dataclass(frozen=True, eq=False)
class Trigger:
    """A way in which something is started without anybody doing it.

    Attributes:
        source: The rule, schedule, pipe, alarm, bucket or event source mapping that goes off.
        through: What is between it and what it starts, in order.
        delivery: The entry in the properties of ``source`` that names the next.
    """

    source: Node
    through: tuple[Node, ...]
    delivery: Value

    @property
    def switch(self) -> Value:
        """The property that turns the source on and off; absent means on."""
        return switch(self.source)


@dataclass(frozen=True, eq=False)
class _Edge:
    """One thing starting another; ``begins`` tells whether it goes off by itself."""

    source: Node
    delivery: Value
    begins: bool


def triggers_of(node: Node) -> list[Trigger]:
    """Return what starts ``node``, in at most three steps; what is turned off starts nothing."""
    return node.graph.once(("triggers", node.key), lambda: list(_triggers(node)))


def open_deliveries(graph: Graph) -> list[Value]:
    """Return the targets of rules, schedules and pipes that only a deployment knows."""
    return graph.once("open deliveries", lambda: list(_open(graph)))


def _triggers(node: Node) -> Iterator[Trigger]:
    into = node.graph.once("edges", lambda: _edges(node.graph))
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(node, ())]
    seen = {node}
    while waiting:
        reached, through = waiting.pop(0)
        for edge in into.get(reached, []):
            if edge.begins:
                yield Trigger(edge.source, through, edge.delivery)
            elif len(through) < DEPTH - 1 and edge.source not in seen:
                seen.add(edge.source)
                waiting.append((edge.source, (edge.source, *through)))


def _edges(graph: Graph) -> dict[Node, list[_Edge]]:
    """Return what leads to each thing that can be started."""
    into: dict[Node, list[_Edge]] = {}
    for deliveries, begins in ((beginnings(graph), True), (onward(graph), False)):
        for source, delivery, named in deliveries:
            target = started_of(named)
            if target is not None:
                into.setdefault(target, []).append(_Edge(source, delivery, begins))
    for function in graph.nodes(FUNCTION):
        for target in started_by_role(function, function["Role"]):
            into.setdefault(target, []).append(_Edge(function, function["Role"], begins=False))
    return into


def _open(graph: Graph) -> Iterator[Value]:
    for source, _, named in beginnings(graph):
        if source.type in (RULE, SCHEDULE, PIPE) and named.is_open and started_of(named) is None:
            text = (named.text or "").replace("::", "")
            if not named.references and (":" not in text or _MAY_TRAIN.search(text)):
                yield named
