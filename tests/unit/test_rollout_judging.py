"""Whether a candidate may have more traffic."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import judging
import pytest
import rollout_judge
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st

KEEPS = judging.Limits(error_percent=1, latency_ms=200, least_calls=100, least_outcomes=50, outcome_loss=0.0)
HEALTHY = judging.Measured(calls=1000, errors=0, latency_ms=50)
GOOD = judging.Outcomes(100, 90.0)


def verdict(
    measured: Any = HEALTHY,
    candidate: Any = GOOD,
    live: Any = GOOD,
    limits: Any = KEEPS,
    beside: Any = HEALTHY,
) -> tuple[str, str]:
    judged = judging.judge(measured, beside, candidate, live, limits)
    return judged["verdict"], judged["reason"]


@pytest.mark.lens("F8-05")
def test_a_candidate_that_keeps_to_everything_passes() -> None:
    assert verdict() == ("pass", "")


@pytest.mark.lens("F8-06", "F10-05")
@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (judging.Measured(calls=1000, errors=11, latency_ms=50), "11 of 1000 calls fail"),
        (judging.Measured(calls=1000, errors=0, latency_ms=201), "answers are late: 201 ms"),
        (judging.Measured(calls=3, errors=3, latency_ms=50), "3 of 3 calls fail"),
    ],
)
def test_errors_and_late_answers_fail_it_however_few_calls_there_are(measured: Any, reason: str) -> None:
    found, told = verdict(measured)
    assert found == "fail"
    assert told.startswith(reason)


@pytest.mark.lens("F8-05", "F12-11")
def test_callers_whom_no_version_understands_are_not_held_against_a_candidate() -> None:
    bad_callers = judging.Measured(calls=1000, errors=50, latency_ms=50)
    assert verdict(judging.Measured(calls=1000, errors=60, latency_ms=50), beside=bad_callers)[0] == "pass"
    found, told = verdict(judging.Measured(calls=1000, errors=61, latency_ms=50), beside=bad_callers)
    assert (found, told) == (
        "fail",
        "61 of 1000 calls fail; 1 % may beside the 5.0 % of the live version",
    )


def test_errors_without_calls_are_errors_all_the_same() -> None:
    assert verdict(judging.Measured(calls=0, errors=1, latency_ms=0))[0] == "fail"


@pytest.mark.lens("F8-05")
def test_a_slowdown_that_was_forbidden_fails_it_though_the_promise_is_kept() -> None:
    slower = judging.Measured(calls=1000, errors=0, latency_ms=151)
    assert verdict(slower)[0] == "pass"
    found, told = verdict(slower, limits=replace(KEEPS, slowdown=3.0))
    assert found == "fail"
    assert (
        told
        == "answers are late: 151 ms for 99 of 100, and 50 ms of the live version; 3 times as long may be"
    )
    nobody = judging.Measured(calls=0, errors=0, latency_ms=0)
    assert verdict(slower, limits=replace(KEEPS, slowdown=3.0), beside=nobody)[0] == "pass"


@pytest.mark.parametrize(
    ("microseconds", "milliseconds"),
    [([], 0.0), ([9_000], 9.0), ([9_000, 1_000], 1.0), ([1_000, 9_000, 8_000], 8.0)],
)
def test_one_late_minute_among_several_is_a_cold_start(
    microseconds: list[float], milliseconds: float
) -> None:
    assert judging.Measured.by_minute([1], [], microseconds).latency_ms == milliseconds


def test_what_is_promised_is_allowed() -> None:
    assert verdict(judging.Measured(calls=1000, errors=10, latency_ms=200))[0] == "pass"


@pytest.mark.lens("F8-05", "CHG-15")
def test_worse_outcomes_fail_it_and_chance_does_not() -> None:
    live = judging.Outcomes(1000, 900.0)
    assert verdict(candidate=judging.Outcomes(100, 60.0), live=live)[0] == "fail"
    assert verdict(candidate=judging.Outcomes(100, 88.0), live=live)[0] == "pass"


@pytest.mark.parametrize(
    ("measured", "candidate", "reason"),
    [
        (judging.Measured(calls=99, errors=0, latency_ms=50), GOOD, "99 calls are too few"),
        (HEALTHY, judging.Outcomes(49, 49.0), "49 outcomes are too few"),
    ],
)
def test_too_little_evidence_is_waited_for(measured: Any, candidate: Any, reason: str) -> None:
    found, told = verdict(measured, candidate)
    assert found == "wait"
    assert told.startswith(reason)


counts = st.integers(0, 10**6)
variants = st.builds(judging.Measured, calls=counts, errors=counts, latency_ms=st.floats(0, 10**5))
outcomes = counts.flatmap(
    lambda count: st.builds(judging.Outcomes, st.just(count), st.floats(0, count, allow_nan=False))
)


@given(variants, variants, outcomes, outcomes)
def test_every_verdict_but_pass_has_its_reason(measured: Any, beside: Any, candidate: Any, live: Any) -> None:
    found, told = verdict(measured, candidate, live, beside=beside)
    assert found in ("pass", "wait", "fail")
    assert bool(told) == (found != "pass")


@given(variants, outcomes, outcomes)
def test_nothing_passes_without_its_evidence(measured: Any, candidate: Any, live: Any) -> None:
    if verdict(measured, candidate, live)[0] == "pass":
        assert measured.calls >= KEEPS.least_calls
        assert candidate.count >= KEEPS.least_outcomes
        assert measured.latency_ms <= KEEPS.latency_ms


@given(variants, st.integers(1, 10**6), outcomes, outcomes)
def test_more_errors_never_make_a_bad_candidate_good(
    measured: Any, more: int, candidate: Any, live: Any
) -> None:
    worse = replace(measured, errors=measured.errors + more)
    if verdict(measured, candidate, live)[0] == "fail":
        assert verdict(worse, candidate, live)[0] == "fail"


@given(outcomes)
def test_a_candidate_that_does_as_the_live_version_is_not_worse(same: Any) -> None:
    assert verdict(candidate=same, live=same)[0] != "fail"


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_outcomes_survive_the_state_machine(count: int, right: int) -> None:
    made = judging.Outcomes(count, float(right))
    assert judging.Outcomes.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.since(made) == judging.Outcomes(0, 0.0)


class Cloud:
    """What the function asks, with answers of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stubs = {}
        for name in ("cloudwatch", "dynamodb"):
            client: Any = boto3.client(name, aws_access_key_id="test", aws_secret_access_key="test")
            self.stubs[name] = Stubber(client)
            self.stubs[name].activate()
            monkeypatch.setattr(rollout_judge, f"_{name}", client)

    def measured(self, variant: str, since: datetime, **values: list[float]) -> None:
        """Expect one question about a variant since a minute began."""
        self.stubs["cloudwatch"].add_response(
            "get_metric_data",
            {"MetricDataResults": [{"Id": id, "Values": found} for id, found in values.items()]},
            {"MetricDataQueries": Queries(variant), "StartTime": since, "EndTime": ANY},
        )

    def counted(self, variant: str, *sums: tuple[int, str]) -> None:
        items = [{"n": {"N": str(count)}, "total": {"N": total}} for count, total in sums]
        self.stubs["dynamodb"].add_response(
            "query",
            {"Items": items},
            {
                "TableName": "outcomes",
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": f"summary#churn#{variant}"}},
                "ConsistentRead": True,
            },
        )

    def asked_everything(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


class Queries:
    """Equal to queries about one variant of the endpoint."""

    def __init__(self, variant: str) -> None:
        self.dimensions = {"EndpointName": "churn", "VariantName": variant}

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, list)
        metrics = [each["MetricStat"]["Metric"] for each in other]
        return all(
            {each["Name"]: each["Value"] for each in metric["Dimensions"]} == self.dimensions
            and metric["Namespace"] == "AWS/SageMaker"
            for metric in metrics
        )

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    for name, value in {
        "ERROR_PERCENT": "1",
        "LATENCY_MS": "200",
        "LEAST_CALLS": "100",
        "LEAST_OUTCOMES": "10",
        "OUTCOME_LOSS": "0",
        "OUTCOMES_TABLE": "outcomes",
    }.items():
        monkeypatch.setenv(name, value)
    return Cloud(monkeypatch)


CONTEXT: Any = SimpleNamespace(
    function_name="rollout_judge",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:rollout_judge",
    aws_request_id="request",
)
EVENT = {
    "endpoint": "churn",
    "candidate": "Candidate-1",
    "live": "AllTraffic",
    "since": "2026-11-27T10:00:42.123Z",
    "began": "2026-11-27T09:30:00Z",
    "before": {"count": 100, "total": 50.0},
}
SINCE, BEGAN = datetime(2026, 11, 27, 10, 0, tzinfo=UTC), datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


@pytest.mark.lens("F8-05", "CHG-15")
def test_each_variant_is_measured_for_its_time_and_old_outcomes_do_not_count(cloud: Cloud) -> None:
    cloud.counted("AllTraffic", (60, "35"), (60, "34"))
    cloud.measured(
        "Candidate-1", SINCE, calls=[60.0, 60.0], errors=[0.0], broken=[1.0], late=[50_000.0, 60_000.0]
    )
    cloud.measured("AllTraffic", BEGAN, calls=[900.0], late=[40_000.0])
    cloud.counted("Candidate-1", (10, "9.5"))
    found = rollout_judge.handler(dict(EVENT), CONTEXT)
    cloud.asked_everything()
    # Of the live version, 20 outcomes are new and 19 of them good.
    assert found == {
        "verdict": "pass",
        "reason": "",
        "calls": 120.0,
        "errors": 1.0,
        "latency_ms": 50.0,
        "outcomes": {"count": 10, "total": 9.5},
    }


def test_before_a_rollout_it_only_notes_the_outcomes_so_far(cloud: Cloud) -> None:
    cloud.counted("AllTraffic", (3, "2"), (4, "1.5"))
    found = rollout_judge.handler({**EVENT, "baseline": True}, CONTEXT)
    assert found == {"before": {"count": 7, "total": 3.5}}
    cloud.asked_everything()
