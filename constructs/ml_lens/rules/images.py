"""Container images as their URIs tell them: whose registry, which repository, and how exactly the version is named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ml_lens.rules.first_party_images import FIRST_PARTY_ACCOUNTS
from ml_lens.rules.resolved import Followed, Opaque, Reference, joined
from ml_lens.rules.tasks import Task
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

REPOSITORY: Final = "AWS::ECR::Repository"
MODEL: Final = "AWS::SageMaker::Model"

Part = str | Reference | Opaque
# What is not known is one character of the private use area while the URI is taken apart.
_UNKNOWN: Final = "\ue000"
_ECR: Final = re.compile(
    rf"(?P<account>\d{{12}}|{_UNKNOWN})\.dkr[.-]ecr(?:-fips)?\.[a-z0-9{_UNKNOWN}-]+\.(?P<suffix>[a-z0-9.{_UNKNOWN}-]+)"
)
_SUFFIXES: Final = (
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "csp.hci.ic.gov",
    "cloud.adc-e.uk",
    _UNKNOWN,
)
_OWN_ACCOUNT: Final = Opaque("${AWS::AccountId}", "AWS::AccountId")
_OWN_REGION: Final = Opaque("${AWS::Region}", "AWS::Region")
# The CDK's bootstrap stack makes this repository, with immutable tags; an asset's tag is its hash.
_ASSETS: Final = re.compile(r"cdk-[a-z0-9]+-container-assets-")
_ASSET_TAG: Final = re.compile(r"(?:[\w.-]*-)?[0-9a-f]{64}")


class Registry(StrEnum):
    """Whose registry an image comes from."""

    OWN = "a private registry of this account, or of one that the options name"
    AWS = "a private registry from which AWS serves its own images"
    OTHER = "a private registry of another account, which may be yours"
    FOREIGN = "a registry that is not Amazon ECR, or a public one"
    OPEN = "a registry that only a deployment knows"


@dataclass(frozen=True)
class _Piece:
    """A piece of a URI: its text, and what stands in the place of each unknown character."""

    text: str
    unknown: tuple[Reference | Opaque, ...]

    def cut(self, at: int, *, skipped: int = 0) -> tuple[_Piece, _Piece]:
        """Return what stands before and what stands after a place, without the characters that separate them."""
        before, after = self.text[:at], self.text[at + skipped :]
        count = before.count(_UNKNOWN)
        return _Piece(before, self.unknown[:count]), _Piece(after, self.unknown[count:])

    @property
    def parts(self) -> list[Part]:
        """The piece as parts of a string again."""
        unknown = iter(self.unknown)
        return [next(unknown) if part == _UNKNOWN else part for part in re.split(f"({_UNKNOWN})", self.text)]

    @property
    def shown(self) -> str:
        """The piece as a message shows it."""
        return "".join(part if isinstance(part, str) else part.shown for part in self.parts)


@dataclass(frozen=True)
class Image:
    """An image as its URI names it.

    Attributes:
        value: The property that holds the URI.
        registry: Whose registry it comes from.
        account: The account of the registry, where it is written out.
        host: The host of the registry; empty where the URI names none.
        repository: The repository, if it is one of the app.
        tag: The tag; ``None`` for none, and for one that is not known.
        digest: The digest, ``${…}`` where it is not known; ``None`` for none.
        tag_is_open: Whether there is, or may be, a tag or a digest that only a deployment knows.
        is_asset: Whether the CDK has built and pushed it, with its hash as tag.
    """

    value: Value
    registry: Registry
    account: str | None = None
    host: str = ""
    repository: Node | None = None
    tag: str | None = None
    digest: str | None = None
    tag_is_open: bool = False
    is_asset: bool = False

    @property
    def is_private_ecr(self) -> bool:
        """Whether it is pulled from a private registry of Amazon ECR, whoever owns it."""
        return self.registry in (Registry.OWN, Registry.AWS, Registry.OTHER)


def image_of(value: Value) -> Image:
    """Return the image that a URI names; whatever it does not tell stays open."""
    whole = _written_out(value.parts)
    name, digest = _split_last(whole, "@", after=0)
    name, tag = _split_last(name, ":", after=name.text.rfind("/") + 1)
    host, path = _hosted(name)
    repository = _repository(value, host, path)
    registry, account = _registry(value, host, path, repository)
    known_tag = tag.text if tag and not tag.unknown else None
    return Image(
        value,
        registry,
        account,
        host.shown,
        repository,
        tag=known_tag or None,
        digest=digest.shown if digest else None,
        tag_is_open=digest is None and (bool(tag.unknown) if tag else _may_end_in_a_tag(path)),
        is_asset=bool(_ASSETS.match(path.text) and _ASSET_TAG.fullmatch(known_tag or "")),
    )


def images_in(subject: Node | Task) -> list[tuple[Value, Value]]:
    """Return the URI of each image that a model or a job names, and how the registry is reached: its access mode."""
    if isinstance(subject, Task):
        found = [_image_of_job(subject, job) for job in subject.jobs]
    elif subject.type == MODEL:
        containers = [subject["PrimaryContainer"], *subject["Containers"].elements]
        found = [(each["Image"], each["ImageConfig"]["RepositoryAccessMode"]) for each in containers]
    else:
        found = [_image_of_processing(subject.properties)]
    return [(uri, mode) for uri, mode in found if uri]


def _image_of_job(task: Task, job: Value) -> tuple[Value, Value]:
    if task.kind == "processing":
        return _image_of_processing(job)
    algorithm = job["AlgorithmSpecification"]  # absent in transform, AutoML and labeling jobs
    return algorithm["TrainingImage"], algorithm["TrainingImageConfig"]["TrainingRepositoryAccessMode"]


def _image_of_processing(job: Value) -> tuple[Value, Value]:
    specification = job["AppSpecification"]
    return specification["ImageUri"], Value(job.node, None, job.scope, specification.path)


def _written_out(parts: tuple[Part, ...]) -> _Piece:
    """Return the URI as one piece, with ``${Repository.RepositoryUri}`` as the host and the name it stands for."""
    text = ""
    unknown: list[Reference | Opaque] = []
    for part in parts:
        if isinstance(part, str):
            text += part.replace(_UNKNOWN, "")
        elif (
            isinstance(part, Reference) and part.node.type == REPOSITORY and part.attribute == "RepositoryUri"
        ):
            text += f"{_UNKNOWN}.dkr.ecr.{_UNKNOWN}.amazonaws.com/{_UNKNOWN}"
            unknown += [_OWN_ACCOUNT, _OWN_REGION, Reference(part.node, None)]
        else:
            text += _UNKNOWN
            unknown.append(part)
    return _Piece(text, tuple(unknown))


def _split_last(piece: _Piece, separator: str, *, after: int) -> tuple[_Piece, _Piece | None]:
    at = piece.text.find(separator, after)
    return (piece, None) if at < 0 else piece.cut(at, skipped=1)


def _may_end_in_a_tag(path: _Piece) -> bool:
    """Whether an unknown part at the end may hold more than a name; an account, a Region, a repository do not."""
    last = path.cut(path.text.rfind("/") + 1)[1]
    return any(
        part.node.type != REPOSITORY
        if isinstance(part, Reference)
        else not str(part.identity).startswith("AWS::")
        for part in last.unknown
    )


def _hosted(name: _Piece) -> tuple[_Piece, _Piece]:
    """Split off the host as container runtimes do: what has a dot or a port before the first slash."""
    host, path = name.cut(max(name.text.find("/"), 0), skipped=1)
    if "." in host.text or ":" in host.text or host.text == "localhost" or host.unknown:
        return host, path
    return _Piece("", ()), name


def _account(host: _Piece) -> str | None:
    """Return the account of a private registry of Amazon ECR, of which the account itself may be unknown."""
    ecr = _ECR.fullmatch(host.text)
    return ecr["account"] if ecr and ecr["suffix"] in _SUFFIXES else None


def _repository(value: Value, host: _Piece, path: _Piece) -> Node | None:
    """Return the repository of the app that the path names, by reference or by its name."""
    for part in path.unknown:
        if isinstance(part, Reference) and part.node.type == REPOSITORY:
            return part.node
    account = _account(host)
    if account is None or account in FIRST_PARTY_ACCOUNTS:
        return None
    name = Value(value.node, Followed(joined(path.parts)), value.scope, value.path).identity
    graph = value.node.graph
    return None if name is None else graph.joined("repositories by name", (REPOSITORY,), _own_name).last(name)


def _own_name(repository: Node) -> list[tuple[object, Node]]:
    return [(repository["RepositoryName"].identity, repository)]


def _registry(
    value: Value, host: _Piece, path: _Piece, repository: Node | None
) -> tuple[Registry, str | None]:
    account = _account(host)
    if account is None:
        if repository is not None:
            return Registry.OWN, None
        is_open = host.unknown or (path.unknown and not host.text)
        return (Registry.OPEN if is_open else Registry.FOREIGN), None
    if account in FIRST_PARTY_ACCOUNTS:
        return Registry.AWS, account
    own = (*value.node.options.image_accounts, value.node.scope.template.account)
    if account in own or _ASSETS.match(path.text):
        return Registry.OWN, None if account == _UNKNOWN else account
    if account == _UNKNOWN:
        first = host.unknown[0]
        is_own = repository is not None or (
            isinstance(first, Opaque) and first.identity == _OWN_ACCOUNT.identity
        )
        return (Registry.OWN if is_own else Registry.OPEN), None
    return (Registry.OTHER if repository is None else Registry.OWN), account
