"""What an endpoint can serve beside one model: a pipeline of containers, and a library of models."""

from dataclasses import replace
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ecr as ecr

from ml_lens.hosting import (
    Deployment,
    InferencePipeline,
    Instances,
    ModelArtifact,
    ModelImage,
    ServedModel,
    Serverless,
)
from tests.stacks.synthesis import new_app
from tests.stacks.template import text
from tests.unit.serving import KEY, MODEL, host, library, model, network_of, problems, said, template


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


def pipeline(stack: cdk.Stack, steps: int = 2) -> InferencePipeline:
    return InferencePipeline(containers=[model(stack, number) for number in range(1, steps + 1)], version="7")


@pytest.mark.lens("PIP-01", "PIP-02")
def test_a_pipeline_is_one_model_of_containers_in_their_order(stack: cdk.Stack) -> None:
    host(stack, model=pipeline(stack, steps=3))
    made = template(stack)
    properties = made.only(MODEL)
    assert properties["InferenceExecutionConfig"] == {"Mode": "Serial"}
    assert "PrimaryContainer" not in properties
    urls = [text(each["ModelDataUrl"]) for each in properties["Containers"]]
    assert [url.partition("/churn/")[2] for url in urls] == [f"{number}/model.tar.gz" for number in (1, 2, 3)]
    reading = {arn for each in said(made, "s3:GetObject") for arn in each.resources}
    assert len(reading) == 3
    assert not [arn for arn in reading if arn.endswith("*")]


@pytest.mark.lens("HST-07")
def test_every_step_knows_the_version_of_the_pipeline_and_its_own(stack: cdk.Stack) -> None:
    hosted = host(stack, model=pipeline(stack))
    made = template(stack)
    assert [each["Environment"] for each in made.only(MODEL)["Containers"]] == [
        {"MODEL_VERSION": "7", "STEP_VERSION": "1.0.0"},
        {"MODEL_VERSION": "7", "STEP_VERSION": "2.0.0"},
    ]
    assert made.only(MODEL)["Tags"] == [{"Key": "mllens:model-version", "Value": "7"}]
    assert hosted.model_version == "7"


def test_steps_may_be_files_of_this_machine(stack: cdk.Stack, tmp_path: Path) -> None:
    packed = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        packed.append(tmp_path / str(number) / "model.tar.gz")
        packed[-1].write_bytes(str(number).encode())
    steps = [replace(model(stack), artifact=ModelArtifact.from_file(each)) for each in packed]
    host(stack, model=InferencePipeline(containers=steps, version="1"))
    urls = {text(each["ModelDataUrl"]) for each in template(stack).only(MODEL)["Containers"]}
    assert len(urls) == 2


@pytest.mark.parametrize("steps", [1, 16])
def test_two_to_fifteen_containers_make_a_pipeline(stack: cdk.Stack, steps: int) -> None:
    (found,) = problems(stack, model=pipeline(stack, steps))
    assert found.startswith(f"model.containers: {steps} make no pipeline; SageMaker chains 2 to 15")


def test_a_bad_step_is_named(stack: cdk.Stack) -> None:
    good = model(stack)
    bad = replace(good, version="so, so", environment={"STEP_VERSION": "1"})
    full = replace(good, environment={f"V{number}": "" for number in range(99)})
    found = problems(stack, model=InferencePipeline(containers=[good, bad, full], version="1"))
    assert [problem.partition(":")[0] for problem in found] == [
        "model.containers[1].version",
        "model.containers[1].environment",
        "model.containers[2].environment",
    ]


@pytest.mark.lens("MME-01")
def test_a_library_is_one_container_and_the_artifacts_below_a_prefix(stack: cdk.Stack) -> None:
    host(stack, model=library(stack))
    made = template(stack)
    container = made.only(MODEL)["PrimaryContainer"]
    shelf = made.id("AWS::S3::Bucket", "Shelf")
    assert container["Mode"] == "MultiModel"
    assert text(container["ModelDataUrl"]) == f"s3://<{shelf}>/shops/"
    assert container["Environment"] == {"MODEL_VERSION": "2026-11"}
    assert "Containers" not in made.only(MODEL)


@pytest.mark.lens("MDL-01")
def test_the_role_reads_and_lists_one_prefix_and_nothing_else(stack: cdk.Stack) -> None:
    host(stack, model=library(stack))
    made = template(stack)
    shelf = made.id("AWS::S3::Bucket", "Shelf")
    (reading,) = said(made, "s3:GetObject")
    assert reading.resources == (f"<{shelf}.Arn>/shops/*",)
    (listing,) = said(made, "s3:ListBucket")
    assert listing.resources == (f"<{shelf}.Arn>",)
    assert listing.condition == {"StringLike": {"s3:prefix": "shops/*"}}
    decrypting = {arn for each in said(made, "kms:Decrypt") for arn in each.resources}
    assert f"<{made.id(KEY, 'ShelfKey')}.Arn>" in decrypting


def test_the_dashboard_of_a_library_shows_how_often_models_are_fetched(stack: cdk.Stack) -> None:
    host(stack, model=library(stack))
    shown = text(template(stack).only("AWS::CloudWatch::Dashboard")["DashboardBody"])
    for metric in ("LoadedModelCount", "ModelCacheHit", "ModelLoadingWaitTime"):
        assert f'"{metric}"' in shown


@pytest.mark.parametrize("prefix", ["", "shops", "/shops/", "s3://shelf/shops/"])
def test_a_library_is_a_folder_of_a_bucket(stack: cdk.Stack, prefix: str) -> None:
    (found,) = problems(stack, model=library(stack, prefix=prefix))
    assert found.startswith(f"model.prefix: {prefix!r} is no prefix of keys")


def test_a_library_is_checked_like_a_model(stack: cdk.Stack) -> None:
    found = problems(stack, model=library(stack, version="so, so", environment={"MODEL_VERSION": "2"}))
    assert [problem.partition(":")[0] for problem in found] == ["model.version", "model.environment"]


def test_serverless_inference_serves_one_model(stack: cdk.Stack) -> None:
    for served in (pipeline(stack), library(stack)):
        (found,) = problems(stack, model=served, network=None, capacity=Serverless())
        assert found.startswith("model: serverless inference runs one container with one model")


def test_pipelines_and_libraries_have_no_shadows_and_are_none(stack: cdk.Stack) -> None:
    one = model(stack)
    found = problems(stack, model=one, deployment=Deployment.shadow(candidate=pipeline(stack)))
    assert [problem.partition(":")[0] for problem in found] == ["deployment.candidate"]
    where = network_of(stack)
    found = problems(stack, model=library(stack), network=where, deployment=Deployment.shadow(candidate=one))
    assert [problem.partition(":")[0] for problem in found] == ["model"]
    assert "SageMaker has no shadows of pipelines and libraries" in found[0]


def test_a_library_is_tested_against_a_library(stack: cdk.Stack) -> None:
    (found,) = problems(stack, deployment=Deployment.ab_test(b=library(stack)))
    assert found.startswith("deployment: callers name a model of a library in each call")
    host(
        stack,
        model=library(stack),
        deployment=Deployment.ab_test(b=library(stack, version="2026-12")),
        network=network_of(stack),
    )
    assert {each["PrimaryContainer"]["Mode"] for each in template(stack).resources(MODEL).values()} == {
        "MultiModel"
    }


def test_graviton_is_checked_for_every_container(stack: cdk.Stack) -> None:
    ours = ModelImage.in_repository(ecr.Repository(stack, "Ours"), tag="1")
    steps = [replace(model(stack), image=ours), model(stack)]
    (found,) = problems(
        stack,
        capacity=Instances(type="ml.c7g.large"),
        model=InferencePipeline(containers=steps, version="1"),
    )
    assert found.startswith("model.containers[1].image: AWS makes sagemaker-xgboost:3.0-5 for x86 only")


def test_a_served_model_stays_one_container(stack: cdk.Stack) -> None:
    host(stack)
    properties = template(stack).only(MODEL)
    assert not {"Containers", "InferenceExecutionConfig"} & set(properties)
    assert isinstance(model(stack), ServedModel)
