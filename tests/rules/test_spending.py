"""Quotas, clusters, shared endpoints, tags and retired services, beyond what a case can say."""

from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from tests.rules.cases.operations import may
from tests.rules.cases.spending import FLEETS, FUNCTION, RETIRED, TAGGED, THROTTLED, allowed, watches
from tests.rules.cases.workflows import SHARED, machine, task
from tests.rules.fixtures import said, template, told

Resources = dict[str, Any]
Told = list[tuple[str | None, str, str]]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def finds(rule: str, resources: Resources, **options: Any) -> Told:
    return told(said(rule, template(resources), options))


# PER02-AiServiceQuotaAlarms


def test_a_function_that_calls_no_ai_service_needs_no_alarm() -> None:
    assert finds(THROTTLED.rule, {"May": allowed("s3:GetObject"), "Copies": FUNCTION}) == []


def test_every_service_that_a_role_may_call_needs_its_own_alarm() -> None:
    both = allowed("rekognition:DetectFaces")
    both["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = ["polly:*", "translate:*"]
    alarm = watches("AWS/Polly", "4XXCount", "Operation", "SynthesizeSpeech")
    found = said(THROTTLED.rule, template({"May": both, "Speaks": FUNCTION, "Refused": alarm}), {})
    assert [each.message for each in found] == [
        "calls Translate, and no alarm watches its throttled calls or its use"
    ]


def test_a_metric_of_ones_own_counts_when_it_names_throttling_and_the_service() -> None:
    app = {"May": allowed("rekognition:DetectFaces"), "Describes": FUNCTION}
    own = watches("Faces", "RekognitionThrottles", "Stage", "prod")
    assert finds(THROTTLED.rule, {**app, "Refused": own}) == []
    own = watches("Faces", "Throttles", "Stage", "prod")
    assert finds(THROTTLED.rule, {**app, "Refused": own}) == [(None, "warning", "Describes")]


def test_a_workflow_calls_the_services_that_its_tasks_name() -> None:
    called = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:textract:analyzeDocument", "End": True}
    reads = machine({"Read": called}, "Read")
    assert finds(THROTTLED.rule, {"Reads": reads}) == [(None, "warning", "Reads")]


# COST03-EmrTransient


def test_a_cluster_that_ends_with_its_steps_needs_no_policy() -> None:
    for alive, expected in ((False, []), (True, [(None, "warning", "Spark")])):
        instances = {"KeepJobFlowAliveWhenNoSteps": alive, "TaskInstanceFleets": [{"TargetSpotCapacity": 1}]}
        assert finds(FLEETS.rule, {"Spark": resource("EMR::Cluster", Instances=instances)}) == expected


def test_task_nodes_of_their_own_count_for_their_cluster() -> None:
    spark = resource("EMR::Cluster", AutoTerminationPolicy={"IdleTimeout": 60}, Instances={})
    group = resource(
        "EMR::InstanceGroupConfig", JobFlowId={"Ref": "Spark"}, InstanceRole="TASK", Market="SPOT"
    )
    fleet = resource(
        "EMR::InstanceFleetConfig", ClusterId={"Ref": "Spark"}, InstanceFleetType="TASK", TargetSpotCapacity=2
    )
    core = resource(
        "EMR::InstanceGroupConfig", JobFlowId={"Ref": "Spark"}, InstanceRole="CORE", Market="SPOT"
    )
    assert finds(FLEETS.rule, {"Spark": spark, "Tasks": group}) == []
    assert finds(FLEETS.rule, {"Spark": spark, "Tasks": fleet}) == []
    assert finds(FLEETS.rule, {"Spark": spark, "Tasks": core}) == [(None, "warning", "Spark")]


# COST04-ConsolidateModels


def test_the_number_of_endpoints_with_one_image_is_an_option() -> None:
    assert finds(SHARED.rule, dict(SHARED.compliant), max_single_model_endpoints=2) == [
        ("mme", "warning", "Endpoint1")
    ]


@pytest.mark.parametrize(
    "variant",
    [
        {"VariantName": "main", "ModelName": {"Ref": "Model3"}, "ServerlessConfig": {"MaxConcurrency": 5}},
        {"VariantName": "main", "ModelName": {"Ref": "Shared"}},
    ],
    ids=["serverless", "multi-model"],
)
def test_endpoints_that_share_or_cost_nothing_idle_are_not_counted(variant: dict[str, Any]) -> None:
    container = {**SHARED.compliant["Model1"]["Properties"]["PrimaryContainer"], "Mode": "MultiModel"}
    app = {
        **SHARED.compliant,
        "Config3": resource("SageMaker::EndpointConfig", ProductionVariants=[variant]),
        "Shared": resource("SageMaker::Model", PrimaryContainer=container),
    }
    assert finds(SHARED.rule, app, max_single_model_endpoints=2) == []


def test_one_endpoint_may_be_asked_twice_in_a_row() -> None:
    ask = task("sagemakerruntime:invokeEndpoint", Next="Again")
    again = task("sagemakerruntime:invokeEndpoint", End=True)
    assert finds(SHARED.rule, {"Scores": machine({"Ask": ask, "Again": again}, "Ask")}) == []
    other = {**again, "Parameters": {"EndpointName": "weekly"}}
    found = finds(SHARED.rule, {"Scores": machine({"Ask": ask, "Again": other}, "Ask")})
    assert found == [("pipeline", "warning", "Scores")]


def test_whether_a_function_asks_two_endpoints_in_a_row_stays_open() -> None:
    arns = [
        {"Fn::Sub": f"arn:aws:sagemaker:eu-west-1:111122223333:endpoint/${{Endpoint{n}.EndpointName}}"}
        for n in (1, 2)
    ]
    asks = {
        "Held": may("sagemaker:InvokeEndpoint", on=arns),
        "Asks": resource("Lambda::Function", Role={"Ref": "Held"}),
    }
    expected = [("unresolved:Code", "warning", "Asks")]
    assert finds(SHARED.rule, {**SHARED.compliant, **asks}) == expected
    asks["Held"] = may("sagemaker:InvokeEndpoint", on=arns[:1])
    assert finds(SHARED.rule, {**SHARED.compliant, **asks}) == []


# COST04-TagsAndBudget


def test_tags_of_the_stack_count() -> None:
    body = template(
        {"Group": resource("SageMaker::ModelPackageGroup"), "Budget": resource("Budgets::Budget")}
    )
    for tags, number in (({}, 1), ({"project": "churn", "owner": "me", "Environment": "prod"}, 0)):
        read = TemplateFile(Path("T.json"), "T.json", body, "T", tags)
        found = [each for each in judge([read], Options()) if each.rule == f"MLLens-{TAGGED.rule}"]
        assert len(found) == number


def test_the_tags_are_an_option() -> None:
    assert finds(TAGGED.rule, dict(TAGGED.compliant), cost_tags=["cost-center"]) == [
        ("tags", "warning", "Group")
    ]


def test_an_app_without_machine_learning_needs_no_budget() -> None:
    assert finds(TAGGED.rule, {"Data": resource("S3::Bucket")}) == []


# GEN-RetiredService


@pytest.mark.parametrize(
    ("service", "kind"),
    [
        ("pinpoint", "Pinpoint::App"),
        ("greengrass-v1", "Greengrass::Group"),
        ("forecast", "Forecast::Dataset"),
        ("model-monitor", "SageMaker::MonitoringSchedule"),
        ("clarify", "SageMaker::ModelBiasJobDefinition"),
    ],
)
def test_an_existing_customer_may_use_one_service(service: str, kind: str) -> None:
    app = {"Old": resource(kind)}
    others = {"pinpoint", "greengrass-v1", "forecast", "model-monitor", "clarify"} - {service}
    assert finds(RETIRED.rule, app, existing_customer=[service]) == []
    assert finds(RETIRED.rule, app, existing_customer=sorted(others)) == [(None, "warning", "Old")]


def test_a_retired_service_is_told_with_its_end_and_its_successor() -> None:
    found = said(RETIRED.rule, template({"Old": resource("Pinpoint::Campaign")}), {})
    assert "2026-10-30" in found[0].message
    assert "SES" in found[0].message
