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
    from ml_lens.rules.values import Value

ALARM: Final = "AWS::CloudWatch::Alarm"
COMPOSITE: Final = "AWS::CloudWatch::CompositeAlarm"
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


def alarms(graph: Graph) -> list[Alarm]:
    """Return every alarm of the app."""
    return graph.once("alarms", lambda: _alarms(graph))


def alarm_of(value: Value) -> Node | None:
    """Return the alarm of the app that ``value`` names: by reference, ARN or name."""
    graph = value.node.graph
    for node in value.references:
        if node.type in (ALARM, COMPOSITE):
            return node
    return graph.once("alarms by name", lambda: _by_name(graph)).get(_plain(value))


def alarms_on_endpoint(endpoint: Node) -> list[Alarm]:
    """Return the alarms on an endpoint or on the inference components that run on it."""
    return endpoint.graph.once("alarms of endpoints", lambda: _of_endpoints(endpoint.graph)).get(endpoint, [])


def alarms_on_unknown_endpoints(graph: Graph) -> list[Alarm]:
    """Return the alarms on an endpoint of which only a deployment knows which one it is."""
    return graph.once("alarms of endpoints", lambda: _of_endpoints(graph)).get(None, [])


def _alarms(graph: Graph) -> list[Alarm]:
    single = {node: Alarm(node, tuple(_metrics(node)), node["AlarmActions"]) for node in graph.nodes(ALARM)}
    composite = [
        Alarm(
            node,
            tuple(metric for child in _children(node, depth=0) for metric in single[child].metrics),
            node["AlarmActions"],
        )
        for node in graph.nodes(COMPOSITE)
    ]
    return [*single.values(), *composite]


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
    named = composite.graph.once("alarms by name", lambda: _by_name(composite.graph))
    children = [node for node in rule.references if node.type in (ALARM, COMPOSITE)]
    children += [
        named[name]
        for name in (_last(found[1]) for found in _IN_ALARM.finditer(rule.text or ""))
        if name in named
    ]
    found: dict[Node, None] = {}
    for child in children:
        inner = [child] if child.type == ALARM else _children(child, depth=depth + 1) if depth < 10 else []
        found.update(dict.fromkeys(inner))
    return list(found)


def _by_name(graph: Graph) -> dict[object, Node]:
    return {node["AlarmName"].identity: node for node in graph.nodes(ALARM, COMPOSITE) if node["AlarmName"]}


def _plain(value: Value) -> object:
    text = value.literal
    return _last(text) if isinstance(text, str) else value.identity


def _last(name: str) -> str:
    """Return the name of an alarm from its ARN, or the name itself."""
    return name.strip().rsplit(":alarm:", 1)[-1]


def _of_endpoints(graph: Graph) -> dict[Node | None, list[Alarm]]:
    """Return the alarms of each endpoint; under ``None`` those of endpoints that nobody knows."""
    found: dict[Node | None, list[Alarm]] = {}
    for alarm in alarms(graph):
        endpoints: dict[Node | None, None] = {}
        for value in (value for metric in alarm.metrics for value in _endpoint_names(metric)):
            endpoint = named(value, ENDPOINT)
            if endpoint is not None or value.is_open:
                endpoints[endpoint] = None
        for endpoint in endpoints:
            found.setdefault(endpoint, []).append(alarm)
    return found


def _endpoint_names(metric: Metric) -> Iterator[Value]:
    for dimension in ("EndpointName", "Endpoint"):  # Model Monitor says Endpoint
        if dimension in metric.dimensions:
            yield metric.dimensions[dimension]
    component = metric.dimensions.get("InferenceComponentName")
    if component is not None:
        runs_on = named(component, COMPONENT)
        yield component if runs_on is None else runs_on["EndpointName"]
