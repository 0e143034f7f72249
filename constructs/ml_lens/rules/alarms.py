"""What the app's alarms watch, and whom they tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.sagemaker_names import COMPONENT, ENDPOINT, named
from ml_lens.rules.verdicts import Verdict, all_of, must_hold, must_satisfy, passes, written

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.joins import Join
    from ml_lens.rules.values import Value

ALARM: Final = "AWS::CloudWatch::Alarm"
COMPOSITE: Final = "AWS::CloudWatch::CompositeAlarm"
# Alarms on an endpoint that only a deployment knows, and on one whose name no endpoint of the app bears.
_ANY: Final = "any endpoint"
_OTHER: Final = "another endpoint"
_IN_ALARM: Final = re.compile(
    r'\b(?:ALARM|INSUFFICIENT_DATA)\s*\(\s*["\']?([^"\')]+)["\']?\s*\)', re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric that an alarm reads, by itself or in a calculation.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        dimensions: Its dimensions by name.
    """

    namespace: Value
    name: Value
    dimensions: dict[str, Value]

    def is_called(self, pattern: str) -> bool:
        """Whether the name matches a regular expression somewhere, without regard to case."""
        return re.search(pattern, self.name.text or "", re.IGNORECASE) is not None


@dataclass(frozen=True, eq=False)
class Alarm:
    """An alarm; a composite one has the metrics of the alarms that it combines.

    Attributes:
        node: The resource.
        metrics: What it reads.
        actions: What happens when it goes off.
    """

    node: Node
    metrics: tuple[Metric, ...]
    actions: Value

    @property
    def acts(self) -> Verdict:
        """Whether something happens when it goes off."""
        enabled = self.node["ActionsEnabled"]
        switched = (
            must_satisfy(enabled, lambda found: written(found) != "false", "must not be false")
            if enabled
            else passes(self.node)
        )
        return all_of(must_hold(self.actions, 1), switched)


def read_alarm(node: Node) -> Alarm:
    """Return what an alarm, plain or composite, reads and does."""
    return node.graph.once(("alarm", node.key), lambda: _alarm(node))


def alarm_of(value: Value) -> Node | None:
    """Return the alarm of the app that ``value`` names: by reference, ARN or name."""
    graph = value.node.graph
    for node in value.references:
        if node.type in (ALARM, COMPOSITE):
            return node
    return _by_name(graph).last(_plain(value))


def alarms_on_endpoint(endpoint: Node) -> list[Alarm]:
    """Return the alarms on an endpoint or on the inference components that run on it."""
    return [read_alarm(node) for node in _watching(endpoint.graph).at(endpoint)]


def alarms_that_may_watch(endpoint: Node) -> list[tuple[Alarm, Value]]:
    """Return the alarms that may be on an endpoint, and the name of it that only a deployment knows."""
    found = _watching(endpoint.graph)
    several = [(alarm, _open_name(alarm)) for alarm in map(read_alarm, found.at(_ANY))]
    own = endpoint["EndpointName"]
    return [*several, *((read_alarm(node), own) for node in (found.at(_OTHER) if own.is_open else ()))]


def _alarm(node: Node) -> Alarm:
    single = [node] if node.type == ALARM else _children(node, depth=0)
    metrics = tuple(metric for each in single for metric in _metrics(each))
    return Alarm(node, metrics, node["AlarmActions"])


def _metrics(node: Node) -> Iterator[Metric]:
    whole = node.properties
    stats = [query["MetricStat"]["Metric"] for query in node["Metrics"].elements]
    for metric in ([whole] if whole["MetricName"] else []) + [stat for stat in stats if stat]:
        pairs = ((pair["Name"].literal, pair["Value"]) for pair in metric["Dimensions"].elements)
        dimensions = {str(name): value for name, value in pairs if name is not None}
        yield Metric(metric["Namespace"], metric["MetricName"], dimensions)


def _children(composite: Node, *, depth: int) -> list[Node]:
    """Return the plain alarms that a composite one combines, those of composite ones in it included."""
    rule = composite["AlarmRule"]
    by_name = _by_name(composite.graph)
    children = [node for node in rule.references if node.type in (ALARM, COMPOSITE)]
    children += [
        child
        for name in _IN_ALARM.finditer(rule.text or "")
        if (child := by_name.last(_last(name[1]))) is not None
    ]
    found: dict[Node, None] = {}
    for child in children:
        inner = [child] if child.type == ALARM else _children(child, depth=depth + 1) if depth < 10 else []
        found.update(dict.fromkeys(inner))
    return list(found)


def _by_name(graph: Graph) -> Join[object, Node]:
    return graph.joined("alarms by name", (ALARM, COMPOSITE), _own_name)


def _own_name(node: Node) -> Iterator[tuple[object, Node]]:
    if node["AlarmName"]:
        yield node["AlarmName"].identity, node


def _plain(value: Value) -> object:
    text = value.literal
    return _last(text) if isinstance(text, str) else value.identity


def _last(name: str) -> str:
    """Return the name of an alarm from its ARN, or the name itself."""
    return name.strip().rsplit(":alarm:", 1)[-1]


def _watching(graph: Graph) -> Join[Node | str, Node]:
    """Return the alarms of each endpoint, those of an endpoint that nobody knows, and those of others."""
    return graph.joined("alarms of endpoints", (ALARM, COMPOSITE), _watched)


def _watched(node: Node) -> Iterator[tuple[Node | str, Node]]:
    names = _names(read_alarm(node))
    endpoints = {named(value, ENDPOINT) or (_ANY if value.is_open else _OTHER): None for value in names}
    return ((endpoint, node) for endpoint in endpoints)


def _open_name(alarm: Alarm) -> Value:
    return next(value for value in _names(alarm) if value.is_open and named(value, ENDPOINT) is None)


def _names(alarm: Alarm) -> list[Value]:
    return [value for metric in alarm.metrics for value in _endpoint_names(metric)]


def _endpoint_names(metric: Metric) -> Iterator[Value]:
    for dimension in ("EndpointName", "Endpoint"):  # Model Monitor says Endpoint
        if dimension in metric.dimensions:
            yield metric.dimensions[dimension]
    component = metric.dimensions.get("InferenceComponentName")
    if component is not None:
        runs_on = named(component, COMPONENT)
        yield component if runs_on is None else runs_on["EndpointName"]
