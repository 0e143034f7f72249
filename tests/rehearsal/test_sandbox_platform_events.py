"""Events, schedules, alarms and logs in the sandbox: by which right they arrive, and that they do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.made_to_measure import ROOT_ONLY, eventually, key, messages, queue, refused

pytestmark = pytest.mark.xdist_group("sandbox")

ServiceRole = Callable[..., str]


@pytest.fixture
def service_role(sandbox: Sandbox) -> ServiceRole:
    """Create a role that a service may take, with exactly the given statements."""

    def create(service: str, *may: dict[str, Any], when: dict[str, Any] | None = None) -> str:
        iam = sandbox.client("iam")
        name = f"{service.partition('.')[0]}-{time.monotonic_ns()}"
        trust: dict[str, Any] = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
        }
        if when:
            trust["Condition"] = when
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))[
            "Role"
        ]["Arn"]
        if may:
            document = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", **each} for each in may],
            }
            iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(document))
        return str(arn)

    return create


def machine(sandbox: Sandbox, role: str, states: dict[str, Any] | None = None, **settings: Any) -> str:
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Only",
        "States": states or {"Only": {"Type": "Pass", "End": True}},
    }
    made = sandbox.client("stepfunctions").create_state_machine(
        name=f"events-{time.monotonic_ns()}", definition=json.dumps(definition), roleArn=role, **settings
    )
    return str(made["stateMachineArn"])


def executions(sandbox: Sandbox, arn: str) -> list[dict[str, Any]]:
    return list(sandbox.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"])


def topic(sandbox: Sandbox, name: str, **attributes: str) -> tuple[str, str]:
    """Create a topic and a queue that hears it."""
    sns = sandbox.client("sns")
    arn = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
    url, queue_arn = queue(sandbox, f"{name}-queue")
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    sandbox.client("sqs").set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allowed]})}
    )
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    return str(arn), url


class TestRules:
    def test_the_end_of_an_execution_starts_another_with_a_made_up_input(
        self, sandbox: Sandbox, service_role: ServiceRole
    ) -> None:
        states_role = service_role("states.amazonaws.com")
        first = machine(sandbox, states_role, {"Only": {"Type": "Fail", "Error": "Bad", "Cause": "so it is"}})
        second = machine(sandbox, states_role)
        events = sandbox.client("events")
        pattern = {
            "source": ["aws.states"],
            "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"], "stateMachineArn": [first]},
        }
        rule = events.put_rule(Name="ended", EventPattern=json.dumps(pattern))["RuleArn"]
        may = {"Action": "states:StartExecution", "Resource": second}
        right = service_role("events.amazonaws.com", may, when={"ArnEquals": {"aws:SourceArn": rule}})

        def aim(role: str) -> None:
            target = {
                "Id": "1",
                "Arn": second,
                "RoleArn": role,
                "InputTransformer": {
                    "InputPathsMap": {"status": "$.detail.status", "name": "$.detail.name"},
                    "InputTemplate": '{"status": <status>, "of": "run <name>"}',
                },
            }
            events.put_targets(Rule="ended", Targets=[target])

        states = sandbox.client("stepfunctions")
        for wrong in (
            service_role("events.amazonaws.com"),
            service_role("lambda.amazonaws.com", may),
            service_role("events.amazonaws.com", may, when={"ArnEquals": {"aws:SourceArn": f"{rule}-not"}}),
        ):
            aim(wrong)
            states.start_execution(stateMachineArn=first)
        time.sleep(1)
        assert executions(sandbox, second) == []
        aim(right)
        states.start_execution(stateMachineArn=first, name="the-last")
        (started,) = eventually(lambda: executions(sandbox, second))
        described = states.describe_execution(executionArn=started["executionArn"])
        assert json.loads(described["input"]) == {"status": "FAILED", "of": "run the-last"}
        events.remove_targets(Rule="ended", Ids=["1"])

    def test_a_topic_has_to_let_events_in_and_so_has_its_key(self, sandbox: Sandbox) -> None:
        key_arn = key(sandbox)
        arn, url = topic(sandbox, "events-topic", KmsMasterKeyId=key_arn)
        events = sandbox.client("events")
        events.put_rule(Name="told", EventPattern=json.dumps({"source": ["ours"]}))
        events.put_targets(Rule="told", Targets=[{"Id": "1", "Arn": arn}])

        def tell() -> list[dict[str, Any]]:
            events.put_events(Entries=[{"Source": "ours", "DetailType": "d", "Detail": "{}"}])
            time.sleep(0.5)
            return messages(sandbox, url)

        assert tell() == []
        service = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": "*"}
        policy = {"Statement": [{**service, "Action": "sns:Publish", "Resource": arn}]}
        sandbox.client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
        )
        assert tell() == []
        statements = [*ROOT_ONLY["Statement"], {**service, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}]
        sandbox.client("kms").put_key_policy(
            KeyId=key_arn, PolicyName="default", Policy=json.dumps({"Statement": statements})
        )
        assert len(tell()) == 1


class TestSchedules:
    def test_a_schedule_acts_in_its_role(self, sandbox: Sandbox, service_role: ServiceRole) -> None:
        arn = machine(sandbox, service_role("states.amazonaws.com"))
        scheduler = sandbox.client("scheduler")

        def schedule(name: str, role: str) -> None:
            scheduler.create_schedule(
                Name=name,
                ScheduleExpression="at(2026-01-01T00:00:00)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={
                    "Arn": arn,
                    "RoleArn": role,
                    "Input": '{"by": "<aws.scheduler.schedule-arn>"}',
                },
            )

        may = {"Action": "states:StartExecution", "Resource": arn}
        schedule("without", service_role("scheduler.amazonaws.com"))
        time.sleep(1.5)
        assert executions(sandbox, arn) == []
        schedule("with", service_role("scheduler.amazonaws.com", may))
        (started,) = eventually(lambda: executions(sandbox, arn))
        said = sandbox.client("stepfunctions").describe_execution(executionArn=started["executionArn"])
        assert json.loads(said["input"])["by"].endswith(":schedule/default/with")
        for name in ("with", "without"):
            scheduler.delete_schedule(Name=name)


class TestLogs:
    def test_a_machine_that_logs_needs_the_rights_for_it_and_writes(
        self, sandbox: Sandbox, service_role: ServiceRole
    ) -> None:
        logs = sandbox.client("logs")
        logs.create_log_group(logGroupName="/aws/vendedlogs/states/told")
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/states/told:*"
        settings = {
            "level": "ALL",
            "includeExecutionData": False,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
        }
        code, message = refused(
            lambda **more: machine(sandbox, service_role("states.amazonaws.com"), **more),
            loggingConfiguration=settings,
        )
        assert (code, "not authorized to access the Log Destination" in message) == (
            "AccessDeniedException",
            True,
        )
        able = service_role("states.amazonaws.com", {"Action": "logs:*", "Resource": "*"})
        arn = machine(sandbox, able, loggingConfiguration=settings)
        sandbox.client("stepfunctions").start_execution(stateMachineArn=arn, input='{"secret": 1}')

        def kinds() -> list[str]:
            found = logs.filter_log_events(logGroupName="/aws/vendedlogs/states/told")["events"]
            assert "secret" not in json.dumps(found)
            return [json.loads(each["message"])["type"] for each in found]

        eventually(lambda: "ExecutionSucceeded" in kinds())
        assert kinds()[0] == "ExecutionStarted"

    def test_a_role_that_step_functions_cannot_take_is_refused(
        self, sandbox: Sandbox, service_role: ServiceRole
    ) -> None:
        code, message = refused(lambda: machine(sandbox, service_role("lambda.amazonaws.com")))
        assert code == "AccessDeniedException"
        assert "authorized to assume the provided role" in message


class TestAlarms:
    def test_an_alarm_sees_its_own_dimensions_and_is_prompt(self, sandbox: Sandbox) -> None:
        arn, url = topic(sandbox, "alarmed")
        watch = sandbox.client("cloudwatch")
        for variant in ("A", "B"):
            watch.put_metric_alarm(
                AlarmName=f"slow-{variant}",
                Namespace="Ours",
                MetricName="Latency",
                Dimensions=[{"Name": "Variant", "Value": variant}],
                ExtendedStatistic="p90",
                Period=60,
                EvaluationPeriods=1,
                Threshold=100,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="notBreaching",
                AlarmActions=[arn],
            )

        def states() -> dict[str, str]:
            found = watch.describe_alarms(AlarmNamePrefix="slow-")["MetricAlarms"]
            return {each["AlarmName"]: each["StateValue"] for each in found}

        eventually(lambda: states() == {"slow-A": "OK", "slow-B": "OK"})
        datum = {
            "MetricName": "Latency",
            "Dimensions": [{"Name": "Variant", "Value": "A"}],
            "Values": [10.0, 500.0],
            "Counts": [80.0, 20.0],
        }
        watch.put_metric_data(Namespace="Ours", MetricData=[datum])
        assert states() == {"slow-A": "ALARM", "slow-B": "OK"}
        (message,) = eventually(lambda: messages(sandbox, url))
        assert json.loads(json.loads(message["Body"])["Message"])["AlarmName"] == "slow-A"

    def test_a_state_set_by_hand_holds_and_is_told(self, sandbox: Sandbox) -> None:
        arn, url = topic(sandbox, "by-hand")
        watch = sandbox.client("cloudwatch")
        watch.put_metric_alarm(
            AlarmName="by-hand",
            Namespace="Ours",
            MetricName="Nothing",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[arn],
        )
        watch.set_alarm_state(AlarmName="by-hand", StateValue="ALARM", StateReason="a test")
        time.sleep(2)
        assert watch.describe_alarms(AlarmNames=["by-hand"])["MetricAlarms"][0]["StateValue"] == "ALARM"
        assert eventually(lambda: messages(sandbox, url))

    def test_several_statistics_are_asked_at_once(self, sandbox: Sandbox) -> None:
        watch = sandbox.client("cloudwatch")
        for variant, values in (("A", [1.0, 2.0, 3.0]), ("B", [9.0])):
            dimensions = [{"Name": "Variant", "Value": variant}]
            watch.put_metric_data(
                Namespace="Asked",
                MetricData=[{"MetricName": "M", "Dimensions": dimensions, "Values": values}],
            )
        watch.put_metric_data(
            Namespace="Asked",
            MetricData=[
                {
                    "MetricName": "M",
                    "Dimensions": [{"Name": "Variant", "Value": "C"}],
                    "StatisticValues": {"SampleCount": 4, "Sum": 8, "Minimum": 1, "Maximum": 4},
                }
            ],
        )

        def ask(variant: str, statistic: str) -> dict[str, Any]:
            metric = {
                "Namespace": "Asked",
                "MetricName": "M",
                "Dimensions": [{"Name": "Variant", "Value": variant}],
            }
            return {
                "Id": f"{variant}{statistic}".lower(),
                "MetricStat": {"Metric": metric, "Period": 3600, "Stat": statistic},
            }

        asked = [
            ask("A", "Sum"),
            ask("A", "Average"),
            ask("A", "p50"),
            ask("B", "SampleCount"),
            ask("C", "Average"),
        ]
        found = watch.get_metric_data(
            MetricDataQueries=asked, StartTime=time.time() - 3600, EndTime=time.time() + 60
        )["MetricDataResults"]
        assert {each["Id"]: sum(each["Values"]) for each in found} == {
            "asum": 6,
            "aaverage": 2,
            "ap50": 2,
            "bsamplecount": 1,
            "caverage": 2,
        }
