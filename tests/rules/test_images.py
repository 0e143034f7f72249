"""Image URIs are read as container runtimes and Amazon ECR read them."""

from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.engine import judge
from ml_lens.rules.finding import Finding
from ml_lens.rules.first_party_images import FIRST_PARTY_ACCOUNTS
from ml_lens.rules.images import Image, Registry, image_of
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from tests.rules.apps import app, node
from tests.rules.cases.images import DIGEST, PINNED, PRIVATE, REPOSITORY, model
from tests.rules.cases.jobs import TRAINING, machine
from tests.rules.fixtures import OPEN_PARAMETER, PARAMETERS, said, template, told

OPEN = "${NobodyKnows}"
HASH = "9f" * 32
ASSETS = "cdk-hnb659fds-container-assets"
OF_THE_CDK = [  # what repository.repository_uri_for_tag("v1") writes
    {"Fn::Select": [4, {"Fn::Split": [":", {"Fn::GetAtt": ["Repository", "Arn"]}]}]},
    ".dkr.ecr.",
    {"Fn::Select": [3, {"Fn::Split": [":", {"Fn::GetAtt": ["Repository", "Arn"]}]}]},
    ".",
    {"Ref": "AWS::URLSuffix"},
    "/",
    {"Ref": "Repository"},
    ":v1",
]


def sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def image(uri: Any, **options: Any) -> Image:
    body = {"Parameters": dict(PARAMETERS), "Resources": model(uri)}
    return image_of(node(app(body, **options), "Model")["PrimaryContainer"]["Image"])


@pytest.mark.parametrize(
    ("uri", "registry"),
    [
        (sub("${Repository.RepositoryUri}:1"), Registry.OWN),
        ({"Fn::Join": ["", OF_THE_CDK]}, Registry.OWN),
        (sub("${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/any:1"), Registry.OWN),
        (sub("${AWS::AccountId}.dkr.ecr.eu-west-1.amazonaws.com/any"), Registry.OWN),
        (sub(f"{OPEN}.dkr.ecr.eu-west-1.amazonaws.com/${{Repository}}:1"), Registry.OWN),
        ("999988887777.dkr.ecr.eu-west-1.amazonaws.com/churn:1", Registry.OWN),
        (
            sub(
                f"${{AWS::AccountId}}.dkr.ecr.${{AWS::Region}}.amazonaws.com/{ASSETS}-${{AWS::AccountId}}-x:{HASH}"
            ),
            Registry.OWN,
        ),
        (
            f"999988887777.dkr.ecr.eu-west-1.amazonaws.com/{ASSETS}-999988887777-eu-west-1:{HASH}",
            Registry.OWN,
        ),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1", Registry.AWS),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/churn:2.1", Registry.AWS),
        (sub("763104351884.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/xgboost:1.7-1"), Registry.AWS),
        ("727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-inference:2.1", Registry.AWS),
        ("763104351884.dkr.ecr-fips.us-east-1.amazonaws.com/pytorch-inference:2.1", Registry.AWS),
        ("763104351884.dkr-ecr.us-east-1.on.aws/pytorch-inference:2.1", Registry.AWS),
        ("999988887777.dkr.ecr.eu-west-1.amazonaws.com/other:1", Registry.OTHER),
        (sub(f"{OPEN}.dkr.ecr.eu-west-1.amazonaws.com/other:1"), Registry.OPEN),
        (sub(f"{OPEN}/churn:1"), Registry.OPEN),
        (OPEN_PARAMETER, Registry.OPEN),
        ({"Fn::ImportValue": "elsewhere"}, Registry.OPEN),
        ("public.ecr.aws/team/churn:1", Registry.FOREIGN),
        ("docker.io/churn", Registry.FOREIGN),
        ("churn:1", Registry.FOREIGN),
        ("team/churn:1", Registry.FOREIGN),
        ("localhost/churn", Registry.FOREIGN),
        ("999988887777.dkr.ecr.eu-west-1.amazonaws.com.example.com/churn:1", Registry.FOREIGN),
        ("99998888777.dkr.ecr.eu-west-1.amazonaws.com/churn:1", Registry.FOREIGN),
        ("763104351884.dkr.ecr.us-east-1.example-amazonaws.com/churn:1", Registry.FOREIGN),
    ],
)
def test_a_host_tells_whose_registry_it_is(uri: Any, registry: Registry) -> None:
    assert image(uri).registry is registry


@pytest.mark.parametrize(
    ("uri", "tag", "digest", "tag_is_open"),
    [
        ("docker.io/churn:1.2", "1.2", None, False),
        ("docker.io/churn", None, None, False),
        ("churn:1", "1", None, False),
        ("registry.example.com:5000/churn", None, None, False),
        ("registry.example.com:5000/churn:1", "1", None, False),
        (f"docker.io/churn@{DIGEST}", None, DIGEST, False),
        (f"docker.io/churn:1@{DIGEST}", "1", DIGEST, False),
        (sub(f"docker.io/churn@{OPEN}"), None, OPEN, False),
        (sub(f"docker.io/churn:{OPEN}"), None, None, True),
        (sub(f"docker.io/churn:v{OPEN}"), None, None, True),
        (sub(f"docker.io/{OPEN}"), None, None, True),
        (sub(f"{OPEN}/churn"), None, None, False),
        (OPEN_PARAMETER, None, None, True),
        ({"Fn::GetAtt": ["Repository", "RepositoryUri"]}, None, None, False),
        (
            sub("${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/churn-${AWS::Region}"),
            None,
            None,
            False,
        ),
        ({"Fn::Join": ["", OF_THE_CDK]}, "v1", None, False),
    ],
)
def test_a_uri_tells_its_version(uri: Any, tag: str | None, digest: str | None, tag_is_open: bool) -> None:
    read = image(uri)
    assert (read.tag, read.digest, read.tag_is_open) == (tag, digest, tag_is_open)


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        (sub("${Repository.RepositoryUri}:1"), True),
        ({"Fn::Join": ["", OF_THE_CDK]}, True),
        (sub("${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/churn:1"), True),
        (sub("${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/churn/more:1"), False),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/churn:1", False),
        ("docker.io/churn:1", False),
    ],
)
def test_a_path_tells_the_repository_of_the_app(uri: Any, found: bool) -> None:
    assert (image(uri).repository is not None) is found


def test_an_account_of_the_options_is_private() -> None:
    uri = "999988887777.dkr.ecr.eu-west-1.amazonaws.com/other:1"
    assert image(uri, image_accounts=["999988887777"]).registry is Registry.OWN
    assert image(uri, image_accounts=["111122223333"]).registry is Registry.OTHER
    assert image(uri).account == "999988887777"


def test_only_an_image_with_its_hash_is_an_asset() -> None:
    place = f"999988887777.dkr.ecr.eu-west-1.amazonaws.com/{ASSETS}-999988887777-eu-west-1"
    assert image(f"{place}:{HASH}").is_asset
    assert image(f"{place}:team-{HASH}").is_asset
    assert not image(f"{place}:latest").is_asset
    assert not image(f"999988887777.dkr.ecr.eu-west-1.amazonaws.com/other:{HASH}").is_asset


def test_whatever_is_private_is_of_ecr() -> None:
    assert image(sub("${Repository.RepositoryUri}:1")).is_private_ecr
    assert image("999988887777.dkr.ecr.eu-west-1.amazonaws.com/other:1").is_private_ecr
    assert not image("docker.io/churn:1").is_private_ecr
    assert not image(OPEN_PARAMETER).is_private_ecr


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "",
        7,
        True,
        [],
        ["a"],
        {"a": 1},
        "/",
        ":",
        "@",
        "//:@",
        ":/@:",
        "a/",
        "\ue000",
        "\ue000.dkr.ecr.eu-west-1.amazonaws.com/x:1",
    ],
)
def test_what_is_no_uri_names_no_private_image(uri: Any) -> None:
    assert not image(uri).is_private_ecr
    assert image(uri).repository is None


def test_the_accounts_of_aws_are_accounts() -> None:
    assert all(len(each) == 12 and each.isdigit() for each in FIRST_PARTY_ACCOUNTS)
    known = {
        "763104351884",  # deep learning containers in most Regions
        "683313688378",  # scikit-learn and XGBoost, us-east-1
        "382416733822",  # linear learner and others, us-east-1
        "205585389593",  # Clarify, us-east-1
        "156813124566",  # Model Monitor, us-east-1
        "173754725891",  # Spark, us-east-1
    }
    assert known <= FIRST_PARTY_ACCOUNTS


# The rules


def found(rule: str, resources: dict[str, Any], **options: Any) -> list[Finding]:
    return said(rule, template(resources), options)


@pytest.mark.parametrize(
    ("uri", "mode", "expected"),
    [
        ("registry.example.com/churn:1", "Vpc", []),
        ("registry.example.com/churn:1", "Platform", [(None, "error", "Model")]),
        ("registry.example.com/churn:1", None, [(None, "error", "Model")]),
        (
            "registry.example.com/churn:1",
            OPEN_PARAMETER,
            [("unresolved:PrimaryContainer.ImageConfig.RepositoryAccessMode", "warning", "Model")],
        ),
        ("docker.io/churn:1", "Vpc", [(None, "error", "Model")]),
        ("churn:1", "Vpc", [(None, "error", "Model")]),
    ],
)
def test_a_docker_registry_is_private_when_it_lies_in_the_vpc(
    uri: str, mode: Any, expected: list[Any]
) -> None:
    container = {"Image": uri, "ImageConfig": {"RepositoryAccessMode": mode}}
    resources = {"Model": {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": container}}}
    assert told(found(PRIVATE, resources)) == expected


def test_a_training_job_may_use_a_private_docker_registry_too() -> None:
    algorithm = {
        "TrainingImage": "registry.example.com/churn:1",
        "TrainingImageConfig": {"TrainingRepositoryAccessMode": "Vpc"},
    }
    assert (
        found(PRIVATE, {"Machine": machine("createTrainingJob", {"AlgorithmSpecification": algorithm})}) == []
    )
    del algorithm["TrainingImageConfig"]
    assert (
        len(found(PRIVATE, {"Machine": machine("createTrainingJob", {"AlgorithmSpecification": algorithm})}))
        == 1
    )


@pytest.mark.parametrize("rule", [PRIVATE, PINNED])
def test_what_names_no_image_is_not_judged(rule: str) -> None:
    packaged = {
        "PrimaryContainer": {"ModelPackageName": "arn:aws:sagemaker:eu-west-1:111122223333:model-package/x"}
    }
    resources = {
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": packaged},
        "Named": machine("createTrainingJob", {"AlgorithmSpecification": {"AlgorithmName": "churn"}}),
        "Batch": machine("createTransformJob", {"ModelName": "churn"}),
    }
    assert found(rule, resources) == []


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"docker.io/churn@{DIGEST}", []),
        (sub(f"{OPEN}@{DIGEST}"), []),
        (sub(f"${{Repository.RepositoryUri}}@{OPEN}"), []),
        (f"999988887777.dkr.ecr.eu-west-1.amazonaws.com/{ASSETS}-999988887777-eu-west-1:{HASH}", []),
        (
            sub(
                f"${{AWS::AccountId}}.dkr.ecr.${{AWS::Region}}.${{AWS::URLSuffix}}/{ASSETS}-${{AWS::AccountId}}-x:{HASH}"
            ),
            [],
        ),
        (sub(f"{OPEN}/churn:latest"), [(None, "error", "Model")]),
        (sub(f"{OPEN}/churn:1"), [("unresolved:PrimaryContainer.Image", "warning", "Model")]),
    ],
)
def test_a_digest_and_an_asset_are_pinned(uri: Any, expected: list[Any]) -> None:
    assert told(found(PINNED, model(uri))) == expected


def mutable(*uris: Any) -> dict[str, Any]:
    models = {
        f"Model{at}": {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": {"Image": each}}}
        for at, each in enumerate(uris)
    }
    return {**models, "Repository": {"Type": "AWS::ECR::Repository", "Properties": {}}}


BY_DIGEST, BY_TAG = sub(f"${{Repository.RepositoryUri}}@{DIGEST}"), sub("${Repository.RepositoryUri}:1")


@pytest.mark.parametrize(
    ("uris", "repository_fails"),
    [([], True), ([BY_DIGEST], False), ([BY_TAG], True), ([BY_DIGEST, BY_TAG], True)],
)
def test_a_repository_may_be_mutable_when_the_app_names_digests(
    uris: list[Any], repository_fails: bool
) -> None:
    expected = [(None, "error", "Repository")] if repository_fails else []
    assert told(found(PINNED, mutable(*uris))) == expected


def test_a_training_job_that_names_a_tag_needs_the_repository_too() -> None:
    request = {**TRAINING, "AlgorithmSpecification": {"TrainingImage": BY_TAG}}
    resources = {**mutable(BY_DIGEST), "Machine": machine("createTrainingJob", request)}
    assert told(found(PINNED, resources)) == [(None, "error", "Repository")]


@pytest.mark.parametrize(("tag", "expected"), [("dev-7", [(None, "error", "Model")]), ("1", [])])
def test_a_tag_that_the_repository_lets_change_is_not_pinned(tag: str, expected: list[Any]) -> None:
    filters = [
        {
            "ImageTagMutabilityExclusionFilterType": "WILDCARD",
            "ImageTagMutabilityExclusionFilterValue": "dev-*",
        }
    ]
    excluded = {
        "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "ImageTagMutabilityExclusionFilters": filters,
    }
    resources = {**model(sub(f"${{Repository.RepositoryUri}}:{tag}"))}
    resources["Repository"] = {"Type": "AWS::ECR::Repository", "Properties": excluded}
    assert told(found(PINNED, resources)) == expected


def test_a_repository_of_another_template_is_part_of_the_app() -> None:
    exported = {
        "Resources": {"Repository": REPOSITORY},
        "Outputs": {
            "Uri": {"Value": {"Fn::GetAtt": ["Repository", "RepositoryUri"]}, "Export": {"Name": "images"}}
        },
    }
    uri = {"Fn::Join": ["", [{"Fn::ImportValue": "images"}, ":1.4"]]}
    importing = template({"Model": model(uri)["Model"]})
    read = [
        TemplateFile(Path(f"{name}.json"), f"{name}.json", body, name, {})
        for name, body in (("Images", exported), ("Models", importing))
    ]
    rules = {f"MLLens-{PRIVATE}", f"MLLens-{PINNED}"}
    assert [each for each in judge(read, Options()) if each.rule in rules] == []
    alone = [each for each in judge(read[1:], Options()) if each.rule in rules]
    assert [each.finding for each in alone] == ["unresolved:PrimaryContainer.Image"] * 2
