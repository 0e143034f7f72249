"""The record of who touched which data."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from ml_lens.foundation import AuditTrail, Posture
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template, text

AUDIT = "DemographicsAudit"
EMPTIER = "BucketEmptierEmptyRole"
DELETIONS = {"s3:DeleteObject", "s3:DeleteObjectVersion"}


def bucket(template: Template) -> str:
    return template.id("AWS::S3::Bucket", AUDIT)


def recorded(template: Template) -> dict[str, dict[str, Any]]:
    """The event selectors with data, by what they record."""
    return {
        text(value): dict(selector)
        for selector in template.only("AWS::CloudTrail::Trail")["EventSelectors"]
        for data in selector.get("DataResources", [])
        if data["Type"] == "AWS::S3::Object"
        for value in data["Values"]
    }


@pytest.mark.lens("F2-06")
@pytest.mark.parametrize("name", ["DemographicsImages", "DemographicsResults"])
def test_every_access_to_an_object_is_recorded(variant: Template, name: str) -> None:
    assert f"<{variant.id('AWS::S3::Bucket', name)}.Arn>/" in recorded(variant)
    assert variant.only("AWS::CloudTrail::Trail")["IsLogging"] is True


@pytest.mark.lens("F2-07")
def test_records_go_to_a_bucket_that_holds_nothing_else(variant: Template) -> None:
    target = variant.only("AWS::CloudTrail::Trail")["S3BucketName"]
    assert target == {"Ref": bucket(variant)}
    others = {variant.id("AWS::S3::Bucket", f"Demographics{name}") for name in ("Images", "Results")}
    assert bucket(variant) not in others
    assert f"<{bucket(variant)}.Arn>/" not in recorded(variant), "a record would cause another"
    writers = {
        said.principal
        for said in variant.bucket_statements(bucket(variant))
        if said.effect == "Allow" and "s3:PutObject" in said.actions
    }
    assert writers == {"cloudtrail.amazonaws.com"}


@pytest.mark.lens("F2-08")
def test_reads_and_writes_are_both_recorded(variant: Template) -> None:
    assert {selector["ReadWriteType"] for selector in recorded(variant).values()} == {"All"}


@pytest.mark.lens("F2-28")
def test_calls_to_athena_and_quicksight_are_recorded_in_the_locked_bucket(variant: Template) -> None:
    trail = variant.only("AWS::CloudTrail::Trail")
    management = [s for s in trail["EventSelectors"] if s["IncludeManagementEvents"]]
    assert [selector["ReadWriteType"] for selector in management] == ["All"]
    assert not any(selector.get("ExcludeManagementEventSources") for selector in management)
    assert trail["EnableLogFileValidation"] is True
    assert trail["KMSKeyId"] == {"Fn::GetAtt": [variant.key_of(bucket(variant)), "Arn"]}


@pytest.mark.lens("F2-28")
def test_production_locks_records_against_everybody_for_a_year(production: Template) -> None:
    properties = production.one("AWS::S3::Bucket", AUDIT)
    assert properties["ObjectLockEnabled"] is True
    assert properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {
        "Mode": "COMPLIANCE",
        "Days": 365,
    }
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 365


@pytest.mark.lens("F2-28")
def test_a_sandbox_refuses_deletion_of_records_to_all_but_its_own_clean_up(sandbox: Template) -> None:
    emptier = sandbox.id("AWS::IAM::Role", EMPTIER)
    refusals = [
        said
        for said in sandbox.bucket_statements(bucket(sandbox))
        if said.effect == "Deny" and said.actions >= DELETIONS
    ]
    (refusal,) = (said for said in refusals if said.actions == DELETIONS)
    assert refusal.principal == "*"
    assert refusal.resources == (f"<{bucket(sandbox)}.Arn>/*",)
    assert refusal.condition == {"ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": [emptier, "Arn"]}}}


def test_the_trail_stops_before_its_bucket_is_emptied(sandbox: Template) -> None:
    trail = sandbox.body["Resources"][sandbox.id("AWS::CloudTrail::Trail", f"{AUDIT}Trail")]
    assert sandbox.id("Custom::EmptiedBucket", f"{AUDIT}Emptied") in trail["DependsOn"]


@pytest.mark.lens("F2-07")
def test_cloudtrail_may_use_the_bucket_key_of_its_bucket(variant: Template) -> None:
    key = variant.one("AWS::KMS::Key", "DemographicsAuditKey")
    users = [
        s for s in key["KeyPolicy"]["Statement"] if s["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    ]
    assert [set(user["Action"]) for user in users] == [
        {"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"}
    ]


def test_more_buckets_than_a_trail_has_selectors_are_recorded(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    stack = cdk.Stack(app, "Many")
    audit = AuditTrail(stack, "Audit", posture=Posture.sandbox())
    for number in range(8):
        audit.record_objects(s3.Bucket(stack, f"Data{number}"))
    template = templates(app)["Many"]
    assert len(template.only("AWS::CloudTrail::Trail")["EventSelectors"]) == 2
    assert len(recorded(template)) == 8
