"""Functions that run in a private network."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge_wildcard
from ml_lens.foundation.network import AwsService, MlNetwork
from ml_lens.foundation.props import PropChecks

LOOK_AT_NETWORKS = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
"""What Lambda looks up to connect a function; neither action knows resources."""
_KEEP_INTERFACES = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
]


@dataclass(frozen=True, kw_only=True)
class FunctionNetwork:
    """Places a function in a private network, from which it reaches what is named here and nothing else.

    Lens: F14-02.
    """

    network: MlNetwork
    """The network. It gets the endpoints that ``reaches`` needs, unless it is an existing VPC."""
    reaches: Sequence[AwsService]
    """What the function calls. Logs and traces are Lambda's own business and need no endpoint."""

    def check(self, props: PropChecks) -> None:
        """Record what cannot be used."""
        props.require(
            len(self.reaches) > 0,
            "network.reaches",
            "is empty, and a function in a private network that reaches nothing can do nothing; name what it calls, "
            "such as ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME",
        )

    def security_group(self, scope: Construct) -> ec2.SecurityGroup:
        """Create the security group ``SecurityGroup`` of ``scope``: nothing in, and HTTPS out to ``reaches``."""
        group = ec2.SecurityGroup(
            scope,
            "SecurityGroup",
            vpc=self.network.vpc,
            description="A function: nothing comes in, and HTTPS goes out to the services it calls",
            allow_all_outbound=False,
        )
        self.network.let_reach(group, *self.reaches)
        return group


def let_lambda_connect(role: iam.Role, placed: FunctionNetwork, group: ec2.ISecurityGroup) -> None:
    """Let Lambda connect the function of ``role``, and its code not do the same.

    Lambda uses the role of a function to put network interfaces into its subnets. Requests of the code itself carry
    the name of the function, and those are denied.
    """
    stack = Stack.of(role)

    def arn(resource: str, name: str) -> str:
        return stack.format_arn(service="ec2", resource=resource, resource_name=name)

    interfaces = arn("network-interface", "*")
    # Lambda asks whether it may delete what it has not made yet, and takes no narrower resource for that.
    anything = arn("*", "*")
    subnets = [arn("subnet", subnet) for subnet in placed.network.subnet_ids]
    for actions, resources in (
        (
            ["ec2:CreateNetworkInterface"],
            [interfaces, *subnets, arn("security-group", group.security_group_id)],
        ),
        (_KEEP_INTERFACES, [anything]),
        (LOOK_AT_NETWORKS, ["*"]),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
    role.add_to_policy(
        iam.PolicyStatement(
            sid="NotByItsCode",
            effect=iam.Effect.DENY,
            actions=[
                "ec2:CreateNetworkInterface",
                "ec2:DetachNetworkInterface",
                *_KEEP_INTERFACES,
                *LOOK_AT_NETWORKS,
            ],
            resources=["*"],
            conditions={"Null": {"lambda:SourceFunctionArn": "false"}},
        )
    )
    acknowledge_wildcard(
        role,
        interfaces,
        "Lambda makes the network interfaces of a function, with ids that nobody knows before; the subnets and the "
        "security group with which it may do so are named, and the code of the function is denied the action.",
    )
    acknowledge_wildcard(
        role,
        anything,
        "Lambda checks beforehand that it may take any network interface away, and connects no function that names "
        "fewer; the actions exist only for network interfaces, and the code of the function is denied them.",
    )
