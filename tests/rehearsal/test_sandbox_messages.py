"""Queues, events and functions of the sandbox behave as AWS's, as far as scenarios rely on it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from ml_lens.rehearsal.inside.functions import install_bootstrap
from ml_lens.rehearsal.sandbox import Sandbox
from tests.rehearsal.made_to_measure import (
    JPEG,
    LOGS,
    ROOT_ONLY,
    Roles,
    Stack,
    eventually,
    function,
    key,
    messages,
    queue,
    waiting,
)

pytestmark = pytest.mark.xdist_group("sandbox")


class TestQueues:
    def test_a_delayed_message_keeps_its_attributes(self, sandbox: Sandbox) -> None:
        url, _ = queue(sandbox, "delayed")
        attributes = {"deferrals": {"DataType": "Number", "StringValue": "3"}}
        sandbox.client("sqs").send_message(
            QueueUrl=url, MessageBody="later", DelaySeconds=1, MessageAttributes=attributes
        )
        assert messages(sandbox, url) == []
        (message,) = eventually(lambda: messages(sandbox, url))
        assert message["MessageAttributes"]["deferrals"]["StringValue"] == "3"

    def test_a_message_received_too_often_is_set_aside(self, sandbox: Sandbox) -> None:
        dead, dead_arn = queue(sandbox, "dead")
        redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
        url, _ = queue(sandbox, "tried", RedrivePolicy=redrive)
        sandbox.client("sqs").send_message(QueueUrl=url, MessageBody="poison")
        assert [len(messages(sandbox, url)) for _ in range(3)] == [1, 1, 0]
        assert [each["Body"] for each in messages(sandbox, dead)] == ["poison"]

    def test_a_function_polls_with_its_own_permissions_and_fails_item_by_item(
        self, sandbox: Sandbox, role: Roles
    ) -> None:
        key_arn = key(sandbox)
        url, arn = queue(sandbox, "polled", KmsMasterKeyId=key_arn, VisibilityTimeout="30")
        code = """
def handler(event, context):
    failed = [r["messageId"] for r in event["Records"] if "bad" in r["body"]]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""
        receive = {
            "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            "Resource": arn,
        }
        reader = role(LOGS)
        name = function(sandbox, "polling", code, reader)
        mapping = sandbox.client("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=arn, FunctionResponseTypes=["ReportBatchItemFailures"]
        )["UUID"]
        try:
            for body in ("good", "bad"):
                sandbox.client("sqs").send_message(QueueUrl=url, MessageBody=body)
            look = sandbox.client("lambda").get_event_source_mapping
            for allowed, missing in (((), "sqs:ReceiveMessage"), ((receive,), "kms:Decrypt")):
                reader.may(LOGS, *allowed)
                wanted = re.compile(missing)
                eventually(lambda w=wanted: w.search(look(UUID=mapping).get("LastProcessingResult", "")))
            assert waiting(sandbox, url) == 2
            reader.may(receive, LOGS, {"Action": "kms:Decrypt", "Resource": key_arn})
            eventually(lambda: waiting(sandbox, url) == 1)
        finally:
            sandbox.client("lambda").delete_event_source_mapping(UUID=mapping)

    def test_an_event_names_the_version_and_needs_the_queues_policies(
        self, sandbox: Sandbox, stack: Stack
    ) -> None:
        pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"]}
        refused = ("NoPolicy", "NoKey", "NoAccount")
        service = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
        use = {**service, "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}
        of_this_account = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        outputs = stack(
            {
                "Open": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": with_statement(use)}},
                "Closed": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": ROOT_ONLY}},
                "Conditioned": {
                    "Type": "AWS::KMS::Key",
                    "Properties": {"KeyPolicy": with_statement({**use, "Condition": of_this_account})},
                },
                "Allowed": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": {"Ref": "Open"}}},
                "NoKey": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": {"Ref": "Closed"}}},
                "NoAccount": {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {"KmsMasterKeyId": {"Ref": "Conditioned"}},
                },
                "NoPolicy": {"Type": "AWS::SQS::Queue"},
                "Policy": {
                    "Type": "AWS::SQS::QueuePolicy",
                    "Properties": {
                        "Queues": [{"Ref": "Allowed"}, {"Ref": "NoKey"}, {"Ref": "NoAccount"}],
                        "PolicyDocument": {
                            "Statement": [{**service, "Action": "sqs:SendMessage", "Resource": "*"}]
                        },
                    },
                },
                "Rule": {
                    "Type": "AWS::Events::Rule",
                    "Properties": {
                        "EventPattern": pattern,
                        "Targets": [
                            {"Id": name, "Arn": {"Fn::GetAtt": [name, "Arn"]}}
                            for name in (*refused, "Allowed")
                        ],
                    },
                },
                "Bucket": {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {
                        "VersioningConfiguration": {"Status": "Enabled"},
                        "NotificationConfiguration": {
                            "EventBridgeConfiguration": {"EventBridgeEnabled": True}
                        },
                    },
                },
            },
            Outputs={name: {"Value": {"Ref": name}} for name in (*refused, "Allowed", "Bucket")},
        )
        s3 = sandbox.client("s3")
        version = s3.put_object(Bucket=outputs["Bucket"], Key="a b+ü.jpg", Body=JPEG)["VersionId"]
        (message,) = eventually(lambda: messages(sandbox, outputs["Allowed"]))
        stored = json.loads(message["Body"])["detail"]["object"]
        assert (stored["key"], stored["version-id"]) == ("a b+ü.jpg", version)
        # The targets that may not be sent to come first in the rule: they have been tried by now.
        assert [messages(sandbox, outputs[name]) for name in refused] == [[], [], []]
        s3.delete_object(Bucket=outputs["Bucket"], Key="a b+ü.jpg", VersionId=version)


def with_statement(statement: dict[str, Any]) -> dict[str, Any]:
    return {**ROOT_ONLY, "Statement": [*ROOT_ONLY["Statement"], statement]}


class TestFunctions:
    def test_an_exception_is_reported_by_its_class(self, sandbox: Sandbox, role: Roles) -> None:
        code = (
            "class QualityGateFailed(Exception): pass\ndef handler(e, c): raise QualityGateFailed('too low')"
        )
        name = function(sandbox, "raising", code, role(LOGS))
        answer = sandbox.client("lambda").invoke(FunctionName=name)
        error = json.loads(answer["Payload"].read())
        assert answer["FunctionError"]
        assert (error["errorType"], error["errorMessage"]) == ("QualityGateFailed", "too low")

    def test_a_bootstrap_appears_executable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        change_mode = Path.chmod

        def chmod(path: Path, mode: int) -> None:
            assert not (tmp_path / "bootstrap").exists(), "another worker could find it now"
            change_mode(path, mode)

        monkeypatch.setattr(Path, "chmod", chmod)
        install_bootstrap(tmp_path)
        assert os.access(tmp_path / "bootstrap", os.X_OK)

    def test_a_function_sees_its_own_environment_and_acts_as_its_role(
        self, sandbox: Sandbox, role: Roles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = """
import os, boto3
def handler(event, context):
    return {"who": boto3.client("sts").get_caller_identity()["Arn"], "env": dict(os.environ)}
"""
        own = role(LOGS)
        name = function(sandbox, "looking", code, own, Environment={"Variables": {"TABLE": "t"}})
        seen = json.loads(sandbox.client("lambda").invoke(FunctionName=name)["Payload"].read())
        assert f":assumed-role/{own.name}/" in seen["who"]
        assert seen["env"]["TABLE"] == "t"
        assert seen["env"]["AWS_LAMBDA_FUNCTION_NAME"] == name
        assert not {"AUTH", "GATEWAY_PORT", "ML_LENS_SANDBOX_FOLDER"} & seen["env"].keys()

    def test_a_role_needs_permission_to_log(self, sandbox: Sandbox, role: Roles) -> None:
        code = "def handler(event, context): print('hello from', context.function_name)"
        logs = sandbox.client("logs")
        for name, allowed in (("silent", role()), ("talking", role(LOGS))):
            sandbox.client("lambda").invoke(FunctionName=function(sandbox, name, code, allowed))
        events = logs.filter_log_events(logGroupName="/aws/lambda/talking")["events"]
        assert any("hello from talking" in event["message"] for event in events)
        groups = {each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]}
        assert "/aws/lambda/silent" not in groups
