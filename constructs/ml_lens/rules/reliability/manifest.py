"""Rules on where the manifest of artifacts and deployments is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.graph import Graph
from ml_lens.rules.rule import APP, ERROR, rule
from ml_lens.rules.verdicts import Verdict, fails, must_be_one_of, must_equal

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_TABLE = "AWS::DynamoDB::Table"
_GLOBAL_TABLE = "AWS::DynamoDB::GlobalTable"
_BUCKET = "AWS::S3::Bucket"
_ENDPOINT = "AWS::SageMaker::Endpoint"
_STORES = (_TABLE, _GLOBAL_TABLE, _BUCKET)
_KEPT = ("Retain", "RetainExceptOnCreate")


@rule(
    "REL05-ManifestStoreDurable",
    number=46,
    weight=ERROR,
    on=(*_STORES, APP),
    title="The manifest of artifacts and deployments is kept where it survives.",
    why="An endpoint can be recreated only by somebody who knows which image, model and data it was made of.",
    fix=(
        "Give the table point-in-time recovery, deletion protection and KMS encryption, or the bucket versioning and "
        "the policies Retain; mark it with Metadata MLLens Role manifest."
    ),
    cloudformation="""
Type: AWS::DynamoDB::Table
Metadata:
  MLLens: {Role: manifest}
Properties:
  PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
  DeletionProtectionEnabled: true
  SSESpecification: {SSEEnabled: true, SSEType: KMS}
""",
    lens2020=("MLREL 01", "MLREL 05"),
    lens2025="MLREL05-BP02",
    same_as=("cdk-nag:AwsSolutions-DDB3", "SecurityHub:DynamoDB.2", "SecurityHub:DynamoDB.6"),
    settled=(
        "A table or a bucket keeps the manifest when its metadata says so; nothing else in a template tells.",
        "An app with an endpoint and without a manifest store gets one warning, on its first endpoint.",
        "The key that AWS manages for DynamoDB is KMS; the key that AWS owns, the default, is not.",
        "RetainExceptOnCreate retains.",
    ),
)
def manifest_is_durable(subject: Node | Graph) -> Iterator[Verdict]:
    """Look at the stores that say that they hold the manifest, and whether there is one."""
    if isinstance(subject, Graph):
        endpoints = subject.nodes(_ENDPOINT)
        if endpoints and not any(map(_keeps_manifest, subject.nodes(*_STORES))):
            message = "nothing keeps a manifest of what is deployed; mark a table or a bucket with the role manifest"
            yield fails(endpoints[0], message).as_warning()
    elif _keeps_manifest(subject):
        yield from _bucket(subject) if subject.type == _BUCKET else _table(subject)


def _keeps_manifest(store: Node) -> bool:
    return store.declared_role == "manifest"


def _table(table: Node) -> Iterator[Verdict]:
    copies: list[Value] = table["Replicas"].elements if table.type == _GLOBAL_TABLE else [table.properties]
    for copy in copies:
        yield must_equal(copy["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], True)
        yield must_equal(copy["DeletionProtectionEnabled"], True)
    yield must_equal(table["SSESpecification"]["SSEEnabled"], True)


def _bucket(bucket: Node) -> Iterator[Verdict]:
    yield must_equal(bucket["VersioningConfiguration"]["Status"], "Enabled")
    yield must_be_one_of(bucket.attribute("DeletionPolicy"), _KEPT)
    yield must_be_one_of(bucket.attribute("UpdateReplacePolicy"), _KEPT)


RULES = (manifest_is_durable,)
