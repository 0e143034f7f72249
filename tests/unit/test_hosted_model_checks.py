"""The rule packs and cfn-lint have nothing to say about an endpoint that is not the business of its app."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.foundation import AlarmTopic, AuditTrail, DerivedDataBucket, Posture
from ml_lens.hosting import (
    CallOrigin,
    DataCapture,
    Deployment,
    EndpointNetwork,
    HostedModel,
    InferencePipeline,
    Instances,
    ModelArtifact,
    ModelImage,
    ModelLibrary,
    ServedModel,
    Serverless,
)
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.synthesis import findings, new_app, templates
from tests.stacks.template import Template
from tests.unit.serving import ENDPOINT, PRODUCTION, SANDBOX, network

# What MLLens asks of the app around an endpoint, and no endpoint can have by itself.
OF_THE_APP = {"MLLens-OPS05-ModelQualityMonitored"}
# And what it warns of: cost tags, a registry and a manifest, readers of captured calls, the network, many endpoints.
TOLD_TO_THE_APP = OF_THE_APP | {
    f"MLLens-{rule}"
    for rule in (
        "COST04-ConsolidateModels[mme]",
        "COST04-EndpointCanScaleIn",
        "COST04-TagsAndBudget[budget]",
        "COST04-TagsAndBudget[tags]",
        "REL01-ModelFromRegistry",
        "REL05-ManifestStoreDurable",
        "SEC02-VpcEndpointPolicyRestricted",
    )
}
# CDK writes DependsOn beside references that say the same, and it does no harm.
REDUNDANT_DEPENDS_ON = "W3005"


def connected(stack: cdk.Stack) -> EndpointNetwork:
    """A network as an app would have it."""
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
    return where


def third_party(stack: cdk.Stack) -> s3.IBucket:
    return s3.Bucket.from_bucket_name(stack, "Theirs", "models-of-ours")


def churn(bucket: s3.IBucket, version: str) -> ServedModel:
    return ServedModel(
        image=ModelImage.xgboost(),
        artifact=ModelArtifact.in_bucket(bucket, f"churn/{version}/model.tar.gz"),
        version=version,
    )


def deployable(app: cdk.App, name: str, posture: Posture) -> None:
    """Endpoints and what they need, as an app would have them."""
    stack = cdk.Stack(app, name, tags=posture.tags)
    where = connected(stack)
    served = churn(third_party(stack), "1")
    capture = DataCapture(audit=AuditTrail(stack, "Audit", posture=posture))
    hosted = [
        HostedModel(stack, "Churn", posture=posture, model=served, network=where, capture=capture),
        HostedModel(stack, "Fraud", posture=posture, model=served, network=where, capture=capture),
        HostedModel(stack, "Rare", posture=posture, model=served, capacity=Serverless()),
    ]
    AlarmTopic(stack, "Tell", posture=posture).tell_of([alarm for each in hosted for alarm in each.alarms])
    hosted[0].grant_invoke(iam.Role(stack, "Shop", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")))


def every_strategy(app: cdk.App, name: str, posture: Posture) -> None:
    """An endpoint for every way to deploy, and for every kind of what is served."""
    stack = cdk.Stack(app, name, tags=posture.tags)
    where, theirs = connected(stack), third_party(stack)
    one, two = churn(theirs, "1"), churn(theirs, "2")
    ten = Duration.minutes(10)
    pipeline = InferencePipeline(containers=[one, two], version="1")
    library = ModelLibrary(image=ModelImage.xgboost(), bucket=theirs, prefix="shops/", version="1")
    audit = AuditTrail(stack, "Audit", posture=posture)
    capture = DataCapture(bucket=DerivedDataBucket(stack, "Captured", posture=posture, audit=audit))
    made: dict[str, dict[str, Any]] = {
        "Standard": {"model": one, "deployment": Deployment.standard()},
        "AllAtOnce": {"model": one, "deployment": Deployment.all_at_once()},
        "BlueGreen": {"model": one, "deployment": Deployment.blue_green()},
        "Canary": {"model": one, "deployment": Deployment.canary(percent=10, wait=ten)},
        "Linear": {"model": one, "deployment": Deployment.linear(step=50, interval=ten)},
        "Rolling": {"model": one, "deployment": Deployment.rolling(batch=50, wait=ten)},
        "AbTest": {"deployment": Deployment.ab_test(a=one, b=two)},
        "Shadow": {"model": one, "deployment": Deployment.shadow(candidate=two, sampling=20)},
        "Pipeline": {"model": pipeline, "deployment": Deployment.ab_test(b=pipeline)},
        "Library": {"model": library, "deployment": Deployment.ab_test(b=library)},
        "Gpus": {
            "model": one,
            "deployment": Deployment.blue_green(),
            "capacity": Instances(type="ml.g5.xlarge", least=2),
        },
    }
    hosted = {
        id: HostedModel(
            stack,
            id,
            **{
                "posture": posture,
                "network": where,
                "capture": capture,
                "capacity": Instances(type="ml.m5.large", least=2),
                **props,
            },
        )
        for id, props in made.items()
    }
    AlarmTopic(stack, "Tell", posture=posture).tell_of(
        [alarm for each in hosted.values() for alarm in each.alarms]
    )
    shop = iam.Role(stack, "Shop", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    hosted["Library"].grant_invoke(shop, models=["eu/*"], only_from=CallOrigin(vpcs=["vpc-01234567"]))
    hosted["AbTest"].let_serve(theirs, "candidates/")


def lint_errors(template: str) -> list[str]:
    found = lint(template, list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    return [str(match) for match in found if match.rule.id != REDUNDANT_DEPENDS_ON]


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
    assert lint_errors(json.dumps(templates(app)["Serving"].body)) == []


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


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_no_strategy_and_nothing_that_is_served_leaves_a_finding_of_its_own(
    tmp_path: Path, posture: Posture
) -> None:
    app = new_app(tmp_path, validated=True)
    every_strategy(app, "Strategies", posture)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    if posture.keeps_data:
        with pytest.raises(RuntimeError, match="ValidationFailed"):
            app.synth()
    else:
        app.synth()
    left = [found for found in findings(tmp_path) if found.partition(" ")[0] not in TOLD_TO_THE_APP]
    # Whoever says standard() has no alarms to roll a bad version back, and is told so.
    assert left == ["MLLens-REL01-RollbackAlarms Strategies/Standard/Resource"]
    assert lint_errors((tmp_path / "Strategies.template.json").read_text()) == []
