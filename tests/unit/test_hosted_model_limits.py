"""What no endpoint can be is refused, with the reason and the way out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_s3 as s3

from ml_lens.foundation import AuditTrail, DerivedDataBucket, Posture, PropError
from ml_lens.hosting import (
    DataCapture,
    Deployment,
    InferencePipeline,
    Instances,
    ModelArtifact,
    ModelImage,
    ServedModel,
    Serverless,
)
from tests.stacks.synthesis import new_app
from tests.unit.serving import GUARDED, PRODUCTION, SANDBOX, TEN, host, model, network, network_of, problems


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


@pytest.mark.parametrize("deployment", [*GUARDED, Deployment.rolling(batch=50, wait=TEN)])
def test_what_moves_instances_needs_two_of_them(stack: cdk.Stack, deployment: Deployment) -> None:
    (problem,) = problems(stack, posture=SANDBOX, deployment=deployment)
    assert problem == (
        f"deployment: {deployment.spoken} needs at least 2 instances, got 1; raise capacity.least or use "
        "Deployment.all_at_once()"
    )
    host(
        stack, posture=SANDBOX, deployment=deployment, capacity=Instances(least=2), network=network_of(stack)
    )


@pytest.mark.parametrize("deployment", [*GUARDED, Deployment.rolling(batch=50, wait=TEN)])
def test_serverless_inference_moves_no_instances(stack: cdk.Stack, deployment: Deployment) -> None:
    (problem,) = problems(stack, network=None, capacity=Serverless(), deployment=deployment)
    assert "moves instances, of which serverless inference has none" in problem


def test_all_that_serverless_inference_lacks_is_named_at_once(stack: cdk.Stack) -> None:
    found = problems(
        stack,
        capacity=Serverless(memory_mib=1000, at_once=201),
        deployment=GUARDED[0],
        capture=DataCapture(),
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "capacity.memory_mib",
        "capacity.at_once",
        "deployment",
        "network",
        "capture",
    ]


@pytest.mark.parametrize("deployment", [Deployment.blue_green(), Deployment.all_at_once()])
def test_inf1_is_updated_without_a_guard(stack: cdk.Stack, deployment: Deployment) -> None:
    capacity = Instances(type="ml.inf1.xlarge")
    (problem,) = problems(stack, capacity=capacity, deployment=deployment)
    assert "SageMaker ignores Deployment." in problem
    host(stack, capacity=capacity, deployment=Deployment.standard(), network=network_of(stack))


@pytest.mark.parametrize(
    ("posture", "capacity", "problem"),
    [
        (
            PRODUCTION,
            Instances(least=1),
            "capacity.least: 1 is out of range; allowed are 2 to 1000 instances",
        ),
        (
            SANDBOX,
            Instances(least=0, most=1),
            "capacity.least: 0 is out of range; allowed are 1 to 1000 instances",
        ),
        (PRODUCTION, Instances(least=4, most=3), "capacity.most: 3 is out of range; allowed are 4 to 1000"),
        (SANDBOX, Instances(type="m5.large"), "capacity.type: 'm5.large' is no instance type of SageMaker"),
        (SANDBOX, Instances(calls_per_minute=0), "capacity.calls_per_minute: 0 is out of range"),
        (SANDBOX, Instances(scale_in_cooldown=Duration.hours(2)), "capacity.scale_in_cooldown: 7200 is out"),
        (
            SANDBOX,
            Instances(scale_out_cooldown=Duration.hours(2)),
            "capacity.scale_out_cooldown: 7200 is out",
        ),
    ],
)
def test_a_fleet_that_cannot_be_is_refused(
    stack: cdk.Stack, posture: Posture, capacity: Instances, problem: str
) -> None:
    (found,) = problems(stack, posture=posture, capacity=capacity)
    assert found.startswith(problem)


@pytest.mark.parametrize("prop", ["type", "least", "most"])
def test_the_size_of_a_fleet_has_to_be_known(stack: cdk.Stack, prop: str) -> None:
    given = cdk.CfnParameter(stack, "Size", type="String" if prop == "type" else "Number")
    value = given.value_as_string if prop == "type" else given.value_as_number
    found = problems(stack, capacity=replace(Instances(least=2, most=4), **{prop: value}))
    assert [problem.partition(",")[0] for problem in found] == [f"capacity.{prop}: is a token"]


@pytest.mark.parametrize("promise", [Duration.millis(0), Duration.seconds(61)])
def test_a_promise_nobody_can_hold_is_refused(stack: cdk.Stack, promise: Duration) -> None:
    (found,) = problems(stack, latency_slo=promise)
    assert found.startswith("latency_slo: ")
    assert "allowed are 1 millisecond to 1 minute" in found


def test_instances_need_a_network(stack: cdk.Stack) -> None:
    (found,) = problems(stack, network=None)
    assert found.startswith("network: is missing")


@pytest.mark.parametrize(("groups", "problem"), [(0, "0 is out of range"), (6, "6 is out of range")])
def test_one_to_five_security_groups(stack: cdk.Stack, groups: int, problem: str) -> None:
    (found,) = problems(stack, network=network(stack, groups=groups))
    assert found.startswith(f"network.security_groups: {problem}; allowed are 1 to 5 groups")


def test_production_does_not_fit_into_one_zone(stack: cdk.Stack) -> None:
    one = network(stack, zones=1)
    (found,) = problems(stack, network=one)
    assert found.startswith("network.subnets: all lie in one availability zone")
    host(stack, posture=SANDBOX, network=one)


def test_a_network_without_private_subnets_is_refused(stack: cdk.Stack) -> None:
    (found,) = problems(stack, network=replace(network(stack), subnets=[]))
    assert found.startswith("network.subnets: 0 is out of range; allowed are 1 to 16 subnets")


@pytest.mark.parametrize("key", ["churn/model.zip", "/churn/model.tar.gz", "s3://b/model.tar.gz"])
def test_what_is_no_artifact_is_refused(stack: cdk.Stack, key: str) -> None:
    bucket = s3.Bucket.from_bucket_name(stack, "Theirs", "theirs")
    served = ServedModel(
        image=ModelImage.xgboost(), artifact=ModelArtifact.in_bucket(bucket, key), version="1.0.0"
    )
    (found,) = problems(stack, model=served)
    assert found.startswith(f"model.artifact: {key!r} is no model artifact")


def test_a_file_that_is_not_there_is_refused(stack: cdk.Stack, tmp_path: Path) -> None:
    missing = ModelArtifact.from_file(tmp_path / "model.tar.gz")
    (found,) = problems(
        stack, model=ServedModel(image=ModelImage.xgboost(), artifact=missing, version="1.0.0")
    )
    assert "train the model first" in found


def test_a_hundred_environment_variables_are_enough(stack: cdk.Stack) -> None:
    (found,) = problems(
        stack, model=replace(model(stack), environment={f"V{number}": "" for number in range(101)})
    )
    assert found.startswith("model.environment: 101 variables are too many")


@pytest.mark.parametrize("percent", [0, 101])
def test_a_share_of_the_calls_is_captured(stack: cdk.Stack, percent: int) -> None:
    (found,) = problems(stack, capture=DataCapture(percent=percent))
    assert found.startswith(f"capture.percent: {percent} is out of range")


def test_the_audit_of_a_bucket_that_is_given_is_not_ours_to_set(stack: cdk.Stack) -> None:
    audit = AuditTrail(stack, "Audit", posture=SANDBOX)
    ours = DerivedDataBucket(stack, "Ours", posture=SANDBOX)
    (found,) = problems(stack, capture=DataCapture(bucket=ours, audit=audit))
    assert found.startswith("capture.audit: ")


def test_a_model_is_given_once(stack: cdk.Stack) -> None:
    (twice,) = problems(stack, deployment=Deployment.ab_test(a=model(stack), b=model(stack, 2)))
    assert twice.startswith("model: is given twice")
    (missing,) = problems(
        stack, model=None, network=network_of(stack), deployment=Deployment.ab_test(b=model(stack, 2))
    )
    assert missing.startswith("model: is missing")


@pytest.mark.parametrize(
    "deployment",
    [
        lambda served: Deployment.ab_test(b=served),
        lambda served: Deployment.shadow(candidate=served),
    ],
)
def test_serverless_inference_has_one_variant(stack: cdk.Stack, deployment: Any) -> None:
    (problem,) = problems(stack, network=None, capacity=Serverless(), deployment=deployment(model(stack, 2)))
    assert problem.startswith("deployment: serverless inference has one variant")


def test_inf1_has_no_shadows_and_no_guarded_tests(stack: cdk.Stack) -> None:
    capacity = Instances(type="ml.inf1.xlarge")
    (problem,) = problems(
        stack, capacity=capacity, deployment=Deployment.shadow(candidate=model(stack, 2), guarded=False)
    )
    assert problem.startswith("deployment: SageMaker has no shadows on ml.inf1.xlarge")
    where = network_of(stack)
    (problem,) = problems(
        stack, capacity=capacity, network=where, deployment=Deployment.ab_test(b=model(stack, 2))
    )
    assert "SageMaker ignores Deployment.ab_test()" in problem
    unguarded = Deployment.ab_test(b=model(stack, 2), guarded=False)
    host(stack, capacity=capacity, network=where, deployment=unguarded)


def test_a_challenger_is_checked_like_the_model(stack: cdk.Stack) -> None:
    bad = InferencePipeline(containers=[model(stack)], version="so, so")
    found = problems(stack, deployment=Deployment.ab_test(b=bad))
    assert [problem.partition(":")[0] for problem in found] == [
        "deployment.b.containers",
        "deployment.b.version",
    ]


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (float("nan"), 1), (1,), (1, 1, 1)])
def test_two_shares_make_a_test(stack: cdk.Stack, weights: Any) -> None:
    with pytest.raises(PropError, match=r"^Deployment.ab_test\n  weights: "):
        Deployment.ab_test(b=model(stack), weights=weights)


@pytest.mark.parametrize("sampling", [0, 101, 1.5])
def test_a_shadow_needs_a_share(stack: cdk.Stack, sampling: Any) -> None:
    with pytest.raises(PropError, match=r"^Deployment.shadow\n  sampling: .*allowed are 1 to 100 percent"):
        Deployment.shadow(candidate=model(stack), sampling=sampling)


def test_what_is_not_guarded_needs_no_time(stack: cdk.Stack) -> None:
    with pytest.raises(PropError, match=r"bake: nothing watches"):
        Deployment.ab_test(b=model(stack), guarded=False, bake=TEN)
    with pytest.raises(PropError, match=r"bake: .*allowed are 3 minutes"):
        Deployment.ab_test(b=model(stack), bake=cdk.Duration.seconds(1))
