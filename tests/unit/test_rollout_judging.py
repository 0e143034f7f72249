"""Whether a candidate may have more traffic, and whether it passes the probes."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

LAMBDA = Path(__file__).parents[2] / "lambda"


def load(function: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{function}.{name}", LAMBDA / function / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


judging = load("rollout_judge", "judging")
probing = load("rollout_probe", "probing")

KEEPS = judging.Limits(error_percent=1, latency_ms=200, least_calls=100, least_outcomes=50, outcome_loss=0.0)
HEALTHY = judging.Measured(calls=1000, errors=0, latency_ms=50)
GOOD = judging.Outcomes(100, 90.0)


def verdict(
    measured: Any = HEALTHY, candidate: Any = GOOD, live: Any = GOOD, limits: Any = KEEPS
) -> tuple[str, str]:
    judged = judging.judge(measured, candidate, live, limits)
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


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_outcomes_survive_the_state_machine(count: int, right: int) -> None:
    made = judging.Outcomes(count, float(right))
    assert judging.Outcomes.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.since(made) == judging.Outcomes(0, 0.0)


LIMITS = probing.Limits(latency_ms=200, least_accuracy=0.5, accuracy_loss=0.05)
PROBE = probing.Probe(body={"instances": [{}, {}]}, expected=[1, 0])


def answer(*chances: float, seconds: float = 0.01, failure: str = "") -> Any:
    said = {"predictions": [{"probability": chance} for chance in chances]}
    return probing.Answer(probe=PROBE, seconds=seconds, said=said, failure=failure)


RIGHT, HALF, WRONG = answer(0.9, 0.1), answer(0.9, 0.9), answer(0.1, 0.9)


@pytest.mark.lens("F8-03", "F8-04")
@pytest.mark.parametrize(
    ("tested", "live", "reason"),
    [
        ([RIGHT, answer(0.9, 0.1, failure="no")], [], "1 of 2 probes fail: no"),
        ([answer(0.9, 0.1, seconds=0.3)], [], "answers are late: 300 ms"),
        ([WRONG], [], "accuracy is 0.000, at least 0.500"),
        ([HALF], [RIGHT], "accuracy is 0.500, and that of the live version 1.000"),
        ([answer(0.9)], [], "probes fail: 1 predictions for 2 instances"),
        (
            [probing.Answer(probe=PROBE, seconds=0, said={"score": 1})],
            [],
            "probes fail: the answer has no predictions",
        ),
    ],
)
def test_a_version_that_is_worse_fails_the_probes_with_the_reason(
    tested: Any, live: Any, reason: str
) -> None:
    found = probing.verdict(tested, live, LIMITS)
    assert not found.passed
    assert found.reason.startswith(reason)


def test_a_version_that_is_as_good_passes_even_where_the_live_one_fails() -> None:
    assert probing.verdict([RIGHT], [RIGHT], LIMITS).passed
    assert probing.verdict([HALF], [answer(0.9, 0.1, failure="gone")], LIMITS).passed


@pytest.mark.parametrize("text", ["", "{}", '{"body": {}, "expected": ["one"]}', "not json"])
def test_a_file_that_holds_no_probes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="probes"):
        probing.read_probes(text)
