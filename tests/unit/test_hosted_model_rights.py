"""Who may do what: the role of an endpoint, what it records, and those who call it."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from ml_lens.foundation import DerivedDataBucket
from ml_lens.hosting import DataCapture, Deployment
from tests.stacks.synthesis import new_app
from tests.stacks.template import text
from tests.unit.serving import (
    CONFIG,
    ENDPOINT,
    KEY,
    LOGS,
    MODEL,
    PRODUCTION,
    host,
    name,
    said,
    template,
)


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


@pytest.mark.lens("MDL-01")
def test_the_role_reads_one_artifact_and_nothing_else(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    bucket = made.id("AWS::S3::Bucket", "Models")
    (reading,) = said(made, "s3:GetObject")
    assert reading.actions == {"s3:GetObject"}
    assert reading.resources == (f"<{bucket}.Arn>/churn/1/model.tar.gz",)
    decrypting = {arn for each in said(made, "kms:Decrypt") for arn in each.resources}
    keys = (("Models", ""), ("Churn", ""), ("ChurnCaptured", ""))
    assert decrypting == {f"<{made.id(KEY, f'{owner}Key')}.Arn>" for owner, _ in keys}
    url = text(made.only(MODEL)["PrimaryContainer"]["ModelDataUrl"])
    assert url == f"s3://<{bucket}>/churn/1/model.tar.gz"


def test_the_role_of_an_endpoint_serves_and_does_nothing_else(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    role = made.id("AWS::IAM::Role", "ChurnRole")
    assert "ManagedPolicyArns" not in made.resources()[role]
    assert {action.partition(":")[0] for action in made.actions(role)} == {
        "cloudwatch",
        "ec2",
        "ecr",
        "kms",
        "logs",
        "s3",
    }
    assert not [action for action in made.actions(role) if "*" in action]
    (writing,) = said(made, "logs:PutLogEvents")
    assert writing.resources == (f"<{made.id(LOGS, 'ChurnLogs')}.Arn>",)
    assert writing.actions == {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}
    (measuring,) = said(made, "cloudwatch:PutMetricData")
    assert measuring.condition == {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}}
    (connecting,) = said(made, "ec2:CreateNetworkInterface")
    kinds = [arn.rpartition(":")[2].partition("/")[0] for arn in connecting.resources]
    assert sorted(kinds) == ["network-interface", "security-group", "subnet", "subnet"]
    (permitting,) = said(made, "ec2:CreateNetworkInterfacePermission")
    assert len(permitting.condition["ArnEquals"]["ec2:Subnet"]) == 2


@pytest.mark.parametrize("own", [True, False])
def test_calls_are_captured_below_a_prefix_of_the_endpoint(stack: cdk.Stack, own: bool) -> None:
    given = None if own else DerivedDataBucket(stack, "Ours", posture=PRODUCTION)
    hosted = host(stack, capture=DataCapture(percent=20, bucket=given))
    made = template(stack)
    owner = "ChurnCaptured" if own else "Ours"
    bucket, key = made.id("AWS::S3::Bucket", owner), made.id(KEY, f"{owner}Key")
    capture = dict(made.only(CONFIG)["DataCaptureConfig"])
    assert text(capture.pop("DestinationS3Uri")) == f"s3://<{bucket}>/captured/{name(made)}"
    assert capture == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "KmsKeyId": {"Fn::GetAtt": [key, "Arn"]},
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }
    (writing,) = said(made, "s3:PutObject")
    assert writing.actions == {"s3:PutObject"}
    assert writing.resources == (f"<{bucket}.Arn>/captured/{name(made)}/*",)
    assert hosted.captured is not None
    assert given is None or hosted.captured is given


def test_recording_nothing_has_to_be_said(stack: cdk.Stack) -> None:
    hosted = host(stack, capture=DataCapture.off())
    made = template(stack)
    assert hosted.captured is None
    assert "DataCaptureConfig" not in made.only(CONFIG)
    assert said(made, "s3:PutObject") == []


@pytest.mark.lens("IAM-05", "IAM-06")
def test_a_consumer_may_invoke_this_endpoint_and_nothing_else(stack: cdk.Stack) -> None:
    hosted = host(stack)
    iam.Role(stack, "Others", assumed_by=iam.AccountRootPrincipal())
    hosted.grant_invoke(iam.Role(stack, "Shop", assumed_by=iam.AccountRootPrincipal()))
    made = template(stack)
    (granted,) = made.statements(made.id("AWS::IAM::Role", "Shop"))
    assert granted.actions == {"sagemaker:InvokeEndpoint"}
    assert granted.resources == (f"<{made.id(ENDPOINT, 'Churn')}>",)
    assert made.statements(made.id("AWS::IAM::Role", "Others")) == []
    assert "sagemaker:InvokeEndpoint" not in made.actions(made.id("AWS::IAM::Role", "ChurnRole"))


def test_a_guarded_endpoint_may_look_at_its_own_guards_and_no_other_alarm(stack: cdk.Stack) -> None:
    host(stack, deployment=Deployment.blue_green())
    made = template(stack)
    guards = made.only(ENDPOINT)["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    watching = {text(alarm["AlarmName"]) for alarm in guards}
    looking = {arn for each in said(made, "cloudwatch:DescribeAlarms") for arn in each.resources}
    assert looking == {f"{alarm[:-1]}.Arn>" for alarm in watching}


def test_an_endpoint_that_nothing_guards_looks_at_no_alarm(stack: cdk.Stack) -> None:
    host(stack, deployment=Deployment.standard())
    assert not said(template(stack), "cloudwatch:DescribeAlarms")
