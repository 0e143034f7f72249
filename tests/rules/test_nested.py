"""A nested stack of a CDK app is joined to its parent, with and without the metadata of the command line."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.rules.graph import Graph
from ml_lens.rules.options import Options
from ml_lens.rules.templates import read_templates


@pytest.mark.parametrize("metadata", [True, False], ids=["asset path in the metadata", "address only"])
def test_a_nested_stack_sees_the_key_of_the_stack_around_it(tmp_path: Path, *, metadata: bool) -> None:
    app = cdk.App(
        outdir=str(tmp_path),
        builtin_cloud_formation_validation=False,
        context={"aws:cdk:enable-asset-metadata": metadata},
    )
    parent = cdk.Stack(app, "Parent")
    key = kms.Key(parent, "Key")
    inner = cdk.NestedStack(cdk.NestedStack(parent, "Child"), "Grandchild")
    sagemaker.CfnNotebookInstance(
        inner, "Desk", instance_type="ml.t3.medium", role_arn="arn:aws:iam::1:role/x", kms_key_id=key.key_id
    )
    app.synth()

    graph = Graph(read_templates([tmp_path]), Options())
    (desk,) = graph.nodes("AWS::SageMaker::NotebookInstance")
    assert len(graph.scopes) == 3
    assert desk["KmsKeyId"].reference in graph.nodes("AWS::KMS::Key")
