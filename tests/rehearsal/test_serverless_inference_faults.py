"""What callers of the API see when something inside breaks, and that it is mended with its cause."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ml_lens.rehearsal.cli import Cdk
from ml_lens.rehearsal.place import Place
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.serverless_inference.calls import Answer, Consumer
from stacks.serverless_inference.walkthrough import (
    PROBLEM,
    consumer_of,
    customers,
    leaks,
    request,
    walk,
    who_asks_too_fast_is_told_to_wait,
)
from tests.rehearsal.made_to_measure import eventually

pytestmark = pytest.mark.xdist_group("sandbox")

STACK = "ServerlessInference"


@pytest.fixture(scope="module")
def place(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The scenario, deployed by the real command line."""
    cdk = Cdk(
        environment=sandbox.environment(),
        assembly=tmp_path_factory.mktemp("serving"),
        context={"scenarios": STACK},
        on_line=lambda _: None,
    )
    cdk.synth()
    cdk.bootstrap()
    cdk.deploy([STACK])
    described = sandbox.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    yield Place(outputs, sandbox=sandbox, say=lambda _: None)
    cdk.destroy([STACK])


@pytest.fixture
def consumer(place: Place) -> Iterator[Consumer]:
    """Somebody whose calls are answered, before the fault and once it is mended."""
    who = consumer_of(place)
    eventually(lambda: ask(who).status == 200)
    yield who
    eventually(lambda: ask(who).status == 200, seconds=60)


def ask(consumer: Consumer) -> Answer:
    return consumer.ask(request(customers(1)))


def resources(place: Place, type: str) -> dict[str, str]:
    """Return the physical ids of the stack's resources of ``type``, by their logical ids."""
    assert place.sandbox
    listed = place.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in listed
        if each["ResourceType"] == type
    }


def only(found: dict[str, str], part: str) -> str:
    (id,) = [physical for logical, physical in found.items() if part in logical]
    return id


def told(place: Place, answer: Answer, status: int, *, retry: bool = False) -> None:
    """The answer is a problem that says when to try again, if that helps, and nothing of the inside."""
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith(PROBLEM)
    assert answer.json["status"] == status
    assert ("retry-after" in answer.headers) is retry
    assert leaks(place, answer) == []


@pytest.mark.lens(
    *("F14-01", "F14-03", "F14-04", "F14-05", "F14-06", "F14-07", "F14-08", "F14-09", "F14-10"),
    *("HST-06", "HST-07", "HST-08", "IAM-05", "IAM-07", "INF-01", "MDL-08"),
)
def test_before_any_fault_the_walkthrough_holds(place: Place) -> None:
    walk(place)
    assert len(place.checks) > 40


def test_without_the_right_to_call_the_endpoint_callers_are_told_to_wait_and_the_log_says_why(
    place: Place, consumer: Consumer
) -> None:
    role = only(resources(place, "AWS::IAM::Role"), "PredictionsFunctionRole")
    with _without(place.client("iam"), role, "sagemaker:InvokeEndpoint"):
        told(place, ask(consumer), 503, retry=True)
    logs = place.client("logs")

    def said() -> bool:
        events = logs.filter_log_events(logGroupName=place.outputs["FunctionLogs"])["events"]
        return any("AccessDenied" in event["message"] for event in events)

    eventually(said)


def test_without_a_way_to_the_endpoint_callers_are_told_to_wait(place: Place, consumer: Consumer) -> None:
    with _led_astray(place, only(resources(place, "AWS::Lambda::Function"), "PredictionsFunction")):
        told(place, ask(consumer), 503, retry=True)


def test_while_the_endpoint_is_gone_the_api_says_to_try_again(place: Place, consumer: Consumer) -> None:
    sagemaker = place.client("sagemaker")
    name = place.outputs["EndpointName"]
    config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    sagemaker.delete_endpoint(EndpointName=name)
    try:
        eventually(lambda: ask(consumer).status != 200)
        told(place, ask(consumer), 503, retry=True)
    finally:
        eventually(lambda: _gone(sagemaker, name))
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        eventually(lambda: _status(sagemaker, name) == "InService", seconds=60)


def test_a_model_whose_artifact_is_missing_never_takes_over(place: Place, consumer: Consumer) -> None:
    sagemaker, s3 = place.client("sagemaker"), place.client("s3")
    name = place.outputs["EndpointName"]
    before = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=before)["ProductionVariants"]
    live = sagemaker.describe_model(ModelName=variant["ModelName"])
    bucket, _, key = (
        live["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://").removeprefix("https://").partition("/")
    )
    packed = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=key)
    try:
        refusal = _update_with_a_copy(sagemaker, name, live, variant)
        assert "model data at s3://" in refusal
        assert ask(consumer).status == 200
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=packed)


@pytest.mark.lens("F14-10")
def test_twice_the_throttle_is_told_to_wait(place: Place, consumer: Consumer) -> None:
    time.sleep(2.5)  # the bucket of tokens is full again
    who_asks_too_fast_is_told_to_wait(place, consumer)


@contextmanager
def _without(iam: Any, role: str, action: str) -> Iterator[None]:
    """Take every statement with ``action`` from the policies of a role for a while."""
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    try:
        for name, document in whole.items():
            kept = [said for said in document["Statement"] if action not in json.dumps(said["Action"])]
            assert len(kept) < len(document["Statement"])
            less = json.dumps({**document, "Statement": kept})
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=less)
        yield
    finally:
        for name, document in whole.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


@contextmanager
def _led_astray(place: Place, function: str) -> Iterator[None]:
    """Let the function look for SageMaker where nobody listens, as it does when its network lets nothing out."""
    client = place.client("lambda")
    set_up = client.get_function_configuration(FunctionName=function)
    known = set_up["Environment"]["Variables"]
    astray = {**known, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "http://127.0.0.1:9"}
    # A shorter time, so that the function gives up sooner.
    client.update_function_configuration(FunctionName=function, Environment={"Variables": astray}, Timeout=6)
    try:
        yield
    finally:
        client.update_function_configuration(
            FunctionName=function, Environment={"Variables": known}, Timeout=set_up["Timeout"]
        )


def _update_with_a_copy(sagemaker: Any, name: str, live: dict[str, Any], variant: dict[str, Any]) -> str:
    """Make a model of the live model's artifact, let the endpoint take it, and return why that fails."""
    try:
        sagemaker.create_model(
            ModelName="without-artifact",
            ExecutionRoleArn=live["ExecutionRoleArn"],
            PrimaryContainer=live["PrimaryContainer"],
            VpcConfig=live["VpcConfig"],
            EnableNetworkIsolation=True,
        )
        sagemaker.create_endpoint_config(
            EndpointConfigName="without-artifact",
            ProductionVariants=[{**variant, "ModelName": "without-artifact"}],
        )
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="without-artifact")
        eventually(lambda: _status(sagemaker, name) != "Updating", seconds=60)
        return str(sagemaker.describe_endpoint(EndpointName=name).get("FailureReason", "it took over"))
    except ClientError as refusal:
        return str(refusal)


def _status(sagemaker: Any, name: str) -> str:
    return str(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])


def _gone(sagemaker: Any, name: str) -> bool:
    try:
        _status(sagemaker, name)
    except ClientError:
        return True
    return False
