"""Endpoints that exist for one run: they answer, and they are gone afterwards, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from ml_lens.foundation import DerivedDataBucket, MlNetwork, Posture, TemporaryInputBucket
from ml_lens.hosting import BatchSource, OnDemandEndpoint, OnDemandFleet
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.churn_model import churn_model
from tests.rehearsal.assemblies import DeployedStack, app_in, deployed
from tests.rehearsal.made_to_measure import eventually, messages

pytestmark = pytest.mark.xdist_group("sandbox")

CUSTOMERS = "12,70.5,3,month-to-month,card,1,10.5,2\n40,20,0,two-year,card,0,3,0\n"


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStack]:
    app = app_in(tmp_path_factory.mktemp("demand"))
    place = cdk.Stack(app, "OnDemand", tags=Posture.sandbox().tags)
    posture = Posture.sandbox()
    files = TemporaryInputBucket(place, "Files", posture=posture)
    results = DerivedDataBucket(place, "Results", posture=posture)
    demand = OnDemandEndpoint(
        place,
        "Churn",
        posture=posture,
        model=churn_model(place, "1.0.0"),
        network=MlNetwork(place, "Network", posture=posture),
        source=BatchSource(bucket=files.bucket),
        fleet=OnDemandFleet(accept="application/json"),
        results=results,
    )
    told = sqs.Queue(place, "Told")
    demand.topic.topic.add_subscription(subscriptions.SqsSubscription(told, raw_message_delivery=True))
    for name, value in {
        "Machine": demand.state_machine_arn,
        "Files": files.bucket.bucket_name,
        "Results": results.bucket.bucket_name,
        "Told": told.queue_url,
        "Prefix": demand.endpoint_prefix,
        "PredictRole": demand.predict.role.role_name,
        "Reaper": demand.reaper.function.function.function_name,
    }.items():
        cdk.CfnOutput(place, f"Out{name}", value=value).override_logical_id(name)
    with deployed(sandbox, app, "OnDemand") as there:
        yield there


@pytest.fixture(autouse=True)
def no_objects(stack: DeployedStack) -> Iterator[None]:
    yield
    s3 = stack.sandbox.client("s3")
    for each in s3.list_objects_v2(Bucket=stack.outputs["Files"]).get("Contents", []):
        s3.delete_object(Bucket=stack.outputs["Files"], Key=each["Key"])


def put(stack: DeployedStack, key: str, content: str) -> None:
    stack.sandbox.client("s3").put_object(Bucket=stack.outputs["Files"], Key=key, Body=content.encode())


def endpoints(stack: DeployedStack) -> dict[str, str]:
    """Return the status of every endpoint that a run has made."""
    found = stack.sandbox.client("sagemaker").list_endpoints()["Endpoints"]
    return {
        each["EndpointName"]: each["EndpointStatus"]
        for each in found
        if each["EndpointName"].startswith(stack.outputs["Prefix"])
    }


def assert_none_is_left(stack: DeployedStack) -> None:
    """Whoever made one has asked for its end, and SageMaker takes a moment to carry that out."""
    assert set(endpoints(stack).values()) <= {"Deleting"}
    eventually(lambda: not endpoints(stack))


def told(stack: DeployedStack) -> dict[str, Any]:
    """Return the newest message of the topic."""
    found = eventually(lambda: messages(stack.sandbox, stack.outputs["Told"]))
    stack.sandbox.client("sqs").purge_queue(QueueUrl=stack.outputs["Told"])
    message: dict[str, Any] = json.loads(found[-1]["Body"])
    return message


@pytest.mark.lens("ODE-01")
def test_a_run_answers_every_record_and_leaves_no_endpoint(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", CUSTOMERS)
    put(stack, "batches/b.csv", CUSTOMERS.splitlines()[0])
    done = stack.output(stack.runs(stack.outputs["Machine"]))
    assert (done["objects"], done["records"], done["refused"]) == (2, 3, 0)
    bucket, _, prefix = done["results"].removeprefix("s3://").partition("/")
    written = stack.sandbox.client("s3").get_object(Bucket=bucket, Key=f"{prefix}a.csv.out")["Body"].read()
    leaves, stays = (json.loads(line)["predictions"][0]["probability"] for line in written.splitlines())
    assert leaves > stays
    assert_none_is_left(stack)


@pytest.mark.lens("ODE-02")
def test_the_endpoint_is_deleted_when_predictions_fail_and_the_reason_is_told(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", CUSTOMERS)
    iam = stack.sandbox.client("iam")
    denied = {"Effect": "Deny", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [denied]}
    role = stack.outputs["PredictRole"]
    iam.put_role_policy(RoleName=role, PolicyName="fault", PolicyDocument=json.dumps(policy))
    try:
        run = stack.runs(stack.outputs["Machine"])
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="fault")
    assert run["status"] == "FAILED"
    assert_none_is_left(stack)
    message = told(stack)
    assert message["run"] == run["executionArn"]
    assert "AccessDenied" in message["reason"]


@pytest.mark.lens("ODE-02")
def test_an_endpoint_whose_run_is_stopped_is_reaped(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", CUSTOMERS * 2000)
    run = stack.start(stack.outputs["Machine"])
    # SageMaker refuses to delete an endpoint that is still being created.
    eventually(lambda: "InService" in endpoints(stack).values())
    stack.sandbox.client("stepfunctions").stop_execution(executionArn=run)
    assert stack.ended(run)["status"] == "ABORTED"
    eventually(lambda: not endpoints(stack), seconds=30)


def test_a_refused_record_does_not_end_the_run(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", f"nonsense\n{CUSTOMERS}")
    done = stack.output(stack.runs(stack.outputs["Machine"], prefix="batches/a"))
    assert (done["records"], done["refused"]) == (3, 1)


def test_what_is_not_in_the_source_is_not_read(stack: DeployedStack) -> None:
    run = stack.runs(stack.outputs["Machine"], prefix="others/")
    assert (run["status"], run["error"]) == ("FAILED", "OnDemandEndpoint.Refused")
    assert told(stack)["error"] == "OnDemandEndpoint.Refused"
    assert_none_is_left(stack)
