"""A function in a private network: what it reaches, and what is refused."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2

from ml_lens.foundation import MlNetwork, Posture, PropError, PythonFunction
from ml_lens.foundation.endpoint_policies import Perimeter
from ml_lens.foundation.function_networks import FunctionNetwork
from ml_lens.foundation.keys import customer_key
from ml_lens.foundation.network import AwsService
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template, text

SANDBOX = Posture.sandbox()
GROUP, ENDPOINT = "AWS::EC2::SecurityGroup", "AWS::EC2::VPCEndpoint"
RUNTIME = ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME
DYNAMODB = ec2.GatewayVpcEndpointAwsService.DYNAMODB


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path / "out"), "Work")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "ask"
    folder.mkdir()
    (folder / "ask.py").write_text("def handler(event, context):\n    return {}\n")
    return folder


def made(
    stack: cdk.Stack, code: Path, *reaches: AwsService, network: MlNetwork | None = None, **props: Any
) -> Template:
    within = network or MlNetwork(stack, "Network", posture=SANDBOX)
    PythonFunction(
        stack,
        "Ask",
        posture=SANDBOX,
        code=code,
        log_key=customer_key(stack, "Key", posture=SANDBOX, purpose="logs"),
        timeout=Duration.seconds(30),
        network=FunctionNetwork(network=within, reaches=reaches),
        **props,
    )
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)["Work"]


def ways_out(template: Template) -> list[tuple[object, ...]]:
    """Return every rule by which the function's group lets something out."""
    group = template.id(GROUP, "AskSecurityGroup")
    inside = template.resources()[group]["SecurityGroupEgress"]
    beside = [
        rule
        for rule in template.resources("AWS::EC2::SecurityGroupEgress").values()
        if rule["GroupId"] == {"Fn::GetAtt": [group, "GroupId"]}
    ]
    assert {rule["FromPort"] for rule in [*inside, *beside]} == {443}
    return [
        (name, text(rule[name]))
        for rule in [*inside, *beside]
        for name in ("CidrIp", "DestinationPrefixListId", "DestinationSecurityGroupId")
        if name in rule
    ]


@pytest.mark.lens("F14-02")
def test_a_function_reaches_the_endpoints_it_names_and_nothing_else(stack: cdk.Stack, code: Path) -> None:
    template = made(stack, code, RUNTIME)
    endpoints = template.id(GROUP, "NetworkEndpointSecurityGroup")
    assert ways_out(template) == [
        ("CidrIp", "127.0.0.1/32"),
        ("DestinationSecurityGroupId", f"<{endpoints}.GroupId>"),
    ]
    names = [text(each["ServiceName"]).rpartition(">.")[2] for each in template.resources(ENDPOINT).values()]
    assert sorted(names) == ["s3", "sagemaker.runtime"]


def test_a_gateway_is_reached_where_its_addresses_are(stack: cdk.Stack, code: Path) -> None:
    template = made(stack, code, DYNAMODB)
    assert ways_out(template) == [("CidrIp", "0.0.0.0/0")]
    # There is no route but those of the gateways.
    assert not template.resources("AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route")


def test_known_addresses_of_a_gateway_are_the_only_ones(stack: cdk.Stack, code: Path) -> None:
    network = MlNetwork(
        stack,
        "Network",
        posture=SANDBOX,
        perimeter=Perimeter(gateway_prefix_lists=["pl-6da54004", "pl-0123abcd"]),
    )
    assert ways_out(made(stack, code, DYNAMODB, network=network)) == [
        ("CidrIp", "127.0.0.1/32"),
        ("DestinationPrefixListId", "pl-6da54004"),
        ("DestinationPrefixListId", "pl-0123abcd"),
    ]


def test_in_an_existing_network_the_function_reaches_its_addresses(stack: cdk.Stack, code: Path) -> None:
    vpc = ec2.Vpc(
        stack,
        "Vpc",
        max_azs=2,
        ip_addresses=ec2.IpAddresses.cidr("10.9.0.0/16"),
        subnet_configuration=[
            ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        ],
        restrict_default_security_group=False,
    )
    network = MlNetwork(
        stack,
        "Network",
        posture=SANDBOX,
        vpc=vpc,
        perimeter=Perimeter(gateway_prefix_lists=["pl-6da54004"]),
    )
    template = made(stack, code, RUNTIME, network=network)
    vpc_id = template.id("AWS::EC2::VPC", "Vpc")
    assert ways_out(template) == [("CidrIp", f"<{vpc_id}.CidrBlock>")]
    assert not template.resources(ENDPOINT)


def test_the_endpoints_come_before_the_function_and_leave_after_it(stack: cdk.Stack, code: Path) -> None:
    template = made(stack, code, RUNTIME)
    (function,) = [
        each for each in template.body["Resources"].values() if each["Type"] == "AWS::Lambda::Function"
    ]
    assert template.id(ENDPOINT, "NetworkSagemakerRuntimeEndpoint") in function["DependsOn"]


def test_a_function_that_reaches_nothing_is_refused(stack: cdk.Stack, code: Path) -> None:
    with pytest.raises(PropError, match=r"network\.reaches: is empty"):
        made(stack, code)
    assert stack.node.try_find_child("Ask") is None


def test_outside_of_a_network_nothing_is_connected(stack: cdk.Stack, code: Path) -> None:
    key = customer_key(stack, "Key", posture=SANDBOX, purpose="logs")
    function = PythonFunction(
        stack, "Ask", posture=SANDBOX, code=code, log_key=key, timeout=Duration.seconds(30)
    )
    assert function.security_group is None
    app = stack.node.root
    assert isinstance(app, cdk.App)
    template = templates(app)["Work"]
    assert "VpcConfig" not in template.only("AWS::Lambda::Function")
    assert not [
        action
        for action in template.actions(template.id("AWS::IAM::Role", "AskRole"))
        if action.startswith("ec2:")
    ]
