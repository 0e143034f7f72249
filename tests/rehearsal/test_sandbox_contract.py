"""Holds every hook into the sandbox to what it is for: a new version of MiniStack may break any of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ml_lens.rehearsal.inventory import inventory
from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.made_to_measure import (
    DETECT,
    JPEG,
    Roles,
    Stack,
    bucket,
    eventually,
    key,
    queue,
    refused,
)

pytestmark = pytest.mark.xdist_group("sandbox")


class TestDeclaredTypes:
    def test_a_declared_type_is_recorded_and_forgotten(self, sandbox: Sandbox, stack: Stack) -> None:
        trail = {"Type": "AWS::CloudTrail::Trail", "Properties": {"IsLogging": True, "S3BucketName": "b"}}
        outputs = stack(
            {"Trail": trail},
            Outputs={"Name": {"Value": {"Ref": "Trail"}}, "Arn": {"Value": {"Fn::GetAtt": ["Trail", "Arn"]}}},
        )
        assert outputs["Arn"] == f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{outputs['Name']}"
        assert ("AWS::CloudTrail::Trail", "Trail") in sandbox.declared_only()
        assert ("AWS::CloudTrail::Trail", outputs["Name"]) in inventory(sandbox)
        sandbox.client("cloudformation").delete_stack(StackName=outputs["StackName"])
        eventually(lambda: outputs["Name"] not in sandbox.declared_left())

    def test_an_alarm_of_metric_math_is_declared_and_an_ordinary_one_is_not(
        self, sandbox: Sandbox, stack: Stack
    ) -> None:
        compared = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 1}
        ordinary = {"MetricName": "Errors", "Namespace": "AWS/Lambda", "Period": 60, "Statistic": "Sum"}
        stack(
            {
                "Math": {
                    "Type": "AWS::CloudWatch::Alarm",
                    "Properties": {**compared, "Metrics": [{"Id": "sum", "Expression": "a + b"}]},
                },
                "Plain": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**compared, **ordinary}},
            }
        )
        declared = {logical for _, logical in sandbox.declared_only()}
        assert "Math" in declared
        assert "Plain" not in declared

    def test_an_unknown_type_is_refused(self, sandbox: Sandbox) -> None:
        template = {"Resources": {"Cluster": {"Type": "AWS::EMR::Cluster", "Properties": {}}}}
        create = sandbox.client("cloudformation").create_stack
        code, message = refused(create, StackName="unknown", TemplateBody=json.dumps(template))
        assert code == "ValidationError"
        assert "AWS::EMR::Cluster" in message

    def test_a_public_parameter_names_the_powertools_layer(self, stack: Stack) -> None:
        outputs = stack(
            {"Topic": {"Type": "AWS::SNS::Topic"}},
            Parameters={
                "Layer": {
                    "Type": "AWS::SSM::Parameter::Value<String>",
                    "Default": "/aws/service/powertools/python/arm64/python3.13/latest",
                }
            },
            Outputs={"Layer": {"Value": {"Ref": "Layer"}}},
        )
        assert outputs["Layer"].startswith(f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:AWSLambdaPowertools")


class TestRekognition:
    def test_a_role_needs_the_permission(self, role: Roles) -> None:
        code, message = refused(role().client("rekognition").detect_faces, Image={"Bytes": JPEG})
        assert code == "AccessDeniedException"
        assert "rekognition:DetectFaces" in message
        assert role(DETECT).client("rekognition").detect_faces(Image={"Bytes": JPEG})["FaceDetails"] == []

    def test_outcomes_come_in_order_and_the_last_repeats(self, sandbox: Sandbox, role: Roles) -> None:
        rekognition = role(DETECT).client("rekognition")
        image = JPEG + b" of two people"
        digest = hashlib.sha256(image).hexdigest()
        face = {"Confidence": 99.5, "AgeRange": {"Low": 30, "High": 40}}
        throttled = {"error": "ProvisionedThroughputExceededException", "message": "slow down"}
        sandbox.script_rekognition({digest: [{"faces": [face, face]}, throttled, {"faces": [face]}]})
        before = sandbox.rekognition_calls()["total"]

        def ask(**more: Any) -> list[Any]:
            return list(rekognition.detect_faces(Image={"Bytes": image}, **more)["FaceDetails"])

        assert ask(Attributes=["ALL"]) == [face, face]
        # boto3 tries again by itself: the throttled answer is used up unseen.
        assert ask(Attributes=["ALL"]) == [face]
        assert ask() == [{"Confidence": 99.5}]
        calls = sandbox.rekognition_calls()
        assert calls["total"] - before == calls["by_image"][digest] == 4
        assert calls["by_error"]["ProvisionedThroughputExceededException"] == 1

    @pytest.mark.parametrize(
        ("image", "error"),
        [
            (b"", "InvalidParameterException"),
            (b"no picture", "InvalidImageFormatException"),
            (JPEG.ljust(5 * 1024 * 1024 + 1), "ImageTooLargeException"),
        ],
    )
    def test_bad_images_are_refused_as_modelled(self, role: Roles, image: bytes, error: str) -> None:
        rekognition = role(DETECT).client("rekognition")
        with pytest.raises(getattr(rekognition.exceptions, error)):
            rekognition.detect_faces(Image={"Bytes": image})

    def test_an_object_is_read_with_the_callers_permissions(self, sandbox: Sandbox, role: Roles) -> None:
        key_arn = key(sandbox)
        name = bucket(sandbox, "pictures", key_arn)
        sandbox.client("s3").put_object(Bucket=name, Key="a b.jpg", Body=JPEG)
        image = {"S3Object": {"Bucket": name, "Name": "a b.jpg"}}
        read = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
        decrypt = {"Action": "kms:Decrypt", "Resource": key_arn}
        for missing in ((), (read,), (decrypt,)):
            detect = role(DETECT, *missing).client("rekognition").detect_faces
            assert refused(detect, Image=image)[0] == "InvalidS3ObjectException"
        allowed = role(DETECT, read, decrypt).client("rekognition")
        assert allowed.detect_faces(Image=image)["FaceDetails"] == []


class TestKeys:
    def test_s3_needs_the_key_of_the_bucket_both_ways(self, sandbox: Sandbox, role: Roles) -> None:
        key_arn = key(sandbox)
        name = bucket(sandbox, "encrypted", key_arn)
        objects = {"Action": ["s3:PutObject", "s3:GetObject"], "Resource": f"arn:aws:s3:::{name}/*"}
        put = {"Bucket": name, "Key": "a", "Body": b"1"}
        code, message = refused(role(objects).client("s3").put_object, **put)
        assert code == "AccessDenied"
        assert "kms:GenerateDataKey" in message
        assert key_arn in message
        writer = role(objects, {"Action": "kms:GenerateDataKey", "Resource": key_arn}).client("s3")
        assert writer.put_object(**put)["SSEKMSKeyId"] == key_arn
        assert "kms:Decrypt" in refused(writer.get_object, Bucket=name, Key="a")[1]
        reader = role(objects, {"Action": "kms:Decrypt", "Resource": key_arn}).client("s3")
        assert reader.get_object(Bucket=name, Key="a")["Body"].read() == b"1"

    def test_a_write_may_leave_the_key_to_aws(self, sandbox: Sandbox, role: Roles) -> None:
        name = bucket(sandbox, "managed")
        s3 = role({"Action": ["s3:PutObject", "s3:GetObject"], "Resource": f"arn:aws:s3:::{name}/*"}).client(
            "s3"
        )
        assert s3.put_object(Bucket=name, Key="a", Body=b"1", ServerSideEncryption="aws:kms")["SSEKMSKeyId"]
        assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"1"

    def test_the_key_knows_the_service_and_the_object(self, sandbox: Sandbox, role: Roles) -> None:
        key_arn = key(sandbox)
        name = bucket(sandbox, "conditions", key_arn)
        objects = {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"}

        def under(condition: dict[str, str]) -> Any:
            use = {"Action": "kms:*", "Resource": key_arn, "Condition": {"StringEquals": condition}}
            return role(objects, use).client("s3").put_object

        put = {"Bucket": name, "Key": "a", "Body": b"1"}
        assert under({"kms:ViaService": f"s3.{REGION}.amazonaws.com"})(**put)
        assert under({"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{name}/a"})(**put)
        assert refused(under({"kms:ViaService": f"sqs.{REGION}.amazonaws.com"}), **put)[0] == "AccessDenied"

    def test_a_key_policy_that_does_not_delegate_beats_an_identity_policy(
        self, sandbox: Sandbox, role: Roles
    ) -> None:
        nobody = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:role/other"}}
        key_arn = key(sandbox, {"Statement": [{**nobody, "Action": "kms:*", "Resource": "*"}]})
        name = bucket(sandbox, "undelegated", key_arn)
        everything = role({"Action": "*", "Resource": "*"}).client("s3")
        assert refused(everything.put_object, Bucket=name, Key="a", Body=b"1")[0] == "AccessDenied"

    def test_sqs_needs_the_key_of_the_queue(self, sandbox: Sandbox, role: Roles) -> None:
        key_arn = key(sandbox)
        url, arn = queue(sandbox, "encrypted", KmsMasterKeyId=key_arn)
        send = {"Action": "sqs:SendMessage", "Resource": arn}
        batch = {"QueueUrl": url, "Entries": [{"Id": "1", "MessageBody": "m"}]}
        generate = {"Action": "kms:GenerateDataKey", "Resource": key_arn}
        decrypt = {"Action": "kms:Decrypt", "Resource": key_arn}
        for missing in ((), (generate,), (decrypt,)):
            code, _ = refused(role(send, *missing).client("sqs").send_message_batch, **batch)
            assert code == "KMS.AccessDeniedException"
        assert role(send, generate, decrypt).client("sqs").send_message_batch(**batch)["Successful"]
