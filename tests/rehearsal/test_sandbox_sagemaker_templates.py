"""Templates with models and endpoints: what replaces what, what is waited for, and what is rolled back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from stacks.churn_model import SCRIPT
from tests.rehearsal.hosted import BODY, BUCKET, IMAGE, READ, clients
from tests.rehearsal.made_to_measure import Role, failures, settled

pytestmark = pytest.mark.xdist_group("sandbox")
NAME = "hosting"


class Template:
    """A stack with one endpoint, and the attributes of everything as outputs."""

    def __init__(self, sandbox: Sandbox, role: str) -> None:
        self._cloudformation = sandbox.client("cloudformation")
        self.sagemaker, self._runtime = clients(sandbox)
        self._role = role
        self._id = ""

    def deploy(
        self, version: str, *, verb: str = "create", count: int = 2, **endpoint: Any
    ) -> dict[str, Any]:
        template = {"Resources": self._resources(version, count, endpoint), "Outputs": OUTPUTS}
        call = getattr(self._cloudformation, f"{verb}_stack")
        tags = [{"Key": "team", "Value": "churn"}]
        self._id = call(StackName=NAME, TemplateBody=json.dumps(template), Tags=tags)["StackId"]
        return settled(self._cloudformation, NAME)

    def outputs(self) -> dict[str, str]:
        (found,) = self._cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}

    def failures(self) -> str:
        return str(failures(self._cloudformation, NAME))

    def version(self) -> str:
        answer = self._runtime.invoke_endpoint(
            EndpointName=self.outputs()["EndpointName"], ContentType="application/json", Body=BODY
        )
        return str(json.loads(answer["Body"].read())["model_version"])

    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of models and configurations."""
        models, configs = self.sagemaker.list_models(), self.sagemaker.list_endpoint_configs()
        return (
            [each["ModelName"] for each in models["Models"]],
            [each["EndpointConfigName"] for each in configs["EndpointConfigs"]],
        )

    def delete(self) -> None:
        self._cloudformation.delete_stack(StackName=NAME)
        settled(self._cloudformation, self._id)

    def _resources(self, version: str, count: int, endpoint: dict[str, Any]) -> dict[str, Any]:
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
            "InitialInstanceCount": str(count),
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": 1,
        }
        return {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "ExecutionRoleArn": self._role,
                    "EnableNetworkIsolation": "true",
                    "PrimaryContainer": {
                        "Image": IMAGE,
                        "ModelDataUrl": f"s3://{BUCKET}/{version}.tar.gz",
                        "Environment": {**SCRIPT, "DEBUG": "true"},
                    },
                },
            },
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {"ProductionVariants": [variant]},
            },
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {
                    "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                    **endpoint,
                },
            },
        }


OUTPUTS = {
    "ModelRef": {"Value": {"Ref": "Model"}},
    "ModelModelName": {"Value": {"Fn::GetAtt": ["Model", "ModelName"]}},
    "ConfigRef": {"Value": {"Ref": "Config"}},
    "ConfigEndpointConfigName": {"Value": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
    "EndpointRef": {"Value": {"Ref": "Endpoint"}},
    "EndpointName": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
}


@pytest.fixture
def template(sandbox: Sandbox, artifacts: str, server: Role) -> Iterator[Template]:
    made = Template(sandbox, server.arn)
    yield made
    made.delete()
    assert made.names() == ([], [])
    assert made.sagemaker.list_endpoints()["Endpoints"] == []


def test_references_are_arns_and_attributes_are_names(template: Template) -> None:
    assert template.deploy("1.0.0")["StackStatus"] == "CREATE_COMPLETE"
    outputs = template.outputs()
    for kind, reference, name in (
        ("model", "ModelRef", "ModelModelName"),
        ("endpoint-config", "ConfigRef", "ConfigEndpointConfigName"),
        ("endpoint", "EndpointRef", "EndpointName"),
    ):
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{outputs[name].lower()}"
        assert outputs[reference] == arn
    model = template.sagemaker.describe_model(ModelName=outputs["ModelModelName"])
    assert model["EnableNetworkIsolation"] is True
    assert model["PrimaryContainer"]["Environment"]["DEBUG"] == "true"
    tags = template.sagemaker.list_tags(ResourceArn=outputs["EndpointRef"])["Tags"]
    assert {"Key": "team", "Value": "churn"} in tags
    assert template.version() == "1.0.0"


def test_a_new_artifact_replaces_model_and_configuration_and_keeps_the_endpoint(template: Template) -> None:
    template.deploy("1.0.0")
    before = template.outputs()
    assert template.deploy("2.0.0", verb="update")["StackStatus"] == "UPDATE_COMPLETE"
    after = template.outputs()
    assert after["EndpointName"] == before["EndpointName"]
    assert after["ModelModelName"] != before["ModelModelName"]
    assert template.names() == ([after["ModelModelName"]], [after["ConfigEndpointConfigName"]])
    assert template.version() == "2.0.0"


def test_a_missing_artifact_fails_the_stack_and_leaves_nothing(template: Template) -> None:
    assert template.deploy("nowhere")["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Could not access model data" in template.failures()


def test_an_update_that_an_alarm_stops_is_rolled_back_with_the_stack(
    template: Template, sandbox: Sandbox, server: Role
) -> None:
    server.may(READ, {"Action": "cloudwatch:DescribeAlarms", "Resource": "*"})
    cloudwatch = sandbox.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="always",
        Namespace="Nothing",
        MetricName="Nothing",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )
    step = {"Type": "CAPACITY_PERCENT", "Value": 50}
    guarded = {
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "LINEAR",
                    "WaitIntervalInSeconds": 300,
                    "LinearStepSize": step,
                }
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "always"}]},
        }
    }
    template.deploy("1.0.0", **guarded)
    before = template.outputs(), template.names()
    found = template.deploy("2.0.0", verb="update", **guarded)
    assert found["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "always" in template.failures()
    assert (template.outputs(), template.names()) == before
    assert template.version() == "1.0.0"
    cloudwatch.delete_alarms(AlarmNames=["always"])
