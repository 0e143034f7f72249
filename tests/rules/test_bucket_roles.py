"""What a bucket is for, and which of its objects an ARN means."""

from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.buckets import (
    BUCKET,
    bucket_of,
    covers_objects,
    location_of,
    policy_statements,
    reaches_objects,
    roles_of,
)
from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from ml_lens.rules.values import Value
from tests.rules.fixtures import Body, template

NAMED = {"Type": BUCKET, "Properties": {"BucketName": "Churn-data"}}
PARTITION = {"Ref": "AWS::Partition"}


def graph_of(**resources: Any) -> Graph:
    read = Path("Case.template.json")
    return Graph([TemplateFile(read, read.name, template(resources), "Case", {})], Options())


def node_of(graph: Graph, logical_id: str) -> Node:
    return next(node for node in graph.all_nodes if node.logical_id == logical_id)


def the_roles(**resources: Any) -> set[str]:
    """Return the roles of the bucket ``Data`` beside ``resources``."""
    graph = graph_of(**{"Data": {"Type": BUCKET, "Properties": {}}, **resources})
    return set(roles_of(node_of(graph, "Data")))


def value_of(written: Any, **resources: Any) -> tuple[Graph, Value]:
    holder = {"Type": "AWS::CloudFormation::WaitConditionHandle", "Properties": {"At": written}}
    graph = graph_of(Data={"Type": BUCKET}, Named=NAMED, Holder=holder, **resources)
    return graph, node_of(graph, "Holder")["At"]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def machine(api: str, **arguments: Any) -> dict[str, Any]:
    task = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:{api}",
        "Parameters": arguments,
        "End": True,
    }
    return resource("StepFunctions::StateMachine", DefinitionString=Body(States={"Do": task}))


def channel(uri: Any) -> list[Any]:
    return [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": uri}}}]


URI = {"Fn::Sub": "s3://${Data}/some/key"}
ARN = {"Fn::GetAtt": ["Data", "Arn"]}
USES = {
    "a model's data url": (
        "model-artifacts",
        resource("SageMaker::Model", PrimaryContainer={"ModelDataUrl": URI}),
    ),
    "a model's data source": (
        "model-artifacts",
        resource("SageMaker::Model", Containers=[{"ModelDataSource": {"S3DataSource": {"S3Uri": URI}}}]),
    ),
    "a model that a workflow creates": (
        "model-artifacts",
        machine("createModel", PrimaryContainer={"ModelDataUrl": URI}),
    ),
    "a model package": (
        "model-artifacts",
        resource("SageMaker::ModelPackage", InferenceSpecification={"Containers": [{"ModelDataUrl": URI}]}),
    ),
    "the output of training": (
        "model-artifacts",
        machine("createTrainingJob.sync", OutputDataConfig={"S3OutputPath": URI}),
    ),
    "the input of training": (
        "training-data",
        machine("createTrainingJob.sync", InputDataConfig=channel(URI)),
    ),
    "the input of tuning": (
        "training-data",
        machine(
            "createHyperParameterTuningJob.sync", TrainingJobDefinition={"InputDataConfig": channel(URI)}
        ),
    ),
    "the input of AutoML": (
        "training-data",
        machine("createAutoMLJobV2", AutoMLJobInputDataConfig=channel(URI)),
    ),
    "the input of a transform job": (
        "training-data",
        machine("createTransformJob.sync", TransformInput=channel(URI)[0]),
    ),
    "the input of labelling": (
        "training-data",
        machine(
            "createLabelingJob.sync", InputConfig={"DataSource": {"S3DataSource": {"ManifestS3Uri": URI}}}
        ),
    ),
    "the output of labelling": (
        "training-data",
        machine("createLabelingJob.sync", OutputConfig={"S3OutputPath": URI}),
    ),
    "the input of processing": (
        "training-data",
        machine("createProcessingJob.sync", ProcessingInputs=[{"S3Input": {"S3Uri": URI}}]),
    ),
    "the output of processing": (
        "training-data",
        resource(
            "SageMaker::ProcessingJob", ProcessingOutputConfig={"Outputs": [{"S3Output": {"S3Uri": URI}}]}
        ),
    ),
    "a feature store": (
        "training-data",
        resource("SageMaker::FeatureGroup", OfflineStoreConfig={"S3StorageConfig": {"S3Uri": URI}}),
    ),
    "data capture": (
        "inference-capture",
        resource("SageMaker::EndpointConfig", DataCaptureConfig={"DestinationS3Uri": URI}),
    ),
    "data capture of a configuration that a workflow creates": (
        "inference-capture",
        machine("createEndpointConfig", DataCaptureConfig={"DestinationS3Uri": URI}),
    ),
    "an inference experiment": (
        "inference-capture",
        resource("SageMaker::InferenceExperiment", DataStorageConfig={"Destination": URI}),
    ),
    "Lake Formation": ("data-lake", resource("LakeFormation::Resource", ResourceArn=ARN)),
    "access logs of a bucket": (
        "logs",
        resource("S3::Bucket", LoggingConfiguration={"DestinationBucketName": {"Ref": "Data"}}),
    ),
    "a trail": ("logs", resource("CloudTrail::Trail", S3BucketName={"Ref": "Data"})),
    "flow logs": ("logs", resource("EC2::FlowLog", LogDestination=ARN)),
    "access logs of a distribution": (
        "logs",
        resource(
            "CloudFront::Distribution",
            DistributionConfig={"Logging": {"Bucket": {"Fn::GetAtt": ["Data", "DomainName"]}}},
        ),
    ),
    "an origin of a distribution": (
        "web",
        resource(
            "CloudFront::Distribution",
            DistributionConfig={"Origins": [{"DomainName": {"Fn::GetAtt": ["Data", "RegionalDomainName"]}}]},
        ),
    ),
}


@pytest.mark.parametrize(("role", "user"), USES.values(), ids=USES)
def test_a_bucket_is_for_what_the_app_uses_it_for(role: str, user: dict[str, Any]) -> None:
    assert the_roles(User=user) == {role}


def test_a_bucket_that_nothing_uses_has_no_role() -> None:
    assert (
        the_roles(User=machine("createTrainingJob.sync", InputDataConfig=channel("s3://other/key"))) == set()
    )


def test_a_website_is_for_the_web() -> None:
    assert the_roles(Data=resource("S3::Bucket", WebsiteConfiguration={"IndexDocument": "index.html"})) == {
        "web"
    }


def test_every_use_counts() -> None:
    uses = {"One": USES["the input of training"][1], "Two": USES["the output of training"][1]}
    assert the_roles(**uses) == {"training-data", "model-artifacts"}


def test_a_declared_role_wins_over_every_use() -> None:
    declared = {**resource("S3::Bucket"), "Metadata": {"MLLens": {"Role": "derived-pii"}}}
    assert the_roles(Data=declared, User=USES["the input of training"][1]) == {"derived-pii"}


def test_a_misspelt_role_gives_way_to_the_uses() -> None:
    declared = {**resource("S3::Bucket"), "Metadata": {"MLLens": {"Role": "training_data"}}}
    assert the_roles(Data=declared, User=USES["the input of training"][1]) == {"training-data"}


def test_processing_tells_nothing_of_a_bucket_that_something_else_tells_of() -> None:
    uses = {"One": USES["the input of processing"][1], "Two": USES["data capture"][1]}
    assert the_roles(**uses) == {"inference-capture"}


def test_what_only_the_workflow_knows_gives_no_role() -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob",
        "Parameters": {"InputDataConfig.$": "$.channels", "OutputDataConfig": {"S3OutputPath.$": "$.output"}},
        "End": True,
    }
    assert (
        the_roles(User=resource("StepFunctions::StateMachine", DefinitionString=Body(States={"Do": task})))
        == set()
    )


def test_buckets_are_found_by_role() -> None:
    logs = {**resource("S3::Bucket"), "Metadata": {"MLLens": {"Role": "logs"}}}
    graph = graph_of(Logs=logs, Data=resource("S3::Bucket"), User=USES["the input of training"][1])
    found = [bucket for bucket in graph.nodes(BUCKET) if roles_of(bucket) & {"training-data", "web"}]
    assert [bucket.logical_id for bucket in found] == ["Data"]


@pytest.mark.parametrize(
    ("written", "found", "key"),
    [
        ({"Ref": "Data"}, "Data", ""),
        ({"Fn::GetAtt": ["Data", "Arn"]}, "Data", ""),
        ({"Fn::Sub": "s3://${Data}/a/b"}, "Data", "a/b"),
        ({"Fn::Sub": "s3://${Data}/${NobodyKnows}/b"}, "Data", "${NobodyKnows}/b"),
        ({"Fn::Join": ["", ["arn:", PARTITION, ":s3:::", {"Ref": "Data"}, "/*"]]}, "Data", "*"),
        ({"Fn::Sub": "${Data.Arn}*"}, "Data", "*"),
        ({"Fn::GetAtt": ["Data", "RegionalDomainName"]}, "Data", ""),
        ("Churn-data", "Named", ""),
        ("s3://Churn-data/a", "Named", "a"),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::Churn-data/a/*"}, "Named", "a/*"),
        ("Churn-data.s3.eu-west-1.amazonaws.com", "Named", ""),
        ("Churn-data.s3.amazonaws.com", "Named", ""),
        ("http://Churn-data.s3-website-eu-west-1.amazonaws.com", "Named", ""),
        ("https://s3.eu-west-1.amazonaws.com/Churn-data/a", "Named", "a"),
    ],
)
def test_a_bucket_is_found_however_it_is_written(written: Any, found: str, key: str) -> None:
    _, value = value_of(written)
    location = location_of(value)
    assert (location.bucket and location.bucket.logical_id, location.key) == (found, key)


@pytest.mark.parametrize("written", ["s3://churn-data/a", "churn-data", "arn:aws:s3:::other", "", "*"])
def test_another_name_is_another_bucket_and_not_an_open_question(written: str) -> None:
    _, value = value_of(written)
    assert (bucket_of(value), location_of(value).is_open) == (None, False)


@pytest.mark.parametrize(
    "written", [{"Ref": "NobodyKnows"}, {"Fn::Sub": "s3://${NobodyKnows}/a"}, {"Fn::ImportValue": "x"}]
)
def test_a_bucket_that_only_a_deployment_knows_is_open(written: Any) -> None:
    _, value = value_of(written)
    assert (bucket_of(value), location_of(value).is_open) == (None, True)


def test_a_name_with_an_open_part_is_found_where_it_is_the_same() -> None:
    named = resource("S3::Bucket", BucketName={"Fn::Sub": "models-${AWS::AccountId}"})
    _, value = value_of({"Fn::Sub": "s3://models-${AWS::AccountId}/churn/"}, Models=named)
    location = location_of(value)
    assert location.bucket is not None
    assert (location.bucket.logical_id, location.key, location.is_open) == ("Models", "churn/", False)


@pytest.mark.parametrize(
    ("written", "prefix", "covers", "reaches"),
    [
        ("*", "", True, True),
        ("arn:aws:s3:::*", "", True, True),
        ({"Fn::Sub": "${Data.Arn}/*"}, "", True, True),
        ({"Fn::Sub": "${Data.Arn}*"}, "", True, True),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::${Data}/*"}, "", True, True),
        ({"Fn::Sub": "${Data.Arn}/raw/*"}, "", False, True),
        ({"Fn::Sub": "${Data.Arn}/raw/*"}, "raw/", True, True),
        ({"Fn::Sub": "${Data.Arn}/raw/*"}, "raw/new/", True, True),
        ({"Fn::Sub": "${Data.Arn}/raw/*"}, "rows/", False, False),
        ({"Fn::Sub": "${Data.Arn}/raw/one.jpg"}, "raw/", False, True),
        ({"Fn::Sub": "${Data.Arn}/*.jpg"}, "raw/", False, True),
        ({"Fn::Sub": "${Data.Arn}/raw/"}, "raw/", False, True),
        ({"Fn::Sub": "${Data.Arn}/RAW/*"}, "raw/", False, False),
        ({"Fn::GetAtt": ["Data", "Arn"]}, "", False, False),
        ({"Fn::Sub": "${Named.Arn}/*"}, "", False, False),
        ("arn:aws:s3:::Churn-*/*", "", False, False),
        ({"Ref": "NobodyKnows"}, "", False, False),
    ],
)
def test_an_arn_means_all_some_or_none_of_the_objects(
    written: Any, prefix: str, covers: bool, reaches: bool
) -> None:
    graph, value = value_of(written)
    data = node_of(graph, "Data")
    assert (covers_objects([value], data, prefix), reaches_objects([value], data, prefix)) == (
        covers,
        reaches,
    )


def test_a_pattern_may_mean_a_bucket_by_its_name() -> None:
    graph, value = value_of("arn:aws:s3:::Churn-*/*")
    assert covers_objects([value], node_of(graph, "Named"))


@pytest.mark.parametrize(
    ("excepted", "covers", "reaches"),
    [("${Named.Arn}/*", True, True), ("${Data.Arn}/raw/*", False, True), ("${Data.Arn}/*", False, False)],
)
def test_what_is_excepted_is_not_covered(excepted: str, covers: bool, reaches: bool) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "NotResource": {"Fn::Sub": excepted}}
    policy = resource("S3::BucketPolicy", Bucket={"Ref": "Data"}, PolicyDocument={"Statement": statement})
    graph = graph_of(Data={"Type": BUCKET}, Named=NAMED, Policy=policy)
    data = node_of(graph, "Data")
    (found,) = policy_statements(data)
    assert (covers_objects(found, data), reaches_objects(found, data)) == (covers, reaches)


def test_the_policies_of_another_bucket_are_not_its_own() -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    policy = resource("S3::BucketPolicy", Bucket="Churn-data", PolicyDocument={"Statement": statement})
    graph = graph_of(Data={"Type": BUCKET}, Named=NAMED, Policy=policy)
    assert len(policy_statements(node_of(graph, "Named"))) == 1
    assert policy_statements(node_of(graph, "Data")) == []
