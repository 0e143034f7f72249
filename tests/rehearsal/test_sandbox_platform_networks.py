"""Networks in the sandbox: what a function in a private subnet needs to run, and what it reaches from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2

from ml_lens.foundation.network import MlNetwork
from ml_lens.foundation.posture import Posture
from ml_lens.rehearsal.inventory import inventory
from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.made_to_measure import LOGS, Roles, Stack, eventually, function, queue, refused

pytestmark = pytest.mark.xdist_group("sandbox")

CONNECT = {
    "Action": [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    ],
    "Resource": "*",
}
SEND = """
import json, os, boto3
from botocore.config import Config
def handler(event, _):
    client = boto3.client(event["service"], config=Config(retries={"total_max_attempts": 1}))
    try:
        return {"ok": bool(getattr(client, event["call"])(**event["with"]))}
    except Exception as error:
        return {"error": type(error).__name__, "said": str(error)}
"""


class Net:
    """A deployed network: two subnets, and the groups of what runs there and of the endpoints."""

    def __init__(self, sandbox: Sandbox, outputs: dict[str, str]) -> None:
        self.ec2 = sandbox.client("ec2")
        self.stack = outputs["StackName"]
        self.vpc = outputs["Vpc"]
        self.group = outputs["Group"]
        self.subnets = outputs["Subnets"].split(",")

    def endpoint(self, service: str) -> str:
        found = self.ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])
        (only,) = [
            each["VpcEndpointId"]
            for each in found["VpcEndpoints"]
            if each["VpcId"] == self.vpc and each["ServiceName"].endswith(f".{service}")
        ]
        return str(only)


def template(folder: Path) -> dict[str, Any]:
    stack = cdk.Stack(cdk.App(outdir=str(folder)), "Net", synthesizer=cdk.BootstraplessSynthesizer())
    network = MlNetwork(stack, "Network", posture=Posture.sandbox())
    network.connect_hosting()
    network.connect_to(ec2.InterfaceVpcEndpointAwsService.SQS)
    cdk.CfnOutput(stack, "Vpc", value=network.vpc.vpc_id)
    cdk.CfnOutput(stack, "Group", value=network.security_group_ids[0])
    cdk.CfnOutput(stack, "Subnets", value=cdk.Fn.join(",", network.subnet_ids))
    made: dict[str, Any] = cdk.App.of(stack).synth().get_stack_by_name("Net").template  # type: ignore[union-attr]
    return made


@pytest.fixture
def net(sandbox: Sandbox, stack: Stack, tmp_path: Path) -> Net:
    made = template(tmp_path)
    return Net(sandbox, stack(made["Resources"], Outputs=made["Outputs"]))


@pytest.fixture
def placed(sandbox: Sandbox, net: Net, role: Roles) -> Any:
    """Create a function in the network whose role may do what it is given, and call it."""

    def create(name: str, *may: dict[str, Any], connect: dict[str, Any] | None = CONNECT) -> Any:
        made = role(LOGS, *([connect] if connect else []), *may)
        function(
            sandbox,
            name,
            SEND,
            made,
            Timeout=20,
            VpcConfig={"SubnetIds": net.subnets, "SecurityGroupIds": [net.group]},
        )
        client = sandbox.client("lambda")

        def call(service: str, operation: str, **arguments: Any) -> dict[str, Any]:
            event = {"service": service, "call": operation, "with": arguments}
            answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
            return dict(json.loads(answer["Payload"].read()))

        return call

    return create


def test_a_network_is_deployed_with_its_rules_and_removed(sandbox: Sandbox, net: Net) -> None:
    groups = sandbox.client("ec2").describe_security_groups(GroupIds=[net.group])["SecurityGroups"]
    (rule, *_) = [each for each in groups[0]["IpPermissionsEgress"] if each["UserIdGroupPairs"]]
    doors = rule["UserIdGroupPairs"][0]["GroupId"]
    (inward,) = sandbox.client("ec2").describe_security_groups(GroupIds=[doors])["SecurityGroups"][0][
        "IpPermissions"
    ]
    assert (inward["FromPort"], inward["UserIdGroupPairs"][0]["GroupId"]) == (443, net.group)
    declared = {kind for kind, _ in sandbox.declared_only()}
    assert "AWS::EC2::FlowLog" in declared
    assert not {kind for kind in declared if kind.startswith("AWS::EC2::SecurityGroup")}
    assert ("VPC", net.vpc) in inventory(sandbox)
    sandbox.client("cloudformation").delete_stack(StackName=net.stack)
    eventually(lambda: not [each for each in inventory(sandbox) if net.vpc in each or net.group in each])


def test_a_function_is_connected_with_the_rights_of_its_role(sandbox: Sandbox, placed: Any) -> None:
    placed("unconnected", connect=None)
    code, message = refused(sandbox.client("lambda").invoke, FunctionName="unconnected", Payload="{}")
    assert code == "EC2AccessDeniedException"
    assert "ec2:CreateNetworkInterface" in message
    less = {**CONNECT, "Action": [each for each in CONNECT["Action"] if "Describe" not in each]}
    placed("half", connect=less)
    code, message = refused(sandbox.client("lambda").invoke, FunctionName="half", Payload="{}")
    assert code == "EC2AccessDeniedException"
    assert "ec2:DescribeNetworkInterfaces" in message


def test_only_services_with_an_endpoint_are_reached(sandbox: Sandbox, placed: Any) -> None:
    url, _ = queue(sandbox, "reached")
    call = placed("reaching", {"Action": "*", "Resource": "*"})
    assert call("sqs", "send_message", QueueUrl=url, MessageBody="hello") == {"ok": True}
    assert call("sns", "list_topics")["error"] == "EndpointConnectionError"
    assert call("iam", "list_roles")["error"] == "EndpointConnectionError"


def test_s3_is_reached_by_the_gateway_while_the_route_is_there(
    sandbox: Sandbox, net: Net, placed: Any
) -> None:
    call = placed("gateway-user", {"Action": "s3:*", "Resource": "*"})
    assert call("s3", "list_buckets") == {"ok": True}
    net.ec2.delete_vpc_endpoints(VpcEndpointIds=[net.endpoint("s3")])
    assert call("s3", "list_buckets")["error"] == "EndpointConnectionError"


def test_a_security_group_that_is_closed_ends_the_way(sandbox: Sandbox, net: Net, placed: Any) -> None:
    url, _ = queue(sandbox, "closed")
    call = placed("closing", {"Action": "*", "Resource": "*"})
    send = {"QueueUrl": url, "MessageBody": "hello"}
    assert call("sqs", "send_message", **send) == {"ok": True}
    group = net.ec2.describe_security_groups(GroupIds=[net.group])["SecurityGroups"][0]
    net.ec2.revoke_security_group_egress(GroupId=net.group, IpPermissions=group["IpPermissionsEgress"])
    assert call("sqs", "send_message", **send)["error"] == "EndpointConnectionError"


def test_the_policy_of_an_endpoint_is_asked_too(sandbox: Sandbox, net: Net, placed: Any) -> None:
    url, _ = queue(sandbox, "policed")
    call = placed("policed", {"Action": "*", "Resource": "*"})
    send = {"QueueUrl": url, "MessageBody": "hello"}
    assert call("sqs", "send_message", **send) == {"ok": True}
    other = {"Effect": "Allow", "Principal": "*", "Action": "sqs:ReceiveMessage", "Resource": "*"}
    net.ec2.modify_vpc_endpoint(
        VpcEndpointId=net.endpoint("sqs"), PolicyDocument=json.dumps({"Statement": [other]})
    )
    answer = call("sqs", "send_message", **send)
    assert "no VPC endpoint policy allows the sqs:SendMessage action" in answer["said"]


def test_a_policy_may_ask_for_the_endpoint_and_for_the_function(
    sandbox: Sandbox, net: Net, placed: Any
) -> None:
    url, arn = queue(sandbox, "conditions")

    def sends(name: str, **condition: Any) -> bool:
        may = {"Action": "sqs:SendMessage", "Resource": arn, "Condition": condition}
        return "ok" in placed(name, may)("sqs", "send_message", QueueUrl=url, MessageBody="hello")

    own = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:own"
    assert sends("through", StringEquals={"aws:SourceVpce": net.endpoint("sqs")})
    assert not sends("elsewhere", StringEquals={"aws:SourceVpce": net.endpoint("s3")})
    assert sends("in-the-vpc", StringEquals={"aws:SourceVpc": net.vpc})
    assert sends("own", ArnEquals={"lambda:SourceFunctionArn": own})
    assert not sends("other", ArnEquals={"lambda:SourceFunctionArn": own})
