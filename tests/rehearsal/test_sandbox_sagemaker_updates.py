"""Endpoints of the sandbox while they change: nobody's call is lost, and what goes wrong goes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ml_lens.rehearsal.sandbox import Sandbox
from tests.rehearsal.hosted import NAME, READ, Hosting
from tests.rehearsal.made_to_measure import Role

pytestmark = pytest.mark.xdist_group("sandbox")


@contextmanager
def asking(hosting: Hosting) -> Iterator[list[str]]:
    """Ask without pause, and tell the versions that answered; a call that fails ends the test."""
    versions: list[str] = []
    failed: list[ClientError] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                versions.append(hosting.ask()[1])
            except ClientError as failure:
                failed.append(failure)

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for each in callers:
        each.start()
    try:
        yield versions
    finally:
        over.set()
        for each in callers:
            each.join()
    assert failed == []


@pytest.mark.lens("HST-04")
def test_no_request_is_lost_while_the_model_is_replaced(hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0")))
    new = hosting.alone(hosting.model("2.0.0"))
    with asking(hosting) as versions:
        hosting.update(new)
        time.sleep(0.3)
    assert {*versions} == {"1.0.0", "2.0.0"}


def test_an_update_keeps_weights_and_instances_where_it_is_asked_to(hosting: Hosting) -> None:
    models = hosting.model("1.0.0"), hosting.model("2.0.0")
    hosting.endpoint(hosting.config({"A": (models[0], 5), "B": (models[1], 1)}, count=2))
    new = hosting.config({"A": (models[0], 1), "B": (models[1], 1)})
    kept = hosting.update(
        new,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    told = [(each["CurrentWeight"], each["CurrentInstanceCount"]) for each in kept["ProductionVariants"]]
    assert told == [(1.0, 2), (1.0, 2)]


def test_a_canary_that_nothing_is_wrong_with_takes_over_in_steps(hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0"), count=2))
    new = hosting.alone(hosting.model("2.0.0"), count=2)
    with asking(hosting) as versions:
        found = hosting.update(new, DeploymentConfig=canary([]))
    assert found["EndpointConfigName"] == new
    assert found["LastDeploymentConfig"] == canary([])
    first = versions.index("2.0.0")
    assert "1.0.0" in versions[first:]


def test_an_alarm_takes_the_canary_back_and_only_its_share_of_calls_failed(
    hosting: Hosting, sandbox: Sandbox, server: Role
) -> None:
    server.may(READ, {"Action": "cloudwatch:DescribeAlarms", "Resource": "*"})
    _alarm(sandbox)
    before = hosting.alone(hosting.model("1.0.0"), count=2)
    hosting.endpoint(before)
    new = hosting.alone(hosting.model("2.0.0", key="broken"), count=2)
    outcomes = {"answered": 0, "failed": 0}
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                hosting.ask()
                outcomes["answered"] += 1
            except ClientError:
                outcomes["failed"] += 1

    caller = threading.Thread(target=ask)
    caller.start()
    found = hosting.update(new, DeploymentConfig=canary(["calls-fail"]))
    over.set()
    caller.join()
    assert found["EndpointConfigName"] == before
    assert "calls-fail" in found["FailureReason"]
    assert 0 < outcomes["failed"] < outcomes["answered"]
    assert {hosting.ask() for _ in range(5)} == {("AllTraffic", "1.0.0")}
    (alarm,) = sandbox.client("cloudwatch").describe_alarms(AlarmNames=["calls-fail"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"


def test_alarms_that_the_role_may_not_look_at_stop_the_deployment(hosting: Hosting, sandbox: Sandbox) -> None:
    _alarm(sandbox)
    hosting.endpoint(hosting.alone(hosting.model("1.0.0"), count=2))
    found = hosting.update(
        hosting.alone(hosting.model("2.0.0"), count=2), DeploymentConfig=canary(["calls-fail"])
    )
    assert "not authorized to perform: cloudwatch:DescribeAlarms" in found["FailureReason"]


def canary(alarms: list[str]) -> dict[str, Any]:
    """Return a canary of a fifth of the instances, for ten minutes."""
    size = {"Type": "CAPACITY_PERCENT", "Value": 20}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 600,
                "CanarySize": size,
            },
            "TerminationWaitInSeconds": 300,
        },
        **(
            {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}
            if alarms
            else {}
        ),
    }


def _alarm(sandbox: Sandbox) -> None:
    sandbox.client("cloudwatch").put_metric_alarm(
        AlarmName="calls-fail",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": NAME},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=2,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
