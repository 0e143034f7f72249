"""The ways of a prediction through a template: from an API over a function to an endpoint, and what it records."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from docs.graph import Edge
from docs.template_values import referred

CALLS: Mapping[str, str] = {
    "execute-api:Invoke": "signed calls",
    "lambda:InvokeFunction": "asks",
    "sagemaker:InvokeEndpoint": "InvokeEndpoint",
    "sagemaker:UpdateEndpointWeightsAndCapacities": "moves traffic",
    "sns:Publish": "news",
    "states:StartExecution": "StartExecution",
}
"""What a right to call something is shown as."""


def serving_edges(resources: Mapping[str, Any], nodes: Callable[[Any], list[str]]) -> Iterator[Edge]:
    """Yield the edges; ``nodes`` returns the nodes that a value refers to, in whatever intrinsic function."""
    for resource in resources.values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::ApiGateway::Method":
            for api in nodes(properties["RestApiId"]):
                for target in nodes(properties["Integration"].get("Uri")):
                    yield Edge(api, target, f"{properties['HttpMethod']} /{_path(resources, properties)}")
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::SageMaker::Endpoint":
            for config in referred(resource["Properties"]["EndpointConfigName"]):
                capture = resources[config]["Properties"].get("DataCaptureConfig", {})
                for bucket in nodes(capture.get("DestinationS3Uri")):
                    yield from (Edge(end, bucket, "captured calls") for end in nodes({"Ref": logical_id}))


def _path(resources: Mapping[str, Any], method: Mapping[str, Any]) -> str:
    """Return the last part of the path that a method stands at; nothing for the root of an API."""
    named = resources.get(method["ResourceId"].get("Ref"), {})
    return str(named.get("Properties", {}).get("PathPart", ""))


def runs_in_vpc(resources: Mapping[str, Any], logical_id: str) -> bool:
    """Whether a function, or the models behind an endpoint, run in a VPC."""
    resource = resources[logical_id]
    properties = resource.get("Properties", {})
    if resource["Type"] != "AWS::SageMaker::Endpoint":
        return "VpcConfig" in properties
    configs = [resources[name]["Properties"] for name in referred(properties["EndpointConfigName"])]
    variants = [variant for config in configs for variant in config["ProductionVariants"]]
    models = [resources[name]["Properties"] for each in variants for name in referred(each.get("ModelName"))]
    return bool(models) and all("VpcConfig" in model for model in models)
