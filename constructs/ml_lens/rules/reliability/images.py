"""Rules on how exactly images are named."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ml_lens.rules.images import MODEL, REPOSITORY, Image, Registry, image_of, images_in
from ml_lens.rules.rule import ERROR, TRAINING_TASK, rule
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, Task, about, training_tasks
from ml_lens.rules.verdicts import Verdict, fails, must_satisfy, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

PROCESSING_JOB = "AWS::SageMaker::ProcessingJob"


@rule(
    "REL05-ImagePinned",
    number=45,
    weight=ERROR,
    on=(MODEL, PROCESSING_JOB, TRAINING_TASK, REPOSITORY),
    title="An image is named so that it stays the same image.",
    why="An endpoint or a training run can be recreated only from the exact image that it had.",
    fix=(
        "Name the image by its digest, or by a tag other than latest in a repository whose ImageTagMutability "
        "is IMMUTABLE."
    ),
    cloudformation="""
Type: AWS::ECR::Repository
Properties:
  ImageTagMutability: IMMUTABLE
""",
    lens2020="MLREL 05",
    lens2025="MLREL05-BP02",
    same_as=("SecurityHub:ECR.2",),
    settled=(
        "A mutable repository of the app is found once, on the repository, unless everything in the app that uses "
        "it names a digest.",
        "AWS's own images need a tag other than latest: their repositories are not yours to set, and their tags name "
        "a version.",
        "An asset of the CDK is tagged with its hash, in a repository with immutable tags, and passes.",
        "The repository of any other private image is not part of the app, so only a digest is sure; with a tag the "
        "answer is open.",
        "A tag of a public registry can be moved by its owner, and fails.",
        "A tag that an exclusion filter of the repository makes mutable counts as mutable.",
    ),
)
def image_is_pinned(subject: Node | Task) -> Iterator[Verdict]:
    """Demand a digest, or a tag that cannot move; a repository of the app is judged itself."""
    if not isinstance(subject, Task) and subject.type == REPOSITORY:
        if not _is_only_by_digest(subject):
            mutability = subject["ImageTagMutability"]
            yield must_satisfy(
                mutability, lambda found: str(found).startswith("IMMUTABLE"), "must be IMMUTABLE"
            )
        return
    for uri, _ in images_in(subject):
        verdict = _pinned(image_of(uri))
        yield about(subject, verdict) if isinstance(subject, Task) else verdict


RULES = (image_is_pinned,)


def _pinned(image: Image) -> Verdict:
    uri = image.value
    if image.digest is not None:
        return passes(uri.node)
    if image.tag_is_open:
        told = f"{uri.path} is {uri.shown}, whose tag the template leaves open; it must be a digest or a fixed tag"
        return unknown(uri.node, told, path=uri.path)
    if image.tag in (None, "latest"):
        named = "the tag latest" if image.tag else "neither tag nor digest"
        return fails(uri.node, f"{uri.path} is {uri.shown}, with {named}", path=uri.path)
    return _in_its_repository(image)


def _in_its_repository(image: Image) -> Verdict:
    uri = image.value
    if image.repository is not None:
        if _is_excluded(image.repository, str(image.tag)):
            told = f"{uri.path} is {uri.shown}, a tag that {image.repository.logical_id} lets change"
            return fails(uri.node, told, path=uri.path)
        return passes(uri.node)  # the repository itself is judged
    if image.is_asset or image.registry is Registry.AWS:
        return passes(uri.node)
    if image.registry is Registry.FOREIGN:
        told = f"{uri.path} is {uri.shown}, a tag that the owner of the registry can move; name the digest"
        return fails(uri.node, told, path=uri.path)
    told = (
        f"{uri.path} is {uri.shown}, of a repository outside the app, whose tags may change; name the digest"
    )
    return unknown(uri.node, told, path=uri.path)


def _is_excluded(repository: Node, tag: str) -> bool:
    if repository["ImageTagMutability"].literal != "IMMUTABLE_WITH_EXCLUSION":
        return False
    filters = repository["ImageTagMutabilityExclusionFilters"].elements
    patterns = (each["ImageTagMutabilityExclusionFilterValue"].literal for each in filters)
    return any(isinstance(pattern, str) and fnmatchcase(tag, pattern) for pattern in patterns)


def _is_only_by_digest(repository: Node) -> bool:
    types = (MODEL, PROCESSING_JOB, STATE_MACHINE, PIPELINE)
    uses = repository.graph.joined("uses of repositories", types, _uses)
    return uses.has((repository, True)) and not uses.has((repository, False))


def _uses(user: Node) -> Iterator[tuple[tuple[Node | None, bool], bool]]:
    """Yield the repositories of the images that ``user`` runs, and whether it names the digest."""
    subjects: list[Any] = training_tasks(user) if user.type in (STATE_MACHINE, PIPELINE) else [user]
    for image in (image_of(uri) for subject in subjects for uri, _ in images_in(subject)):
        yield (image.repository, image.digest is not None), True
