"""The role under which SageMaker serves a model."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge, acknowledge_wildcard
from ml_lens.foundation.storage import grant
from ml_lens.hosting.networks import EndpointNetwork

METRICS_NAMESPACE = "/aws/sagemaker/Endpoints"
"""Where the instances of endpoints publish their metrics."""
_LOOK_AT_NETWORKS = [
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
]
_NO_RESOURCES = "{actions} cannot be narrowed: the services accept no resource for them but the star."


def execution_role(scope: Construct, id: str, *, connects: bool) -> iam.Role:
    """Create the role of an endpoint: it may log in to registries and publish metrics of instances.

    Args:
        scope: Where the role belongs.
        id: Its construct id.
        connects: Whether it will be let into a network, by :func:`let_connect`.
    """
    role = iam.Role(
        scope,
        id,
        assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
        description="Serves one model, and may do nothing else",
    )
    role.add_to_policy(iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]))
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
        )
    )
    starred = [
        "ecr:GetAuthorizationToken",
        "cloudwatch:PutMetricData",
        *(_LOOK_AT_NETWORKS if connects else ()),
    ]
    acknowledge(role, "AwsSolutions-IAM5[Resource::*]", _NO_RESOURCES.format(actions=", ".join(starred)))
    return role


def let_connect(role: iam.Role, network: EndpointNetwork) -> None:
    """Let SageMaker put network interfaces into the subnets of ``network``, and take them away."""
    subnet_arns = [_ec2_arn(role, "subnet", subnet.subnet_id) for subnet in network.selected()]
    interfaces = _ec2_arn(role, "network-interface", "*")
    group_arns = [
        _ec2_arn(role, "security-group", group.security_group_id) for group in network.security_groups
    ]
    for actions, resources, conditions in (
        (["ec2:CreateNetworkInterface"], [interfaces, *subnet_arns, *group_arns], None),
        (
            ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"],
            [interfaces],
            {"ArnEquals": {"ec2:Subnet": subnet_arns}},
        ),
        (_LOOK_AT_NETWORKS, ["*"], None),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions))
    acknowledge_wildcard(
        role,
        interfaces,
        "SageMaker makes the network interfaces of an endpoint, with ids that nobody knows before; the subnets in "
        "which it may do so are named.",
    )


def let_use_volumes_under(key: kms.IKey, role: iam.Role) -> None:
    """Let SageMaker encrypt the volumes of instances with ``key``."""
    grant(role, ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], key.key_arn)
    _let_hand_on(key, role)


def let_start_volumes_under(key: kms.IKey, role: iam.IGrantable) -> None:
    """Let whoever starts instances hand ``key`` on to SageMaker, for their volumes."""
    grant(role, ["kms:DescribeKey"], key.key_arn)
    _let_hand_on(key, role)


def _let_hand_on(key: kms.IKey, role: iam.IGrantable) -> None:
    role.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        )
    )


def _ec2_arn(scope: Construct, resource: str, name: str) -> str:
    return Stack.of(scope).format_arn(service="ec2", resource=resource, resource_name=name)
