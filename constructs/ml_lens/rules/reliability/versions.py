"""Rules on telling one version of a model from another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.bucket_versions import must_keep_versions
from ml_lens.rules.buckets import location_of, roles_of
from ml_lens.rules.endpoints import CONFIG, MODEL
from ml_lens.rules.resolved import Opaque, Reference
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.verdicts import FAIL, Verdict, any_of, fails, must_exist, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

GROUP = "AWS::SageMaker::ModelPackageGroup"
_NAMES: Final = {MODEL: "ModelName", CONFIG: "EndpointConfigName"}
# v3, 12, 2024-05-01, build7, and hashes of at least seven hexadecimal digits, each between separators.
_VERSION: Final = re.compile(
    r"(?:^|[-_.])(?:(?:v|ver|version|r|rev|release|b|build)?\d+|(?=[a-f]*\d)[0-9a-f]{7,64})(?=$|[-_.])",
    re.IGNORECASE,
)
_MEANS_VERSION: Final = re.compile(
    r"version|revision|release|build|commit|sha|hash|digest|tag|timestamp|date|execution|package",
    re.IGNORECASE,
)
_OF_THE_STACK: Final = frozenset(
    {"AWS::StackName", "AWS::StackId", "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix"}
)


@rule(
    "REL01-NoHardcodedNames",
    number=36,
    weight=WARNING,
    on=(MODEL, CONFIG),
    title="Models and endpoint configurations have no fixed names.",
    why=(
        "Every change of them is a replacement, and CloudFormation cannot create the new one beside the old one of "
        "the same name: no blue/green update and no restore."
    ),
    fix="Leave ModelName and EndpointConfigName out, or put a version into them.",
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  PrimaryContainer:
    ModelPackageName: !Ref ModelPackage
""",
    construct="ml_lens.hosting.HostedModel",
    lens2020=("MLREL 01", "MLOPS 04"),
    lens2025="MLOPS06-BP01",
    settled=(
        "A version is a part of the name between separators that is a number, a number after v, r, rev, release or "
        "build, or a hash of at least seven hexadecimal digits.",
        "A parameter counts as a version when its name says so (version, build, commit, tag, date and the like); of "
        "any other parameter nobody can tell.",
        "The names of stack, region and account are the same in every update, and so are no versions.",
    ),
)
def name_is_not_fixed(resource: Node) -> Verdict:
    """Demand no name, or one with a version in it."""
    name = resource[_NAMES[resource.type]]
    if not name:
        return passes(resource)
    parts = name.parts
    known = [part for part in parts if isinstance(part, str)]
    varying = [part for part in parts if not isinstance(part, str) and not _is_fixed(part)]
    if any(_VERSION.search(part) for part in known) or any(
        _MEANS_VERSION.search(part.shown) for part in varying
    ):
        return passes(resource)
    if varying or name.is_list or name.is_object:
        told = f"{name.path} is {name.shown}, and nobody can tell whether that differs with each version"
        return unknown(resource, told, path=name.path)
    return fails(resource, f"{name.path} is fixed to {name.shown}", path=name.path)


@rule(
    "REL01-ModelFromRegistry",
    number=37,
    weight=WARNING,
    on=MODEL,
    title="Models come from a registry, or from a versioned bucket beside one.",
    why="Only a registered artifact tells which version is deployed, and how to get it back.",
    fix=(
        "Give ModelPackageName, or keep the artifact in a versioned bucket for model artifacts and add a "
        "ModelPackageGroup to the app."
    ),
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  PrimaryContainer:
    ModelPackageName: !Ref ModelPackage
""",
    lens2020=("MLREL 01", "MLOPS 03"),
    lens2025="MLOPS02-BP04",
    settled=(
        "Of an inference pipeline every container with an artifact is judged; containers without one are only left "
        "out when another has one.",
        "A bucket from which a model is loaded is one for model artifacts, unless it says that it is something else.",
        "A bucket outside the app stays open, but only where the app has a ModelPackageGroup.",
    ),
)
def model_is_registered(model: Node) -> Iterator[Verdict]:
    """Demand a model package, or a versioned artifact in an app with a registry."""
    containers = [of for of in (model["PrimaryContainer"], *model["Containers"].elements) if of]
    with_artifacts = [
        container for container in containers if _artifact(container) or container["ModelPackageName"]
    ]
    if not with_artifacts:
        told = "no container names a ModelPackageName or an artifact in a bucket"
        yield fails(model, told, path="PrimaryContainer.ModelPackageName")
    for container in with_artifacts:
        yield _must_be_registered(container)


def _must_be_registered(container: Value) -> Verdict:
    package = must_exist(container["ModelPackageName"])
    artifact = _artifact(container)
    if not artifact:
        return package
    if not container.node.graph.nodes(GROUP):
        told = f"{artifact.path} is not registered: there is no ModelPackageName, and the app has no ModelPackageGroup"
        return any_of(fails(container.node, told, path=artifact.path), package)
    return any_of(_must_be_versioned(artifact), package)


def _must_be_versioned(artifact: Value) -> Verdict:
    model, place = artifact.node, location_of(artifact)
    if place.bucket is None:
        told = f"{artifact.path} is {artifact.shown}, in a bucket outside the app; nobody knows whether it is versioned"
        return unknown(model, told, path=artifact.path)
    if "model-artifacts" not in roles_of(place.bucket):
        told = f"{artifact.path} lies in {place.bucket.logical_id}, which is no bucket for model artifacts"
        return fails(model, told, path=artifact.path)
    versioned = must_keep_versions(place.bucket)
    if versioned.answer is FAIL:
        told = f"{artifact.path} lies in {place.bucket.logical_id}, which keeps no versions"
        return fails(model, told, path=artifact.path)
    return versioned


def _artifact(container: Value) -> Value:
    source = container["ModelDataSource"]["S3DataSource"]["S3Uri"]
    return source if source else container["ModelDataUrl"]


def _is_fixed(part: Reference | Opaque) -> bool:
    return isinstance(part, Opaque) and part.identity in _OF_THE_STACK


RULES = (name_is_not_fixed, model_is_registered)
