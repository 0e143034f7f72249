"""Rules on knowing which data and which code made a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.rule import TRAINING_TASK, WARNING, rule
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, Task, about, open_request, states, steps
from ml_lens.rules.verdicts import Verdict, fails, must_exist, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_VERSION = frozenset(
    {
        "version",
        "revision",
        "commit",
        "sha",
        "sha1",
        "sha256",
        "hash",
        "digest",
        "etag",
        "snapshot",
        "checksum",
    }
)
_DATA = frozenset({"data", "dataset", "datasets"})
_CODE = frozenset({"code", "source", "git", "repository", "algorithm", "script"})


@rule(
    "OPS03-ModelPackageMetadata",
    number=48,
    weight=WARNING,
    on=("AWS::SageMaker::ModelPackage", PIPELINE, STATE_MACHINE, TRAINING_TASK),
    title="A model tells from which data and which code it was made, and how good it is.",
    why="Without the versions of data and code, nobody can repeat or explain a model.",
    fix=(
        "Give a model package ModelMetrics and its versions, in MetadataProperties or CustomerMetadataProperties; tag "
        "training jobs with a version of the data and of the code, such as data-version and code-version."
    ),
    cloudformation="""
Type: AWS::SageMaker::ModelPackage
Properties:
  ModelPackageGroupName: !Ref ModelPackageGroup
  ModelMetrics:
    ModelQuality:
      Statistics: {ContentType: application/json, S3Uri: !Sub "s3://${Models}/churn/statistics.json"}
  MetadataProperties: {CommitId: 4f1c2d9, Repository: https://git.example.com/churn}
  CustomerMetadataProperties: {data-version: "2026-03-01"}
""",
    lens2020="MLOPS 03",
    lens2025="MLOPS02-BP04",
    settled=(
        "The code's version is MetadataProperties.CommitId or a key such as code-version, git-sha or commit; the "
        "data's is a key such as data-version or dataset-hash, or MetadataProperties.GeneratedBy, because the job it "
        "names has recorded its input.",
        "Packages of a template, of a pipeline's RegisterModel step and of a state that creates one are judged alike.",
        "Jobs that make a model need the tags: training, tuning and AutoML; processing, transform and labeling jobs "
        "make none.",
        "A tag key that is open may be either of the two.",
    ),
)
def model_tells_its_origin(subject: Node | Task) -> Iterator[Verdict]:
    """Demand metrics and versions of packages, and versions of the jobs that make models."""
    if isinstance(subject, Task):
        yield from _of_task(subject)
    elif subject.type == PIPELINE:
        for step in steps(subject):
            if step["Type"].literal == "RegisterModel":
                yield from _named(str(step["Name"].text), _of_package(step["Arguments"]), step["Arguments"])
    elif subject.type == STATE_MACHINE:
        for state in states(subject):
            if state.calls("createModelPackage"):
                yield from _named(state.name, _of_package(state.arguments), state.arguments)
    else:
        yield from _of_package(subject.properties)


RULES = (model_tells_its_origin,)


def _named(name: str, verdicts: Iterator[Verdict], request: Value) -> Iterator[Verdict]:
    for verdict in verdicts:
        yield verdict.saying(f"{name}: {verdict.message.replace(f'{request.path}.', '')}")


def _of_package(package: Value) -> Iterator[Verdict]:
    if package.is_open:
        yield unknown(
            package.node,
            f"{package.path} is {package.shown}, which the template leaves open",
            path=package.path,
        )
        return
    yield must_exist(package["ModelMetrics"])
    ours, customers = package["MetadataProperties"], package["CustomerMetadataProperties"]
    keys = [(key, value) for key, value in customers.members if value]
    for what, built_in, says_so in (
        ("code", ours["CommitId"], _is_code_version),
        ("data", ours["GeneratedBy"], _is_data_version),
    ):
        if built_in or any(says_so(key) for key, _ in keys):
            yield passes(package.node)
        elif customers.is_open:
            told = f"{customers.path} is {customers.shown}, which is open; it must name the {what} version"
            yield unknown(package.node, told, path=customers.path)
        else:
            yield _missing(customers, what)


def _of_task(task: Task) -> Iterator[Verdict]:
    if task.kind not in ("training", "tuning", "automl"):
        return
    open_verdict = open_request(task)
    if open_verdict is not None:
        yield open_verdict
        return
    tags = task["Tags"]
    keys = [tag["Key"] for tag in tags.elements if tag["Value"]]
    for what, says_so in (("code", _is_code_version), ("data", _is_data_version)):
        yield about(task, _tagged(tags, keys, what, says_so))


def _tagged(tags: Value, keys: list[Value], what: str, says_so: Callable[[str], bool]) -> Verdict:
    if any(says_so(str(key.literal)) for key in keys if key.is_literal):
        return passes(tags.node)
    unsure = next((key for key in keys if not key.is_literal), None)
    if unsure is not None:
        told = f"{unsure.path} is {unsure.shown}, which the template leaves open; a tag must name the {what} version"
        return unknown(tags.node, told, path=unsure.path)
    return _missing(tags, what)


def _missing(where: Value, what: str) -> Verdict:
    return fails(where.node, f"{where.path} has no {what} version, such as {what}-version", path=where.path)


def _is_data_version(key: str) -> bool:
    words = _words(key)
    return bool(words & _DATA and words & _VERSION)


def _is_code_version(key: str) -> bool:
    words = _words(key)
    return "commit" in words or bool(words & _CODE and words & _VERSION)


def _words(key: str) -> set[str]:
    return {word.lower() for word in _WORDS.findall(key)}
