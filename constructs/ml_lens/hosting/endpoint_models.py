"""What an endpoint or a job serves, as a model of SageMaker."""

from aws_cdk import CfnTag
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.hosting.artifacts import VERSION_TAG, ServedModel
from ml_lens.hosting.model_library import ModelLibrary
from ml_lens.hosting.networks import EndpointNetwork
from ml_lens.hosting.pipelines import InferencePipeline

Served = ServedModel | InferencePipeline | ModelLibrary
"""What a variant can serve: one model, a chain of containers, or many models in one container."""


def endpoint_model(
    scope: Construct, *, role: iam.Role, served: Served, network: EndpointNetwork | None
) -> sagemaker.CfnModel:
    """Create the resource ``Model``, isolated in ``network`` if there is one. It has no name: every change replaces it.

    Args:
        scope: Where it belongs.
        role: The role under which it is served; it is let into registries and buckets.
        served: What it serves.
        network: Where it runs; ``None`` for serverless inference.
    """
    containers = served.definitions(scope, role)
    chained = isinstance(served, InferencePipeline)
    made = sagemaker.CfnModel(
        scope,
        "Model",
        execution_role_arn=role.role_arn,
        enable_network_isolation=True if network is not None else None,
        vpc_config=_vpc_config(network) if network is not None else None,
        primary_container=None if chained else containers[0],
        containers=containers if chained else None,
        inference_execution_config=(
            sagemaker.CfnModel.InferenceExecutionConfigProperty(mode="Serial") if chained else None
        ),
        tags=[CfnTag(key=VERSION_TAG, value=served.version)],
    )
    # SageMaker looks at image and artifact with the role as soon as there is a model.
    made.node.add_dependency(role)
    return made


def _vpc_config(network: EndpointNetwork) -> sagemaker.CfnModel.VpcConfigProperty:
    return sagemaker.CfnModel.VpcConfigProperty(
        subnets=[subnet.subnet_id for subnet in network.selected()],
        security_group_ids=[group.security_group_id for group in network.security_groups],
    )
