"""Rollouts for the tests: how they are made, and how their states are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import Duration

from ml_lens.foundation import MlNetwork
from ml_lens.hosting import EndpointNetwork, HostedModel, Probes, Rollout, RolloutChecks, RolloutPlan
from tests.stacks.state_machines import definitions
from tests.unit.serving import SANDBOX, host, template

TEN = Duration.minutes(10)
CANARY = RolloutPlan.canary(percent=10, wait=TEN, bake=TEN)
CHECKS = RolloutChecks(latency_slo=Duration.millis(200))
PROBE = '{"body": {"instances": [{"tenure_months": 3}]}, "expected": [1]}\n'


def network(stack: cdk.Stack) -> MlNetwork:
    found = stack.node.try_find_child("Network")
    return found if isinstance(found, MlNetwork) else MlNetwork(stack, "Network", posture=SANDBOX)


def served(stack: cdk.Stack, **props: Any) -> HostedModel:
    return host(stack, **{"network": EndpointNetwork.within(network(stack)), "posture": SANDBOX, **props})


def file_of_probes(folder: Path, text: str = PROBE) -> Path:
    file = folder / "probes.jsonl"
    file.write_text(text, encoding="utf-8")
    return file


def rollout(stack: cdk.Stack, folder: Path, **props: Any) -> Rollout:
    props = {"posture": SANDBOX, "plan": CANARY, "checks": CHECKS, "network": network(stack), **props}
    if "probes" not in props:
        props["probes"] = Probes.from_file(file_of_probes(folder))
    if "model" not in props:
        props["model"] = served(stack)
    return Rollout(stack, "Release", **props)


def states(stack: cdk.Stack) -> dict[str, Mapping[str, Any]]:
    (found,) = definitions(template(stack).body).values()
    return dict(json.loads(found)["States"])


def after(state: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the states that may follow."""
    if "Next" in state:
        yield state["Next"]
    if "Default" in state:
        yield state["Default"]
    yield from (each["Next"] for each in (*state.get("Choices", ()), *state.get("Catch", ())))


def reachable(
    found: Mapping[str, Mapping[str, Any]], start: str, but_for: set[str] = frozenset()
) -> set[str]:  # type: ignore[assignment]
    """Return the states that can be reached from ``start`` without going on from any of ``but_for``."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            if name not in but_for:
                waiting.extend(after(found[name]))
    return seen
