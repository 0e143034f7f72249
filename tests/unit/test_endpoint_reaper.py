"""The function that deletes endpoints which a run has left behind."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import endpoint_reaper
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from orphans import Endpoint, NotOurRunError, Settings, is_empty_for_good, name_of, orphans

from tests.unit.called import client, context

NOW = datetime.now(UTC)
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:demand"
RUN = "arn:aws:states:eu-west-1:123456789012:execution:demand:one"
ENVIRONMENT = {
    "PREFIX": "demand-7f",
    "STATE_MACHINE_ARN": MACHINE,
    "MAX_AGE_SECONDS": "18000",
    "LOG_PREFIX": "/aws/sagemaker/Endpoints/",
    "LOGS_KEPT_DAYS": "7",
}
SETTINGS = Settings("demand-7f", MACHINE, timedelta(hours=5), "/aws/sagemaker/Endpoints/", timedelta(days=7))
OF_RUN = f"demand-7f-{hashlib.sha256(RUN.encode()).hexdigest()[:16]}"


class Reaper:
    """The function with clients whose answers the test gives."""

    def __init__(self, log: io.StringIO) -> None:
        self.clients: dict[str, Any] = {}
        self.stubs: dict[str, Stubber] = {}
        for service in ("sagemaker", "stepfunctions", "logs"):
            self.clients[service], self.stubs[service] = client(service)
        self.log = log

    def finds(self, **ages: timedelta) -> None:
        """List endpoints by name and age, and every run as over."""
        there = [
            {
                "EndpointName": name,
                "EndpointArn": f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint/{name}",
                "CreationTime": datetime.now(UTC) - age,
                "LastModifiedTime": NOW,
                "EndpointStatus": "InService",
            }
            for name, age in ages.items()
        ]
        self.stubs["sagemaker"].add_response(
            "list_endpoints", {"Endpoints": there}, {"NameContains": "demand-7f"}
        )

    def runs(self, *arns: str) -> None:
        self.stubs["stepfunctions"].add_response(
            "list_executions",
            {
                "executions": [
                    {
                        "executionArn": arn,
                        "stateMachineArn": MACHINE,
                        "name": "one",
                        "status": "RUNNING",
                        "startDate": NOW,
                    }
                    for arn in arns
                ]
            },
            {"stateMachineArn": MACHINE, "statusFilter": "RUNNING"},
        )

    def groups(self, **ages: timedelta) -> None:
        self.stubs["logs"].add_response(
            "describe_log_groups",
            {
                "logGroups": [
                    {"logGroupName": name, "creationTime": int(1000 * (datetime.now(UTC) - age).timestamp())}
                    for name, age in ages.items()
                ]
            },
            {"logGroupNamePrefix": "/aws/sagemaker/Endpoints/demand-7f-"},
        )

    def is_there(self, name: str, status: str = "InService") -> None:
        self.stubs["sagemaker"].add_response(
            "describe_endpoint",
            {
                "EndpointName": name,
                "EndpointArn": f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint/{name}",
                "EndpointStatus": status,
                "CreationTime": NOW,
                "LastModifiedTime": NOW,
            },
            {"EndpointName": name},
        )

    def expects_deletion(self, name: str) -> None:
        self.is_there(name)
        self.stubs["sagemaker"].add_response("delete_endpoint", {}, {"EndpointName": name})

    def called(self, event: dict[str, Any] | None = None) -> list[str]:
        answer = endpoint_reaper.handler(event or {"source": "aws.events"}, context())
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()
        return answer["reaped"]


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Reaper:
    made = Reaper(io.StringIO())
    monkeypatch.setattr(endpoint_reaper, "_client", lambda service: made.clients[service])
    monkeypatch.setattr(endpoint_reaper.logger.registered_handler, "stream", made.log)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return made


def ended(status: str = "ABORTED", machine: str = MACHINE) -> dict[str, Any]:
    detail = {"executionArn": RUN, "stateMachineArn": machine, "status": status}
    return {"source": "aws.states", "detail": detail}


@pytest.mark.lens("ODE-02")
def test_an_endpoint_whose_run_is_over_is_deleted_and_no_other(reaper: Reaper) -> None:
    hour = timedelta(hours=1)
    reaper.finds(**{"demand-7f-orphan": hour, OF_RUN: hour, "other-demand-7f-x": hour})
    reaper.runs(RUN)
    reaper.groups()
    reaper.expects_deletion("demand-7f-orphan")
    assert reaper.called() == ["demand-7f-orphan"]


@pytest.mark.lens("ODE-02")
def test_an_endpoint_older_than_any_run_is_deleted_even_if_its_run_goes_on(reaper: Reaper) -> None:
    reaper.finds(**{OF_RUN: timedelta(hours=6)})
    reaper.runs(RUN)
    reaper.groups()
    reaper.expects_deletion(OF_RUN)
    assert reaper.called() == [OF_RUN]


def test_an_endpoint_too_young_for_the_list_of_runs_is_left_alone(reaper: Reaper) -> None:
    reaper.finds(**{OF_RUN: timedelta(minutes=3)})
    reaper.runs()
    reaper.groups()
    assert reaper.called() == []


def test_without_endpoints_nothing_is_asked_about_runs(reaper: Reaper) -> None:
    reaper.finds()
    reaper.groups()
    assert reaper.called() == []


@pytest.mark.lens("ODE-02")
@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
def test_the_end_of_a_run_deletes_its_endpoint_at_once(reaper: Reaper, status: str) -> None:
    reaper.expects_deletion(OF_RUN)
    assert reaper.called(ended(status)) == [OF_RUN]


@pytest.mark.lens("ODE-02")
def test_a_run_that_deleted_its_endpoint_leaves_nothing_to_do(reaper: Reaper) -> None:
    reaper.stubs["sagemaker"].add_client_error(
        "describe_endpoint", "ValidationException", f'Could not find endpoint "{OF_RUN}".'
    )
    assert reaper.called(ended("FAILED")) == []


def test_an_endpoint_on_its_way_is_not_deleted_again(reaper: Reaper) -> None:
    reaper.is_there(OF_RUN, "Deleting")
    assert reaper.called(ended()) == []


def test_one_that_is_gone_between_look_and_deletion_is_no_failure(reaper: Reaper) -> None:
    reaper.is_there(OF_RUN)
    reaper.stubs["sagemaker"].add_client_error("delete_endpoint", "ValidationException", "Could not find it")
    assert reaper.called(ended()) == []


@pytest.mark.parametrize("event", [ended("SUCCEEDED"), ended("RUNNING"), ended(machine="arn:other")])
def test_other_events_delete_nothing_and_are_told(reaper: Reaper, event: dict[str, Any]) -> None:
    with pytest.raises(NotOurRunError):
        reaper.called(event)


@pytest.mark.lens("ODE-02")
def test_one_that_cannot_be_deleted_keeps_no_other_and_fails_the_call(
    reaper: Reaper, capsys: pytest.CaptureFixture[str]
) -> None:
    hour = timedelta(hours=1)
    reaper.finds(**{"demand-7f-a": hour, "demand-7f-b": hour})
    reaper.runs()
    reaper.groups()
    reaper.is_there("demand-7f-a", "Creating")
    reaper.stubs["sagemaker"].add_client_error(
        "delete_endpoint", "ValidationException", "Cannot update in-progress endpoint"
    )
    reaper.expects_deletion("demand-7f-b")
    with pytest.raises(endpoint_reaper.NotReapedError, match="1 endpoints are still there: demand-7f-a"):
        reaper.called()
    told = capsys.readouterr().out
    assert '"EndpointsReaped":[1.0]' in told
    assert '"EndpointsNotReaped":[1.0]' in told
    assert '"Endpoints":"demand-7f"' in told


def test_log_groups_go_when_their_last_event_has_expired(reaper: Reaper) -> None:
    reaper.finds()
    reaper.groups(old=timedelta(days=9), young=timedelta(days=8))
    reaper.stubs["logs"].add_response("delete_log_group", {}, {"logGroupName": "old"})
    assert reaper.called() == []


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 400), st.booleans()), max_size=8),
)
def test_no_endpoint_of_a_run_that_goes_on_is_an_orphan_before_its_time(
    found: list[tuple[bool, int, bool]],
) -> None:
    running = [f"arn:{number}" for number, (goes_on, _, _) in enumerate(found) if goes_on]
    there = [
        Endpoint(
            name_of(f"arn:{number}", SETTINGS),
            NOW - timedelta(minutes=age),
            "Deleting" if leaving else "InService",
        )
        for number, (_, age, leaving) in enumerate(found)
    ]
    reaped = orphans(there, running, NOW, SETTINGS)
    for number, (goes_on, age, leaving) in enumerate(found):
        is_orphan = not leaving and (age > 300 or (not goes_on and age > 10))
        assert (there[number].name in reaped) is is_orphan


def test_logs_are_kept_for_the_days_that_they_should_be_after_the_longest_run() -> None:
    kept = timedelta(days=7) + timedelta(hours=5) + timedelta(days=1)
    created = int(1000 * (NOW - kept).timestamp())
    assert not is_empty_for_good(created + 1000, NOW, SETTINGS)
    assert is_empty_for_good(created - 1000, NOW, SETTINGS)
