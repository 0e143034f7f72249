"""Rules on where container images come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.images import MODEL, Registry, image_of, images_in
from ml_lens.rules.rule import ERROR, TRAINING_TASK, rule
from ml_lens.rules.tasks import Task, about
from ml_lens.rules.verdicts import Verdict, fails, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

PUBLIC_HOSTS = frozenset(
    {
        "docker.io",
        "gcr.io",
        "ghcr.io",
        "index.docker.io",
        "mcr.microsoft.com",
        "nvcr.io",
        "public.ecr.aws",
        "quay.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
        "registry.k8s.io",
    }
)


@rule(
    "SEC03-PrivateModelImage",
    number=31,
    weight=ERROR,
    on=(MODEL, "AWS::SageMaker::ProcessingJob", TRAINING_TASK),
    title="Images come from a private registry.",
    why="Whoever can change an image in a public registry runs code beside your data and your model.",
    fix=(
        "Push the image to a repository of Amazon ECR in your account, or use one of AWS's own images; name further "
        "accounts of yours in the option image_accounts."
    ),
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  ExecutionRoleArn: !GetAtt ModelRole.Arn
  PrimaryContainer:
    Image: !Sub "${Repository.RepositoryUri}@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
    ModelDataUrl: !Sub "s3://${Models}/churn/model.tar.gz"
""",
    lens2020=("MLSEC 02", "MLREL 01"),
    lens2025="MLOPS04-BP02",
    same_as=("SecurityHub:SageMaker.16", "SecurityHub:SageMaker.19"),
    settled=(
        "A repository of the app, the account that is deployed to, an asset of the CDK, the accounts from which AWS "
        "serves its SageMaker images, and those of the option image_accounts are private.",
        "A registry of Amazon ECR in another account may be yours or anybody's: the answer is open until the option "
        "image_accounts names it.",
        "Security Hub asks for RepositoryAccessMode Vpc, which means a private Docker registry in your VPC; such a "
        "registry passes here too, and Amazon ECR does not need it.",
        "A model or a job that names a model package or an algorithm names no image, and is not judged.",
    ),
)
def image_is_from_a_private_registry(subject: Node | Task) -> Iterator[Verdict]:
    """Judge the registry of every image that a model or a job names."""
    for uri, mode in images_in(subject):
        verdict = _private(uri, mode)
        yield about(subject, verdict) if isinstance(subject, Task) else verdict


RULES = (image_is_from_a_private_registry,)


def _private(uri: Value, mode: Value) -> Verdict:
    image = image_of(uri)
    match image.registry:
        case Registry.OWN | Registry.AWS:
            return passes(uri.node)
        case Registry.OTHER:
            told = f"{uri.path} comes from account {image.account}; name it in image_accounts if it is yours"
            return unknown(uri.node, told, path=uri.path)
        case Registry.OPEN:
            told = f"{uri.path} is {uri.shown}, whose registry the template leaves open; it must be a private one"
            return unknown(uri.node, told, path=uri.path)
    if image.host and image.host not in PUBLIC_HOSTS and mode:
        if mode.literal == "Vpc":
            return passes(uri.node)
        if mode.is_open:
            return unknown(
                uri.node, f"{mode.path} is {mode.shown}, must be Vpc for a private registry", path=mode.path
            )
    return fails(
        uri.node, f"{uri.path} is {uri.shown}, must come from a private registry of Amazon ECR", path=uri.path
    )
