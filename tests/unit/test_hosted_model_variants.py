"""Two models behind one endpoint: a test of two that answer, and a shadow that only listens."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from ml_lens.foundation import PropError
from ml_lens.hosting import Deployment, HostedModel, Instances
from tests.stacks.synthesis import new_app
from tests.stacks.template import Template, text
from tests.unit.serving import (
    ALARM,
    CONFIG,
    ENDPOINT,
    MODEL,
    PRODUCTION,
    SANDBOX,
    SCALING,
    TARGET,
    TEN,
    host,
    model,
    name,
    said,
    template,
)


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


def ab_test(stack: cdk.Stack, capacity: Instances | None = None, **props: Any) -> HostedModel:
    challenger = Deployment.ab_test(b=model(stack, 2), **props)
    return host(stack, deployment=challenger, capacity=capacity)


def shadow(stack: cdk.Stack, capacity: Instances | None = None, **props: Any) -> HostedModel:
    candidate = Deployment.shadow(candidate=model(stack, 2), **props)
    return host(stack, deployment=candidate, capacity=capacity)


def served(made: Template, variant: Mapping[str, Any]) -> str:
    """Where the artifact of a variant is, without its bucket."""
    properties = made.resources(MODEL)[variant["ModelName"]["Fn::GetAtt"][0]]
    return text(properties["PrimaryContainer"]["ModelDataUrl"]).partition("/churn/")[2]


def watched(made: Template) -> dict[tuple[str, str], str]:
    """Return the ids of all alarms on one metric, by variant and metric."""
    return {
        (dimension["Value"], alarm["MetricName"]): id
        for id, alarm in made.resources(ALARM).items()
        for dimension in alarm.get("Dimensions", ())
        if dimension["Name"] == "VariantName"
    }


@pytest.mark.lens("AB-01", "AB-03", "AB-04", "CHG-13", "HST-03", "HST-09")
def test_a_test_begins_with_equal_shares_on_equal_instances(stack: cdk.Stack) -> None:
    hosted = ab_test(stack)
    made = template(stack)
    a, b = made.only(CONFIG)["ProductionVariants"]
    assert (a["VariantName"], b["VariantName"]) == hosted.variants == ("A", "B")
    assert a["InitialVariantWeight"] == b["InitialVariantWeight"]
    assert (served(made, a), served(made, b)) == ("1/model.tar.gz", "2/model.tar.gz")
    assert {**a, "VariantName": "", "ModelName": ""} == {**b, "VariantName": "", "ModelName": ""}
    assert "ShadowProductionVariants" not in made.only(CONFIG)
    assert hosted.model_versions == {"A": "1.0.0", "B": "2.0.0"}
    assert (hosted.model_version, hosted.shadow_variant) == ("1.0.0", None)


@pytest.mark.lens("HST-03")
def test_shares_may_be_other_ones(stack: cdk.Stack) -> None:
    ab_test(stack, weights=(90, 10))
    weights = [each["InitialVariantWeight"] for each in template(stack).only(CONFIG)["ProductionVariants"]]
    assert weights == [90, 10]


def test_both_models_may_be_named_by_the_test(stack: cdk.Stack) -> None:
    host(stack, model=None, deployment=Deployment.ab_test(a=model(stack, 1), b=model(stack, 2)))
    made = template(stack)
    assert [served(made, each) for each in made.only(CONFIG)["ProductionVariants"]] == [
        "1/model.tar.gz",
        "2/model.tar.gz",
    ]


def test_shares_and_instances_that_were_changed_are_kept(stack: cdk.Stack) -> None:
    ab_test(stack, Instances(least=2, most=2))
    endpoint = template(stack).only(ENDPOINT)
    assert endpoint["RetainAllVariantProperties"] is True
    assert "ExcludeRetainedVariantProperties" not in endpoint


@pytest.mark.lens("SCL-05")
def test_both_variants_of_a_test_scale(stack: cdk.Stack) -> None:
    ab_test(stack, Instances(least=2, most=5))
    made = template(stack)
    scaled = {
        text(target["ResourceId"]).rpartition("/")[2]: (target["MinCapacity"], target["MaxCapacity"])
        for target in made.resources(TARGET).values()
    }
    assert scaled == {"A": (2, 5), "B": (2, 5)}
    assert {policy["ScalingTargetId"]["Ref"] for policy in made.resources(SCALING).values()} == set(
        made.resources(TARGET)
    )


@pytest.mark.lens("CHG-05", "CHG-07", "F9-06")
def test_either_variant_of_a_test_rolls_an_update_back(stack: cdk.Stack) -> None:
    hosted = ab_test(stack, bake=TEN)
    made = template(stack)
    config = made.only(ENDPOINT)["DeploymentConfig"]
    on = watched(made)
    assert {alarm["AlarmName"]["Ref"] for alarm in config["AutoRollbackConfiguration"]["Alarms"]} == {
        on[variant, metric] for variant in "AB" for metric in ("Invocation5XXErrors", "ModelLatency")
    }
    assert len(hosted.guards) == 4
    # SageMaker rolls no endpoint that has several variants.
    assert "RollingUpdatePolicy" not in config
    assert config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert config["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 600


@pytest.mark.parametrize("deploy", [ab_test, shadow])
def test_an_update_that_changes_the_names_of_variants_goes_without_a_guard(
    stack: cdk.Stack, deploy: Any
) -> None:
    deploy(stack, guarded=False)
    assert "DeploymentConfig" not in template(stack).only(ENDPOINT)


@pytest.mark.lens("MON-01", "MON-02")
@pytest.mark.parametrize(("deploy", "names"), [(ab_test, "A B"), (shadow, "AllTraffic Shadow")])
def test_every_variant_is_watched(stack: cdk.Stack, deploy: Any, names: str) -> None:
    hosted = deploy(stack)
    made = template(stack)
    metrics = (
        "Invocation5XXErrors",
        "ModelLatency",
        "CPUUtilization",
        "MemoryUtilization",
        "DiskUtilization",
    )
    assert set(watched(made)) == {(variant, metric) for variant in names.split() for metric in metrics}
    refused = {
        dimension["Value"]
        for alarm in made.resources(ALARM).values()
        for metric in alarm.get("Metrics", ())
        for dimension in metric.get("MetricStat", {}).get("Metric", {}).get("Dimensions", ())
        if dimension["Name"] == "VariantName"
    }
    assert refused == set(names.split())
    assert len(hosted.alarms) == len(made.resources(ALARM)) == 12


@pytest.mark.parametrize(("deploy", "names"), [(ab_test, "A B"), (shadow, "AllTraffic Shadow")])
def test_the_dashboard_compares_variants(stack: cdk.Stack, deploy: Any, names: str) -> None:
    deploy(stack)
    body = text(template(stack).only("AWS::CloudWatch::Dashboard")["DashboardBody"])
    widgets = json.loads(body.replace("<AWS::Region>", "eu-west-1"))["widgets"]
    shown = {
        widget["properties"]["title"]: [metric[5] for metric in widget["properties"]["metrics"]]
        for widget in widgets
    }
    first, second = names.split()
    assert shown["Latency in microseconds, of 99 %"] == [first, second]
    assert set(shown[f"{second}: Instances in percent"]) == {second}


def test_metrics_are_those_of_the_variant_that_is_asked_for(stack: cdk.Stack) -> None:
    hosted = ab_test(stack)
    assert hosted.metric_latency().dimensions == {"EndpointName": hosted.endpoint_name, "VariantName": "A"}
    for metric in (hosted.metric_latency("B"), hosted.metric_errors("B"), hosted.metric_invocations("B")):
        assert (metric.dimensions or {})["VariantName"] == "B"
    with pytest.raises(PropError, match="there is no 'AllTraffic'; there are A, B"):
        hosted.metric_latency("AllTraffic")


def test_one_role_reads_both_artifacts(stack: cdk.Stack) -> None:
    ab_test(stack)
    reading = {arn for each in said(template(stack), "s3:GetObject") for arn in each.resources}
    assert {arn.partition("/")[2] for arn in reading} == {"churn/1/model.tar.gz", "churn/2/model.tar.gz"}


@pytest.mark.lens("MDL-04", "MDL-05", "ISO-01")
@pytest.mark.parametrize("deploy", [ab_test, shadow])
def test_what_runs_beside_is_isolated_like_the_model(stack: cdk.Stack, deploy: Any) -> None:
    deploy(stack)
    first, second = template(stack).resources(MODEL).values()
    assert first["EnableNetworkIsolation"] is second["EnableNetworkIsolation"] is True
    assert first["VpcConfig"] == second["VpcConfig"]
    tags = sorted(tag["Value"] for each in (first, second) for tag in each["Tags"])
    assert tags == ["1.0.0", "2.0.0"]


@pytest.mark.lens("HST-09")
@pytest.mark.parametrize(("sampling", "weight"), [(100, 1), (5, 0.05)])
def test_a_shadow_gets_copies_of_a_share_of_the_calls(stack: cdk.Stack, sampling: int, weight: float) -> None:
    hosted = shadow(stack, sampling=sampling)
    made = template(stack)
    (live,), (copy,) = (
        made.only(CONFIG)[kind] for kind in ("ProductionVariants", "ShadowProductionVariants")
    )
    assert (live["VariantName"], copy["VariantName"]) == ("AllTraffic", "Shadow")
    assert copy["InitialVariantWeight"] / live["InitialVariantWeight"] == weight
    assert (served(made, live), served(made, copy)) == ("1/model.tar.gz", "2/model.tar.gz")
    assert (hosted.variants, hosted.shadow_variant) == (("AllTraffic",), "Shadow")


def test_a_shadow_that_fails_rolls_nothing_back(stack: cdk.Stack) -> None:
    hosted = shadow(stack)
    made = template(stack)
    config = made.only(ENDPOINT)["DeploymentConfig"]["AutoRollbackConfiguration"]
    on = watched(made)
    assert {alarm["AlarmName"]["Ref"] for alarm in config["Alarms"]} == {
        on["AllTraffic", "Invocation5XXErrors"],
        on["AllTraffic", "ModelLatency"],
    }
    assert len(hosted.guards) == 2
    told = made.resources(ALARM)[on["Shadow", "Invocation5XXErrors"]]["AlarmDescription"]
    assert "the shadow, whose answers nobody gets" in told


def test_the_share_of_a_shadow_is_that_of_the_template(stack: cdk.Stack) -> None:
    shadow(stack, Instances(least=2, most=4))
    made = template(stack)
    endpoint = made.only(ENDPOINT)
    assert endpoint["RetainAllVariantProperties"] is True
    assert endpoint["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DesiredWeight"}]
    assert text(made.only(TARGET)["ResourceId"]).endswith("/variant/AllTraffic")


@pytest.mark.parametrize(("posture", "count"), [(SANDBOX, 1), (PRODUCTION, 2)])
def test_a_test_runs_on_the_fewest_instances_of_its_posture(
    stack: cdk.Stack, posture: Any, count: int
) -> None:
    host(stack, posture=posture, deployment=Deployment.ab_test(b=model(stack, 2)))
    variants = template(stack).only(CONFIG)["ProductionVariants"]
    assert [each["InitialInstanceCount"] for each in variants] == [count, count]


def test_the_resources_of_the_first_model_keep_their_ids(stack: cdk.Stack) -> None:
    ab_test(stack)
    made = template(stack)
    assert made.id(MODEL, "ChurnModel")
    assert made.id(MODEL, "ChurnBModel")
    assert name(made)
