"""What starts a state machine, a pipeline or a function: schedules, events, alarms and new data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.deliveries import BEGIN, PASS_ON, PIPE, RULE, SCHEDULE, beginnings, onward, switch
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


@dataclass(frozen=True)
class _Edge:
    """One thing starting another; without a ``delivery`` it only passes on."""

    source: Node
    delivery: Value | None


def triggers_of(node: Node) -> list[Trigger]:
    """Return what starts ``node``, in at most three steps; what is turned off starts nothing."""
    return node.graph.once(("triggers", node.key), lambda: list(_triggers(node)))


def open_deliveries(graph: Graph) -> list[Value]:
    """Return the targets of rules, schedules and pipes that only a deployment knows."""
    return graph.joined("open deliveries", (RULE, SCHEDULE, PIPE), _open).at(None)


def _triggers(node: Node) -> Iterator[Trigger]:
    graph = node.graph
    into = graph.joined("edges", (*BEGIN, *PASS_ON, FUNCTION), _edges)
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(node, ())]
    seen = {node}
    while waiting:
        reached, through = waiting.pop(0)
        for edge in sorted(into.at(reached), key=lambda edge: edge.delivery is None):
            if edge.delivery is not None:
                yield Trigger(edge.source, through, edge.delivery)
            elif len(through) < DEPTH - 1 and edge.source not in seen:
                seen.add(edge.source)
                waiting.append((edge.source, (edge.source, *through)))


def _edges(node: Node) -> Iterator[tuple[Node, _Edge]]:
    """Yield what ``node`` says of who starts whom."""
    for deliveries, begins in ((beginnings(node), True), (onward(node), False)):
        for source, delivery, named in deliveries:
            target = started_of(named)
            if target is not None:
                yield target, _Edge(source, delivery if begins else None)
    if node.type == FUNCTION:
        for target in started_by_role(node, node["Role"]):
            yield target, _Edge(node, None)


def _open(node: Node) -> Iterator[tuple[None, Value]]:
    for _, _, named in beginnings(node):
        if named.is_open and started_of(named) is None:
            text = (named.text or "").replace("::", "")
            if not named.references and (":" not in text or _MAY_TRAIN.search(text)):
                yield None, named
