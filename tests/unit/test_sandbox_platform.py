"""The plain logic inside the sandbox: names, clocks, items, ways through a network, alarms and logs."""

from __future__ import annotations

import json
import socket
from typing import Any, ClassVar

import pytest

from ml_lens.rehearsal.inside.alarms import judged
from ml_lens.rehearsal.inside.network_doors import Doors
from ml_lens.rehearsal.inside.network_paths import (
    Endpoint,
    Place,
    Rule,
    endpoint_to,
    is_outside_reached,
    service_of,
)
from ml_lens.rehearsal.inside.rest_api_words import group_of, is_proxy_answer, line
from ml_lens.rehearsal.inside.scaling import Scaling, ScalingFault
from ml_lens.rehearsal.inside.sdk_names import client_name, error_name, member_name, service_prefix
from ml_lens.rehearsal.inside.workflow_clock import Branch, WorkflowClock
from ml_lens.rehearsal.inside.workflow_items import MapSettings, batches, within_tolerance
from ml_lens.rehearsal.inside.workflow_log import LogSettings


@pytest.mark.parametrize(
    ("api", "states"),
    [
        ("EndpointName", "EndpointName"),
        ("SSESpecification", "SseSpecification"),
        ("DBInstanceArn", "DbInstanceArn"),
        ("VolumeSizeInGB", "VolumeSizeInGB"),
        ("S3Uri", "S3Uri"),
        ("S", "S"),
        ("NULL", "Nul"),
        ("BOOL", "Bool"),
        ("nextToken", "NextToken"),
    ],
)
def test_members_are_spelled_as_step_functions_does(api: str, states: str) -> None:
    assert member_name(api) == states


def test_services_and_errors_are_spelled_as_step_functions_does() -> None:
    assert service_prefix("DynamoDB") == "DynamoDb"
    assert service_prefix("SageMaker Runtime") == "SageMakerRuntime"
    assert service_prefix("CloudWatch Logs") == "CloudWatchLogs"
    assert service_prefix("SFN") == "Sfn"
    assert error_name("SageMaker", "ValidationException", None) == "SageMaker.SageMakerException"
    assert error_name("SageMaker", "ResourceInUse", "ResourceInUse") == "SageMaker.ResourceInUseException"
    assert error_name("RDS", "x", "DBClusterNotFoundFault") == "Rds.DbClusterNotFoundException"
    clients = ["sagemaker", "sagemaker-runtime", "stepfunctions", "application-autoscaling"]
    assert client_name("sagemakerruntime", clients) == "sagemaker-runtime"
    assert client_name("sfn", clients) == "stepfunctions"
    assert client_name("applicationautoscaling", clients) == "application-autoscaling"
    assert client_name("nothing", clients) is None


def test_the_clock_counts_what_was_left_out_and_the_longer_branch() -> None:
    now = [100.0]
    clock = WorkflowClock(lambda: now[0])
    now[0] += 2
    clock.leave_out(300)
    assert clock.passed == 302
    clock.leave_out(10)
    clock.join()
    assert clock.passed == 312


def test_a_branch_stops_with_what_is_around_it() -> None:
    running = [True]
    outer = Branch(running=lambda: running[0])
    one, other = Branch(outer), Branch(outer)
    one.stop()
    assert (one.runs, other.runs) == (False, True)
    running[0] = False
    assert not other.runs


def test_items_go_in_batches_and_some_may_fail() -> None:
    assert batches([1, 2, 3], 2, {}) == [{"Items": [1, 2]}, {"Items": [3]}]
    assert batches([1], 2, {"a": 1}) == [{"BatchInput": {"a": 1}, "Items": [1]}]
    said = {"MaxConcurrency": 4, "ToleratedFailureCount": 1, "ItemBatcher": {"MaxItemsPerBatch": 10}}
    settings = MapSettings.of(said, lambda field: said[field])  # type: ignore[arg-type,return-value]
    assert settings == MapSettings(at_once=4, batch_size=10, tolerated=1)
    assert within_tolerance(1, 10, settings)
    assert not within_tolerance(2, 10, settings)
    assert within_tolerance(2, 10, MapSettings(tolerated_percent=20))


class TestWays:
    PLACE = Place("vpc", {"subnet": "10.0.0.0/24"}, ("workload",), frozenset({"table"}))
    INTERFACE = Endpoint(
        "vpce-1", "sagemaker.runtime", is_gateway=False, subnets={"subnet": "10.0.0.0/24"}, groups=("doors",)
    )
    GATEWAY = Endpoint("vpce-2", "s3", is_gateway=True, tables=frozenset({"table"}))

    @staticmethod
    def rules(**by_group: Any) -> Any:
        def of(group: str, is_egress: bool) -> list[Rule]:
            return list(by_group.get(f"{group}_{'out' if is_egress else 'in'}", []))

        return of

    def test_an_interface_endpoint_needs_both_groups(self) -> None:
        to_doors = Rule("tcp", 443, 443, groups=("doors",))
        from_work = Rule("tcp", 443, 443, groups=("workload",))
        both = self.rules(workload_out=[to_doors], doors_in=[from_work])
        assert endpoint_to("sagemaker.runtime", self.PLACE, [self.INTERFACE], both) is self.INTERFACE
        for rules in (
            self.rules(workload_out=[to_doors]),
            self.rules(doors_in=[from_work]),
            self.rules(workload_out=[Rule("tcp", 80, 80, groups=("doors",))], doors_in=[from_work]),
        ):
            assert endpoint_to("sagemaker.runtime", self.PLACE, [self.INTERFACE], rules) is None
        assert endpoint_to("kms", self.PLACE, [self.INTERFACE], both) is None

    def test_addresses_do_as_well_as_groups(self) -> None:
        rules = self.rules(
            workload_out=[Rule("-1", 0, 65535, addresses=("10.0.0.0/16",))],
            doors_in=[Rule("tcp", 0, 65535, addresses=("10.0.0.0/16",))],
        )
        assert endpoint_to("sagemaker.runtime", self.PLACE, [self.INTERFACE], rules)

    def test_a_gateway_endpoint_needs_a_route_and_a_way_out(self) -> None:
        out = self.rules(workload_out=[Rule("tcp", 443, 443, prefix_lists=("pl-1",))])
        assert endpoint_to("s3", self.PLACE, [self.GATEWAY], out)
        elsewhere = Endpoint("vpce-3", "s3", is_gateway=True, tables=frozenset({"other"}))
        assert endpoint_to("s3", self.PLACE, [elsewhere], out) is None
        assert endpoint_to("s3", self.PLACE, [self.GATEWAY], self.rules()) is None

    def test_the_outside_is_reached_by_a_nat_gateway(self) -> None:
        out = self.rules(workload_out=[Rule("tcp", 443, 443, addresses=("0.0.0.0/0",))])
        assert not is_outside_reached(self.PLACE, out)
        leads = Place("vpc", {}, ("workload",), leads_out=True)
        assert is_outside_reached(leads, out)
        assert not is_outside_reached(leads, self.rules())

    def test_actions_belong_to_services(self) -> None:
        assert service_of("sagemaker:InvokeEndpoint") == "sagemaker.runtime"
        assert service_of("sagemaker:InvokeEndpointAsync") == "sagemaker.runtime"
        assert service_of("sagemaker:DescribeEndpoint") == "sagemaker.api"
        assert service_of("cloudwatch:PutMetricData") == "monitoring"
        assert service_of("sqs:SendMessage") == "sqs"


def test_a_door_refuses_until_it_is_opened_and_again_when_closed() -> None:
    with socket.socket() as inner:
        inner.bind(("127.0.0.1", 0))
        inner.listen()
        doors = Doors(inner.getsockname()[1])
        port = doors.port("function", "sqs")
        assert doors.port("function", "sqs") == port != doors.port("other", "sqs")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
        doors.set("function", {"sqs"})
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            served, _ = inner.accept()
            client.sendall(b"hello")
            assert served.recv(5) == b"hello"
            doors.set("function", set())
            served.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)


class TestAlarms:
    ALARM: ClassVar[dict[str, Any]] = {
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }

    @staticmethod
    def state(alarm: dict[str, Any], *points: tuple[float, float]) -> str:
        data = [{"Timestamp": 1000 - age, "Value": value} for age, value in points]
        return judged(alarm, data, lambda found: max(each["Value"] for each in found), 1000)[0]

    def test_as_many_periods_as_asked_have_to_breach(self) -> None:
        assert self.state(self.ALARM, (10, 9.0)) == "OK"
        assert self.state(self.ALARM, (10, 9.0), (70, 9.0)) == "ALARM"
        assert self.state(self.ALARM, (10, 9.0), (190, 9.0)) == "OK"

    def test_missing_data_means_what_the_alarm_says(self) -> None:
        assert self.state(self.ALARM) == "OK"
        assert self.state({**self.ALARM, "TreatMissingData": "breaching"}) == "ALARM"
        assert self.state({**self.ALARM, "TreatMissingData": "missing"}) == "INSUFFICIENT_DATA"
        kept = {**self.ALARM, "TreatMissingData": "ignore", "StateValue": "ALARM"}
        assert self.state(kept) == "ALARM"


def test_a_log_leaves_out_what_it_is_told_to() -> None:
    group = "arn:aws:logs:r:1:log-group:/aws/vendedlogs/states/x:*"
    template = {"Level": "ERROR", "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": group}}]}
    settings = LogSettings(template)
    assert (settings.is_on, settings.group, settings.has_data) == (True, "/aws/vendedlogs/states/x", False)
    execution = {"executionArn": "arn"}
    failed = {
        "id": 2,
        "type": "TaskFailed",
        "taskFailedEventDetails": {"error": "E", "cause": "personal", "resource": "r"},
    }
    assert settings.entry(execution, {"id": 1, "type": "PassStateEntered"}) is None
    entry = settings.entry(execution, failed)
    assert entry is not None
    assert entry["details"] == {"error": "E", "resource": "r"}
    assert not LogSettings({"level": "OFF"}).is_on


def test_a_line_of_an_access_log_is_always_json() -> None:
    form = '{"who": "$context.identity.caller", "what": "$context.status.", "none": "$context.nothing"}'
    written = line(form, {"identity.caller": 'a "quoted" name', "status": 200})
    assert json.loads(written) == {"who": 'a "quoted" name', "what": "200.", "none": "-"}
    assert group_of("arn:aws:logs:r:1:log-group:/a/b:*") == "/a/b"


def test_a_proxy_has_to_answer_as_one() -> None:
    assert is_proxy_answer({"statusCode": 200})
    assert is_proxy_answer('{"statusCode": 200, "body": "x"}')
    assert not is_proxy_answer({"answer": 1})
    assert not is_proxy_answer(["statusCode"])
    assert not is_proxy_answer("hello")
    assert not is_proxy_answer(None)


def test_scaling_keeps_what_it_is_told_and_scales_nothing() -> None:
    scaling = Scaling(lambda: ("123456789012", "us-east-1"))
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/a/variant/A",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    with pytest.raises(ScalingFault, match="MinCapacity"):
        scaling.answer("RegisterScalableTarget", target)
    scaling.answer("RegisterScalableTarget", {**target, "MinCapacity": 1, "MaxCapacity": 4})
    scaling.answer("RegisterScalableTarget", {**target, "MaxCapacity": 6})
    (told,) = scaling.answer("DescribeScalableTargets", {"ServiceNamespace": "sagemaker"})["ScalableTargets"]
    assert (told["MinCapacity"], told["MaxCapacity"]) == (1, 6)
    with pytest.raises(ScalingFault, match="greater"):
        scaling.answer("RegisterScalableTarget", {**target, "MinCapacity": 9})
    assert scaling.answer("DescribeScalingActivities", {"ServiceNamespace": "sagemaker"}) == {
        "ScalingActivities": []
    }
    with pytest.raises(ScalingFault, match="not a part"):
        scaling.answer("PutScheduledAction", target)
