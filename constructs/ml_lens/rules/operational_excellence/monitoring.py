"""Rules on how an endpoint is watched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.alarms import Alarm, alarms_on_endpoint, alarms_that_may_watch
from ml_lens.rules.rule import PRODUCTION_ERROR, WARNING, rule
from ml_lens.rules.sagemaker_names import ENDPOINT
from ml_lens.rules.verdicts import FAIL, Verdict, any_of, fails, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

DASHBOARD: Final = "AWS::CloudWatch::Dashboard"
STREAM: Final = "AWS::CloudWatch::MetricStream"
FIREHOSE: Final = "AWS::KinesisFirehose::DeliveryStream"
_WATCHED: Final = {
    "errors": (r"5XXErrors|ModelErrors|InvocationsFailed", "5XX or model errors"),
    "latency": (r"Latency|TimeInBacklog|TotalProcessingTime", "latency"),
    "resource": (r"Utilization", "CPU, memory, disk or GPU"),
}
_SEARCHES: Final = (
    "AmazonopensearchserviceDestinationConfiguration",
    "AmazonOpenSearchServerlessDestinationConfiguration",
    "ElasticsearchDestinationConfiguration",
)
_WORD: Final = re.compile(r'"([^"]*)"')
_NAMESPACES: Final = ("AWS/SageMaker", "/aws/sagemaker/Endpoints")


@rule(
    "OPS05-EndpointAlarms",
    number=51,
    weight=PRODUCTION_ERROR,
    on=ENDPOINT,
    title="Alarms watch the errors, the latency and the instances of every endpoint, and tell somebody.",
    why="An endpoint that fails or slows down is noticed by its users first unless an alarm is on it.",
    fix=(
        "Put alarms on Invocation5XXErrors or InvocationModelErrors, on ModelLatency and on CPUUtilization or "
        "MemoryUtilization of the endpoint, each with AlarmActions."
    ),
    cloudformation="""
Type: AWS::CloudWatch::Alarm
Properties:
  Namespace: AWS/SageMaker
  MetricName: Invocation5XXErrors
  Dimensions:
    - {Name: EndpointName, Value: !GetAtt Endpoint.EndpointName}
    - {Name: VariantName, Value: main}
  Statistic: Sum
  Period: 60
  EvaluationPeriods: 5
  Threshold: 1
  ComparisonOperator: GreaterThanOrEqualToThreshold
  AlarmActions: [!Ref OnCall]
""",
    findings={
        "errors": "No alarm watches the errors of the endpoint.",
        "latency": "No alarm watches the latency of the endpoint.",
        "resource": "No alarm watches the CPU, memory, disk or GPU of the endpoint.",
        "action": "An alarm on the endpoint tells nobody.",
    },
    lens2020=("MLOPS 05", "MLPER 01", "MLPER 02"),
    lens2025="MLOPS05-BP01",
    same_as=("SecurityHub:CloudWatch.15", "cdk-nag:HIPAA.Security-CloudWatchAlarmAction"),
    settled=(
        "Metrics inside a calculation count, and a composite alarm acts for the alarms that it combines.",
        "One alarm with an action is enough for each of the three.",
        "Alarms that only roll back a deployment act only during one, so they need an action too.",
        "An alarm on an inference component counts for the endpoint on which it runs.",
        "4XX errors are those of the callers: an alarm on them alone does not count.",
    ),
)
def endpoint_has_alarms(endpoint: Node) -> Iterator[Verdict]:
    """Look for an alarm of each kind, then for its actions."""
    on_endpoint = alarms_on_endpoint(endpoint)
    for part, (pattern, what) in _WATCHED.items():
        watching = _that_watch(on_endpoint, pattern)
        verdict = _acting(watching) if watching else _unwatched(endpoint, part, pattern, what)
        yield verdict.as_warning() if part == "resource" else verdict


def _that_watch(alarms: list[Alarm], pattern: str) -> list[Alarm]:
    return [alarm for alarm in alarms if any(metric.is_called(pattern) for metric in alarm.metrics)]


def _acting(watching: list[Alarm]) -> Verdict:
    verdict = any_of(*(alarm.acts for alarm in watching))
    return verdict.named("action") if verdict.answer is FAIL else verdict


def _unwatched(endpoint: Node, part: str, pattern: str, what: str) -> Verdict:
    """Say that no alarm watches, unless one that does may be on this endpoint."""
    for alarm, name in alarms_that_may_watch(endpoint):
        if _that_watch([alarm], pattern):
            told = f"whether {alarm.node.logical_id} watches it is not known here, and no other alarm watches {what}"
            return unknown(name.node, f"{endpoint.logical_id}: {told}", path=name.path)
    for alarm in alarms_on_endpoint(endpoint):
        for metric in alarm.metrics:
            if metric.name.is_open:
                told = f"{metric.name.path} is {metric.name.shown}, and no other alarm watches {what}"
                return unknown(alarm.node, told, path=metric.name.path)
    return fails(endpoint, f"no alarm watches its {what}").named(part)


@rule(
    "OPS05-CentralDashboard",
    number=54,
    weight=WARNING,
    on=ENDPOINT,
    title="Every endpoint is on a dashboard.",
    why="Who looks for a cause needs the metrics of all parts side by side.",
    fix="Put the endpoint on a dashboard, or stream the metrics of SageMaker through Firehose to OpenSearch.",
    cloudformation="""
Type: AWS::CloudWatch::Dashboard
Properties:
  DashboardBody: !Sub |
    {"widgets": [{"type": "metric", "properties": {"region": "${AWS::Region}", "metrics":
      [["AWS/SageMaker", "Invocations", "EndpointName", "${Endpoint.EndpointName}", "VariantName", "main"]]}}]}
""",
    lens2020=("MLOPS 05", "MLOPS 07"),
    lens2025="MLOPS06-BP02",
    settled=(
        "A dashboard that searches for all metrics of SageMaker shows every endpoint.",
        "A metric stream counts when it leaves SageMaker in and its delivery stream ends in OpenSearch.",
    ),
)
def endpoint_is_on_a_dashboard(endpoint: Node) -> Verdict:
    """Look through the dashboards, then for a stream of metrics."""
    graph = endpoint.graph
    if graph.once("searchable metrics", lambda: _streams_metrics(graph)):
        return passes(endpoint)
    boards = graph.once("dashboards", lambda: _Boards.of(graph))
    if boards.searches or endpoint in boards.endpoints or endpoint["EndpointName"].text in boards.words:
        return passes(endpoint)
    if boards.hidden is not None:
        body = boards.hidden
        return unknown(body.node, f"{body.path} is {body.shown}, which may show the endpoint", path=body.path)
    return fails(endpoint, "is on no dashboard, and no metric stream leads to OpenSearch")


@dataclass(frozen=True, eq=False)
class _Boards:
    """What all dashboards show together.

    Attributes:
        endpoints: The resources that they refer to.
        words: The strings in them.
        searches: Whether one searches for all metrics of SageMaker.
        hidden: The body of one that only a deployment knows.
    """

    endpoints: set[Node]
    words: set[str]
    searches: bool
    hidden: Value | None

    @classmethod
    def of(cls, graph: Graph) -> _Boards:
        bodies = [dashboard["DashboardBody"] for dashboard in graph.nodes(DASHBOARD)]
        texts = [(body.text or "").replace("\\", "") for body in bodies]
        known = [any(isinstance(part, str) for part in body.parts) for body in bodies]
        return cls(
            endpoints={node for body in bodies for node in body.references},
            words={word for text in texts for word in _WORD.findall(text)},
            searches=any("SEARCH(" in text and "AWS/SageMaker" in text for text in texts),
            hidden=next(
                (body for body, known_body in zip(bodies, known, strict=True) if not known_body), None
            ),
        )


def _streams_metrics(graph: Graph) -> bool:
    return any(
        _leaves_in(stream) and _ends_in_search(graph.target(stream["FirehoseArn"], FIREHOSE))
        for stream in graph.nodes(STREAM)
    )


def _leaves_in(stream: Node) -> bool:
    included = [each["Namespace"].literal for each in stream["IncludeFilters"].elements]
    excluded = [each["Namespace"].literal for each in stream["ExcludeFilters"].elements]
    return any((not included or name in included) and name not in excluded for name in _NAMESPACES)


def _ends_in_search(delivery: Node | None) -> bool:
    return delivery is not None and any(delivery[destination] for destination in _SEARCHES)


RULES = (endpoint_has_alarms, endpoint_is_on_a_dashboard)
