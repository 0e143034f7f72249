"""Deployment guardrails: in which steps traffic moves to a new fleet, and for how long alarms watch each of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.faults import invalid

Document = Mapping[str, Any]
SCALE_VARIABLE = "ML_LENS_SANDBOX_TIME_SCALE"
SHORTEST_WATCH = 1.5
"""Seconds, however much time is shortened: an alarm needs data before it can go off."""


@dataclass(frozen=True)
class Step:
    """What share of the traffic the new fleet gets, and for how many seconds that is watched."""

    share: float
    seconds: float


def time_scale() -> float:
    """Return how long a second of SageMaker's is in the sandbox: five minutes take a second by default."""
    return float(os.environ.get(SCALE_VARIABLE, 1 / 300))


def alarms_of(deployment: Document | None) -> list[str]:
    """Return the names of the alarms that roll a deployment back."""
    rollback = (deployment or {}).get("AutoRollbackConfiguration") or {}
    return [str(each["AlarmName"]) for each in rollback.get("Alarms") or []]


def steps(deployment: Document | None, instances: int) -> list[Step]:
    """Return the steps of a deployment; without a configuration, all traffic moves at once.

    Args:
        deployment: The ``DeploymentConfig``.
        instances: Number of instances of the smallest variant.
    """
    rolling = (deployment or {}).get("RollingUpdatePolicy")
    if rolling:
        share = _share(rolling["MaximumBatchSize"], instances)
        return _in_equal(share, float(rolling["WaitIntervalInSeconds"]), last=None)
    policy = (deployment or {}).get("BlueGreenUpdatePolicy")
    if not policy:
        return [Step(1, 0)]
    routing = policy["TrafficRoutingConfiguration"]
    wait, last = float(routing["WaitIntervalInSeconds"]), float(policy.get("TerminationWaitInSeconds", 0))
    if routing["Type"] == "CANARY":
        return [Step(_share(routing["CanarySize"], instances), wait), Step(1, last)]
    if routing["Type"] == "LINEAR":
        return _in_equal(_share(routing["LinearStepSize"], instances), wait, last=last)
    return [Step(1, max(wait, last))]


def _in_equal(share: float, wait: float, *, last: float | None) -> list[Step]:
    count = math.ceil(1 / share - 1e-9)
    made = [Step(min(1, share * number), wait) for number in range(1, count + 1)]
    return made if last is None else [*made[:-1], Step(1, wait + last)]


def _share(size: Document, instances: int) -> float:
    value = float(size["Value"])
    return value / 100 if size["Type"] == "CAPACITY_PERCENT" else value / max(instances, 1)


def check(
    deployment: Document | None, live: Sequence[Document], coming: Sequence[Document], instances: int
) -> None:
    """See that SageMaker would take a deployment.

    Args:
        deployment: The ``DeploymentConfig``.
        live: The variants that answer now.
        coming: The variants that are to answer.
        instances: Number of instances of the smallest variant that answers now.

    Raises:
        Fault: It would not.
    """
    if not deployment:
        return
    blue_green, rolling = deployment.get("BlueGreenUpdatePolicy"), deployment.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise invalid("You can specify either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both.")
    routing = (blue_green or {}).get("TrafficRoutingConfiguration") or {}
    for what, size, low, high in (
        ("CanarySize", routing.get("CanarySize") if routing.get("Type") == "CANARY" else None, 0, 50),
        (
            "LinearStepSize",
            routing.get("LinearStepSize") if routing.get("Type") == "LINEAR" else None,
            10,
            50,
        ),
        ("MaximumBatchSize", (rolling or {}).get("MaximumBatchSize"), 5, 50),
    ):
        if size is not None and not low <= 100 * _share(size, instances) <= high:
            raise invalid(
                f"{what} must be between {low}% and {high}% of the variant's total instance count, {instances}."
            )
    if {each["VariantName"] for each in live} != {each["VariantName"] for each in coming}:
        raise invalid(
            "Deployment guardrails need the same variant names in the current and in the new endpoint configuration."
        )
    if rolling and (len(coming) > 1 or any("ServerlessConfig" in each for each in [*live, *coming])):
        raise invalid("A rolling deployment supports neither several variants nor serverless variants.")
