"""Rules on where models run, and on the encryption of endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.instance_types import has_local_disks
from ml_lens.rules.endpoints import (
    CONFIG,
    MODEL,
    instance_variants,
    is_async,
    is_serverless,
    only_serverless,
    shadow_variants,
    variants,
)
from ml_lens.rules.rule import ERROR, WARNING, rule
from ml_lens.rules.verdicts import (
    Verdict,
    any_of,
    fails,
    must_equal,
    must_have_key,
    must_hold,
    must_satisfy,
    unknown,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_SERVERLESS = (
    "A model that only serverless variants use is left out: serverless inference has neither. A model that the app "
    "uses in batch, on instances, or nowhere is judged."
)


@rule(
    "SEC03-ModelInVpc",
    number=28,
    weight=ERROR,
    on=MODEL,
    title="Models run in a VPC of yours.",
    why="Only in a VPC of yours do security groups and routes decide what a model's container reaches.",
    fix="Give the model a VpcConfig with at least one of Subnets and one of SecurityGroupIds.",
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  VpcConfig:
    Subnets: [!Ref PrivateSubnetA, !Ref PrivateSubnetB]
    SecurityGroupIds: [!Ref ModelSecurityGroup]
""",
    construct="ml_lens.hosting.HostedModel",
    lens2020="MLSEC 03",
    lens2025="MLSEC04-BP01",
    same_as=("Config:sagemaker-model-in-vpc",),
    settled=(_SERVERLESS,),
)
def model_is_in_a_vpc(model: Node) -> Iterator[Verdict]:
    """Demand a subnet and a security group."""
    if not only_serverless(model):
        yield must_hold(model["VpcConfig"]["Subnets"], 1)
        yield must_hold(model["VpcConfig"]["SecurityGroupIds"], 1)


@rule(
    "SEC03-ModelNetworkIsolation",
    number=29,
    weight=ERROR,
    on=MODEL,
    title="A model's container can make no calls of its own.",
    why="A container that is isolated cannot send requests or the model itself anywhere.",
    fix="Set EnableNetworkIsolation to true.",
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  EnableNetworkIsolation: true
""",
    construct="ml_lens.hosting.HostedModel",
    lens2020=("MLSEC 02", "MLSEC 03"),
    lens2025="MLSEC05-BP01",
    same_as=(
        "SecurityHub:SageMaker.5",
        "Config:sagemaker-model-isolation-enabled",
        "checkov:CKV_AWS_370",
    ),
    settled=(_SERVERLESS,),
)
def model_is_isolated(model: Node) -> Verdict | None:
    """Demand isolation."""
    return None if only_serverless(model) else must_equal(model["EnableNetworkIsolation"], True)


@rule(
    "SEC03-EndpointEncrypted",
    number=30,
    weight=ERROR,
    on=CONFIG,
    title="What an endpoint stores is encrypted with a key of yours.",
    why="The volumes, the captured requests and the stored answers are copies of what users sent.",
    fix=(
        "Give KmsKeyId in the endpoint configuration, in its DataCaptureConfig, and in the OutputConfig of its "
        "AsyncInferenceConfig."
    ),
    cloudformation="""
Type: AWS::SageMaker::EndpointConfig
Properties:
  KmsKeyId: !GetAtt Key.Arn
  DataCaptureConfig:
    EnableCapture: true
    KmsKeyId: !GetAtt Key.Arn
  AsyncInferenceConfig:
    OutputConfig:
      KmsKeyId: !GetAtt Key.Arn
""",
    construct="ml_lens.hosting.HostedModel",
    lens2020="MLSEC 03",
    lens2025="MLSEC02-BP01",
    same_as=(
        "Config:sagemaker-endpoint-configuration-kms-key-configured",
        "checkov:CKV_AWS_98",
    ),
    findings={
        "volume": "The volumes of the instances are not encrypted with a key of yours.",
        "capture": "What data capture stores is not encrypted with a key of yours.",
        "async": "The stored answers of asynchronous inference are not encrypted with a key of yours.",
    },
    settled=(
        "A configuration with a variant whose instances have NVMe disks needs no key for volumes: their hardware "
        "encrypts them, and SageMaker refuses a key.",
        "A configuration of serverless variants has no volumes.",
        "Data capture counts as on unless EnableCapture is false, since that is how SageMaker reads it.",
    ),
)
def endpoint_is_encrypted(config: Node) -> Iterator[Verdict]:
    """Demand a key wherever an endpoint stores something."""
    on_instances = [*instance_variants(config), *shadow_variants(config)]
    if on_instances:
        disks = [_must_have_local_disks(of) for variant in on_instances for of in _instance_types(variant)]
        yield any_of(must_have_key(config["KmsKeyId"]), *disks).named("volume")
    capture = config["DataCaptureConfig"]
    if capture:
        switch = capture["EnableCapture"]
        off = must_equal(switch, False).saying(
            f"{switch.path} is {switch.shown}, must be false where DataCaptureConfig.KmsKeyId is missing"
        )
        yield any_of(must_have_key(capture["KmsKeyId"]), off).named("capture")
    if is_async(config):
        output = config["AsyncInferenceConfig"]["OutputConfig"]
        yield must_have_key(output["KmsKeyId"]).named("async")


@rule(
    "SEC03-ServerlessLimits",
    number=32,
    weight=WARNING,
    on=CONFIG,
    title="Serverless inference is chosen knowing what it lacks.",
    why=(
        "A serverless variant has no VPC, no network isolation, no data capture, no second variant and no "
        "multi-model endpoint."
    ),
    fix="Run the variant on instances, or acknowledge this finding where the limits do no harm.",
    cloudformation="""
Type: AWS::SageMaker::EndpointConfig
Properties:
  ProductionVariants:
    - VariantName: AllTraffic
      ModelName: !GetAtt Model.ModelName
      InstanceType: ml.m5.large
      InitialInstanceCount: 2
""",
    lens2020=("MLSEC 03", "MLOPS 05"),
    lens2025="MLSEC05-BP01",
    settled=("One configuration makes one finding, however many serverless variants it has.",),
)
def serverless_is_a_choice(config: Node) -> Iterator[Verdict]:
    """Report serverless variants once."""
    every = [*variants(config), *shadow_variants(config)]
    serverless = [variant for variant in every if is_serverless(variant)]
    names = [variant["VariantName"].shown for variant in serverless]
    if names:
        lacks = "no VPC, network isolation, data capture, further variant or multi-model endpoint"
        told = f"{', '.join(names)} is serverless: {lacks}"
        yield fails(config, told, path=serverless[0]["ServerlessConfig"].path)
    if any(variant.is_open for variant in variants(config)):
        told = "ProductionVariants is left open by the template, so nobody knows whether one is serverless"
        yield unknown(config, told, path="ProductionVariants")


def _instance_types(variant: Value) -> list[Value]:
    pools = [pool["InstanceType"] for pool in variant["InstancePools"].elements]
    return [found for found in (variant["InstanceType"], *pools) if found]


def _must_have_local_disks(instance_type: Value) -> Verdict:
    return must_satisfy(
        instance_type,
        lambda found: has_local_disks(str(found)),
        "must have disks of its own where KmsKeyId is missing",
    )


RULES = (model_is_in_a_vpc, model_is_isolated, endpoint_is_encrypted, serverless_is_a_choice)
