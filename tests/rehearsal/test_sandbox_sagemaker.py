"""SageMaker in the sandbox: real answers, real refusals, and no request lost while an endpoint changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.hosted import BODY, BUCKET, NAME, READ, Hosting, packed
from tests.rehearsal.made_to_measure import Role, eventually, key, refused

pytestmark = pytest.mark.xdist_group("sandbox")
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


@pytest.mark.lens("HST-07", "HST-08")
def test_an_endpoint_answers_with_its_version_and_names_the_variant(hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0")))
    assert hosting.ask() == ("AllTraffic", "1.0.0")


def test_traffic_follows_the_weights_and_a_caller_may_choose(hosting: Hosting) -> None:
    models = hosting.model("1.0.0"), hosting.model("2.0.0")
    hosting.endpoint(hosting.config({"A": (models[0], 1), "B": (models[1], 0)}))
    assert {hosting.ask() for _ in range(20)} == {("A", "1.0.0")}
    assert hosting.ask(TargetVariant="B") == ("B", "2.0.0")
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=NAME,
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 0},
            {"VariantName": "B", "DesiredWeight": 1, "DesiredInstanceCount": 3},
        ],
    )
    updating = hosting.described()
    assert (updating["EndpointStatus"], updating["ProductionVariants"][1]["CurrentInstanceCount"]) == (
        "Updating",
        1,
    )
    assert hosting.settled()["ProductionVariants"][1]["CurrentInstanceCount"] == 3
    assert {hosting.ask() for _ in range(20)} == {("B", "2.0.0")}


def test_an_endpoint_that_is_changing_cannot_be_changed_or_deleted(hosting: Hosting) -> None:
    config = hosting.alone(hosting.model("1.0.0"))
    hosting.endpoint(config)
    hosting.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=config)
    for call, more in (
        (hosting.sagemaker.update_endpoint, {"EndpointConfigName": config}),
        (hosting.sagemaker.delete_endpoint, {}),
    ):
        assert refused(call, EndpointName=NAME, **more) == (
            "ValidationException",
            f'Cannot update in-progress endpoint "{ARN}:endpoint/churn".',
        )
    hosting.settled()


def test_an_artifact_that_the_role_may_not_read_makes_no_model(hosting: Hosting, server: Role) -> None:
    server.may({**READ, "Resource": f"arn:aws:s3:::{BUCKET}/other/*"})
    with pytest.raises(ClientError, match=r"Could not access model data.*s3:GetObject on resource"):
        hosting.model("1.0.0")


def test_an_artifact_under_a_key_needs_the_key(hosting: Hosting, sandbox: Sandbox, server: Role) -> None:
    used = key(sandbox)
    body = sandbox.client("s3").get_object(Bucket=BUCKET, Key="1.0.0.tar.gz")["Body"].read()
    sandbox.client("s3").put_object(
        Bucket=BUCKET, Key="locked.tar.gz", Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=used
    )
    with pytest.raises(ClientError, match="not authorized to perform: kms:Decrypt"):
        hosting.model("1.0.0", key="locked")
    server.may(READ, {"Action": "kms:Decrypt", "Resource": used})
    assert hosting.model("1.0.0", key="locked")


def test_an_artifact_that_went_away_fails_the_endpoint(hosting: Hosting, sandbox: Sandbox) -> None:
    s3 = sandbox.client("s3")
    s3.copy_object(Bucket=BUCKET, Key="brief.tar.gz", CopySource=f"{BUCKET}/1.0.0.tar.gz")
    config = hosting.alone(hosting.model("1.0.0", key="brief"))
    s3.delete_object(Bucket=BUCKET, Key="brief.tar.gz")
    found = hosting.endpoint(config)
    assert found["EndpointStatus"] == "Failed"
    assert "does not exist" in found["FailureReason"]


def test_a_container_that_does_not_start_fails_the_endpoint(hosting: Hosting, sandbox: Sandbox) -> None:
    body = packed({"code/inference.py": b"raise RuntimeError('no such luck')"})
    sandbox.client("s3").put_object(Bucket=BUCKET, Key="hopeless.tar.gz", Body=body)
    found = hosting.endpoint(hosting.alone(hosting.model("1.0.0", key="hopeless")))
    assert found["EndpointStatus"] == "Failed"
    assert "ping health check" in found["FailureReason"]
    assert "no such luck" in found["FailureReason"]


@pytest.mark.lens("IAM-06")
def test_only_who_may_invoke_this_endpoint_is_answered(
    hosting: Hosting, sandbox: Sandbox, role: Callable[..., Role]
) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0")))
    may = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint"}
    allowed = role({**may, "Resource": f"{ARN}:endpoint/churn"})
    other = role({**may, "Resource": f"{ARN}:endpoint/fraud"})
    request = {"EndpointName": NAME, "ContentType": "application/json", "Body": BODY}
    assert allowed.client("sagemaker-runtime").invoke_endpoint(**request)
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:InvokeEndpoint"):
        other.client("sagemaker-runtime").invoke_endpoint(**request)


def test_creating_needs_the_configuration_the_role_the_tags_and_the_key(
    hosting: Hosting, sandbox: Sandbox, role: Callable[..., Role]
) -> None:
    used = key(sandbox)
    config = hosting.alone(hosting.model("1.0.0"), KmsKeyId=used)
    someone = role({"Action": "sagemaker:Create*", "Resource": [f"{ARN}:endpoint/*", f"{ARN}:model/*"]})
    client = someone.client("sagemaker")
    model = {
        "ModelName": "mine",
        "ExecutionRoleArn": hosting.role,
        "PrimaryContainer": hosting.definition("1.0.0"),
    }
    endpoint = {"EndpointName": "mine", "EndpointConfigName": config}
    tags = [{"Key": "owner", "Value": "me"}]
    assert "iam:PassRole on resource" in refused(client.create_model, **model)[1]
    assert f"{ARN}:endpoint-config/{config}" in refused(client.create_endpoint, **endpoint)[1]
    someone.may({"Action": "sagemaker:Create*", "Resource": "*"})
    assert "sagemaker:AddTags" in refused(client.create_endpoint, **endpoint, Tags=tags)[1]
    assert "kms:CreateGrant" in refused(client.create_endpoint, **endpoint)[1]


def test_the_registry_tells_of_an_approval_and_only_then_is_a_version_served(
    hosting: Hosting, sandbox: Sandbox
) -> None:
    seen = _events(sandbox, "SageMaker Model Package State Change")
    hosting.sagemaker.create_model_package_group(ModelPackageGroupName="Churn")
    arn = hosting.sagemaker.create_model_package(
        ModelPackageGroupName="Churn",
        InferenceSpecification={
            "Containers": [hosting.definition("2.0.0")],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )["ModelPackageArn"]
    assert arn == f"{ARN}:model-package/churn/1"
    with pytest.raises(ClientError, match="PendingManualApproval"):
        hosting.model_of(PrimaryContainer={"ModelPackageName": arn})
    hosting.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    hosting.endpoint(hosting.alone(hosting.model_of(Containers=[{"ModelPackageName": arn}])))
    assert hosting.ask() == ("AllTraffic", "2.0.0")
    told = eventually(lambda: (found := seen())[1:] and found)
    assert [each["detail"]["ModelApprovalStatus"] for each in told] == ["PendingManualApproval", "Approved"]
    assert told[-1]["resources"] == [arn]
    hosting.sagemaker.delete_model_package(ModelPackageName=arn)
    hosting.sagemaker.delete_model_package_group(ModelPackageGroupName="Churn")


def _events(sandbox: Sandbox, kind: str) -> Callable[[], list[dict[str, Any]]]:
    """Return how to read the events of a kind from now on."""
    sqs, events = sandbox.client("sqs"), sandbox.client("events")
    url = sqs.create_queue(QueueName="seen")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:seen"
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})},
    )
    events.put_rule(
        Name="seen", EventPattern=json.dumps({"source": ["aws.sagemaker"], "detail-type": [kind]})
    )
    events.put_targets(Rule="seen", Targets=[{"Id": "seen", "Arn": arn}])
    read: list[dict[str, Any]] = []

    def seen() -> list[dict[str, Any]]:
        for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            read.append(json.loads(each["Body"]))
        return sorted(read, key=lambda each: str(each["detail"].get("LastModifiedTime", "")))

    return seen
