"""Names that only a deployment knows: what may match is an open answer, what cannot match is a failure."""

from typing import Any

import pytest

from tests.rules.fixtures import OPEN_PARAMETER, said, template, told
from tests.rules.judging import Told, found

ALARMS, ROLLBACK = "OPS05-EndpointAlarms", "REL01-RollbackAlarms"
MONITORED, SCANNED = "OPS05-ModelQualityMonitored", "OPS04-EcrScanOnPush"
STOPPED, ATTRIBUTED = "COST02-NotebookAutoStop", "COST04-TagsAndBudget"
WATCHED = {"Errors": "Invocation5XXErrors", "Slow": "ModelLatency", "Busy": "CPUUtilization"}
LITERAL = "churn"
JOINED = {"Fn::Sub": "churn-${NobodyKnows}"}


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def alarm(metric: Any, endpoint: Any) -> dict[str, Any]:
    return resource(
        "CloudWatch::Alarm",
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        AlarmActions=["arn:aws:sns:eu-west-1:111122223333:on-call"],
    )


def watched(own: Any, watching: Any) -> dict[str, Any]:
    named = {} if own is None else {"EndpointName": own}
    return {
        "Endpoint": resource("SageMaker::Endpoint", EndpointConfigName="first", **named),
        **{name: alarm(metric, watching) for name, metric in WATCHED.items()},
    }


@pytest.mark.parametrize("name", [LITERAL, OPEN_PARAMETER, JOINED])
def test_an_alarm_with_the_same_name_watches_the_endpoint(name: Any) -> None:
    assert found(ALARMS, watched(name, name)) == []


def test_an_alarm_with_a_literal_name_may_watch_an_endpoint_whose_name_is_open() -> None:
    assert found(ALARMS, watched(OPEN_PARAMETER, LITERAL)) == [
        ("unresolved:EndpointName", "warning", "Endpoint")
    ]


def test_an_alarm_with_a_literal_name_does_not_watch_an_endpoint_with_another_or_a_generated_name() -> None:
    unwatched = [("errors", "error"), ("latency", "error"), ("resource", "warning")]
    for own in (None, "returns"):
        assert [each[:2] for each in found(ALARMS, watched(own, LITERAL))] == unwatched


def test_an_open_dimension_inside_a_calculation_is_named_where_it_stands() -> None:
    resources = watched(LITERAL, LITERAL)
    dimensions = [{"Name": "EndpointName", "Value": OPEN_PARAMETER}]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": dimensions}
    resources["Slow"] = resource(
        "CloudWatch::Alarm", AlarmActions=["a"], Metrics=[{"Id": "m", "MetricStat": {"Metric": metric}}]
    )
    path = "Metrics.MetricStat.Metric.Dimensions.Value"
    assert found(ALARMS, resources) == [(f"unresolved:{path}", "warning", "Slow")]


@pytest.mark.parametrize(
    ("own", "answer"),
    [
        (
            OPEN_PARAMETER,
            ("unresolved:DeploymentConfig.AutoRollbackConfiguration.Alarms.AlarmName", "warning"),
        ),
        ("returns", (None, "error")),
        (None, (None, "error")),
    ],
)
def test_a_rollback_alarm_on_a_literal_name_is_open_only_where_the_endpoint_s_name_is(
    own: Any, answer: tuple[str | None, str]
) -> None:
    resources = watched(own, LITERAL)
    resources["Endpoint"]["Properties"]["DeploymentConfig"] = {
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": {"Ref": "Errors"}}]},
        "RollingUpdatePolicy": {"WaitIntervalInSeconds": 60},
    }
    assert found(ROLLBACK, resources) == [(*answer, "Endpoint")]


def monitored(own: Any, measured: Any) -> dict[str, Any]:
    return {
        "Endpoint": resource("SageMaker::Endpoint", EndpointName=own, EndpointConfigName={"Ref": "Config"}),
        "Config": resource("SageMaker::EndpointConfig", ProductionVariants=[{"VariantName": "main"}]),
        "Schedule": resource(
            "SageMaker::MonitoringSchedule",
            MonitoringScheduleConfig={
                "MonitoringJobDefinitionName": {"Fn::GetAtt": ["Job", "JobDefinitionName"]}
            },
        ),
        "Job": resource(
            "SageMaker::DataQualityJobDefinition",
            DataQualityJobInput={"EndpointInput": {"EndpointName": measured}},
        ),
        "Drift": resource(
            "CloudWatch::Alarm", Namespace="Churn", MetricName="Drift", AlarmActions=["arn:aws:sns:::on-call"]
        ),
    }


@pytest.mark.parametrize(
    ("own", "measured", "expected"),
    [
        (LITERAL, LITERAL, []),
        (OPEN_PARAMETER, OPEN_PARAMETER, []),
        (
            LITERAL,
            OPEN_PARAMETER,
            [("unresolved:DataQualityJobInput.EndpointInput.EndpointName", "warning", "Job")],
        ),
        (OPEN_PARAMETER, LITERAL, [("unresolved:EndpointName", "warning", "Endpoint")]),
        (LITERAL, "returns", [(None, "error", "Endpoint")]),
    ],
)
def test_a_monitoring_schedule_may_measure_an_endpoint_of_the_same_name(
    own: Any, measured: Any, expected: Told
) -> None:
    assert found(MONITORED, monitored(own, measured)) == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("churn", []),
        (OPEN_PARAMETER, [("unresolved:RepositoryName", "warning", "Images")]),
        ("returns", [(None, "error", "Images")]),
    ],
)
def test_a_filter_of_the_registry_may_cover_a_repository_whose_name_is_open(own: Any, expected: Told) -> None:
    covering = {
        "ScanFrequency": "SCAN_ON_PUSH",
        "RepositoryFilters": [{"Filter": "churn*", "FilterType": "WILDCARD"}],
    }
    resources = {
        "Images": resource("ECR::Repository", RepositoryName=own),
        "Registry": resource("ECR::RegistryScanningConfiguration", Rules=[covering]),
    }
    assert found(SCANNED, resources) == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("churn", []),
        (OPEN_PARAMETER, [("unresolved:NotebookInstanceName", "warning", "Notebook")]),
        ("returns", [(None, "error", "Notebook")]),
    ],
)
def test_a_schedule_may_stop_a_notebook_whose_name_is_open(own: Any, expected: Told) -> None:
    resources = {
        "Notebook": resource("SageMaker::NotebookInstance", NotebookInstanceName=own),
        "Evening": resource(
            "Scheduler::Schedule",
            ScheduleExpression="cron(0 20 * * ? *)",
            Target={
                "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:stopNotebookInstance",
                "Input": '{"NotebookInstanceName": "churn"}',
            },
        ),
    }
    assert found(STOPPED, resources) == expected


def test_an_open_key_of_a_tag_is_named_where_it_stands() -> None:
    tags = [{"Key": key, "Value": "a"} for key in ("project", "owner", OPEN_PARAMETER)]
    resources = {"Model": resource("SageMaker::Model", Tags=tags), "Budget": resource("Budgets::Budget")}
    assert found(ATTRIBUTED, resources) == [("unresolved:Tags.Key", "warning", "Model")]


def test_where_some_allowed_values_fail_the_answer_is_open_at_the_property_that_holds_the_parameter() -> None:
    resources = watched(LITERAL, LITERAL)
    resources["Errors"]["Properties"]["MetricName"] = {"Ref": "Metric"}
    for values, expected in (
        (["Invocation5XXErrors", "Invocations"], [("unresolved:MetricName", "warning", "Errors")]),
        (["Invocations", "InvocationsPerCopy"], [("errors", "error", "Endpoint")]),
        (["Invocation5XXErrors"], []),
    ):
        body = template(resources, Parameters={"Metric": {"Type": "String", "AllowedValues": values}})
        assert told(said(ALARMS, body, {})) == expected


def test_zones_that_two_parameters_name_may_be_one_zone_and_those_that_one_parameter_names_are() -> None:
    def zoned(*zones: Any) -> dict[str, Any]:
        subnets = {f"Subnet{n}": resource("EC2::Subnet", AvailabilityZone=z) for n, z in enumerate(zones)}
        network = {"Subnets": [{"Ref": name} for name in subnets], "SecurityGroupIds": ["sg-1"]}
        return {**subnets, "Model": resource("SageMaker::Model", VpcConfig=network)}

    unsure = [("unresolved:VpcConfig.Subnets", "warning", "Model")]
    assert found("REL03-EndpointMultiAz", zoned(OPEN_PARAMETER, {"Ref": "MaybeEmpty"})) == unsure
    assert found("REL03-EndpointMultiAz", zoned(OPEN_PARAMETER, "eu-west-1a")) == unsure
    assert found("REL03-EndpointMultiAz", zoned(OPEN_PARAMETER, OPEN_PARAMETER)) == [("az", "error", "Model")]
    assert found("REL03-EndpointMultiAz", zoned("eu-west-1a", "eu-west-1b", OPEN_PARAMETER)) == []


def test_open_answers_are_errors_where_the_option_says_so_also_of_a_rule_that_warns() -> None:
    resources = {
        "Notebook": resource("SageMaker::NotebookInstance", DefaultCodeRepository={"Ref": "MaybeEmpty"})
    }
    for option, levels in (("error", ["error"]), ("warn", ["warning"]), ("ignore", [])):
        found_levels = [
            level for _, level, _ in found("OPS02-NotebookCodeRepository", resources, unresolved=option)
        ]
        assert found_levels == levels
