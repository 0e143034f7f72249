"""Rules on what happens when an update of an endpoint goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.alarms import alarm_of, alarms_on_endpoint, alarms_that_may_watch
from ml_lens.rules.endpoints import ENDPOINT
from ml_lens.rules.rule import PRODUCTION_ERROR, rule
from ml_lens.rules.verdicts import Verdict, fails, must_be_at_least, must_hold, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

SHORTEST_WAIT_IN_SECONDS = 60


@rule(
    "REL01-RollbackAlarms",
    number=35,
    weight=PRODUCTION_ERROR,
    on=ENDPOINT,
    title="A bad update of an endpoint is rolled back by alarms.",
    why="With alarms and a gradual update, a model that fails in production is replaced before users report it.",
    fix=(
        "Give DeploymentConfig alarms on this endpoint in AutoRollbackConfiguration, and a BlueGreenUpdatePolicy with "
        "TerminationWaitInSeconds of at least 60, or a RollingUpdatePolicy."
    ),
    cloudformation="""
Type: AWS::SageMaker::Endpoint
Properties:
  DeploymentConfig:
    AutoRollbackConfiguration:
      Alarms:
        - AlarmName: !Ref EndpointErrors
    BlueGreenUpdatePolicy:
      TrafficRoutingConfiguration:
        Type: CANARY
        CanarySize: {Type: INSTANCE_COUNT, Value: 1}
        WaitIntervalInSeconds: 300
      TerminationWaitInSeconds: 300
""",
    lens2020="MLREL 01",
    lens2025="MLREL04-BP02",
    settled=(
        "Every alarm that is named has to watch this endpoint or an inference component on it; metric maths and "
        "composite alarms count with the metrics they combine.",
        "The name of an alarm that is not part of the app stays open.",
        "An absent TerminationWaitInSeconds is zero: the old instances are gone before an alarm can go off.",
        "Serverless endpoints are judged like others: they take blue/green updates too.",
    ),
)
def updates_are_rolled_back(endpoint: Node) -> Iterator[Verdict]:
    """Demand alarms on the endpoint, and an update that leaves them time."""
    deployment = endpoint["DeploymentConfig"]
    alarms = deployment["AutoRollbackConfiguration"]["Alarms"]
    yield must_hold(alarms, 1)
    if alarms.is_list:
        yield from (_must_watch(endpoint, alarm["AlarmName"]) for alarm in alarms.elements)
    yield _must_leave_time(deployment)


def _must_watch(endpoint: Node, name: Value) -> Verdict:
    alarm = alarm_of(name)
    if alarm is None:
        told = f"{name.path} is {name.shown}, which no alarm of the app is called, so nobody knows what it watches"
        return unknown(endpoint, told, path=name.path)
    if any(on.node is alarm for on in alarms_on_endpoint(endpoint)):
        return passes(endpoint)
    told = f"{name.path} names {alarm.logical_id}, which does not watch this endpoint"
    if any(on.node is alarm for on, _ in alarms_that_may_watch(endpoint)):
        return unknown(endpoint, f"{told} unless its dimension EndpointName says so", path=name.path)
    return fails(endpoint, told, path=name.path)


def _must_leave_time(deployment: Value) -> Verdict:
    if deployment["RollingUpdatePolicy"]:
        return passes(deployment.node)
    blue_green = deployment["BlueGreenUpdatePolicy"]
    if not blue_green:
        told = "DeploymentConfig has neither a BlueGreenUpdatePolicy nor a RollingUpdatePolicy"
        return fails(deployment.node, told, path=blue_green.path)
    return must_be_at_least(blue_green["TerminationWaitInSeconds"], SHORTEST_WAIT_IN_SECONDS)


RULES = (updates_are_rolled_back,)
