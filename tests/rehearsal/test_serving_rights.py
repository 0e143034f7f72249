"""Every right of every role that serves a model is needed: without it, a call or a new model fails.

The role of the bucket emptier has ``test_emptier_rights.py`` of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ml_lens.rehearsal.errors import WalkthroughFailed
from ml_lens.rehearsal.place import Place
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.serverless_inference.walkthrough import consumer_of, customers, request
from tests.rehearsal.assemblies import app_in, deployed
from tests.rehearsal.rights import Right, Rights
from tests.stacks.serving_scenario import add_serving
from tests.stacks.synthesis import templates
from tests.stacks.template import Template, references

pytestmark = pytest.mark.xdist_group("sandbox")

STACK = "ServingRights"
PATIENCE, GENEROUS_PATIENCE = 3, 30
"""Seconds that what a right leads to may take: without it, when it will not come, and with it."""

FUNCTION, ENDPOINT, CONSUMERS, FLOW_LOGS = (
    "PredictionsFunctionRole",
    "ChurnRole",
    "Consumers",
    "NetworkFlowLogs",
)

# What the sandbox does not enforce, by role, action and a word of the logical id of the resource where it matters.
# tests/stacks/test_serving_unrehearsed_rights.py proves each from the template.
_TRACES = "the runtime sends traces, and there is no X-Ray in the sandbox"
_IMAGES = "the sandbox runs the model in a process, and pulls no image"
_INTERFACES = "the sandbox puts no network interface of a model into a subnet"
_VOLUMES = "the instances of the sandbox have no volumes"
_FLOWS = "no packet flows in the sandbox, so that no flow is delivered"
NOT_ENFORCED = {
    (FUNCTION, "xray:PutTelemetryRecords", ""): _TRACES,
    (FUNCTION, "xray:PutTraceSegments", ""): _TRACES,
    (ENDPOINT, "ecr:GetAuthorizationToken", ""): _IMAGES,
    (ENDPOINT, "ecr:BatchCheckLayerAvailability", ""): _IMAGES,
    (ENDPOINT, "ecr:BatchGetImage", ""): _IMAGES,
    (ENDPOINT, "ecr:GetDownloadUrlForLayer", ""): _IMAGES,
    (ENDPOINT, "ec2:CreateNetworkInterface", ""): _INTERFACES,
    (ENDPOINT, "ec2:CreateNetworkInterfacePermission", ""): _INTERFACES,
    (ENDPOINT, "ec2:DeleteNetworkInterface", ""): _INTERFACES,
    (ENDPOINT, "ec2:DeleteNetworkInterfacePermission", ""): _INTERFACES,
    (ENDPOINT, "ec2:DescribeDhcpOptions", ""): _INTERFACES,
    (ENDPOINT, "ec2:DescribeNetworkInterfaces", ""): _INTERFACES,
    (ENDPOINT, "ec2:DescribeSecurityGroups", ""): _INTERFACES,
    (ENDPOINT, "ec2:DescribeSubnets", ""): _INTERFACES,
    (ENDPOINT, "ec2:DescribeVpcs", ""): _INTERFACES,
    (ENDPOINT, "kms:CreateGrant", "ChurnKey"): _VOLUMES,
    (ENDPOINT, "kms:Decrypt", "ChurnKey"): _VOLUMES,
    (ENDPOINT, "kms:DescribeKey", "ChurnKey"): _VOLUMES,
    (ENDPOINT, "kms:GenerateDataKey", "ChurnKey"): _VOLUMES,
    (
        ENDPOINT,
        "kms:Decrypt",
        "ChurnCapturedKey",
    ): "the calls of the sandbox fit into one part, and S3 decrypts only to put parts together",
    (ENDPOINT, "cloudwatch:PutMetricData", ""): "the sandbox has no instances whose use could be measured",
    (ENDPOINT, "logs:DescribeLogStreams", ""): "SageMaker looks for its stream before it writes; the sandbox "
    "makes the stream anew",
    (FLOW_LOGS, "logs:CreateLogStream", ""): _FLOWS,
    (FLOW_LOGS, "logs:DescribeLogStreams", ""): _FLOWS,
    (FLOW_LOGS, "logs:PutLogEvents", ""): _FLOWS,
}

Walk = Callable[[Place], None]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def place(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The scenario of figure 14."""
    app = app_in(tmp_path_factory.mktemp("rights"))
    add_serving(app, STACK)
    with deployed(sandbox, app, STACK) as stack:
        made = Place(stack.outputs, sandbox=sandbox, say=lambda _: None)
        put_into_its_network(made, templates(app)[STACK])
        yield made


def put_into_its_network(place: Place, template: Template) -> None:
    """Place the function where the template does, which the CloudFormation of the sandbox leaves out."""
    found = place.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    physical = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
    id = template.id("AWS::Lambda::Function", "PredictionsFunction")
    network = template.resources()[id]["VpcConfig"]
    place.client("lambda").update_function_configuration(
        FunctionName=physical[id],
        VpcConfig={part: [physical[next(references(each))] for each in network[part]] for part in network},
    )


@pytest.fixture(scope="module")
def rights(place: Place) -> Rights:
    assert place.sandbox
    return Rights(place.sandbox, STACK)


@pytest.fixture(scope="module")
def logical_ids(place: Place) -> dict[str, str]:
    """The logical ids of the resources of the stack, by their physical ids."""
    found = place.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    return {each["PhysicalResourceId"]: each["LogicalResourceId"] for each in found}


@pytest.mark.lens("F14-05", "IAM-01", "IAM-05", "MDL-01", "MDL-08")
def test_every_right_is_needed(
    place: Place, rights: Rights, logical_ids: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    paths: dict[str, Walk] = {FUNCTION: ask_and_look_at_the_log, ENDPOINT: serve_anew, CONSUMERS: ask}
    assert [failure_of(path, place, GENEROUS_PATIENCE) for path in paths.values()] == [None] * len(paths)
    needless = []
    for right in rights.all():
        if unenforced(right, rights, logical_ids):
            continue
        (path,) = [path for role, path in paths.items() if logical_ids[right.role].startswith(role)]
        with rights.without(right):
            failure = failure_of(path, place, PATIENCE)
        with capsys.disabled():
            print(f"  without {right}: {(failure or 'everything succeeds')[:110]}", flush=True)
        if failure is None:
            needless.append(str(right))
    assert [failure_of(path, place, GENEROUS_PATIENCE) for path in paths.values()] == [None] * len(paths)
    assert not needless, (
        f"everything succeeds without {needless}: remove the right, or name it in NOT_ENFORCED"
    )


def test_what_is_said_not_to_be_enforced_is_a_right_of_that_role(
    rights: Rights, logical_ids: dict[str, str]
) -> None:
    there = {named for right in rights.all() if (named := unenforced(right, rights, logical_ids))}
    assert there == NOT_ENFORCED.keys()


def unenforced(right: Right, rights: Rights, logical_ids: dict[str, str]) -> tuple[str, str, str] | None:
    """Return the entry of ``NOT_ENFORCED`` that a right falls under, if there is one."""
    keys = [logical_ids.get(each.rpartition("/")[2], "") for each in rights.resources_of(right)]
    for role, action, on in NOT_ENFORCED:
        if (
            logical_ids[right.role].startswith(role)
            and right.action == action
            and all(without_digest(key) == on for key in keys if on)
        ):
            return role, action, on
    return None


def without_digest(logical_id: str) -> str:
    return logical_id[:-8]


def failure_of(path: Walk, place: Place, patience: float) -> str | None:
    """Return why a path fails, if it does; it leaves nothing that the next one could take for its own."""
    try:
        path(Place(place.outputs, sandbox=place.sandbox, patience=patience, say=lambda _: None))
    except (WalkthroughFailed, ClientError) as failure:
        return str(failure)
    finally:
        forget(place)
    return None


def ask(place: Place) -> None:
    answer = consumer_of(place).ask(request(customers(1)))
    place.check("a call is answered", answer.status == 200, seen=answer)


def ask_and_look_at_the_log(place: Place) -> None:
    ask(place)
    has_log(place, "FunctionLogs")


def serve_anew(place: Place) -> None:
    """Let the endpoint take a model that is new to it, and see what that one logs and records of a call."""
    sagemaker, name = place.client("sagemaker"), place.outputs["EndpointName"]
    old = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    new = f"rights-{next(_numbers)}"
    copy_config(sagemaker, old, new)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)

    def settled() -> bool:
        return bool(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "Updating")

    place.wait_until("the endpoint settles", settled, GENEROUS_PATIENCE)
    found = sagemaker.describe_endpoint(EndpointName=name)
    place.check(
        "the endpoint serves the new model",
        (found["EndpointConfigName"], found["EndpointStatus"]) == (new, "InService"),
        seen=found.get("FailureReason"),
    )
    has_log(place, "EndpointLogs")
    ask(place)
    bucket = place.outputs["CapturedCalls"]
    place.wait_until(
        "the call is recorded",
        lambda: place.client("s3").list_objects_v2(Bucket=bucket).get("Contents"),
        place.patience,
    )


def copy_config(sagemaker: Any, old: str, new: str) -> None:
    """Make a configuration of its own for a copy of the model, which no container serves yet."""
    config = sagemaker.describe_endpoint_config(EndpointConfigName=old)
    (variant,) = config["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    sagemaker.create_model(
        ModelName=new,
        ExecutionRoleArn=model["ExecutionRoleArn"],
        PrimaryContainer=model["PrimaryContainer"],
        VpcConfig=model["VpcConfig"],
        EnableNetworkIsolation=True,
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=new,
        ProductionVariants=[{**variant, "ModelName": new}],
        DataCaptureConfig=config["DataCaptureConfig"],
        KmsKeyId=config["KmsKeyId"],
    )


def has_log(place: Place, output: str) -> None:
    group = place.outputs[output]
    place.wait_until(
        f"there is a log in {output}",
        lambda: place.client("logs").filter_log_events(logGroupName=group)["events"],
        place.patience,
    )


def forget(place: Place) -> None:
    """Leave no log and no recorded call."""
    logs, s3, bucket = place.client("logs"), place.client("s3"), place.outputs["CapturedCalls"]
    for output in ("FunctionLogs", "EndpointLogs"):
        group = place.outputs[output]
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
            logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
