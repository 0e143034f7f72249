"""The rule packs and cfn-lint have nothing to say about an endpoint that is not the business of its app."""

import json
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.foundation import AlarmTopic, AuditTrail, Posture
from ml_lens.hosting import (
    DataCapture,
    HostedModel,
    ModelArtifact,
    ModelImage,
    ServedModel,
    Serverless,
)
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.synthesis import findings, new_app, templates
from tests.stacks.template import Template
from tests.unit.serving import ENDPOINT, PRODUCTION, SANDBOX, network

# What MLLens asks of the app around an endpoint, and no endpoint can have by itself.
OF_THE_APP = {"MLLens-OPS05-ModelQualityMonitored"}
# CDK writes DependsOn beside references that say the same, and it does no harm.
REDUNDANT_DEPENDS_ON = "W3005"


def deployable(app: cdk.App, name: str, posture: Posture) -> None:
    """Two endpoints and what they need, as an app would have them."""
    stack = cdk.Stack(app, name, tags=posture.tags)
    where = network(stack)
    assert isinstance(where.vpc, ec2.Vpc)
    where.vpc.add_flow_log("Flows")
    services = ec2.InterfaceVpcEndpointAwsService
    for number, service in enumerate(
        (
            services.SAGEMAKER_API,
            services.SAGEMAKER_RUNTIME,
            services.CLOUDWATCH_LOGS,
            services.KMS,
            services.STS,
            services.ECR,
            services.ECR_DOCKER,
        )
    ):
        where.vpc.add_interface_endpoint(
            f"To{number}", service=service, security_groups=[*where.security_groups], open=False
        )
    theirs = s3.Bucket.from_bucket_name(stack, "Theirs", "models-of-ours")
    served = ServedModel(
        image=ModelImage.xgboost(),
        artifact=ModelArtifact.in_bucket(theirs, "churn/1/model.tar.gz"),
        version="1.0.0",
    )
    capture = DataCapture(audit=AuditTrail(stack, "Audit", posture=posture))
    hosted = [
        HostedModel(stack, "Churn", posture=posture, model=served, network=where, capture=capture),
        HostedModel(stack, "Fraud", posture=posture, model=served, network=where, capture=capture),
        HostedModel(stack, "Rare", posture=posture, model=served, capacity=Serverless()),
    ]
    AlarmTopic(stack, "Tell", posture=posture).tell_of([alarm for each in hosted for alarm in each.alarms])
    hosted[0].grant_invoke(iam.Role(stack, "Shop", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")))


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_the_packs_leave_only_what_the_app_has_to_add(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path, validated=True)
    deployable(app, "Serving", posture)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    if posture.keeps_data:
        with pytest.raises(RuntimeError, match="ValidationFailed"):
            app.synth()
    else:
        app.synth()
    left = {found.partition(" ")[0] for found in findings(tmp_path, warnings=False)}
    assert left == (OF_THE_APP if posture.keeps_data else set())
    assert not [found for found in findings(tmp_path) if found.startswith("AwsSolutions-")]


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_cfn_lint_finds_nothing(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path)
    deployable(app, "Serving", posture)
    found = lint(
        json.dumps(templates(app)["Serving"].body),
        list(get_rules([], [], [], {}, False)),
        regions=["eu-west-1"],
    )
    assert [str(match) for match in found if match.rule.id != REDUNDANT_DEPENDS_ON] == []


def test_two_syntheses_are_the_same_and_two_stacks_share_no_name(tmp_path: Path) -> None:
    made = []
    for attempt in ("first", "second"):
        app = new_app(tmp_path / attempt)
        for stack in ("Here", "There"):
            deployable(app, stack, PRODUCTION)
        made.append({stack: each.body for stack, each in templates(app).items()})
    assert made[0] == made[1]
    names = [
        properties["EndpointName"]
        for body in made[0].values()
        for properties in Template(body).resources(ENDPOINT).values()
    ]
    assert len(names) == len(set(names)) == 6
