"""The image that serves a model: where AWS keeps its own, and what names an image for good."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam

from ml_lens.foundation import PropError
from ml_lens.foundation.props import PropChecks
from ml_lens.hosting import ModelImage
from ml_lens.hosting.images import IMAGE_ACCOUNTS, SCIKIT_LEARN_VERSIONS, XGBOOST_VERSIONS
from ml_lens.rules.first_party_images import FIRST_PARTY_ACCOUNTS
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template, text

DIGEST = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
# As AWS lists them under "Docker Registry Paths and Example Code".
KNOWN = {
    "us-east-1": "683313688378",
    "us-west-2": "246618743249",
    "eu-west-1": "141502667606",
    "eu-central-1": "492215442770",
    "ap-northeast-1": "354813040037",
    "sa-east-1": "737474898029",
    "cn-north-1": "450853457545",
    "us-gov-west-1": "414596584902",
}


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Images")


def bound(stack: cdk.Stack, *images: ModelImage) -> Template:
    """Synthesize the URIs as outputs, and a role that may pull."""
    role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
    for number, image in enumerate(images):
        pullable = image.bind(stack)
        pullable.grant_pull(role)
        cdk.CfnOutput(stack, f"Uri{number}", value=pullable.uri)
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)["Images"]


def uri(template: Template, number: int = 0) -> str:
    return text(template.body["Outputs"][f"Uri{number}"]["Value"])


def test_the_table_holds_what_aws_documents() -> None:
    assert {region: IMAGE_ACCOUNTS.get(region) for region in KNOWN} == KNOWN


def test_every_region_has_an_account_of_its_own_that_the_rules_know_as_one_of_aws() -> None:
    assert set(IMAGE_ACCOUNTS.values()) <= FIRST_PARTY_ACCOUNTS
    assert len(set(IMAGE_ACCOUNTS.values())) == len(IMAGE_ACCOUNTS) == 37
    assert list(IMAGE_ACCOUNTS) == sorted(IMAGE_ACCOUNTS)


def test_the_account_is_looked_up_in_the_region_of_the_deployment(stack: cdk.Stack) -> None:
    made = bound(stack, ModelImage.xgboost("1.7-1"), ModelImage.scikit_learn("1.2-1"))
    mapped = '{"Fn::FindInMap": ["MLLensImageAccounts", {"Ref": "AWS::Region"}, "account"]}'
    host = f"{mapped}.dkr.ecr.<AWS::Region>.<AWS::URLSuffix>"
    assert uri(made) == f"{host}/sagemaker-xgboost:1.7-1"
    assert uri(made, 1) == f"{host}/sagemaker-scikit-learn:1.2-1-cpu-py3"


def test_one_table_is_enough_for_a_stack(stack: cdk.Stack) -> None:
    made = bound(stack, ModelImage.xgboost(), ModelImage.scikit_learn())
    (table,) = made.body["Mappings"].values()
    assert {region: row["account"] for region, row in table.items()} == IMAGE_ACCOUNTS


@pytest.mark.parametrize(
    "image", [ModelImage.xgboost(), ModelImage.scikit_learn()], ids=lambda image: image.name
)
def test_only_the_one_repository_may_be_pulled_from(stack: cdk.Stack, image: ModelImage) -> None:
    made = bound(stack, image)
    (said,) = made.statements(made.id("AWS::IAM::Role", "Role"))
    assert said.actions == {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    }
    (repository,) = said.resources
    assert repository.endswith(f":repository/{image.name}")


@pytest.mark.parametrize(
    ("named", "ending"), [({"digest": DIGEST}, f"@{DIGEST}"), ({"tag": "2026-11-20"}, ":2026-11-20")]
)
def test_an_image_of_ones_own(stack: cdk.Stack, named: dict[str, str], ending: str) -> None:
    repository = ecr.Repository(stack, "Ours")
    made = bound(stack, ModelImage.in_repository(repository, **named))
    id = made.id("AWS::ECR::Repository", "Ours")
    assert uri(made).endswith(f"<{id}>{ending}")
    assert "Mappings" not in made.body
    (said,) = made.statements(made.id("AWS::IAM::Role", "Role"))
    assert said.resources == (f"<{id}.Arn>",)


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({}, "digest: give either digest or tag"),
        ({"digest": DIGEST, "tag": "1"}, "digest: give either digest or tag"),
        ({"digest": DIGEST.removeprefix("sha256:")}, "it begins with 'sha256:'"),
        ({"tag": "latest"}, "tag: 'latest' is another image tomorrow"),
    ],
)
def test_what_names_no_fixed_image_is_refused(stack: cdk.Stack, named: dict[str, Any], problem: str) -> None:
    with pytest.raises(PropError, match=problem):
        ModelImage.in_repository(ecr.Repository(stack, "Ours"), **named)


def test_a_version_that_cannot_be_served_is_answered_with_those_that_can() -> None:
    with pytest.raises(PropError, match=r"^ModelImage.xgboost\n  version: '3.0-6' .*did you mean '3.0-5'"):
        ModelImage.xgboost("3.0-6")
    with pytest.raises(PropError, match=r"scikit_learn\n  version: 'newest' .*there are 1.2-1"):
        ModelImage.scikit_learn("newest")


@pytest.mark.parametrize("version", XGBOOST_VERSIONS)
def test_every_version_of_xgboost_is_its_tag(version: str) -> None:
    assert ModelImage.xgboost(version).reference == version


@pytest.mark.parametrize("version", SCIKIT_LEARN_VERSIONS)
def test_every_version_of_scikit_learn_is_in_its_tag(version: str) -> None:
    assert ModelImage.scikit_learn(version).reference == f"{version}-cpu-py3"


@pytest.mark.parametrize(("region", "served"), [("eu-west-1", True), ("mx-central-1", False)])
def test_a_known_region_without_the_image_is_refused(tmp_path: Path, region: str, served: bool) -> None:
    stack = cdk.Stack(new_app(tmp_path), "There", env=cdk.Environment(region=region))
    checks = PropChecks()
    ModelImage.xgboost().check(checks, stack)
    assert [problem.partition(" in ")[0] for problem in checks.problems] == (
        [] if served else ["model.image: AWS serves no sagemaker-xgboost"]
    )
    ours = PropChecks()
    ModelImage.in_repository(ecr.Repository(stack, "Ours"), tag="1").check(ours, stack)
    assert ours.problems == []
