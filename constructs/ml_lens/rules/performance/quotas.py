"""Rules on the quotas of AI services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.alarms import ALARM, COMPOSITE, Metric, read_alarm
from ml_lens.rules.functions import AI_SERVICES, FUNCTION, ai_services
from ml_lens.rules.policies import role_of
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.tasks import STATE_MACHINE, states
from ml_lens.rules.verdicts import Verdict, fails, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value


@rule(
    "PER02-AiServiceQuotaAlarms",
    number=59,
    weight=WARNING,
    on=(FUNCTION, STATE_MACHINE),
    title="An alarm watches the quota of every AI service that is called.",
    why="An AI service has no capacity to add: it refuses what exceeds the quota of the account.",
    fix="Put an alarm on the throttled calls of the service, or on its use in the namespace AWS/Usage.",
    cloudformation="""
Type: AWS::CloudWatch::Alarm
Properties:
  Namespace: AWS/Rekognition
  MetricName: ThrottledCount
  Dimensions: [{Name: Operation, Value: DetectFaces}]
  Statistic: Sum
  Period: 60
  EvaluationPeriods: 5
  Threshold: 0
  ComparisonOperator: GreaterThanThreshold
""",
    construct="ml_lens.ai_services.UploadAnalysis",
    lens2020="MLPER 02",
    lens2025="MLPERF02-BP02",
    settled=(
        "Rekognition, Comprehend, Transcribe, Translate, Textract and Polly are the AI services; what a role may call "
        "counts, and a wildcard on everything counts as all of them.",
        "One alarm for a service is enough for the whole app, whatever it does when it goes off.",
        "A metric of the app's own counts when throttling and the service are in its name, namespace or dimensions.",
        "Polly counts throttled calls among the 4XX errors, so an alarm on those counts.",
    ),
)
def quota_is_watched(caller: Node) -> Iterator[Verdict]:
    """Look for an alarm on each service that the role of a function or a state machine may call."""
    for service in AI_SERVICES:
        if service in _called(caller):
            yield _watched(caller, service)


def _called(caller: Node) -> set[str]:
    role = role_of(caller["Role" if caller.type == FUNCTION else "RoleArn"])
    called = set() if role is None else ai_services(role)
    for state in states(caller) if caller.type == STATE_MACHINE else ():
        called |= {service for service in AI_SERVICES if f":aws-sdk:{service}:" in state.resource.lower()}
    return called


def _watched(caller: Node, service: str) -> Verdict:
    found = caller.graph.joined("quota alarms", (ALARM, COMPOSITE), _quotas)
    if found.has((service, None)):
        return passes(caller)
    for hidden in found.at((service, "open")):
        told = f"{hidden.path} is {hidden.shown}, and no other alarm watches the quota of {service.title()}"
        return unknown(hidden.node, told, path=hidden.path)
    return fails(caller, f"calls {service.title()}, and no alarm watches its throttled calls or its use")


def _quotas(node: Node) -> Iterator[tuple[tuple[str, str | None], Value]]:
    """Yield the services that an alarm watches, and those of which a value hides whether it does."""
    for metric in read_alarm(node).metrics:
        for service in AI_SERVICES:
            if _watches(metric, service):
                yield (service, None), metric.name
            hidden = _hidden(metric, service)
            if hidden is not None:
                yield (service, "open"), hidden


def _watches(metric: Metric, service: str) -> bool:
    namespace = (metric.namespace.text or "").lower()
    if namespace == "aws/usage":
        return _about(service, (metric.dimensions.get("Service"),))
    counted = "throttl" in (metric.name.text or "").lower()
    if service == "polly" and namespace == "aws/polly":
        counted = counted or metric.is_called("^4XXCount$")
    return counted and _about(service, (metric.namespace, metric.name, *metric.dimensions.values()))


def _about(service: str, values: tuple[Value | None, ...]) -> bool:
    return any(value is not None and service in (value.text or "").lower() for value in values)


def _hidden(metric: Metric, service: str) -> Value | None:
    namespace = (metric.namespace.text or "").lower()
    if metric.namespace.is_open:
        return metric.namespace
    if namespace == "aws/usage":
        named = metric.dimensions.get("Service")
        return named if named is not None and named.is_open else None
    return metric.name if namespace == f"aws/{service}" and metric.name.is_open else None


RULES = (quota_is_watched,)
