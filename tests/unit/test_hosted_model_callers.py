"""Who may call an endpoint, from where, and what it may be given to serve later."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from ml_lens.foundation import PropError
from ml_lens.hosting import CallOrigin
from tests.stacks.synthesis import new_app
from tests.stacks.template import Statement
from tests.unit.serving import ENDPOINT, KEY, host, library, model, said, template

CALL = "sagemaker:InvokeEndpoint"


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


def granted(stack: cdk.Stack, served: Any = None, **props: Any) -> Statement:
    """Grant the right to call to a new role, and return what it may."""
    hosted = host(stack, model=served or model(stack))
    hosted.grant_invoke(iam.Role(stack, "Shop", assumed_by=iam.AccountRootPrincipal()), **props)
    made = template(stack)
    (statement,) = made.statements(made.id("AWS::IAM::Role", "Shop"))
    assert statement.actions == {CALL}
    assert statement.resources == (f"<{made.id(ENDPOINT, 'Churn')}>",)
    return statement


@pytest.mark.lens("IAM-08")
@pytest.mark.parametrize(
    ("origin", "condition"),
    [
        (
            {"vpc_endpoints": ["vpce-0123456789abcdef0"]},
            {"StringEquals": {"aws:SourceVpce": ["vpce-0123456789abcdef0"]}},
        ),
        (
            {"vpcs": ["vpc-01234567"], "vpc_endpoints": ["vpce-01234567"], "ip_ranges": ["10.0.0.0/16"]},
            {
                "StringEquals": {"aws:SourceVpce": ["vpce-01234567"], "aws:SourceVpc": ["vpc-01234567"]},
                "IpAddress": {"aws:VpcSourceIp": ["10.0.0.0/16"]},
            },
        ),
        ({"ip_ranges": ["203.0.113.0/24"]}, {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}}),
    ],
)
def test_calls_may_have_to_come_from_a_place(stack: cdk.Stack, origin: Any, condition: Any) -> None:
    assert granted(stack, only_from=CallOrigin(**origin)).condition == condition


@pytest.mark.lens("IAM-05", "IAM-06")
def test_without_a_place_calls_may_come_from_anywhere(stack: cdk.Stack) -> None:
    assert granted(stack).condition == {}


def test_the_id_of_a_vpc_may_be_known_later(stack: cdk.Stack) -> None:
    vpc = cdk.CfnParameter(stack, "Vpc1").value_as_string
    assert granted(stack, only_from=CallOrigin(vpcs=[vpc])).condition == {
        "StringEquals": {"aws:SourceVpc": [{"Ref": "Vpc1"}]}
    }


@pytest.mark.parametrize(
    ("origin", "problem"),
    [
        ({}, "only_from: names no place"),
        ({"vpcs": ["vpce-01234567"]}, "only_from.vpcs: 'vpce-01234567' is no such id"),
        ({"vpc_endpoints": ["vpc-01234567"]}, "only_from.vpc_endpoints: 'vpc-01234567' is no such id"),
        ({"ip_ranges": ["203.0.113.1/24"]}, "only_from.ip_ranges: '203.0.113.1/24' is no range"),
    ],
)
def test_what_is_no_place_is_refused(stack: cdk.Stack, origin: Any, problem: str) -> None:
    hosted = host(stack)
    role = iam.Role(stack, "Shop", assumed_by=iam.AccountRootPrincipal())
    with pytest.raises(PropError) as raised:
        hosted.grant_invoke(role, only_from=CallOrigin(**origin))
    assert raised.value.problems[0].startswith(problem)
    assert role.node.try_find_child("DefaultPolicy") is None


def test_calls_may_be_limited_to_models_of_a_library(stack: cdk.Stack) -> None:
    statement = granted(stack, library(stack), models=["eu/*"], only_from=CallOrigin(vpcs=["vpc-01234567"]))
    assert statement.condition == {
        "StringEquals": {"aws:SourceVpc": ["vpc-01234567"]},
        "StringLike": {"sagemaker:TargetModel": ["eu/*"]},
    }


def test_one_model_is_not_named(stack: cdk.Stack) -> None:
    hosted = host(stack)
    with pytest.raises(PropError, match="models: are those of a ModelLibrary"):
        hosted.grant_invoke(iam.Role(stack, "Shop", assumed_by=iam.AccountRootPrincipal()), models=["eu/*"])


@pytest.mark.lens("MDL-01")
def test_candidates_below_a_prefix_can_be_served(stack: cdk.Stack) -> None:
    key = kms.Key(stack, "CandidatesKey", enable_key_rotation=True)
    candidates = s3.Bucket(stack, "Candidates", encryption_key=key)
    host(stack).let_serve(candidates, "churn/")
    made = template(stack)
    bucket = made.id("AWS::S3::Bucket", "Candidates")
    assert f"<{bucket}.Arn>/churn/*" in {arn for each in said(made, "s3:GetObject") for arn in each.resources}
    assert f"<{made.id(KEY, 'CandidatesKey')}.Arn>" in {
        arn for each in said(made, "kms:Decrypt") for arn in each.resources
    }
    assert not said(made, "s3:PutObject")[0].resources[0].startswith(f"<{bucket}")


def test_candidates_are_in_a_folder(stack: cdk.Stack) -> None:
    hosted = host(stack)
    with pytest.raises(PropError, match="prefix: 'churn' would match more than one folder"):
        hosted.let_serve(s3.Bucket.from_bucket_name(stack, "Theirs", "theirs"), "churn")
    hosted.let_serve(s3.Bucket.from_bucket_name(stack, "Ours", "ours"), "churn/")
