"""Endpoints for the tests: how they are made, and how their templates are asked."""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from ml_lens.foundation import Posture, PropError
from ml_lens.hosting import (
    Deployment,
    EndpointNetwork,
    HostedModel,
    ModelArtifact,
    ModelImage,
    ModelLibrary,
    ServedModel,
    Serverless,
)
from tests.stacks.synthesis import templates
from tests.stacks.template import Statement, Template

SANDBOX, PRODUCTION = Posture.sandbox(), Posture.production()
TEN = Duration.minutes(10)
GUARDED = [Deployment.canary(percent=10, wait=TEN), Deployment.linear(step=50, interval=TEN)]
ENDPOINT, CONFIG, MODEL = (f"AWS::SageMaker::{kind}" for kind in ("Endpoint", "EndpointConfig", "Model"))
ALARM, LOGS, KEY = "AWS::CloudWatch::Alarm", "AWS::Logs::LogGroup", "AWS::KMS::Key"
TARGET, SCALING = (f"AWS::ApplicationAutoScaling::{kind}" for kind in ("ScalableTarget", "ScalingPolicy"))


def network(stack: cdk.Stack, *, zones: int = 2, groups: int = 1) -> EndpointNetwork:
    """A VPC without a way to the internet, and with one to S3."""
    vpc = ec2.Vpc(
        stack,
        "Vpc",
        max_azs=zones,
        subnet_configuration=[
            ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        ],
        restrict_default_security_group=False,
    )
    vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
    made = [
        ec2.SecurityGroup(stack, f"Group{number}", vpc=vpc, allow_all_outbound=False)
        for number in range(groups)
    ]
    return EndpointNetwork(vpc=vpc, security_groups=made)


def model(stack: cdk.Stack, version: int = 1) -> ServedModel:
    models = stack.node.try_find_child("Models") or s3.Bucket(
        stack, "Models", encryption_key=kms.Key(stack, "ModelsKey", enable_key_rotation=True)
    )
    assert isinstance(models, s3.Bucket)
    return ServedModel(
        image=ModelImage.xgboost(),
        artifact=ModelArtifact.in_bucket(models, f"churn/{version}/model.tar.gz"),
        version=f"{version}.0.0",
    )


def library(stack: cdk.Stack, **props: Any) -> ModelLibrary:
    bucket = stack.node.try_find_child("Shelf") or s3.Bucket(
        stack, "Shelf", encryption_key=kms.Key(stack, "ShelfKey", enable_key_rotation=True)
    )
    assert isinstance(bucket, s3.Bucket)
    return ModelLibrary(
        **{
            "image": ModelImage.xgboost(),
            "bucket": bucket,
            "prefix": "shops/",
            "version": "2026-11",
            **props,
        }
    )


def host(stack: cdk.Stack, id: str = "Churn", **props: Any) -> HostedModel:
    props = {"posture": PRODUCTION, **props}
    if "network" not in props:
        props["network"] = network(stack)
    if "model" not in props:
        props["model"] = model(stack)
    return HostedModel(stack, id, **props)


def serverless(stack: cdk.Stack, **props: Any) -> HostedModel:
    return host(stack, **{"network": None, "capacity": Serverless(), **props})


def template(stack: cdk.Stack) -> Template:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)[stack.node.id]


def resource(made: Template, type: str) -> Mapping[str, Any]:
    (found,) = [each for each in made.body["Resources"].values() if each["Type"] == type]
    return found


def variant(made: Template) -> Mapping[str, Any]:
    (found,) = made.only(CONFIG)["ProductionVariants"]
    return found


def name(made: Template) -> str:
    return str(made.only(ENDPOINT)["EndpointName"])


def said(made: Template, action: str) -> list[Statement]:
    """Return the statements that allow the role of the endpoint ``action``."""
    role = made.id("AWS::IAM::Role", "ChurnRole")
    return [each for each in made.statements(role) if action in each.actions]


def problems(stack: cdk.Stack, **props: Any) -> list[str]:
    with pytest.raises(PropError) as raised:
        host(stack, **props)
    assert stack.node.try_find_child("Churn") is None
    return list(raised.value.problems)


def network_of(stack: cdk.Stack) -> EndpointNetwork:
    """The network that a refused attempt has left in the stack."""
    vpc, group = stack.node.find_child("Vpc"), stack.node.find_child("Group0")
    assert isinstance(vpc, ec2.Vpc)
    assert isinstance(group, ec2.SecurityGroup)
    return EndpointNetwork(vpc=vpc, security_groups=[group])
