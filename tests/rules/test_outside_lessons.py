"""What templates that other people publish look like, in the smallest form that shows it."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.rules.bucket_locations import location_of
from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.images import Registry, image_of
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile, read_templates
from tests.rules.fixtures import said, template, told

DOMAIN = "AWS::SageMaker::Domain"


def domain_of_a_nested_stack(kind: str, passed: Any) -> Node:
    """Return a domain in a nested stack whose subnets are a parameter of type ``kind``."""
    child = {
        "Parameters": {"Subnets": {"Type": kind}},
        "Resources": {"Studio": {"Type": DOMAIN, "Properties": {"SubnetIds": {"Ref": "Subnets"}}}},
    }
    subnet = {"Type": "AWS::EC2::Subnet"}
    parent = {
        "Parameters": {"Given": {"Type": "String"}},
        "Resources": {
            "A": subnet,
            "B": subnet,
            "Nested": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"Parameters": {"Subnets": passed}},
            },
        },
    }
    inner = TemplateFile(Path("child.json"), "child.json", child, "child", {})
    outer = TemplateFile(Path("app.json"), "app.json", parent, "app", {}, {"Nested": Path("child.json")})
    (domain,) = Graph([outer, inner], Options()).nodes(DOMAIN)
    return domain


@pytest.mark.parametrize("kind", ["CommaDelimitedList", "List<AWS::EC2::Subnet::Id>"])
@pytest.mark.parametrize(
    "passed",
    [{"Fn::Join": [",", [{"Ref": "A"}, {"Ref": "B"}]]}, {"Fn::Sub": "${A}, ${B}"}],
    ids=["joined", "with a blank after the comma"],
)
def test_a_list_parameter_of_a_nested_stack_is_the_list_that_the_parent_passes_as_text(
    kind: str, passed: Any
) -> None:
    subnets = domain_of_a_nested_stack(kind, passed)["SubnetIds"]

    assert [subnet.reference.logical_id for subnet in subnets.elements if subnet.reference] == ["A", "B"]


def test_a_text_parameter_of_a_nested_stack_stays_one_text() -> None:
    subnets = domain_of_a_nested_stack("String", "subnet-1,subnet-2")["SubnetIds"]

    assert subnets.literal == "subnet-1,subnet-2"


def test_a_list_that_only_a_deployment_knows_may_have_any_length() -> None:
    subnets = domain_of_a_nested_stack("CommaDelimitedList", {"Ref": "Given"})["SubnetIds"]

    assert subnets.is_open
    assert not subnets.is_list


def test_open_elements_of_a_list_that_is_passed_as_text_are_counted_by_its_commas() -> None:
    subnets = domain_of_a_nested_stack("CommaDelimitedList", {"Fn::Sub": "${Given},subnet-2"})["SubnetIds"]

    assert [subnet.shown for subnet in subnets.elements] == ["${Given}", "subnet-2"]


def encrypted(declared: dict[str, Any], passed: dict[str, Any]) -> Any:
    """Return how a property resolves that a nested stack takes from its parameter."""
    child = {
        "Parameters": {"Encrypt": declared},
        "Resources": {
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"Encrypt": {"Ref": "Encrypt"}}}
        },
    }
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"Parameters": passed}}
    inner = TemplateFile(Path("child.json"), "child.json", child, "child", {})
    outer = TemplateFile(
        Path("app.json"),
        "app.json",
        {"Resources": {"Nested": nested}},
        "app",
        {},
        {"Nested": Path("child.json")},
    )
    (table,) = Graph([outer, inner], Options()).nodes("AWS::DynamoDB::Table")
    return table["Encrypt"]


@pytest.mark.parametrize("passed", [{}, {"Encrypt": {"Ref": "AWS::NoValue"}}], ids=["nothing", "no value"])
def test_a_nested_stack_to_which_nothing_is_passed_has_its_default(passed: dict[str, Any]) -> None:
    declared = {"Type": "String", "Default": "true", "AllowedValues": ["true", "false"]}

    assert encrypted(declared, passed).literal == "true"


def test_what_the_parent_passes_stands_above_the_default() -> None:
    assert encrypted({"Type": "String", "Default": "true"}, {"Encrypt": "false"}).literal == "false"


def test_without_a_default_what_is_not_passed_stays_open() -> None:
    assert encrypted({"Type": "String"}, {}).is_open


@pytest.mark.parametrize("passed", [{}, {"Encrypt": "/keys/table"}], ids=["by default", "passed"])
def test_the_name_of_an_ssm_parameter_is_not_its_value(passed: dict[str, Any]) -> None:
    declared = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/keys/default"}

    assert encrypted(declared, passed).is_open


@pytest.mark.parametrize(
    "written",
    [
        "https://s3.eu-west-1.${AWS::URLSuffix}/${Models}/churn/model.tar.gz",
        "https://s3.${AWS::Region}.${AWS::URLSuffix}/${Models}/churn/model.tar.gz",
        "https://${Models}.s3.eu-west-1.${AWS::URLSuffix}/churn/model.tar.gz",
        "https://${Models}.s3.${AWS::Region}.${AWS::URLSuffix}/churn/model.tar.gz",
        "s3://${Models}/churn/model.tar.gz",
    ],
)
def test_an_object_is_found_in_its_bucket_as_the_cdk_writes_its_address(written: str) -> None:
    location = location_of(model_with_data(written)["PrimaryContainer"]["ModelDataUrl"])

    assert location.bucket is not None
    assert (location.bucket.logical_id, location.key) == ("Models", "churn/model.tar.gz")


def test_the_bucket_that_a_parameter_names_is_not_known() -> None:
    location = location_of(model_with_data("s3://${Given}/churn")["PrimaryContainer"]["ModelDataUrl"])

    assert location.bucket is None
    assert location.is_open


def model_with_data(written: str) -> Node:
    body = {
        "Parameters": {"Given": {"Type": "String"}},
        "Resources": {
            "Models": {"Type": "AWS::S3::Bucket"},
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {"PrimaryContainer": {"ModelDataUrl": {"Fn::Sub": written}}},
            },
        },
    }
    (model,) = Graph([TemplateFile(Path("app.json"), "app.json", body, "app", {})], Options()).nodes(
        "AWS::SageMaker::Model"
    )
    return model


@pytest.mark.parametrize(("regions", "end"), [(6, "with the tag latest"), (30, "; and 24 more")])
def test_a_finding_on_an_entry_for_each_region_stays_short(regions: int, end: str) -> None:
    images = {
        f"eu-west-{number}": {"Uri": f"{number:012}.dkr.ecr.eu-west-{number}.amazonaws.com/churn:latest"}
        for number in range(regions)
    }
    image = {"Fn::FindInMap": ["Images", {"Ref": "AWS::Region"}, "Uri"]}
    model = {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": {"Image": image}}}

    (finding,) = said("REL05-ImagePinned", template({"Model": model}, Mappings={"Images": images}), {})

    assert finding.message.count("with the tag latest") == 6
    assert finding.message.endswith(end)


@pytest.mark.parametrize(
    ("account", "registry"), [("111111111111", Registry.OWN), ("222222222222", Registry.OTHER)]
)
@pytest.mark.parametrize("nested", [False, True], ids=["in the stack", "in a nested stack"])
def test_an_image_of_the_account_that_the_app_is_deployed_to_is_its_own(
    tmp_path: Path, account: str, registry: Registry, *, nested: bool
) -> None:
    app = cdk.App(outdir=str(tmp_path), builtin_cloud_formation_validation=False)
    stack = cdk.Stack(app, "Host", env=cdk.Environment(account="111111111111", region="eu-west-1"))
    image = f"{account}.dkr.ecr.eu-west-1.amazonaws.com/churn:1"
    sagemaker.CfnModel(
        cdk.NestedStack(stack, "Inner") if nested else stack,
        "Model",
        primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(image=image),
    )
    app.synth()

    (model,) = Graph(read_templates([tmp_path]), Options()).nodes("AWS::SageMaker::Model")
    assert image_of(model["PrimaryContainer"]["Image"]).registry is registry


def test_without_an_environment_no_account_is_the_apps_own(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path), builtin_cloud_formation_validation=False)
    cdk.CfnResource(cdk.Stack(app, "Host"), "Topic", type="AWS::SNS::Topic")
    app.synth()

    (read,) = read_templates([tmp_path])
    assert read.account is None


def release(stage: str, action: str, category: str = "Deploy", before: str = "Make") -> list[Any]:
    """Return what is found of a pipeline with a build and one action that may deploy."""

    def one(name: str, category: str, provider: str) -> dict[str, Any]:
        return {"Name": name, "ActionTypeId": {"Category": category, "Provider": provider}}

    provider = "Lambda" if category == "Invoke" else "CloudFormation"
    stages = [
        {"Name": "Source", "Actions": [one("Code", "Source", "S3")]},
        {"Name": "Build", "Actions": [one(before, "Build", "CodeBuild")]},
        {"Name": stage, "Actions": [one(action, category, provider)]},
    ]
    pipeline = {"Type": "AWS::CodePipeline::Pipeline", "Properties": {"Stages": stages}}
    return told(said("OPS04-PipelineQualityGates", template({"Release": pipeline}), {}))


NO_GATES = [("approval", "error", "Release"), ("metricGate", "error", "Release")]


@pytest.mark.parametrize(
    ("stage", "action"),
    [
        ("DeployStaging", "DeployResourcesStaging"),
        ("DeployDev", "DeployModelDev"),
        ("ChurnStaging", "Service.Deploy"),
        ("Deploy", "DeployToTest"),
        ("DeployPreProd", "Ship"),
    ],
)
def test_an_environment_is_known_by_a_word_within_a_name(stage: str, action: str) -> None:
    assert release(stage, action) == []


@pytest.mark.parametrize("stage", ["DeployProd", "DevOps", "DeployLatest", "Devices"])
def test_a_name_that_only_begins_like_an_environment_is_none(stage: str) -> None:
    assert release(stage, "Ship") == NO_GATES


@pytest.mark.parametrize("action", ["GetDeployStatus", "WaitForDeployment", "DescribeEndpoint"])
def test_a_function_that_looks_how_a_deployment_goes_deploys_nothing(action: str) -> None:
    assert release("Prod", action, "Invoke") == []
    assert release("Prod", "DeployEndpoint", "Invoke") == NO_GATES


@pytest.mark.parametrize(
    ("build", "evaluates"),
    [("TestModel", True), ("unittest", True), ("BuildLatest", False), ("AggregateData", False)],
)
def test_latest_and_aggregate_are_no_evaluations(build: str, *, evaluates: bool) -> None:
    approval_only = NO_GATES[:1]

    assert release("Prod", "Ship", before=build) == (approval_only if evaluates else NO_GATES)


def workflow(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}


def test_instances_that_the_input_of_a_workflow_names_are_one_open_answer() -> None:
    state = {
        "Type": "Task",
        "End": True,
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": {"TrainingJobName": "churn", "ResourceConfig.$": "$.resources"},
    }
    definition = json.dumps({"StartAt": "Train", "States": {"Train": state}})

    found = told(
        said("PER01-InstanceFamilyFit", template({"Work": workflow(DefinitionString=definition)}), {})
    )

    path = "DefinitionString.States.Train.Parameters.ResourceConfig.InstanceType"
    assert found == [(f"unresolved:{path}", "warning", "Work")]


@pytest.mark.parametrize("of_machine_learning", [False, True])
def test_a_workflow_that_cannot_be_read_may_train_only_in_an_app_of_machine_learning(
    *, of_machine_learning: bool
) -> None:
    unread = workflow(
        DefinitionS3Location={"Bucket": "elsewhere", "Key": "orders.json"}, RoleArn="arn:aws:iam::1:role/r"
    )
    model = {"Model": {"Type": "AWS::SageMaker::Model", "Properties": {}}} if of_machine_learning else {}

    found = told(said("OPS06-RetrainTrigger", template({"Orders": unread, **model}), {}))

    assert found == (
        [("unresolved:DefinitionS3Location", "warning", "Orders")] if of_machine_learning else []
    )


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ({"Resource": "*"}, "on *"),
        ({"NotResource": ["arn:aws:sagemaker:*:*:domain/*"]}, "on everything except what NotResource names"),
    ],
)
def test_not_resource_is_told_as_what_it_leaves_open(where: dict[str, Any], shown: str) -> None:
    statement = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", **where}
    policy = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
    }

    (finding,) = said("SEC01-InvokeEndpointScoped", template({"Invokes": policy}), {})

    assert finding.message == f"allows sagemaker:InvokeEndpoint {shown}"
