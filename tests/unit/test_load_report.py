"""What workers measured is summed up, judged and reported."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import load_report
import pytest
from botocore.stub import ANY, Stubber
from driving import Measured
from hypothesis import given
from hypothesis import strategies as st
from latencies import Latencies, OtherScaleError, together
from latency_buckets import MOST_MS, RATIO
from levels import level_of
from report_settings import Limits
from report_text import markdown
from verdicts import knee, sustainable

from tests.unit.called import client, context

ENVIRONMENT = {
    "RESULTS_BUCKET": "results",
    "PREFIX": "load-tests/churn/",
    "ENDPOINT_NAME": "churn",
    "SLO_MS": "200",
    "ERROR_BUDGET_PERCENT": "0.1",
    "STOP_PERCENT": "5",
    "HEADROOM_PERCENT": "50",
}
LIMITS = Limits(slo_ms=200, error_budget_percent=0.1, stop_percent=5)
TIMES = st.lists(st.floats(0.1, MOST_MS), min_size=1, max_size=60)


def reported(times: Sequence[float], *, seconds: float = 10, **failures: int) -> dict[str, Any]:
    """What a worker reports that saw answers after these milliseconds, and these failures."""
    measured = Measured(seconds)
    for milliseconds in times:
        measured.add(milliseconds, None)
    for kind, count in failures.items():
        measured.failures[kind] = count
    # As it comes through a state machine.
    found: dict[str, Any] = json.loads(json.dumps(measured.to_json()))
    return found


def level(
    *workers: dict[str, Any], concurrency: int = 4, instances: int = 2, limits: Limits = LIMITS
) -> dict[str, Any]:
    event = {"concurrency": concurrency, "instances": instances, "workers": workers}
    return level_of(event, limits)


def exact(times: Sequence[float], percent: float) -> float:
    return sorted(times)[max(1, math.ceil(len(times) * percent / 100)) - 1]


@pytest.mark.lens("SCL-11")
@given(st.lists(TIMES, min_size=1, max_size=5))
def test_adding_up_workers_is_measuring_together(workers: list[list[float]]) -> None:
    apart = together(reported(times)["latencies"] for times in workers)
    at_once = together([reported([each for times in workers for each in times])["latencies"]])
    assert apart == at_once


@pytest.mark.lens("SCL-11")
@given(TIMES, st.sampled_from([1, 50, 90, 99, 99.9, 100]))
def test_a_percentile_is_wrong_by_one_percent_at_the_most(times: list[float], percent: float) -> None:
    found = together([reported(times)["latencies"]]).percentile(percent)
    assert found is not None
    assert abs(found - exact(times, percent)) <= exact(times, percent) * (RATIO - 1) / 2 * 1.001


@given(st.lists(TIMES, min_size=3, max_size=3))
def test_it_does_not_matter_who_is_added_first(workers: list[list[float]]) -> None:
    one, two, three = (Latencies.of(reported(times)["latencies"]) for times in workers)
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)


def test_without_answers_there_is_no_percentile() -> None:
    assert together([reported([])["latencies"]]).percentile(50) is None


def test_other_buckets_cannot_be_added() -> None:
    with pytest.raises(OtherScaleError):
        together([reported([1])["latencies"], {**reported([1])["latencies"], "ratio": 1.1}])


@pytest.mark.lens("SCL-11")
def test_a_level_tells_rate_percentiles_and_failures() -> None:
    found = level(reported([10] * 50), reported([20] * 48, throttled=1, late=1))
    assert found["rate"] == 9.8
    assert (found["calls"], found["failed"], found["failures"]) == (100, 2, {"late": 1, "throttled": 1})
    assert found["p50_ms"] == pytest.approx(10, rel=0.01)
    assert found["p99_ms"] == pytest.approx(20, rel=0.01)
    assert found["slowest_ms"] == 20


@pytest.mark.parametrize(
    ("times", "failures", "broken", "stop"),
    [
        ([100] * 1000, 0, [], False),
        ([100] * 1000, 1, [], False),
        ([100] * 995, 5, ["errors"], False),
        ([100] * 980 + [300] * 20, 0, ["latency"], False),
        ([300] * 900, 100, ["errors", "latency"], True),
        ([], 10, ["errors", "latency"], True),
        ([], 0, ["errors", "latency"], True),
    ],
)
def test_a_level_breaks_by_errors_or_latency_and_ends_the_test_by_errors(
    times: list[float], failures: int, broken: list[str], stop: bool
) -> None:
    found = level(reported(times, **({"model": failures} if failures else {})))
    assert (found["broken"], found["stop"]) == (broken, stop)
    assert bool(found["why"]) is stop


def test_levels_after_the_knee_do_not_count_even_if_they_hold_again() -> None:
    held = level(reported([10] * 100), concurrency=1)
    broken = level(reported([500] * 100), concurrency=2)
    levels = [held, broken, {**held, "concurrency": 3}]
    assert sustainable(levels) == [held]
    assert knee(levels) == {"concurrency": 2, "rate": 10, "broken": ["latency"]}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    made, stub = client("s3")
    monkeypatch.setattr(load_report, "_connect", lambda: made)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name, kind in (("report.json", "application/json"), ("report.md", "text/markdown; charset=utf-8")):
        stub.add_response(
            "put_object",
            {},
            {"Bucket": "results", "Key": f"load-tests/churn/one/{name}", "Body": ANY, "ContentType": kind},
        )
    return stub


def reports(s3: Stubber, *levels: dict[str, Any], stopped: str = "") -> dict[str, Any]:
    event = {
        "phase": "report",
        "name": "one",
        "run": "arn:run",
        "started": "2026-11-27",
        "levels": levels,
        "stopped": stopped,
    }
    answer = load_report.handler(event, context())
    s3.assert_no_pending_responses()
    return answer


@pytest.mark.lens("SCL-02", "SCL-03")
def test_the_report_says_what_one_instance_takes_and_when_to_add_another(s3: Stubber) -> None:
    found = reports(
        s3,
        level(reported([10] * 100), concurrency=1),
        level(reported([50] * 400), concurrency=2),
        level(reported([500] * 600), concurrency=4),
    )
    assert found["peak"] | {"concurrency": 2, "instances": 2, "rate_per_instance": 20} == found["peak"]
    assert found["knee"] == {"concurrency": 4, "rate": 60, "broken": ["latency"]}
    assert found["suggested_calls_per_minute"] == 600  # 20 a second, half of it
    assert found["report"] == "s3://results/load-tests/churn/one/report.json"


def test_serverless_inference_counts_as_one(s3: Stubber) -> None:
    found = reports(s3, level(reported([10] * 100), instances=0))
    assert found["peak"]["rate_per_instance"] == 10


@pytest.mark.parametrize("levels", [[], [level(reported([500] * 100))]])
def test_where_no_level_holds_nothing_is_suggested(s3: Stubber, levels: list[dict[str, Any]]) -> None:
    found = reports(s3, *levels, stopped="the alarm went off: slow")
    assert found["peak"] is None
    assert found["suggested_calls_per_minute"] is None
    assert found["stopped"] == "the alarm went off: slow"


def test_a_level_is_summed_up_by_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    event = {"phase": "level", "concurrency": 4, "instances": 2, "workers": [reported([10] * 100)]}
    assert load_report.handler(event, context())["rate"] == 10


def report(*levels: dict[str, Any], **changes: Any) -> dict[str, Any]:
    settings = load_report.read_settings(ENVIRONMENT)
    event = {"run": "arn:run", "started": "today", "levels": levels, "stopped": ""}
    return {**load_report.report_of(event, settings), **changes}


def test_people_read_the_same_as_machines() -> None:
    text = markdown(
        report(level(reported([10] * 100), concurrency=1), level(reported([500] * 300), concurrency=2))
    )
    assert "**5 calls a second**" in text
    assert "`Instances(calls_per_minute=150)`" in text
    assert "It breaks with 2 at once: too slow." in text
    assert text.count("\n| 1 |") == text.count("\n| 2 |") == 1


def test_people_learn_that_the_limit_was_not_found_and_why_the_test_ended() -> None:
    assert "It never broke" in markdown(report(level(reported([10] * 100))))
    ended = markdown(report(level(reported([500] * 100)), stopped="12 % failed"))
    assert "No level held" in ended
    assert "ended early: 12 % failed" in ended
    assert "| - |" in markdown(report(level(reported([], model=1))))
