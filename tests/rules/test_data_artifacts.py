"""Models and what they are made of, where one change does not say it."""

from typing import Any

import pytest

from tests.rules.cases.data import bucket
from tests.rules.cases.data_artifacts import REFUSAL, RETAINED, backed_up
from tests.rules.cases.data_logs import machine
from tests.rules.judging import Told, found


def test_the_days_that_replaced_versions_are_kept_can_be_set() -> None:
    rules = [{"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 60}}]
    models = bucket(
        "model-artifacts",
        VersioningConfiguration={"Status": "Enabled"},
        LifecycleConfiguration={"Rules": rules},
    )
    assert found("REL04-ArtifactsVersioned", {"Models": models}) == []
    shorter = found("REL04-ArtifactsVersioned", {"Models": models}, min_noncurrent_days=90)
    assert shorter == [("model", "error", "Models")]


def test_a_lifecycle_rule_that_is_off_or_elsewhere_forgets_nothing() -> None:
    def kept(**changes: Any) -> Told:
        rule = {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}, **changes}
        models = bucket(
            "model-artifacts",
            VersioningConfiguration={"Status": "Enabled"},
            LifecycleConfiguration={"Rules": [rule]},
        )
        models["Metadata"]["MLLens"]["Prefix"] = "models/"
        return found("REL04-ArtifactsVersioned", {"Models": models})

    assert kept(Status="Disabled") == []
    assert kept(Prefix="tmp/") == []
    assert kept(Prefix="models/churn/") == [("model", "error", "Models")]
    assert kept() == [("model", "error", "Models")]


def test_a_bucket_with_two_roles_is_told_of_in_both() -> None:
    task = machine(Train="createTrainingJob")
    task["Properties"]["DefinitionString"]["States"]["Train"]["Parameters"] = {
        "InputDataConfig": [{"DataSource": {"S3DataSource": {"S3Uri": "s3://all/train"}}}],
        "OutputDataConfig": {"S3OutputPath": "s3://all/models"},
    }
    everything = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "all"}}
    assert found("REL04-ArtifactsVersioned", {"Flow": task, "All": everything}) == [
        ("data", "error", "All"),
        ("model", "error", "All"),
    ]


def refused(*statements: dict[str, Any]) -> Told:
    policy = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Models"}, "PolicyDocument": {"Statement": list(statements)}},
    }
    return found("REL04-ModelBucketDeleteProtected", {"Models": RETAINED, "Policy": policy})


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"Null": {"aws:MultiFactorAuthAge": "true"}},
        {"BoolIfExists": {"AWS:MultiFactorAuthPresent": False}},
        {
            "BoolIfExists": {"aws:MultiFactorAuthPresent": "false"},
            "ArnNotEquals": {
                "aws:PrincipalArn": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/breakglass"}
            },
        },
    ],
)
def test_deletion_is_refused_in_more_than_one_way(condition: dict[str, Any]) -> None:
    assert refused({**REFUSAL, "Condition": condition}) == []


def test_two_refusals_may_add_up() -> None:
    without = {**REFUSAL, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}
    unsaid = {**REFUSAL, "Condition": {"Null": {"aws:MultiFactorAuthPresent": "true"}}}
    assert refused(without, unsaid) == []
    assert refused(without) == [("mfa", "error", "Models")]
    assert (
        refused({**REFUSAL, "Action": "s3:DeleteObject"}, {**REFUSAL, "Action": "s3:DeleteObjectVersion"})
        == []
    )


def test_retaining_except_on_creation_retains() -> None:
    app = {"Models": {**RETAINED, "DeletionPolicy": "RetainExceptOnCreate"}}
    assert found("REL04-ModelBucketDeleteProtected", app) == [("mfa", "error", "Models")]


def test_other_buckets_need_no_protection_and_no_copy() -> None:
    assert found("REL04-ModelBucketDeleteProtected", {"Data": bucket("training-data")}) == []
    assert found("REL04-ModelSecondCopy", {"Data": bucket("training-data")}) == []


@pytest.mark.parametrize("everything", ["*", "arn:aws:s3:::*"])
def test_a_backup_of_everything_includes_the_models(everything: str) -> None:
    assert found("REL04-ModelSecondCopy", backed_up({"Resources": [everything]})) == []


def test_a_backup_with_conditions_takes_what_has_the_tags() -> None:
    wanted = [{"ConditionKey": "aws:ResourceTag/backup", "ConditionValue": "yes"}]
    selection = {"Resources": ["*"], "Conditions": {"StringEquals": wanted}}
    assert (
        found("REL04-ModelSecondCopy", backed_up(selection, Tags=[{"Key": "backup", "Value": "yes"}])) == []
    )
    missing = found("REL04-ModelSecondCopy", backed_up(selection, Tags=[{"Key": "backup", "Value": "no"}]))
    assert missing == [(None, "warning", "Models")]
