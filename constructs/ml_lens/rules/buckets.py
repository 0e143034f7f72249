"""What each bucket is for, as declared or as the rest of the app uses it, and what its policy says."""

from __future__ import annotations

from collections.abc import Iterator
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
from ml_lens.rules.tasks import STATE_MACHINE, Task, all_training_tasks, states
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node

__all__ = [
    "BUCKET",
    "DATA_ROLES",
    "ROLES",
    "Location",
    "bucket_of",
    "buckets_with",
    "covers_objects",
    "location_of",
    "object_pattern",
    "places_of",
    "policy_statements",
    "reaches_objects",
    "roles_of",
]

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
    graph = bucket.graph
    declared = graph.once("declared roles of buckets", lambda: _declared(graph)).get(bucket)
    if declared is not None:
        return declared
    return graph.once("bucket roles", lambda: _inferred(graph)).get(bucket, frozenset())


def buckets_with(graph: Graph, *roles: str) -> list[Node]:
    """Return the buckets that have one of ``roles``."""
    return [bucket for bucket in graph.nodes(BUCKET) if not roles_of(bucket).isdisjoint(roles)]


def places_of(bucket: Node, role: str) -> list[str]:
    """Return the prefixes under which a bucket serves ``role``; the empty one where it serves nothing else."""
    if bucket.declared_prefix or bucket.declared_role in ROLES or len(roles_of(bucket)) < 2:
        return [bucket.declared_prefix or ""]
    places = bucket.graph.once("bucket places", lambda: _places(bucket.graph))
    return sorted(places.get((bucket, role), {""}))


def policy_statements(bucket: Node) -> list[Statement]:
    """Return the statements of the policies of a bucket."""
    policies = bucket.graph.once("bucket policies", lambda: _policies(bucket.graph))
    return [statement for policy in policies.get(bucket, []) for statement in statements_of(policy)]


def _declared(graph: Graph) -> dict[Node, frozenset[str]]:
    declared = ((bucket, bucket.declared_role) for bucket in graph.nodes(BUCKET))
    return {bucket: frozenset({role}) for bucket, role in declared if role is not None and role in ROLES}


def _policies(graph: Graph) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for policy in graph.nodes("AWS::S3::BucketPolicy"):
        bucket = bucket_of(policy["Bucket"])
        if bucket is not None:
            found.setdefault(bucket, []).append(policy)
    return found


def _inferred(graph: Graph) -> dict[Node, frozenset[str]]:
    found: dict[Node, set[str]] = {bucket: {WEB} for bucket in _websites(graph)}
    for role, place in _uses(graph):
        bucket = bucket_of(place)
        if bucket is not None:
            found.setdefault(bucket, set()).add(role)
    # A processing job reads and writes data of any kind: it tells only of buckets that nothing else tells of.
    processed = {bucket for place in _processed(graph) if (bucket := bucket_of(place)) is not None}
    for bucket in processed - set(found):
        found[bucket] = {TRAINING_DATA}
    return {bucket: frozenset(roles) for bucket, roles in found.items()}


def _places(graph: Graph) -> dict[tuple[Node, str], set[str]]:
    found: dict[tuple[Node, str], set[str]] = {}
    for role, place in _uses(graph):
        location = location_of(place)
        if location.bucket is not None:
            known = location.key.split("${")[0]  # what follows is known only to a deployment
            found.setdefault((location.bucket, role), set()).add(known)
    return found


def _websites(graph: Graph) -> list[Node]:
    return [bucket for bucket in graph.nodes(BUCKET) if bucket["WebsiteConfiguration"]]


def _uses(graph: Graph) -> Iterator[Use]:
    yield from _used_by_models(graph)
    yield from _used_by_endpoints(graph)
    for task in all_training_tasks(graph):
        yield from _used_by_task(task)
    for group in graph.nodes("AWS::SageMaker::FeatureGroup"):
        yield TRAINING_DATA, group["OfflineStoreConfig"]["S3StorageConfig"]["S3Uri"]
    for registered in graph.nodes("AWS::LakeFormation::Resource"):
        yield DATA_LAKE, registered["ResourceArn"]
    yield from _used_for_logs(graph)
    for distribution in graph.nodes("AWS::CloudFront::Distribution"):
        for origin in distribution["DistributionConfig"]["Origins"].elements:
            yield WEB, origin["DomainName"]


def _used_by_models(graph: Graph) -> Iterator[Use]:
    models = [node.properties for node in graph.nodes("AWS::SageMaker::Model")]
    models += [package["InferenceSpecification"] for package in graph.nodes("AWS::SageMaker::ModelPackage")]
    models += _arguments_of(graph, "createModel")
    for model in models:
        for container in (model["PrimaryContainer"], *model["Containers"].elements):
            yield MODEL_ARTIFACTS, container["ModelDataUrl"]
            yield MODEL_ARTIFACTS, container["ModelDataSource"]["S3DataSource"]["S3Uri"]


def _used_by_endpoints(graph: Graph) -> Iterator[Use]:
    configs = [node.properties for node in graph.nodes("AWS::SageMaker::EndpointConfig")]
    for config in (*configs, *_arguments_of(graph, "createEndpointConfig")):
        yield INFERENCE_CAPTURE, config["DataCaptureConfig"]["DestinationS3Uri"]
    for experiment in graph.nodes("AWS::SageMaker::InferenceExperiment"):
        yield INFERENCE_CAPTURE, experiment["DataStorageConfig"]["Destination"]


def _used_by_task(task: Task) -> Iterator[Use]:
    for job in task.jobs:
        for channel in (*job["InputDataConfig"].elements, *job["AutoMLJobInputDataConfig"].elements):
            yield TRAINING_DATA, channel["DataSource"]["S3DataSource"]["S3Uri"]
        yield MODEL_ARTIFACTS, job["OutputDataConfig"]["S3OutputPath"]
    yield TRAINING_DATA, task["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    yield TRAINING_DATA, task["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"]
    if task.kind == "labeling":
        yield TRAINING_DATA, task["OutputConfig"]["S3OutputPath"]


def _used_for_logs(graph: Graph) -> Iterator[Use]:
    for bucket in graph.nodes(BUCKET):
        yield LOGS, bucket["LoggingConfiguration"]["DestinationBucketName"]
    for trail in graph.nodes("AWS::CloudTrail::Trail"):
        yield LOGS, trail["S3BucketName"]
    for flow_log in graph.nodes("AWS::EC2::FlowLog"):
        yield LOGS, flow_log["LogDestination"]
    for distribution in graph.nodes("AWS::CloudFront::Distribution"):
        yield LOGS, distribution["DistributionConfig"]["Logging"]["Bucket"]


def _processed(graph: Graph) -> Iterator[Value]:
    requests = [node.properties for node in graph.nodes("AWS::SageMaker::ProcessingJob")]
    requests += [task.arguments for task in all_training_tasks(graph) if task.kind == "processing"]
    for request in requests:
        for given in request["ProcessingInputs"].elements:
            yield given["S3Input"]["S3Uri"]
        for made in request["ProcessingOutputConfig"]["Outputs"].elements:
            yield made["S3Output"]["S3Uri"]


def _arguments_of(graph: Graph, api: str) -> list[Value]:
    machines = graph.nodes(STATE_MACHINE)
    return [state.arguments for machine in machines for state in states(machine) if state.calls(api)]
