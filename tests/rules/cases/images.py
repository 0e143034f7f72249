"""Where images come from, and how exactly they are named."""

from typing import Any

from tests.rules.cases.jobs import AT, PROCESSING, TRAINING, app, machine
from tests.rules.fixtures import GONE, OPEN_PARAMETER, Case, Change

DIGEST = "sha256:" + "4b" * 32
OWN = {"Fn::Sub": "${Repository.RepositoryUri}:1.4.2"}
AWS = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference:2.1.0-cpu-py310"
REPOSITORY = {
    "Type": "AWS::ECR::Repository",
    "Properties": {"RepositoryName": "churn", "ImageTagMutability": "IMMUTABLE"},
}
PRIVATE, PINNED = "SEC03-PrivateModelImage", "REL05-ImagePinned"


def model(image: Any) -> dict[str, Any]:
    return {
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": {"Image": image}}},
        "Repository": REPOSITORY,
    }


SEVERAL = {
    "Model": {
        "Type": "AWS::SageMaker::Model",
        "Properties": {"Containers": [{"Image": AWS}, {"Image": OWN}]},
    },
    "Repository": REPOSITORY,
}
JOB = {"Job": {"Type": "AWS::SageMaker::ProcessingJob", "Properties": PROCESSING}}
TRAIN = app("createTrainingJob", {**TRAINING, "AlgorithmSpecification": {"TrainingImage": AWS}})
PROCESS = {"Machine": machine("createProcessingJob", PROCESSING)}
IMAGE = "PrimaryContainer.Image"
TRAINING_IMAGE = f"{AT}.AlgorithmSpecification.TrainingImage"
PROCESSING_IMAGE = f"{AT}.AppSpecification.ImageUri"


def violated(resource: str, path: str, *images: Any) -> tuple[Change, ...]:
    return tuple(Change(resource, path, image) for image in images)


def opened(resource: str, path: str, *images: Any) -> tuple[Change, ...]:
    told = ".".join(step for step in path.split(".") if not step.isdigit())
    return tuple(Change(resource, path, image, f"unresolved:{told}", "warning") for image in images)


PUBLIC = (
    "public.ecr.aws/team/churn:1",
    "docker.io/team/churn:1",
    "team/churn:1",
    "churn",
    "ghcr.io/team/churn:1",
)
ELSEWHERE = "999988887777.dkr.ecr.eu-west-1.amazonaws.com/team:1"
_PRIVATE = (
    Case(
        PRIVATE,
        model(OWN),
        violated("Model", IMAGE, *PUBLIC, "999988887777.dkr.ecr.eu-west-1.example.com/churn:1"),
        opened("Model", IMAGE, OPEN_PARAMETER, ELSEWHERE, {"Fn::Sub": "${NobodyKnows}/churn:1"}),
    ),
    Case(
        PRIVATE,
        model(ELSEWHERE),
        violated("Model", IMAGE, PUBLIC[0]),
        opened("Model", IMAGE, OPEN_PARAMETER),
        options={"image_accounts": ["999988887777"]},
        name="account-of-options",
    ),
    Case(
        PRIVATE,
        SEVERAL,
        violated("Model", "Containers.1.Image", PUBLIC[0]),
        opened("Model", "Containers.0.Image", OPEN_PARAMETER),
        name="containers",
    ),
    Case(
        PRIVATE,
        JOB,
        violated("Job", "AppSpecification.ImageUri", PUBLIC[1]),
        opened("Job", "AppSpecification.ImageUri", OPEN_PARAMETER),
        name="processing-job",
    ),
    Case(
        PRIVATE,
        TRAIN,
        violated("Machine", TRAINING_IMAGE, *PUBLIC),
        opened("Machine", TRAINING_IMAGE, "{% $image %}", ELSEWHERE),
        name="training",
    ),
    Case(
        PRIVATE,
        PROCESS,
        violated("Machine", PROCESSING_IMAGE, PUBLIC[0]),
        opened("Machine", PROCESSING_IMAGE, OPEN_PARAMETER),
        name="processing",
    ),
)

UNPINNED = (
    {"Fn::Sub": "${Repository.RepositoryUri}:latest"},
    {"Fn::Sub": "${Repository.RepositoryUri}"},
    {"Fn::GetAtt": ["Repository", "RepositoryUri"]},
    "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference:latest",
    "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference",
    "public.ecr.aws/team/churn:1",
)
UNSURE = (
    {"Fn::Sub": "${Repository.RepositoryUri}:${NobodyKnows}"},
    OPEN_PARAMETER,
    {"Fn::Sub": "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/elsewhere:1"},
)
_PINNED = (
    Case(
        PINNED,
        model(OWN),
        (
            *violated("Model", IMAGE, *UNPINNED),
            Change("Repository", "ImageTagMutability", GONE),
            Change("Repository", "ImageTagMutability", "MUTABLE"),
            Change("Repository", "ImageTagMutability", "MUTABLE_WITH_EXCLUSION"),
        ),
        (
            *opened("Model", IMAGE, *UNSURE),
            *opened("Repository", "ImageTagMutability", OPEN_PARAMETER),
        ),
    ),
    Case(
        PINNED,
        SEVERAL,
        violated("Model", "Containers.0.Image", UNPINNED[0]),
        opened("Model", "Containers.1.Image", UNSURE[0]),
        name="containers",
    ),
    Case(
        PINNED,
        JOB,
        violated("Job", "AppSpecification.ImageUri", UNPINNED[3]),
        opened("Job", "AppSpecification.ImageUri", UNSURE[1]),
        name="processing-job",
    ),
    Case(
        PINNED,
        TRAIN,
        violated("Machine", TRAINING_IMAGE, UNPINNED[3], UNPINNED[4]),
        opened("Machine", TRAINING_IMAGE, "{% $image %}"),
        name="training",
    ),
    Case(
        PINNED,
        PROCESS,
        violated("Machine", PROCESSING_IMAGE, UNPINNED[3]),
        opened("Machine", PROCESSING_IMAGE, "{% $image %}"),
        name="processing",
    ),
)

CASES = (*_PRIVATE, *_PINNED)
