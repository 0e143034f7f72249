"""What tells of an endpoint that fails, is late or is busy."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import Duration

from ml_lens.foundation import AlarmTopic
from ml_lens.hosting import Instances
from tests.stacks.synthesis import new_app
from tests.stacks.template import text
from tests.unit.serving import ALARM, PRODUCTION, host, name, template


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


@pytest.mark.lens("MON-02")
def test_failing_late_and_refused_answers_are_told_of(stack: cdk.Stack) -> None:
    hosted = host(stack, latency_slo=Duration.millis(200))
    AlarmTopic(stack, "Tell", posture=PRODUCTION).tell_of(hosted.alarms)
    made = template(stack)
    errors, latency, refused = (made.one(ALARM, f"Churn{of}Alarm") for of in ("Errors", "Latency", "Refused"))
    assert (errors["MetricName"], errors["Statistic"], errors["Threshold"]) == (
        "Invocation5XXErrors",
        "Sum",
        0,
    )
    # In microseconds.
    assert (latency["MetricName"], latency["ExtendedStatistic"], latency["Threshold"]) == (
        "ModelLatency",
        "p99",
        200_000,
    )
    counted = {
        each["MetricStat"]["Metric"]["MetricName"] for each in refused["Metrics"] if "MetricStat" in each
    }
    assert counted == {"Invocation4XXErrors", "Invocations"}
    for alarm in (errors, latency, refused):
        assert alarm["AlarmActions"] == [{"Ref": made.id("AWS::SNS::Topic", "Tell")}]


@pytest.mark.lens("MON-01")
@pytest.mark.parametrize(
    ("type", "cores"), [("ml.m5.large", 2), ("ml.c7i.xlarge", 4), ("ml.m5.24xlarge", 96), ("ml.t2.medium", 2)]
)
def test_instances_are_watched_by_cpu_memory_and_disk(stack: cdk.Stack, type: str, cores: int) -> None:
    hosted = host(stack, capacity=Instances(type=type))
    made = template(stack)
    watched = {
        alarm["MetricName"]: alarm["Threshold"]
        for alarm in made.resources(ALARM).values()
        if alarm.get("Namespace") == "/aws/sagemaker/Endpoints"
    }
    # SageMaker adds up the percents of the cores.
    assert watched == {"CPUUtilization": 85 * cores, "MemoryUtilization": 85, "DiskUtilization": 85}
    assert len(hosted.alarms) == len(made.resources(ALARM)) == 6


@pytest.mark.lens("MON-01")
@pytest.mark.parametrize(
    ("type", "gpus"),
    [
        ("ml.g5.xlarge", 1),
        ("ml.g4dn.12xlarge", 4),
        ("ml.g6e.48xlarge", 8),
        ("ml.p2.8xlarge", 8),
        ("ml.p3.16xlarge", 8),
        ("ml.p4d.24xlarge", 8),
        ("ml.p5.4xlarge", 1),
        ("ml.p6-b200.48xlarge", 8),
    ],
)
def test_gpus_are_watched_where_there_are_any(stack: cdk.Stack, type: str, gpus: int) -> None:
    host(stack, capacity=Instances(type=type))
    made = template(stack)
    watched = {
        alarm["MetricName"]: alarm["Threshold"]
        for alarm in made.resources(ALARM).values()
        if alarm.get("MetricName", "").startswith("GPU")
    }
    # SageMaker adds up the percents of the GPUs.
    assert watched == {"GPUUtilization": 85 * gpus, "GPUMemoryUtilization": 85 * gpus}
    shown = text(made.only("AWS::CloudWatch::Dashboard")["DashboardBody"])
    assert '"GPUUtilization"' in shown


def test_the_dashboard_shows_the_endpoint(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    shown = text(made.only("AWS::CloudWatch::Dashboard")["DashboardBody"])
    assert name(made) in shown
    for metric in ("Invocations", "Invocation5XXErrors", "ModelLatency", "CPUUtilization", "DiskUtilization"):
        assert f'"{metric}"' in shown


def test_metrics_are_those_of_the_variant(stack: cdk.Stack) -> None:
    hosted = host(stack)
    shown = {
        metric.metric_name: (metric.namespace, metric.statistic, metric.period.to_seconds())
        for metric in (hosted.metric_invocations(), hosted.metric_latency(), hosted.metric_errors())
    }
    assert shown == {
        "Invocations": ("AWS/SageMaker", "Sum", 60),
        "ModelLatency": ("AWS/SageMaker", "p99", 60),
        "Invocation5XXErrors": ("AWS/SageMaker", "Sum", 60),
    }
    assert hosted.metric_errors().dimensions == {
        "EndpointName": hosted.endpoint_name,
        "VariantName": "AllTraffic",
    }
