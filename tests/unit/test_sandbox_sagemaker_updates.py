"""How an endpoint of the sandbox moves to another fleet: in which steps, watched by what, without losing a call."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ml_lens.rehearsal.inside.sagemaker import guardrails
from ml_lens.rehearsal.inside.sagemaker.containers import Reply
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.fleets import Fleet, Variant
from ml_lens.rehearsal.inside.sagemaker.guardrails import Step
from ml_lens.rehearsal.inside.sagemaker.traffic import Endpoint, Traffic

ONE = [{"VariantName": "AllTraffic"}]


def blue_green(kind: str, *, wait: int = 600, bake: int = 300, **sizes: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": bake}
    }


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def rolling(size: Mapping[str, Any]) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 180}}


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (None, [Step(1, 0)]),
        (blue_green("ALL_AT_ONCE", wait=0), [Step(1, 300)]),
        (blue_green("CANARY", CanarySize=percent(10)), [Step(0.1, 600), Step(1, 300)]),
        (blue_green("CANARY", CanarySize=instances(1)), [Step(0.25, 600), Step(1, 300)]),
        (blue_green("LINEAR", LinearStepSize=percent(50)), [Step(0.5, 600), Step(1, 900)]),
        (rolling(percent(50)), [Step(0.5, 180), Step(1, 180)]),
    ],
)
def test_traffic_moves_in_the_steps_of_the_deployment(
    deployment: dict[str, Any] | None, expected: list[Step]
) -> None:
    assert guardrails.steps(deployment, 4) == expected


def test_a_third_at_a_time_takes_four_steps_and_ends_with_everything() -> None:
    found = guardrails.steps(blue_green("LINEAR", LinearStepSize=percent(33)), 3)
    assert [each.share for each in found] == pytest.approx([0.33, 0.66, 0.99, 1])


@pytest.mark.parametrize(
    ("deployment", "coming", "said"),
    [
        (blue_green("CANARY", CanarySize=percent(60)), ONE, "CanarySize must be between"),
        (blue_green("CANARY", CanarySize=instances(1)), ONE, "total instance count, 1"),
        (blue_green("LINEAR", LinearStepSize=percent(5)), ONE, "LinearStepSize must be between 10%"),
        (rolling(percent(60)), ONE, "MaximumBatchSize must be between"),
        (blue_green("ALL_AT_ONCE"), [{"VariantName": "Other"}], "same variant names"),
        ({**rolling(percent(10)), **blue_green("ALL_AT_ONCE")}, ONE, "not both"),
        (rolling(percent(10)), [{"VariantName": "AllTraffic", "ServerlessConfig": {}}], "serverless"),
    ],
)
def test_what_sagemaker_does_not_deploy_is_refused(
    deployment: dict[str, Any], coming: Sequence[dict[str, Any]], said: str
) -> None:
    with pytest.raises(Fault, match=said):
        guardrails.check(deployment, ONE, coming, 1)


def test_a_deployment_within_the_limits_is_taken() -> None:
    guardrails.check(blue_green("CANARY", CanarySize=instances(1)), ONE, ONE, 2)
    guardrails.check(None, ONE, [{"VariantName": "Other"}], 1)


class Slow:
    """A container that takes its time, and knows whether it was ended too early."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.ended = False
        self.cut_off = 0

    def wait(self) -> None:
        """Be ready."""

    def ask(
        self, body: bytes, content_type: str, accept: str, *, attributes: str = "", target: str = ""
    ) -> Reply:
        time.sleep(self.seconds)
        self.cut_off += self.ended
        return Reply(200, body, content_type)

    def stop(self) -> None:
        self.ended = True


def fleet(*containers: Slow, name: str = "config", **variant: Any) -> Fleet:
    made = Fleet(name)
    settings = {"weight": 1.0, "count": 1, "model": "m", "role": "r", **variant}
    made.production["AllTraffic"] = Variant(name="AllTraffic", containers=containers, **settings)
    return made


def test_a_fleet_ends_only_after_the_calls_under_way() -> None:
    container = Slow(0.05)
    old, new = fleet(container), fleet(Slow(), name="new")
    endpoint = Endpoint("churn", "arn", traffic=Traffic(old))
    seen: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            with endpoint.answering() as answering:
                assert answering is not None
                answering.choose().ask(b"", "", "", attributes="", target="")
                seen.append(answering.config)

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for each in callers:
        each.start()
    time.sleep(0.1)
    endpoint.traffic = Traffic(new)
    old.stop()
    time.sleep(0.05)
    over.set()
    for each in callers:
        each.join()
    assert container.ended
    assert container.cut_off == 0
    assert {*seen} == {"config", "new"}


def test_the_share_of_the_new_fleet_is_the_share_of_its_calls() -> None:
    traffic = Traffic(fleet(), fleet(name="new"), 0.2)
    chosen = [traffic.choose() for _ in range(5000)]
    share = sum(each is not None and each.config == "new" for each in chosen) / len(chosen)
    assert share == pytest.approx(0.2, abs=0.04)


def test_nobody_answers_for_an_endpoint_that_is_gone() -> None:
    with Endpoint("churn", "arn").answering() as answering:
        assert answering is None


def test_a_serverless_variant_refuses_what_it_cannot_take() -> None:
    serverless = {"ServerlessConfig": {"MaxConcurrency": 1, "MemorySizeInMB": 1024}}
    variant = fleet(Slow(0.2), spec=serverless).production["AllTraffic"]
    busy = threading.Thread(target=variant.ask, args=(b"", "", ""), kwargs={"attributes": "", "target": ""})
    busy.start()
    time.sleep(0.05)
    with pytest.raises(Fault, match="Rate exceeded"):
        variant.ask(b"", "", "", attributes="", target="")
    busy.join()
    assert variant.ask(b"", "", "", attributes="", target="").status == 200
