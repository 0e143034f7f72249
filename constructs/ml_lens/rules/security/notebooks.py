"""Rules on notebook instances and Studio domains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.networks import DOMAIN, NOTEBOOK
from ml_lens.rules.rule import ERROR, WARNING, rule
from ml_lens.rules.verdicts import (
    Verdict,
    must_equal,
    must_exist,
    must_have_key,
    must_hold,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node


@rule(
    "SEC02-NotebookInVpc",
    number=6,
    weight=ERROR,
    on=NOTEBOOK,
    title="Notebooks run in a VPC of yours.",
    why="Only in a VPC of yours do security groups and routes decide what a notebook reaches.",
    fix="Give the notebook a SubnetId and at least one of SecurityGroupIds.",
    cloudformation="""
Type: AWS::SageMaker::NotebookInstance
Properties:
  SubnetId: !Ref PrivateSubnet
  SecurityGroupIds: [!Ref NotebookSecurityGroup]
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    same_as=(
        "SecurityHub:SageMaker.2",
        "Config:sagemaker-notebook-instance-inside-vpc",
        "cdk-nag:AwsSolutions-SM1",
        "checkov:CKV_AWS_306",
    ),
)
def notebook_is_in_a_vpc(notebook: Node) -> Iterator[Verdict]:
    """Demand a subnet and a security group."""
    yield must_exist(notebook["SubnetId"])
    yield must_hold(notebook["SecurityGroupIds"], 1)


@rule(
    "SEC02-NotebookNoDirectInternet",
    number=7,
    weight=ERROR,
    on=NOTEBOOK,
    title="Notebooks have no direct way to the internet.",
    why="Direct access goes past the VPC, its endpoints and its flow logs.",
    fix="Set DirectInternetAccess to Disabled; the default is Enabled.",
    cloudformation="""
Type: AWS::SageMaker::NotebookInstance
Properties:
  DirectInternetAccess: Disabled
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    same_as=(
        "SecurityHub:SageMaker.1",
        "Config:sagemaker-notebook-no-direct-internet-access",
        "cdk-nag:AwsSolutions-SM3",
        "checkov:CKV_AWS_122",
    ),
)
def notebook_has_no_direct_internet(notebook: Node) -> Verdict:
    """Demand the setting; its default is the open one."""
    return must_equal(notebook["DirectInternetAccess"], "Disabled")


@rule(
    "SEC02-NotebookNoRoot",
    number=8,
    weight=ERROR,
    on=NOTEBOOK,
    title="Notebook users have no root access.",
    why="A notebook user with root controls the instance and its credentials.",
    fix="Set RootAccess to Disabled; the default is Enabled.",
    cloudformation="""
Type: AWS::SageMaker::NotebookInstance
Properties:
  RootAccess: Disabled
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    same_as=(
        "SecurityHub:SageMaker.3",
        "Config:sagemaker-notebook-instance-root-access-check",
        "checkov:CKV_AWS_307",
    ),
)
def notebook_has_no_root(notebook: Node) -> Verdict:
    """Demand the setting; its default is the open one."""
    return must_equal(notebook["RootAccess"], "Disabled")


@rule(
    "SEC02-NotebookKmsKey",
    number=9,
    weight=ERROR,
    on=NOTEBOOK,
    title="The volume of a notebook is encrypted with a key of yours.",
    why="A key of yours can be withdrawn, and its use is recorded.",
    fix="Give the notebook a KmsKeyId that is not one of the aws/ keys.",
    cloudformation="""
Type: AWS::SageMaker::NotebookInstance
Properties:
  KmsKeyId: !Ref Key
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC02-BP01",
    same_as=(
        "SecurityHub:SageMaker.21",
        "Config:sagemaker-notebook-instance-kms-key-configured",
        "cdk-nag:AwsSolutions-SM2",
        "checkov:CKV_AWS_22",
        "checkov:CKV_AWS_187",
    ),
)
def notebook_has_a_key(notebook: Node) -> Verdict:
    """Demand a customer-managed key."""
    return must_have_key(notebook["KmsKeyId"])


@rule(
    "SEC02-NotebookPlatformImds",
    number=10,
    weight=WARNING,
    on=NOTEBOOK,
    title="Notebooks run on a patched platform and refuse the first metadata service.",
    why="An old platform gets no patches, and version 1 of the metadata service gives credentials to any request.",
    fix=(
        "Set PlatformIdentifier to notebook-al2023-v1 and "
        "InstanceMetadataServiceConfiguration.MinimumInstanceMetadataServiceVersion to 2."
    ),
    cloudformation="""
Type: AWS::SageMaker::NotebookInstance
Properties:
  PlatformIdentifier: notebook-al2023-v1
  InstanceMetadataServiceConfiguration:
    MinimumInstanceMetadataServiceVersion: "2"
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    same_as=("SecurityHub:SageMaker.8", "checkov:CKV_AWS_371"),
)
def notebook_is_patched(notebook: Node) -> Iterator[Verdict]:
    """Demand the platform and the version of the metadata service."""
    yield must_equal(notebook["PlatformIdentifier"], "notebook-al2023-v1")
    metadata = notebook["InstanceMetadataServiceConfiguration"]
    yield must_equal(metadata["MinimumInstanceMetadataServiceVersion"], "2")


@rule(
    "SEC02-DomainVpcOnlyKms",
    number=14,
    weight=ERROR,
    on=DOMAIN,
    title="Studio domains stay in the VPC and encrypt with a key of yours.",
    why="A domain with public internet access goes past the VPC; its home folders hold data and code.",
    fix="Set AppNetworkAccessType to VpcOnly and give the domain a KmsKeyId.",
    cloudformation="""
Type: AWS::SageMaker::Domain
Properties:
  AppNetworkAccessType: VpcOnly
  KmsKeyId: !Ref Key
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    same_as=("Config:sagemaker-domain-in-vpc", "checkov:CKV_AWS_187"),
    findings={
        "vpcOnly": "The domain reaches the internet past the VPC.",
        "kms": "The home folders are not encrypted with a key of yours.",
    },
)
def domain_is_closed(domain: Node) -> Iterator[Verdict]:
    """Demand the network mode and a customer-managed key."""
    yield must_equal(domain["AppNetworkAccessType"], "VpcOnly").named("vpcOnly")
    yield must_have_key(domain["KmsKeyId"]).named("kms")


RULES = (
    notebook_is_in_a_vpc,
    notebook_has_no_direct_internet,
    notebook_has_no_root,
    notebook_has_a_key,
    notebook_is_patched,
    domain_is_closed,
)
