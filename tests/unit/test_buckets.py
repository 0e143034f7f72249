"""Buckets by the role their data plays: what can be set, what is refused, what is granted."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from cdk_nag import AwsSolutionsChecks

from ml_lens.foundation import AuditTrail, DerivedDataBucket, Posture, PropError, TemporaryInputBucket
from tests.stacks.synthesis import findings, new_app, templates
from tests.stacks.template import Template

SANDBOX = Posture.sandbox()


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Storage")


def template(stack: cdk.Stack) -> Template:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)["Storage"]


@pytest.mark.parametrize("age", [Duration.hours(1), Duration.hours(30), Duration.days(0)])
def test_the_age_of_a_file_is_counted_in_days(stack: cdk.Stack, age: Duration) -> None:
    with pytest.raises(
        PropError, match=r"^Files \(TemporaryInputBucket\)\n  max_age: .* whole number of days"
    ):
        TemporaryInputBucket(stack, "Files", posture=SANDBOX, max_age=age)
    assert stack.node.children == []


def test_a_longer_age_is_what_s3_is_told(stack: cdk.Stack) -> None:
    TemporaryInputBucket(stack, "Files", posture=SANDBOX, max_age=Duration.days(3))
    rules = template(stack).one("AWS::S3::Bucket", "Files")["LifecycleConfiguration"]["Rules"]
    by_id = {rule["Id"]: rule for rule in rules}
    assert by_id["ExpireWhatIsLeft"]["ExpirationInDays"] == 3
    assert by_id["ForgetVersionsAndMarkers"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_every_problem_of_a_results_bucket_is_named(stack: cdk.Stack) -> None:
    with pytest.raises(PropError) as raised:
        DerivedDataBucket(
            stack, "Rows", posture=SANDBOX, transient=["queries", "tmp"], keep_versions=Duration.hours(5)
        )
    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "keep_versions",
        "transient",
        "transient",
    ]
    assert "end the prefix in a slash: 'queries/'" in raised.value.problems[1]


def test_replaced_rows_are_kept_as_long_as_one_likes(stack: cdk.Stack) -> None:
    DerivedDataBucket(stack, "Rows", posture=SANDBOX, transient=["a/"], keep_versions=Duration.days(90))
    rules = template(stack).one("AWS::S3::Bucket", "Rows")["LifecycleConfiguration"]["Rules"]
    assert rules[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert "ExpirationInDays" not in rules[0]
    assert (rules[1]["Prefix"], rules[1]["ExpirationInDays"]) == ("a/", 7)


@pytest.mark.lens("F2-02")
def test_a_key_of_ones_own_encrypts_the_files(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "Ours", enable_key_rotation=True)
    files = TemporaryInputBucket(stack, "Files", posture=SANDBOX, key=key)
    cameras = iam.Role(stack, "Cameras", assumed_by=iam.AccountRootPrincipal())
    files.grant_write_only(cameras)
    made = template(stack)
    ours = made.id("AWS::KMS::Key", "Ours")
    assert made.key_of(made.id("AWS::S3::Bucket", "Files")) == ours
    assert not [id for id in made.resources("AWS::KMS::Key") if id.startswith("Files")]
    _, encrypt = made.statements(made.id("AWS::IAM::Role", "Cameras"))
    assert encrypt.resources == (f"<{ours}.Arn>",)


def test_a_key_of_another_stack_or_account_will_do(stack: cdk.Stack) -> None:
    arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    TemporaryInputBucket(stack, "Files", posture=SANDBOX, key=kms.Key.from_key_arn(stack, "Ours", arn))
    (rule,) = template(stack).one("AWS::S3::Bucket", "Files")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == arn


@pytest.mark.parametrize("recorded", [False, True])
def test_the_finding_on_access_logs_stands_until_access_is_recorded(tmp_path: Path, recorded: bool) -> None:
    app = new_app(tmp_path)
    stack = cdk.Stack(app, "Storage")
    audit = AuditTrail(stack, "Audit", posture=SANDBOX) if recorded else None
    TemporaryInputBucket(stack, "Files", posture=SANDBOX, audit=audit)
    DerivedDataBucket(stack, "Rows", posture=SANDBOX, audit=audit)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    if recorded:
        app.synth()
    else:
        with pytest.raises(RuntimeError, match="ValidationFailed"):
            app.synth()
    missing = [f"AwsSolutions-S1 Storage/{name}/Resource/Resource" for name in ("Files", "Rows")]
    assert findings(tmp_path) == ([] if recorded else missing)


def test_rights_can_be_given_to_a_role_that_the_app_does_not_own(stack: cdk.Stack) -> None:
    files = TemporaryInputBucket(stack, "Files", posture=SANDBOX)
    role = iam.Role.from_role_arn(stack, "Cameras", "arn:aws:iam::123456789012:role/cameras")
    files.grant_write_only(role)
    policies = template(stack).resources("AWS::IAM::Policy").values()
    (policy,) = (policy for policy in policies if policy["Roles"] == ["cameras"])
    actions = {said["Action"] for said in policy["PolicyDocument"]["Statement"]}
    assert actions == {"s3:PutObject", "kms:GenerateDataKey"}


def test_one_function_empties_all_buckets_of_a_stack(stack: cdk.Stack) -> None:
    TemporaryInputBucket(stack, "Files", posture=SANDBOX)
    DerivedDataBucket(stack, "Rows", posture=SANDBOX)
    made = template(stack)
    assert len(made.resources("Custom::EmptiedBucket")) == 2
    assert len(made.resources("AWS::Lambda::Function")) == 1
    assert not made.resources("AWS::CloudWatch::Alarm")
