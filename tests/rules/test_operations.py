"""What a case cannot say of operations: what is left alone, and joins that span more than one resource."""

from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from tests.rules.cases.operations import (
    ALARMS,
    DASHBOARD,
    DRIFT,
    ENDPOINT,
    MEASURED,
    NAME,
    PIPELINE,
    RETRAINED,
    TABLE,
    job,
    may,
)
from tests.rules.fixtures import Body, said, template, told

Resources = dict[str, Any]
Told = list[tuple[str | None, str, str]]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def without(resources: Any, *names: str) -> Resources:
    return {name: body for name, body in resources.items() if name not in names}


def finds(rule: str, resources: Resources, **options: Any) -> Told:
    return told(said(rule, template(resources), options))


# REL05-ManifestStoreDurable


def test_an_app_without_an_endpoint_needs_no_manifest() -> None:
    assert finds(TABLE.rule, without(TABLE.compliant, "Endpoint", "Manifest")) == []


# OPS04-PipelineQualityGates


def pipeline(*stages: dict[str, Any]) -> Resources:
    return {"Release": resource("CodePipeline::Pipeline", Stages=list(stages))}


def stage(name: str, *actions: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    listed = [
        {"Name": action, "ActionTypeId": {"Category": category, "Provider": provider}}
        for action, category, provider in actions
    ]
    return {"Name": name, "Actions": listed, **more}


SOURCE = stage("Source", ("Code", "Source", "S3"))
LIVE = stage("Live", ("Ship", "Deploy", "CloudFormation"))


@pytest.mark.parametrize("name", ["Dev", "test-eu", "Staging", "PreProd", "my-qa", "Sandbox", "non-prod"])
def test_environments_before_production_need_no_gate(name: str) -> None:
    assert finds(PIPELINE.rule, pipeline(SOURCE, stage(name, ("Ship", "Deploy", "CloudFormation")))) == []


@pytest.mark.parametrize("name", ["Prod", "Live", "Latest", "Deploy"])
def test_every_other_environment_needs_both_gates(name: str) -> None:
    found = finds(PIPELINE.rule, pipeline(SOURCE, stage(name, ("Ship", "Deploy", "CloudFormation"))))
    assert found == [("approval", "error", "Release"), ("metricGate", "error", "Release")]


def test_a_gate_after_the_deployment_is_none() -> None:
    late = stage("Check", ("Evaluate", "Test", "CodeBuild"), ("Approve", "Approval", "Manual"))
    assert len(finds(PIPELINE.rule, pipeline(SOURCE, LIVE, late))) == 2
    assert finds(PIPELINE.rule, pipeline(SOURCE, late, LIVE)) == []


@pytest.mark.parametrize(
    "gate",
    [
        {"OnFailure": {"Result": "ROLLBACK"}},
        {"OnSuccess": {"Conditions": [{"Result": "FAIL"}]}},
        {"BeforeEntry": {"Conditions": [{"Result": "FAIL"}]}},
    ],
)
def test_a_condition_of_a_stage_stands_for_an_approval(gate: dict[str, Any]) -> None:
    evaluated = stage("Check", ("Evaluate", "Test", "CodeBuild"), **gate)
    assert finds(PIPELINE.rule, pipeline(SOURCE, evaluated, LIVE)) == []


def test_a_pipeline_that_deploys_nothing_needs_no_gate() -> None:
    assert finds(PIPELINE.rule, pipeline(SOURCE, stage("Make", ("Make", "Build", "CodeBuild")))) == []


# OPS04-EcrScanOnPush


@pytest.mark.parametrize(
    ("pattern", "covers"), [("churn", True), ("*", True), ("*-serving", True), ("web", False)]
)
def test_a_filter_of_the_registry_covers_names(pattern: str, covers: bool) -> None:
    scanned = {"ScanFrequency": "SCAN_ON_PUSH", "RepositoryFilters": [{"Filter": pattern}]}
    app = {
        "Images": resource("ECR::Repository", RepositoryName="ml/churn-serving"),
        "Registry": resource("ECR::RegistryScanningConfiguration", Rules=[scanned]),
    }
    assert finds("OPS04-EcrScanOnPush", app) == ([] if covers else [(None, "error", "Images")])


# OPS05-EndpointAlarms


def test_a_composite_alarm_acts_for_those_that_it_combines() -> None:
    quiet = {name: dict(body) for name, body in ALARMS.compliant.items()}
    for name in ("Errors", "Slow", "Busy"):
        quiet[name] = {**quiet[name], "Properties": without(quiet[name]["Properties"], "AlarmActions")}
    quiet["Slow"]["Properties"]["AlarmName"] = "slow"
    assert [each[0] for each in finds(ALARMS.rule, quiet)] == ["action", "action", "action"]
    rule = {"Fn::Sub": 'ALARM("${Errors}") OR ALARM("slow") OR ALARM("${Busy.Arn}")'}
    loud = resource("CloudWatch::CompositeAlarm", AlarmRule=rule, AlarmActions=[{"Ref": "OnCall"}])
    assert finds(ALARMS.rule, {**quiet, "Any": loud}) == []
    outer = resource(
        "CloudWatch::CompositeAlarm", AlarmRule={"Fn::Sub": "ALARM(${Any})"}, AlarmActions=[{"Ref": "OnCall"}]
    )
    silent = resource("CloudWatch::CompositeAlarm", AlarmRule=rule)
    assert finds(ALARMS.rule, {**quiet, "Any": silent, "Outer": outer}) == []


@pytest.mark.parametrize(
    "value", [{"Ref": "Endpoint"}, {"Fn::GetAtt": ["Endpoint", "EndpointName"]}, "churn"]
)
def test_an_alarm_names_its_endpoint_in_any_way(value: Any) -> None:
    named = {"Type": ENDPOINT["Type"], "Properties": {**ENDPOINT["Properties"], "EndpointName": "churn"}}
    slow = resource(
        "CloudWatch::Alarm",
        MetricName="ModelLatency",
        Dimensions=[{"Name": "EndpointName", "Value": value}],
        AlarmActions=["arn:aws:sns:eu-west-1:111122223333:on-call"],
    )
    found = finds(ALARMS.rule, {"Endpoint": named, "Slow": slow})
    assert [each[0] for each in found] == ["errors", "resource"]


def test_an_alarm_on_a_component_counts_for_its_endpoint() -> None:
    component = resource("SageMaker::InferenceComponent", InferenceComponentName="part", EndpointName=NAME)
    slow = resource(
        "CloudWatch::Alarm",
        MetricName="ModelLatency",
        Dimensions=[{"Name": "InferenceComponentName", "Value": "part"}],
        AlarmActions=["arn:aws:sns:eu-west-1:111122223333:on-call"],
    )
    found = finds(ALARMS.rule, {"Endpoint": ENDPOINT, "Part": component, "Slow": slow})
    assert [each[0] for each in found] == ["errors", "resource"]


def test_outside_production_alarms_are_only_advised() -> None:
    found = finds(ALARMS.rule, {"Endpoint": ENDPOINT}, environment="dev")
    assert {level for _, level, _ in found} == {"warning"}
    found = finds(ALARMS.rule, {"Endpoint": ENDPOINT})
    assert found == [
        ("errors", "error", "Endpoint"),
        ("latency", "error", "Endpoint"),
        ("resource", "warning", "Endpoint"),
    ]


def test_an_alarm_in_another_stack_watches_an_exported_endpoint() -> None:
    exported = {"Name": {"Value": NAME, "Export": {"Name": "churn-endpoint"}}}
    hosting = template({"Endpoint": ENDPOINT}, Outputs=exported)
    watching = {
        name: resource(
            "CloudWatch::Alarm",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": {"Fn::ImportValue": "churn-endpoint"}}],
            AlarmActions=["arn:aws:sns:eu-west-1:111122223333:on-call"],
        )
        for name, metric in (
            ("A", "ModelLatency"),
            ("B", "InvocationModelErrors"),
            ("C", "MemoryUtilization"),
        )
    }
    stacks = [
        TemplateFile(Path(f"{name}.json"), f"{name}.json", body, name, {})
        for name, body in (("Hosting", hosting), ("Watching", template(watching)))
    ]
    found = [each for each in judge(stacks, Options()) if each.rule == f"MLLens-{ALARMS.rule}"]
    assert found == []


# OPS05-ModelQualityMonitored


def test_a_serverless_endpoint_cannot_capture_and_is_left_alone() -> None:
    serverless = {"VariantName": "main", "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
    config = resource("SageMaker::EndpointConfig", ProductionVariants=[serverless])
    assert finds(MEASURED.rule, {"Endpoint": ENDPOINT, "Config": config}) == []


def test_an_endpoint_with_one_variant_on_instances_is_measured() -> None:
    serverless = {"VariantName": "small", "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
    variants = [serverless, {"VariantName": "main", "InstanceType": "ml.m5.large"}]
    config = resource("SageMaker::EndpointConfig", ProductionVariants=variants)
    assert finds(MEASURED.rule, {"Endpoint": ENDPOINT, "Config": config}) == [(None, "error", "Endpoint")]


UNREAD = without(MEASURED.compliant, "Reads", "Measures", "Daily")
PATTERN = {"source": ["aws.s3"], "detail": {"bucket": {"name": [{"Ref": "Captured"}]}}}


def processing(uri: Any) -> dict[str, Any]:
    given = {"ProcessingInputs": [{"S3Input": {"S3Uri": uri}}]}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
        "Parameters": given,
    }


@pytest.mark.parametrize(
    "reader",
    [
        {
            "Captured": resource(
                "S3::Bucket",
                NotificationConfiguration={
                    "LambdaConfigurations": [{"Function": {"Fn::GetAtt": ["Reader", "Arn"]}}]
                },
            ),
            "Reader": resource("Lambda::Function"),
        },
        {
            "Captured": resource("S3::Bucket", NotificationConfiguration={"EventBridgeConfiguration": {}}),
            "Arrives": resource("Events::Rule", EventPattern=PATTERN, Targets=[{"Arn": "arn:aws:sqs:a:b:c"}]),
        },
        {
            "Measures": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "DefinitionString": Body(
                        StartAt="Measure",
                        States={"Measure": processing({"Fn::Sub": "s3://${Captured}/churn"})},
                    )
                },
            },
            "Daily": resource("Scheduler::Schedule", Target={"Arn": {"Ref": "Measures"}}),
        },
        {
            "Daily": resource(
                "Scheduler::Schedule",
                Target={
                    "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob",
                    "Input": Body(
                        ProcessingInputs=[{"S3Input": {"S3Uri": {"Fn::Sub": "s3://${Captured}/churn"}}}]
                    ),
                },
            ),
        },
    ],
    ids=["notification", "event", "workflow", "universal schedule"],
)
def test_whatever_reads_the_capture_counts(reader: Resources) -> None:
    assert finds(MEASURED.rule, UNREAD) == [(None, "error", "Endpoint")]
    assert finds(MEASURED.rule, {**UNREAD, **reader}) == []


def test_a_reader_that_nothing_starts_does_not_count() -> None:
    assert finds(MEASURED.rule, without(MEASURED.compliant, "Daily")) == [(None, "error", "Endpoint")]


def test_a_reader_without_an_alarm_is_not_enough() -> None:
    found = said(MEASURED.rule, template(without(MEASURED.compliant, "Drift")), {})
    assert [each.message for each in found] == [
        "no alarm with an action watches a metric of the model's quality"
    ]
    assert DRIFT["Properties"]["Namespace"] == "Churn/Quality"


# OPS05-CentralDashboard


def test_a_dashboard_that_searches_shows_every_endpoint() -> None:
    search = "SEARCH('{AWS/SageMaker,EndpointName,VariantName} ModelLatency', 'p99')"
    board = resource(
        "CloudWatch::Dashboard", DashboardBody=Body(widgets=[{"metrics": [[{"expression": search}]]}])
    )
    assert finds(DASHBOARD.rule, {"Endpoint": ENDPOINT, "Board": board}) == []
    board["Properties"]["DashboardBody"] = Body(widgets=["SEARCH('{AWS/Lambda,FunctionName} Errors')"])
    assert finds(DASHBOARD.rule, {"Endpoint": ENDPOINT, "Board": board}) == [(None, "warning", "Endpoint")]


def test_a_dashboard_may_name_the_endpoint_literally() -> None:
    named = {"Type": ENDPOINT["Type"], "Properties": {**ENDPOINT["Properties"], "EndpointName": "churn"}}
    board = resource("CloudWatch::Dashboard", DashboardBody=Body(widgets=["EndpointName", "churn"]))
    assert finds(DASHBOARD.rule, {"Endpoint": named, "Board": board}) == []
    board["Properties"]["DashboardBody"] = Body(widgets=["EndpointName", "churn-old"])
    assert finds(DASHBOARD.rule, {"Endpoint": named, "Board": board}) == [(None, "warning", "Endpoint")]


# OPS06-RetrainTrigger


def training(kind: str = "TrainingJob", **properties: Any) -> dict[str, Any]:
    state = {**job(), "Resource": f"arn:aws:states:::sagemaker:create{kind}.sync"}
    body = Body(StartAt="Train", States={"Train": state})
    return resource("StepFunctions::StateMachine", DefinitionString=body, **properties)


@pytest.mark.parametrize("kind", ["ProcessingJob", "TransformJob", "LabelingJob"])
def test_a_workflow_that_does_not_train_needs_no_trigger(kind: str) -> None:
    assert finds(RETRAINED.rule, {"Runs": training(kind)}) == []


@pytest.mark.parametrize("kind", ["TrainingJob", "HyperParameterTuningJob"])
def test_a_workflow_that_trains_needs_one(kind: str) -> None:
    assert finds(RETRAINED.rule, {"Runs": training(kind)}) == [(None, "error", "Runs")]
    assert finds(RETRAINED.rule, {"Runs": training(kind)}, environment="dev") == [(None, "warning", "Runs")]


def test_retries_stand_for_a_dead_letter_queue_unless_there_are_none() -> None:
    for times, expected in ((5, []), (0, [(None, "warning", "Weekly")])):
        target = {"Arn": {"Ref": "Runs"}, "RetryPolicy": {"MaximumRetryAttempts": times}}
        weekly = resource("Events::Rule", Targets=[target])
        assert finds(RETRAINED.rule, {"Runs": training(), "Weekly": weekly}) == expected


def test_a_body_that_cannot_be_read_is_told_only_of_what_may_train() -> None:
    stored = {"DefinitionS3Location": {"Bucket": "b", "Key": "k"}, "RoleArn": {"Fn::GetAtt": ["Held", "Arn"]}}
    hidden = {"Runs": resource("StepFunctions::StateMachine", **stored)}
    expected = [("unresolved:DefinitionS3Location", "warning", "Runs")]
    assert finds(RETRAINED.rule, {**hidden, "Held": may("sagemaker:CreateTrainingJob", on="*")}) == expected
    assert finds(RETRAINED.rule, {**hidden, "Held": may("s3:GetObject", on="*")}) == []


def test_a_triggered_function_that_trains_by_itself_is_advised_against() -> None:
    alone = {
        "Held": may("sagemaker:CreateTrainingJob", on="*"),
        "Trains": resource("Lambda::Function", Role={"Fn::GetAtt": ["Held", "Arn"]}),
    }
    daily = {"Daily": resource("Events::Rule", Targets=[{"Arn": {"Fn::GetAtt": ["Trains", "Arn"]}}])}
    assert finds(RETRAINED.rule, alone) == []
    assert finds(RETRAINED.rule, {**alone, **daily}) == [(None, "warning", "Trains")]
    starts = may("sagemaker:CreateTrainingJob", "states:StartExecution", on="*")
    assert finds(RETRAINED.rule, {**alone, **daily, "Held": starts}) == []


def test_a_function_inside_a_workflow_may_train() -> None:
    step = {"Type": "Task", "Resource": {"Fn::GetAtt": ["Trains", "Arn"]}, "End": True}
    inside = {
        "Held": may("sagemaker:CreateTrainingJob", on="*"),
        "Trains": resource("Lambda::Function", Role={"Fn::GetAtt": ["Held", "Arn"]}),
        "Outer": resource(
            "StepFunctions::StateMachine", DefinitionString=Body(StartAt="A", States={"A": step})
        ),
        "Daily": resource("Events::Rule", Targets=[{"Arn": {"Ref": "Outer"}}]),
    }
    assert finds(RETRAINED.rule, inside) == []
