"""Things that the rehearsal tests make in the sandbox, each with exactly what a test says."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ml_lens.rehearsal.sandbox import ACCOUNT, Sandbox

JPEG = b"\xff\xd8\xff\xe0 a picture"
ROOT_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}
DETECT = {"Action": "rekognition:DetectFaces", "Resource": "*"}
LOGS = {"Action": "logs:*", "Resource": "*"}


@dataclass
class Role:
    """A role with exactly the statements it is given."""

    sandbox: Sandbox
    name: str
    arn: str

    def client(self, service: str) -> Any:
        session = self.sandbox.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="test")[
            "Credentials"
        ]
        return self.sandbox.client(
            service,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )

    def may(self, *statements: dict[str, Any]) -> Role:
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", **each} for each in statements],
        }
        self.sandbox.client("iam").put_role_policy(
            RoleName=self.name, PolicyName="all", PolicyDocument=json.dumps(document)
        )
        return self


Roles = Callable[..., Role]
Stack = Callable[..., dict[str, str]]


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def key(sandbox: Sandbox, policy: dict[str, Any] = ROOT_ONLY) -> str:
    return str(sandbox.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"])


def bucket(sandbox: Sandbox, name: str, key_arn: str | None = None) -> str:
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=name)
    if key_arn:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


def queue(sandbox: Sandbox, name: str, **attributes: str) -> tuple[str, str]:
    sqs = sandbox.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def function(sandbox: Sandbox, name: str, code: str, role: Role, **settings: Any) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("index.py", code)
    sandbox.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Architectures=["arm64"],
        Handler="index.handler",
        Role=role.arn,
        Code={"ZipFile": archive.getvalue()},
        **settings,
    )
    return name


def messages(sandbox: Sandbox, url: str) -> list[dict[str, Any]]:
    answer = sandbox.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
    )
    return list(answer.get("Messages", []))


def waiting(sandbox: Sandbox, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sandbox.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def settled(cloudformation: Any, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return None if found["StackStatus"].endswith("_IN_PROGRESS") else found

    return eventually(look)


def failures(cloudformation: Any, name: str) -> list[str]:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return [each["ResourceStatusReason"] for each in events if each["ResourceStatus"].endswith("_FAILED")]


def eventually(look: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s")
