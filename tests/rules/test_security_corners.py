"""Documents written as objects for their strings, mappings with a default, and actions on everything."""

from typing import Any

import pytest

from tests.rules.cases.security_corners import allowing, bucket, objects, rights, role
from tests.rules.fixtures import said, template, told
from tests.rules.judging import found

PHASES, UPLOADER = "SEC01-PhaseSeparation", "SEC02-WriteOnlyUploader"
NO_ROOT, JOBS = "SEC02-NotebookNoRoot", "SEC02-TrainingJobSecure"
OPEN_ROOT = [("unresolved:RootAccess", "warning", "Desk")]
ROOT = [(None, "error", "Desk")]


def desk(key: Any, default: Any, entry: str) -> list[tuple[str | None, str, str]]:
    access = {"Fn::FindInMap": ["Access", key, "Root", {"DefaultValue": default}]}
    notebook = {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"RootAccess": access}}
    body = template({"Desk": notebook}, Mappings={"Access": {"eu-west-1": {"Root": entry}}})
    return told(said(NO_ROOT, body, {}))


@pytest.mark.parametrize(
    ("default", "entry", "expected"),
    [
        ("Disabled", "Disabled", []),
        ("Enabled", "Disabled", OPEN_ROOT),
        ("Disabled", "Enabled", OPEN_ROOT),
        ("Enabled", "Enabled", ROOT),
    ],
)
def test_the_default_of_a_mapping_is_one_of_its_values(default: str, entry: str, expected: Any) -> None:
    assert desk({"Ref": "AWS::Region"}, default, entry) == expected


@pytest.mark.parametrize(("default", "expected"), [("Disabled", []), ("Enabled", ROOT)])
def test_a_key_that_a_mapping_lacks_gets_the_default(default: str, expected: Any) -> None:
    other = "Enabled" if default == "Disabled" else "Disabled"
    assert desk("us-east-1", default, other) == expected


@pytest.mark.parametrize(("entry", "expected"), [("Disabled", []), ("Enabled", ROOT)])
def test_a_key_that_a_mapping_has_does_not_get_the_default(entry: str, expected: Any) -> None:
    other = "Enabled" if entry == "Disabled" else "Disabled"
    assert desk("eu-west-1", other, entry) == expected


def workflow(volumes: Any) -> dict[str, Any]:
    request = {
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeKmsKeyId": volumes},
        "OutputDataConfig": {"KmsKeyId": "alias/models"},
        "EnableInterContainerTrafficEncryption": True,
        "EnableNetworkIsolation": True,
    }
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": request,
        "End": True,
    }
    definition = {"Fn::ToJsonString": {"StartAt": "Train", "States": {"Train": task}}}
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": definition}}


def test_a_definition_may_be_an_object_that_becomes_a_string() -> None:
    key = {"Key": {"Type": "AWS::KMS::Key"}}
    assert found(JOBS, {"Flow": workflow({"Fn::GetAtt": ["Key", "Arn"]}), **key}) == []
    assert found(JOBS, {"Flow": workflow({"Ref": "AWS::NoValue"}), **key}) == [("volumeKms", "error", "Flow")]


def test_every_action_on_named_resources_of_both_phases_trains_and_deploys() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:123456789012"
    apart = allowing("*", f"{arn}:endpoint/churn"), allowing("sagemaker:DescribeTrainingJob", "*")
    both = allowing("*", f"{arn}:endpoint/churn"), allowing("sagemaker:CreateTrainingJob", "*")
    assert found(PHASES, {"Ops": role("lambda"), "OpsRights": rights("Ops", *apart)}) == []
    assert found(PHASES, {"Ops": role("lambda"), "OpsRights": rights("Ops", *both)}) == [
        ("train+deploy", "error", "Ops")
    ]


@pytest.mark.parametrize("action", ["*", "*:*"])
def test_everything_on_everything_is_left_to_the_rule_on_least_privilege(action: str) -> None:
    resources = {
        "Raw": bucket("temporary-raw"),
        "Ops": role("lambda"),
        "OpsRights": rights("Ops", allowing(action, "*")),
    }
    assert found(UPLOADER, resources) == found(PHASES, resources) == []
    assert found("SEC01-LeastPrivilege", resources) == [("wildcardAction", "error", "OpsRights")]


def test_every_action_on_another_bucket_says_nothing_of_this_one() -> None:
    resources = {
        "Raw": bucket("temporary-raw"),
        "Other": {"Type": "AWS::S3::Bucket"},
        "Ops": role("lambda"),
        "OpsRights": rights("Ops", allowing("*", objects("Other"))),
    }
    assert found(UPLOADER, resources) == []


def test_a_shadow_variant_may_be_serverless_too() -> None:
    on_instances = {"VariantName": "Live", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    serverless = {"VariantName": "Shadow", "ServerlessConfig": {"MaxConcurrency": 1, "MemorySizeInMB": 1024}}
    for shadow, expected in ((on_instances, []), (serverless, [(None, "warning", "Config")])):
        properties = {"ProductionVariants": [on_instances], "ShadowProductionVariants": [shadow]}
        config = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": properties}
        assert found("SEC03-ServerlessLimits", {"Config": config}) == expected
