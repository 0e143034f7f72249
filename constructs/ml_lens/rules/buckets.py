"""What each bucket is for, as declared or as the rest of the app uses it, and what its policy says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from ml_lens.rules.bucket_locations import (
    BUCKET,
    Location,
    bucket_of,
    covers_objects,
    location_of,
    object_pattern,
    reaches_objects,
)
from ml_lens.rules.policies import Statement, statements_of
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, Task, states, training_tasks
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.joins import Join

__all__ = [
    "BUCKET",
    "DATA_ROLES",
    "ROLES",
    "Location",
    "bucket_of",
    "buckets_that_may_have",
    "covers_objects",
    "has_role",
    "location_of",
    "object_pattern",
    "places_of",
    "policy_statements",
    "reaches_objects",
    "roles_of",
]

POLICY: Final = "AWS::S3::BucketPolicy"
DATA_LAKE: Final = "data-lake"
TRAINING_DATA: Final = "training-data"
MODEL_ARTIFACTS: Final = "model-artifacts"
INFERENCE_CAPTURE: Final = "inference-capture"
DERIVED_PII: Final = "derived-pii"
TEMPORARY_RAW: Final = "temporary-raw"
MANIFEST: Final = "manifest"
LOGS: Final = "logs"
WEB: Final = "web"
DATA_ROLES: Final = frozenset(
    {DATA_LAKE, TRAINING_DATA, MODEL_ARTIFACTS, INFERENCE_CAPTURE, DERIVED_PII, TEMPORARY_RAW, MANIFEST}
)
ROLES: Final = DATA_ROLES | {LOGS, WEB}
Use = tuple[str, Value]


def roles_of(bucket: Node) -> frozenset[str]:
    """Return what a bucket is for: what it declares, else every use that the app makes of it."""
    return bucket.graph.once(("roles of a bucket", bucket.key), lambda: _roles_of(bucket))


def has_role(bucket: Node, role: str) -> bool:
    """Whether a bucket is for ``role``, among others; depends on less than all that it is for."""
    declared = bucket.declared_role
    if declared in ROLES:
        return declared == role
    return _uses(bucket.graph).has((bucket, role)) or (
        role in (WEB, TRAINING_DATA) and role in roles_of(bucket)
    )


def buckets_that_may_have(graph: Graph, *roles: str) -> list[Node]:
    """Return the buckets that have one of ``roles`` in some branch; whether in the present run, ``has_role`` tells."""
    return graph.once(
        ("buckets that may have", roles),
        lambda: [bucket for bucket in graph.nodes(BUCKET) if not _ever_has(bucket).isdisjoint(roles)],
    )


def _ever_has(bucket: Node) -> frozenset[str]:
    return frozenset().union(*bucket.graph.ever(lambda: roles_of(bucket)))


def places_of(bucket: Node, role: str) -> list[str]:
    """Return the prefixes under which a bucket serves ``role``; the empty one where it serves nothing else."""
    if bucket.declared_prefix or bucket.declared_role in ROLES or len(roles_of(bucket)) < 2:
        return [bucket.declared_prefix or ""]
    return sorted(set(_uses(bucket.graph).at((bucket, role))) or {""})


def policy_statements(bucket: Node) -> list[Statement]:
    """Return the statements of the policies of a bucket."""
    policies = bucket.graph.joined("bucket policies", (POLICY,), _bucket_of_policy)
    return [statement for policy in policies.at(bucket) for statement in statements_of(policy)]


def _bucket_of_policy(policy: Node) -> Iterator[tuple[Node, Node]]:
    bucket = bucket_of(policy["Bucket"])
    if bucket is not None:
        yield bucket, policy


def _roles_of(bucket: Node) -> frozenset[str]:
    declared = bucket.declared_role
    if declared is not None and declared in ROLES:
        return frozenset({declared})
    uses = _uses(bucket.graph)
    found = {role for role in sorted(ROLES) if uses.has((bucket, role))}
    if bucket["WebsiteConfiguration"]:
        found.add(WEB)
    # A processing job reads and writes data of any kind: it tells only of buckets that nothing else tells of.
    if not found and bucket.graph.joined("processed buckets", _PROCESSING, _processed).has(bucket):
        found.add(TRAINING_DATA)
    return frozenset(found)


def _uses(graph: Graph) -> Join[tuple[Node, str], str]:
    """Return where each bucket serves each role, as far as the prefix is known before a deployment."""
    return graph.joined("uses of buckets", _USED_BY, _places)


def _places(user: Node) -> Iterator[tuple[tuple[Node, str], str]]:
    for role, place in _USED_BY[user.type](user):
        location = location_of(place)
        if location.bucket is not None:
            yield (location.bucket, role), location.key.split("${")[0]


def _used_by_model(model: Node) -> Iterator[Use]:
    return _of_containers(model.properties)


def _used_by_package(package: Node) -> Iterator[Use]:
    return _of_containers(package["InferenceSpecification"])


def _of_containers(model: Value) -> Iterator[Use]:
    for container in (model["PrimaryContainer"], *model["Containers"].elements):
        yield MODEL_ARTIFACTS, container["ModelDataUrl"]
        yield MODEL_ARTIFACTS, container["ModelDataSource"]["S3DataSource"]["S3Uri"]


def _used_by_config(config: Node) -> Iterator[Use]:
    yield INFERENCE_CAPTURE, config["DataCaptureConfig"]["DestinationS3Uri"]


def _used_by_workflow(owner: Node) -> Iterator[Use]:
    for state in states(owner) if owner.type == STATE_MACHINE else ():
        if state.calls("createModel"):
            yield from _of_containers(state.arguments)
        if state.calls("createEndpointConfig"):
            yield INFERENCE_CAPTURE, state.arguments["DataCaptureConfig"]["DestinationS3Uri"]
    for task in training_tasks(owner):
        yield from _used_by_task(task)


def _used_by_task(task: Task) -> Iterator[Use]:
    for job in task.jobs:
        for channel in (*job["InputDataConfig"].elements, *job["AutoMLJobInputDataConfig"].elements):
            yield TRAINING_DATA, channel["DataSource"]["S3DataSource"]["S3Uri"]
        yield MODEL_ARTIFACTS, job["OutputDataConfig"]["S3OutputPath"]
    yield TRAINING_DATA, task["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    yield TRAINING_DATA, task["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"]
    if task.kind == "labeling":
        yield TRAINING_DATA, task["OutputConfig"]["S3OutputPath"]


def _used_by_distribution(distribution: Node) -> Iterator[Use]:
    config = distribution["DistributionConfig"]
    for origin in config["Origins"].elements:
        yield WEB, origin["DomainName"]
    yield LOGS, config["Logging"]["Bucket"]


def _processed(node: Node) -> Iterator[tuple[Node | None, bool]]:
    several = [task.arguments for task in _processing_tasks(node)]
    for request in several if node.type in (STATE_MACHINE, PIPELINE) else [node.properties]:
        for given in request["ProcessingInputs"].elements:
            yield bucket_of(given["S3Input"]["S3Uri"]), True
        for made in request["ProcessingOutputConfig"]["Outputs"].elements:
            yield bucket_of(made["S3Output"]["S3Uri"]), True


def _processing_tasks(node: Node) -> list[Task]:
    if node.type not in (STATE_MACHINE, PIPELINE):
        return []
    return [task for task in training_tasks(node) if task.kind == "processing"]


_PROCESSING: Final = ("AWS::SageMaker::ProcessingJob", STATE_MACHINE, PIPELINE)
# What uses buckets, with the reading of it.
_USED_BY: Final[Mapping[str, Callable[[Node], Iterable[Use]]]] = {
    "AWS::SageMaker::Model": _used_by_model,
    "AWS::SageMaker::ModelPackage": _used_by_package,
    "AWS::SageMaker::EndpointConfig": _used_by_config,
    STATE_MACHINE: _used_by_workflow,
    PIPELINE: _used_by_workflow,
    "AWS::SageMaker::InferenceExperiment": lambda node: [
        (INFERENCE_CAPTURE, node["DataStorageConfig"]["Destination"])
    ],
    "AWS::SageMaker::FeatureGroup": lambda node: [
        (TRAINING_DATA, node["OfflineStoreConfig"]["S3StorageConfig"]["S3Uri"])
    ],
    "AWS::LakeFormation::Resource": lambda node: [(DATA_LAKE, node["ResourceArn"])],
    BUCKET: lambda node: [(LOGS, node["LoggingConfiguration"]["DestinationBucketName"])],
    "AWS::CloudTrail::Trail": lambda node: [(LOGS, node["S3BucketName"])],
    "AWS::EC2::FlowLog": lambda node: [(LOGS, node["LogDestination"])],
    "AWS::CloudFront::Distribution": _used_by_distribution,
}
