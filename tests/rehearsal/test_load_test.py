"""An endpoint under rising load: what it takes is measured, and the test ends where it hurts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from ml_lens.foundation import DerivedDataBucket, MlNetwork, Posture
from ml_lens.hosting import (
    DataCapture,
    EndpointNetwork,
    HostedModel,
    LoadPayloads,
    LoadPlan,
    LoadTest,
)
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.churn_model import churn_model
from tests.churn_request import CUSTOMER
from tests.rehearsal.assemblies import DeployedStack, app_in, deployed

pytestmark = pytest.mark.xdist_group("sandbox")


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStack]:
    app = app_in(tmp_path_factory.mktemp("load"))
    place = cdk.Stack(app, "Load", tags=Posture.sandbox().tags)
    posture = Posture.sandbox()
    results = DerivedDataBucket(place, "Results", posture=posture)
    network = MlNetwork(place, "Network", posture=posture)
    churn = HostedModel(
        place,
        "Churn",
        posture=posture,
        model=churn_model(place, "1.0.0"),
        network=EndpointNetwork.within(network),
        capture=DataCapture(bucket=results),
    )
    plan = LoadPlan(
        start=1, step=2, most=3, seconds=1, warm_up_seconds=0, latency_slo=cdk.Duration.seconds(20)
    )
    for name, request in (("Good", {"instances": [CUSTOMER]}), ("Bad", {"instances": []})):
        made = LoadTest(
            place,
            name,
            posture=posture,
            model=churn,
            network=network,
            payloads=LoadPayloads.from_file(_file(tmp_path_factory.mktemp(name), request)),
            plan=plan,
            results=results,
            stop_on=churn.alarms[:2],
        )
        cdk.CfnOutput(place, f"Out{name}", value=made.state_machine_arn).override_logical_id(name)
    cdk.CfnOutput(place, "OutAlarm", value=churn.alarms[0].alarm_name).override_logical_id("Alarm")
    cdk.CfnOutput(place, "OutResults", value=results.bucket.bucket_name).override_logical_id("Results")
    with deployed(sandbox, app, "Load") as there:
        yield there


def _file(folder: Path, request: dict[str, Any]) -> Path:
    file = folder / "calls.jsonl"
    file.write_text(json.dumps(request) + "\n")
    return file


def report_of(stack: DeployedStack, done: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return both forms of a report."""
    bucket, _, key = done["report"].removeprefix("s3://").partition("/")
    assert bucket == stack.outputs["Results"]
    s3 = stack.sandbox.client("s3")
    found, text = (
        s3.get_object(Bucket=bucket, Key=each)["Body"].read() for each in (key, key.replace(".json", ".md"))
    )
    return json.loads(found), text.decode()


@pytest.mark.lens("SCL-02", "SCL-03", "SCL-11")
def test_the_load_rises_and_the_report_says_what_one_instance_takes(stack: DeployedStack) -> None:
    done = stack.output(stack.runs(stack.outputs["Good"]))
    report, text = report_of(stack, done)
    assert [level["concurrency"] for level in report["levels"]] == [1, 3]
    for level in report["levels"]:
        assert level["instances"] == 1
        assert level["failed"] == 0
        assert level["calls"] > 5
        assert 0 < level["p50_ms"] <= level["p90_ms"] <= level["p99_ms"]
    assert done["suggested_calls_per_minute"] == int(30 * max(level["rate"] for level in report["levels"]))
    assert (done["knee"], done["stopped"]) == (None, "")
    assert f"`Instances(calls_per_minute={done['suggested_calls_per_minute']})`" in text


@pytest.mark.lens("SCL-03")
def test_too_many_failures_end_the_test_at_their_level(stack: DeployedStack) -> None:
    done = stack.output(stack.runs(stack.outputs["Bad"]))
    report, _ = report_of(stack, done)
    (level,) = report["levels"]
    assert level["failures"] == {"refused": level["calls"]}
    assert done["stopped"] == "100 % failed"
    assert done["suggested_calls_per_minute"] is None


@pytest.mark.lens("SCL-03")
def test_an_alarm_of_the_endpoint_ends_the_test(stack: DeployedStack) -> None:
    cloudwatch = stack.sandbox.client("cloudwatch")
    name = stack.outputs["Alarm"]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    try:
        done = stack.output(stack.runs(stack.outputs["Good"]))
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    assert done["stopped"] == f"the alarm went off: {name}"
    assert report_of(stack, done)[0]["levels"] == []
