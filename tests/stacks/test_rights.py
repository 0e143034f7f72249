"""Roles are ours, each has a user, and none may do more than its work needs."""

import json
import re

import pytest

from tests.stacks.synthesis import VIEWERS
from tests.stacks.template import Statement, Template, references

STARS = {"rekognition:DetectFaces", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
# These have to be named: Athena, Glue and QuickSight have no generated names.
NAMED = {
    "AWS::Athena::NamedQuery",
    "AWS::Athena::WorkGroup",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::QuickSight::Dashboard",
    "AWS::QuickSight::DataSet",
    "AWS::QuickSight::DataSource",
}
NAMES = {
    "AliasName",
    "AlarmName",
    "BucketName",
    "FunctionName",
    "LogGroupName",
    "Name",
    "QueueName",
    "RoleName",
    "TopicName",
    "TrailName",
}


def all_statements(template: Template) -> list[Statement]:
    return [said for role in template.resources("AWS::IAM::Role") for said in template.statements(role)]


def test_no_policy_of_aws_is_used(variant: Template) -> None:
    for role in variant.resources("AWS::IAM::Role").values():
        assert not {"ManagedPolicyArns", "PermissionsBoundary"} & role.keys()
    assert not variant.resources("AWS::IAM::ManagedPolicy")
    assert "arn:aws:iam::aws:policy" not in str(variant.body)


def test_a_star_stands_only_where_the_service_has_no_resources(variant: Template) -> None:
    starred = {action for said in all_statements(variant) if "*" in said.resources for action in said.actions}
    assert starred == STARS


def test_no_policy_has_a_star_for_an_action(variant: Template) -> None:
    assert not [said for said in all_statements(variant) if any("*" in action for action in said.actions)]


def test_every_right_is_given_by_a_policy_and_none_by_a_role_inline(variant: Template) -> None:
    roles = variant.resources("AWS::IAM::Role")
    assert not any("Policies" in role for role in roles.values())
    for policy in variant.resources("AWS::IAM::Policy").values():
        assert [user["Ref"] in roles for user in policy["Roles"]] == [True]


def test_every_role_is_used(variant: Template) -> None:
    handed_out = {
        value["Value"]["Fn::GetAtt"][0]
        for name, value in variant.body["Outputs"].items()
        if name in ("CameraRole", "AnalystRole")
    }
    users = {
        id
        for type in ("AWS::Lambda::Function", "AWS::QuickSight::DataSource")
        for properties in variant.resources(type).values()
        for id in references(properties)
    }
    assert set(variant.resources("AWS::IAM::Role")) <= handed_out | users


def test_each_function_has_a_role_to_itself(variant: Template) -> None:
    roles = [f["Role"]["Fn::GetAtt"][0] for f in variant.resources("AWS::Lambda::Function").values()]
    assert len(set(roles)) == len(roles)
    for role in roles:
        (trust,) = variant.resources("AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_the_function_that_empties_buckets_is_let_in_by_the_buckets_themselves(sandbox: Template) -> None:
    role = sandbox.id("AWS::IAM::Role", "BucketEmptierEmptyRole")
    assert {action.partition(":")[0] for action in sandbox.actions(role)} == {"logs", "xray"}
    for bucket in sandbox.resources("AWS::S3::Bucket"):
        allowed = [
            said
            for said in sandbox.bucket_statements(bucket)
            if said.effect == "Allow" and said.principal == f"<{role}.Arn>"
        ]
        assert {action for said in allowed for action in said.actions} == {
            "s3:GetBucketPolicy",
            "s3:PutBucketPolicy",
            "s3:ListBucketVersions",
            "s3:DeleteObjectVersion",
        }


@pytest.mark.parametrize(
    ("type", "prop"),
    [
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::CloudTrail::Trail", "KMSKeyId"),
    ],
)
def test_whatever_holds_data_is_encrypted_with_a_key_of_the_stack(
    variant: Template, type: str, prop: str
) -> None:
    found = variant.resources(type)
    assert found
    for id, properties in found.items():
        assert properties[prop]["Fn::GetAtt"][0] in variant.resources("AWS::KMS::Key"), id


def test_every_bucket_is_private_versioned_and_encrypted(variant: Template) -> None:
    buckets = variant.resources("AWS::S3::Bucket")
    assert len(buckets) == 3
    for id, properties in buckets.items():
        assert variant.key_of(id)
        assert all(properties["PublicAccessBlockConfiguration"].values())
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_nothing_has_a_fixed_name_that_could_be_generated(variant: Template) -> None:
    named = {
        id: sorted(NAMES & properties.keys())
        for id, properties in variant.resources().items()
        if variant.body["Resources"][id]["Type"] not in NAMED | {"AWS::Lambda::EventSourceMapping"}
        and not variant.body["Resources"][id]["Type"].startswith("Custom::")
        and NAMES & properties.keys()
    }
    assert named == {}


def test_no_account_and_no_region_is_written_down(variant: Template) -> None:
    written = json.dumps(variant.body["Resources"]).replace(VIEWERS, "")
    assert re.findall(r"\b\d{12}\b|\b(?:us|eu|ap|sa|ca|cn)-[a-z]+-\d\b", written) == []
