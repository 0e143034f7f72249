"""Models that run without calls of their own, for jobs and endpoints that come and go."""

from aws_cdk import CfnTag
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.storage import grant
from ml_lens.hosting.artifacts import VERSION_TAG, ServedModel
from ml_lens.hosting.execution_role import let_connect
from ml_lens.hosting.networks import EndpointNetwork


def isolated_model(
    scope: Construct, *, role: iam.Role, model: ServedModel, network: EndpointNetwork
) -> sagemaker.CfnModel:
    """Create the resource ``Model``, in ``network`` and cut off from it, and let ``role`` read what it is made of.

    The model costs nothing while nothing runs it. It has no name: every change replaces it.

    Lens: MDL-01, MDL-04, MDL-05.
    """
    image = model.image.bind(scope)
    artifact = model.artifact.bind(scope)
    image.grant_pull(role)
    artifact.grant_read(role)
    subnets, groups = network.selected(), list(network.security_groups)
    let_connect(role, subnets, groups)
    made = sagemaker.CfnModel(
        scope,
        "Model",
        execution_role_arn=role.role_arn,
        enable_network_isolation=True,
        vpc_config=sagemaker.CfnModel.VpcConfigProperty(
            subnets=[subnet.subnet_id for subnet in subnets],
            security_group_ids=[group.security_group_id for group in groups],
        ),
        primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
            image=image.uri, model_data_url=artifact.url, environment=model.variables()
        ),
        tags=[CfnTag(key=VERSION_TAG, value=model.version)],
    )
    # SageMaker looks at image and artifact with the role as soon as there is a model.
    made.node.add_dependency(role)
    return made


def let_start_volumes_under(key: kms.IKey, role: iam.IGrantable) -> None:
    """Let whoever starts instances hand ``key`` on to SageMaker, for their volumes."""
    grant(role, ["kms:DescribeKey"], key.key_arn)
    role.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        )
    )
