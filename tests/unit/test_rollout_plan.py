"""How a rollout goes about it: what can be said, and what makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from hypothesis import given
from hypothesis import strategies as st

from ml_lens.foundation import PropError
from ml_lens.hosting import Probes, RolloutChecks, RolloutPlan
from tests.stacks.synthesis import new_app
from tests.unit.rollouts import PROBE, TEN, file_of_probes, rollout, states
from tests.unit.serving import template

HOUR = Duration.hours(1)


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path / "out"), "Serving")


@pytest.mark.lens("F10-01", "F10-03", "F8-07", "CHG-06")
@pytest.mark.parametrize(
    ("plan", "steps"),
    [
        (RolloutPlan.canary(percent=5, wait=TEN, bake=HOUR), [(5, 600), (100, 3600)]),
        (
            RolloutPlan.linear(step=30, interval=TEN, bake=HOUR),
            [(30, 600), (60, 600), (90, 600), (100, 3600)],
        ),
        (RolloutPlan.linear(step=50, interval=TEN, bake=HOUR), [(50, 600), (100, 3600)]),
        (RolloutPlan.blue_green(bake=HOUR), [(100, 3600)]),
    ],
)
def test_a_plan_is_steps_of_shares_that_are_watched(
    stack: cdk.Stack, tmp_path: Path, plan: RolloutPlan, steps: list[tuple[int, int]]
) -> None:
    rollout(stack, tmp_path, plan=plan)
    found = states(stack)
    assert found["Look at what is live"]["Assign"]["steps"] == [
        {"percent": percent, "seconds": seconds} for percent, seconds in steps
    ]
    assert found["Watch"]["Seconds"] == "{% $steps[$step].seconds %}"


@given(st.integers(5, 50))
def test_a_linear_plan_grows_to_everything_and_bakes_there(step: int) -> None:
    shares = [share for share, _ in RolloutPlan.linear(step=step, interval=TEN, bake=HOUR).steps]
    assert shares == sorted(set(shares))
    assert shares[-1] == 100
    assert all(0 < later - earlier <= step for earlier, later in zip([0, *shares], shares, strict=False))


TOKEN = Duration.minutes(cdk.Token.as_number({"Ref": "Wait"}))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (
            lambda: RolloutPlan.canary(percent=60, wait=TEN, bake=TEN),
            "60 is out of range; allowed are 1 to 50",
        ),
        (lambda: RolloutPlan.canary(percent=0, wait=TEN, bake=TEN), "0 is out of range"),
        (lambda: RolloutPlan.canary(percent=10, wait=Duration.seconds(179), bake=TEN), "179 is out of range"),
        (lambda: RolloutPlan.canary(percent=10, wait=TOKEN, bake=TEN), "is a token"),
        (lambda: RolloutPlan.linear(step=4, interval=TEN, bake=TEN), "step: 4 is out of range"),
        (lambda: RolloutPlan.linear(step=51, interval=TEN, bake=TEN), "step: 51 is out of range"),
        (lambda: RolloutPlan.blue_green(bake=Duration.hours(25)), "90000 is out of range"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(make: Any, word: str) -> None:
    with pytest.raises(PropError) as raised:
        make()
    assert word in str(raised.value)


@pytest.mark.parametrize(
    ("checks", "problem"),
    [
        ({"error_percent": 51}, "checks.error_percent"),
        ({"least_accuracy": 1.1}, "checks.least_accuracy"),
        ({"accuracy_loss": -0.1}, "checks.accuracy_loss"),
        ({"least_calls": 0}, "checks.least_calls"),
        ({"least_outcomes": 1}, "checks.least_outcomes"),
        ({"outcome_loss": 2}, "checks.outcome_loss"),
        ({"slowdown": 0.5}, "checks.slowdown"),
        ({"latency_slo": Duration.minutes(2)}, "checks.latency_slo"),
        ({"latency_slo": Duration.millis(0)}, "checks.latency_slo"),
        ({"latency_slo": TOKEN}, "checks.latency_slo"),
    ],
)
def test_checks_that_say_nothing_are_refused(
    stack: cdk.Stack, tmp_path: Path, checks: dict[str, Any], problem: str
) -> None:
    with pytest.raises(PropError) as raised:
        rollout(stack, tmp_path, checks=RolloutChecks(**{"latency_slo": Duration.millis(200), **checks}))
    (said,) = raised.value.problems
    assert said.startswith(f"{problem}: ")


@pytest.mark.lens("F8-02")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json\n",
        '{"expected": [1]}\n',
        '{"body": {}}\n',
        '{"body": {}, "expected": []}\n',
        '{"body": {}, "expected": ["yes"]}\n',
        '{"body": {}, "expected": 1}\n',
    ],
)
def test_a_file_without_probes_is_refused_with_its_line(stack: cdk.Stack, tmp_path: Path, text: str) -> None:
    broken = file_of_probes(tmp_path, f"{PROBE}{text}" if text else "")
    with pytest.raises(PropError) as raised:
        rollout(stack, tmp_path, probes=Probes.from_file(broken))
    (said,) = raised.value.problems
    assert said.startswith(f"probes: line {2 if text else 1} of ")


def test_a_file_that_is_not_there_is_refused(stack: cdk.Stack, tmp_path: Path) -> None:
    with pytest.raises(PropError, match="there is no file"):
        rollout(stack, tmp_path, probes=Probes.from_file(tmp_path / "nowhere.jsonl"))


def test_an_object_without_a_key_is_refused(stack: cdk.Stack, tmp_path: Path) -> None:
    with pytest.raises(PropError, match="no key"):
        rollout(stack, tmp_path, probes=Probes.in_bucket(s3.Bucket(stack, "Nowhere"), ""))


def test_probes_in_a_bucket_are_read_and_nothing_beside_them(stack: cdk.Stack, tmp_path: Path) -> None:
    key = kms.Key(stack, "ProbesKey", enable_key_rotation=True)
    bucket = s3.Bucket(stack, "ProbesBucket", encryption_key=key)
    rollout(stack, tmp_path, probes=Probes.in_bucket(bucket, "churn/probes.jsonl"))
    made = template(stack)
    reads = [
        each
        for each in made.statements(made.id("AWS::IAM::Role", "ReleaseProbeRole"))
        if "s3:GetObject" in each.actions
    ]
    assert [each.resources for each in reads] == [
        (f"<{made.id('AWS::S3::Bucket', 'ProbesBucket')}.Arn>/churn/probes.jsonl",)
    ]
    variables = made.one("AWS::Lambda::Function", "ReleaseProbe")["Environment"]["Variables"]
    assert variables["PROBES_KEY"] == "churn/probes.jsonl"
