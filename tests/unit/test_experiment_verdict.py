"""When an experiment has a winner, when it goes on, and when a variant is taken out of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import experiment_verdict
import pytest
from experiment_judgement import Rules, Verdict, judge
from spending import Look
from sums import Sums
from variant_health import Minute, Promise, complaint

ENDPOINT = "serving-churn-0123abcd"
DAY = 86_400.0
RULES = Rules(
    variants=("A", "B"),
    minimum_seconds=14 * DAY,
    maximum_seconds=28 * DAY,
    minimum_outcomes=1000,
    significance=0.05,
    looks=5,
    higher_is_better=True,
)
PROMISE = Promise(errors_percent=1, latency_ms=500)


def happened(times: int, of: int) -> Sums:
    return Sums(of, Fraction(times), Fraction(times))


WORSE, BETTER = happened(500, 5000), happened(800, 5000)


def verdict(
    elapsed_days: float,
    first: Sums = WORSE,
    second: Sums = BETTER,
    looks: tuple[Look, ...] = (),
    **changes: Any,
) -> Verdict:
    return judge(replace(RULES, **changes), first, second, looks, elapsed_days * DAY)


@pytest.mark.lens("AB-06")
def test_there_is_no_winner_before_the_minimum_duration_however_clear_it_is() -> None:
    assert verdict(13.99).decision == "wait"
    assert verdict(13.99).looks == ()
    assert (verdict(14).decision, verdict(14).winner) == ("winner", "B")


@pytest.mark.lens("AB-06")
def test_there_is_no_winner_before_each_variant_has_its_outcomes() -> None:
    few = happened(300, 999)
    assert verdict(14, second=few).decision == "wait"
    assert verdict(14, second=few).looks == ()
    assert verdict(14, second=happened(300, 1000)).winner == "B"
    over = verdict(28, second=few)
    assert (over.decision, over.winner) == ("no_difference", "A")
    assert "fewer than 1000 outcomes" in over.reason


@pytest.mark.lens("AB-05")
@pytest.mark.parametrize(("higher", "winner"), [(True, "B"), (False, "A")])
def test_the_rules_say_which_outcomes_are_better(higher: bool, winner: str) -> None:
    assert verdict(14, higher_is_better=higher).winner == winner
    assert verdict(14, first=BETTER, second=WORSE, higher_is_better=higher).winner != winner


@pytest.mark.lens("AB-06")
def test_without_a_difference_the_first_variant_is_kept_at_the_end() -> None:
    nearly = happened(505, 5000)
    looked = verdict(14, second=nearly)
    assert (looked.decision, looked.winner, len(looked.looks)) == ("wait", "", 1)
    over = verdict(28, second=nearly, looks=looked.looks)
    assert (over.decision, over.winner) == ("no_difference", "A")
    assert over.comparison is not None
    assert over.level is not None
    assert over.comparison.p_value > over.level


@pytest.mark.lens("AB-06")
def test_a_difference_is_looked_for_at_the_agreed_times_and_not_in_between() -> None:
    looks: tuple[Look, ...] = ()
    at = []
    for hour in range(28 * 24 + 1):
        of = 2500 + 10 * hour
        found = judge(RULES, happened(of // 10, of), happened(of // 10, of), looks, hour * 3600.0)
        if found.looks != looks:
            at.append(hour / 24)
        looks = found.looks
    assert at == [14, 17.5, 21, 24.5, 28]
    assert found.decision == "no_difference"


def test_a_late_look_is_one_look_and_not_two() -> None:
    first = verdict(18, second=happened(505, 5000))
    assert len(first.looks) == 1
    assert verdict(18.1, looks=first.looks).decision == "wait"


@pytest.mark.lens("AB-06")
def test_an_early_winner_has_to_be_clearer_than_a_late_one() -> None:
    close = happened(570, 5000)
    early, late = verdict(14, second=close), verdict(28, second=close)
    assert early.level is not None
    assert late.level is not None
    assert early.level < 0.005 < late.level
    assert (early.decision, late.decision) == ("wait", "winner")


def test_a_look_at_what_was_known_before_may_spend_what_is_left() -> None:
    close = happened(570, 5000)
    early = verdict(14, second=close)
    again = verdict(28, second=close, looks=early.looks)
    assert (again.decision, len(again.looks)) == ("winner", 1)
    assert again.level == pytest.approx(0.05)


def test_with_one_look_it_is_at_the_end() -> None:
    one = replace(RULES, looks=1)
    assert judge(one, WORSE, BETTER, (), 27.9 * DAY).decision == "wait"
    assert judge(one, WORSE, BETTER, (), 28 * DAY).winner == "B"
    at_once = replace(RULES, maximum_seconds=14 * DAY)
    assert judge(at_once, WORSE, BETTER, (), 14 * DAY).level == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        ([], None),
        ([Minute(1000, 0, 100)] * 5, None),
        ([Minute(1000, 10, 100)] * 5, None),
        ([Minute(1000, 11, 100)] * 5, "55 of 5000 calls failed"),
        ([Minute(4, 4, 100)], None),
        ([Minute(5, 5, 100)], "5 of 5 calls failed"),
        ([Minute(100, 0, 501)] * 2 + [Minute(100, 0, 100)] * 2, None),
        ([Minute(100, 0, 501)] * 3 + [Minute(100, 0, 100)] * 2, "300 of 500 calls fell into minutes"),
        ([Minute(19, 0, 501)], None),
    ],
)
def test_a_variant_is_unhealthy_when_calls_fail_or_are_late(minutes: list[Minute], said: str | None) -> None:
    found = complaint(minutes, PROMISE)
    assert found is None if said is None else found is not None and found.startswith(said)


class Cloud:
    """The table and the metrics, as the function asks for them."""

    def __init__(self) -> None:
        self.sums: dict[str, list[tuple[int, str, str]]] = {"A": [], "B": []}
        self.minutes: dict[str, list[tuple[float, float, float]]] = {"A": [], "B": []}
        self.asked: dict[str, Any] = {}

    def query(self, **request: Any) -> dict[str, Any]:
        assert request["ConsistentRead"]
        variant = request["ExpressionAttributeValues"][":pk"]["S"].removeprefix(f"summary#{ENDPOINT}#")
        return {
            "Items": [
                {"n": {"N": str(n)}, "total": {"N": total}, "squares": {"N": squares}}
                for n, total, squares in self.sums[variant]
            ]
        }

    def get_paginator(self, operation: str) -> Cloud:
        assert operation == "get_metric_data"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.asked = request
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        results = []
        for query in request["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            assert dimensions["EndpointName"] == ENDPOINT
            which = ["Invocations", "Invocation5XXErrors", "ModelLatency"].index(metric["MetricName"])
            told = [minute[which] for minute in self.minutes[dimensions["VariantName"]]]
            stamps = [now - timedelta(minutes=number) for number in range(len(told))]
            results.append({"Id": query["Id"], "Timestamps": stamps, "Values": told})
        return [{"MetricDataResults": results[:3]}, {"MetricDataResults": results[3:]}]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud()
    monkeypatch.setattr(experiment_verdict, "_client", lambda _: made)
    for name, value in {
        "ENDPOINT_NAME": ENDPOINT,
        "OUTCOMES_TABLE": "outcomes",
        "ERRORS_PERCENT": "1",
        "LATENCY_MS": "500",
        "WINDOW_SECONDS": "1200",
        "RULES": json.dumps(
            {
                "variants": ["A", "B"],
                "minimum_seconds": 14 * DAY,
                "maximum_seconds": 28 * DAY,
                "minimum_outcomes": 1000,
                "significance": 0.05,
                "looks": 5,
                "better": "higher",
            }
        ),
    }.items():
        monkeypatch.setenv(name, value)
    return made


def call(**event: Any) -> dict[str, Any]:
    context = SimpleNamespace(
        function_name="experiment_verdict",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:verdict",
        aws_request_id="1",
    )
    answer: dict[str, Any] = experiment_verdict.handler(event, context)  # type: ignore[arg-type]
    # What a state passes on is JSON.
    return dict(json.loads(json.dumps(answer, allow_nan=False)))


def look(state: dict[str, Any], days: float) -> dict[str, Any]:
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    return call(phase="look", state=state, elapsed=days * DAY, since=since)


@pytest.mark.lens("AB-05", "AB-08")
def test_only_outcomes_since_the_beginning_count(cloud: Cloud) -> None:
    cloud.sums = {"A": [(9000, "9000", "9000")], "B": [(9000, "0", "0")]}
    state = call(phase="begin")
    cloud.sums["A"] += [(1000, "50", "50"), (1000, "50", "50")]
    cloud.sums["B"] += [(2000, "200", "200")]
    answer = look(state, 14)
    told = answer["verdict"]
    assert told["outcomes"] == {"A": {"n": 2000, "mean": 0.05}, "B": {"n": 2000, "mean": 0.1}}
    assert (told["decision"], told["winner"], told["test"]) == ("winner", "B", "two proportions")
    assert told["p_value"] < told["level"]
    assert answer["state"]["looks"] == [{"time": 0.5, "information": 1000}]


def test_what_a_look_leaves_is_what_the_next_one_goes_by(cloud: Cloud) -> None:
    cloud.sums = {"A": [(2000, "100", "100")], "B": [(2000, "101", "101")]}
    state = {"baseline": {name: Sums().to_json() for name in "AB"}, "looks": []}
    answer = look(state, 14)
    assert (answer["verdict"]["decision"], answer["verdict"]["looks"]) == ("wait", 1)
    again = look(answer["state"], 14.1)
    assert again["state"] == answer["state"]
    cloud.sums["B"] += [(2000, "101", "101")]
    assert len(look(answer["state"], 17.5)["state"]["looks"]) == 2


@pytest.mark.parametrize(("bad", "winner"), [("A", "B"), ("B", "A")])
def test_a_variant_that_fails_ends_the_experiment_for_the_other(cloud: Cloud, bad: str, winner: str) -> None:
    state = call(phase="begin")
    cloud.minutes = {name: [(100, 0, 1000)] * 3 for name in "AB"}
    assert look(state, 0.1)["verdict"]["decision"] == "wait"
    cloud.minutes[bad] = [(100, 50, 1000)] * 3
    told = look(state, 0.1)["verdict"]
    assert (told["decision"], told["winner"]) == ("unhealthy", winner)
    assert told["reason"] == f"{bad}: 150 of 300 calls failed"


def test_when_both_fail_nobody_wins(cloud: Cloud) -> None:
    state = call(phase="begin")
    # SageMaker counts microseconds.
    cloud.minutes = {name: [(100, 0, 501_000)] * 3 for name in "AB"}
    told = look(state, 0.1)["verdict"]
    assert (told["decision"], told["winner"]) == ("unhealthy", "")


@pytest.mark.lens("AB-07")
def test_after_a_step_only_the_variant_that_gained_is_looked_at(cloud: Cloud) -> None:
    cloud.minutes = {"A": [(100, 100, 1000)], "B": [(100, 0, 1000)]}
    since = datetime.now(UTC).isoformat()
    assert call(phase="step", variant="B", since=since) == {"healthy": True, "reason": ""}
    assert call(phase="step", variant="A", since=since) == {
        "healthy": False,
        "reason": "100 of 100 calls failed",
    }


def test_metrics_are_looked_at_since_the_step_or_for_the_last_minutes(cloud: Cloud) -> None:
    now = datetime.now(UTC)
    call(phase="step", variant="A", since=(now - timedelta(minutes=5)).isoformat())
    assert timedelta(minutes=4) < now - cloud.asked["StartTime"] < timedelta(minutes=7)
    call(phase="step", variant="A", since=(now - timedelta(days=5)).isoformat())
    assert timedelta(minutes=19) < now - cloud.asked["StartTime"] < timedelta(minutes=22)


def test_an_unknown_phase_fails_loudly(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="no phase"):
        call(phase="guess")
