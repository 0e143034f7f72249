"""Rules on the metric by which an endpoint scales."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.endpoints import SCALING_POLICY, is_of_sagemaker, policies_of, target_of
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.verdicts import Verdict, must_equal, must_exist, must_satisfy, passes

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

TRACKING: Final = "TargetTrackingScaling"
FITTING_METRICS: Final = (
    "SageMakerVariantInvocationsPerInstance",
    "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    "SageMakerVariantProvisionedConcurrencyUtilization",
    "SageMakerInferenceComponentInvocationsPerCopy",
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
)


@rule(
    "PER02-ScalingMetricFit",
    number=58,
    weight=WARNING,
    on=SCALING_POLICY,
    title="Endpoints scale by the load they carry.",
    why="A target for requests or concurrency keeps latency predictable; cooldowns keep the capacity from swinging.",
    fix=(
        "Use target tracking on SageMakerVariantInvocationsPerInstance, a concurrency metric or a metric of yours, "
        "with a TargetValue above 0, ScaleInCooldown and ScaleOutCooldown."
    ),
    cloudformation="""
Type: AWS::ApplicationAutoScaling::ScalingPolicy
Properties:
  PolicyName: requests-per-instance
  PolicyType: TargetTrackingScaling
  ScalingTargetId: !Ref ScalableTarget
  TargetTrackingScalingPolicyConfiguration:
    TargetValue: 500
    ScaleInCooldown: 600
    ScaleOutCooldown: 60
    PredefinedMetricSpecification:
      PredefinedMetricType: SageMakerVariantInvocationsPerInstance
""",
    lens2020=("MLPER 02", "MLCOST 04"),
    lens2025="MLREL05-BP01",
    settled=(
        "The invocations of each copy of an inference component count as those of each instance do.",
        "A custom metric has to be given in full: its name and namespace, or the metrics it is calculated from.",
        "A step policy beside one that tracks a target is left alone: an empty asynchronous endpoint needs one.",
    ),
)
def policy_follows_the_load(policy: Node) -> Iterator[Verdict]:
    """Demand target tracking on a fitting metric, with cooldowns."""
    if not is_of_sagemaker(policy) or _is_beside_tracking(policy):
        return
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    yield must_equal(policy["PolicyType"], TRACKING)
    if policy["PolicyType"].is_literal and policy["PolicyType"].literal != TRACKING:
        return
    yield _must_fit(tracking)
    yield must_exist(tracking["ScaleInCooldown"])
    yield must_exist(tracking["ScaleOutCooldown"])
    yield _must_be_positive(tracking["TargetValue"])


def _must_fit(tracking: Value) -> Verdict:
    custom = tracking["CustomizedMetricSpecification"]
    if not custom:
        return must_satisfy(
            tracking["PredefinedMetricSpecification"]["PredefinedMetricType"],
            lambda found: found in FITTING_METRICS,
            "must be a metric of requests or concurrency, such as SageMakerVariantInvocationsPerInstance",
        )
    if custom["Metrics"]:
        return passes(custom.node)
    missing = [name for name in ("MetricName", "Namespace") if not custom[name]]
    return must_exist(custom[missing[0]]) if missing else passes(custom.node)


def _must_be_positive(value: Value) -> Verdict:
    if value.bounds[0] > 0:
        return passes(value.node)
    return must_satisfy(value, lambda _: False, "must be above 0")


def _is_beside_tracking(policy: Node) -> bool:
    target = target_of(policy)
    if target is None or policy["PolicyType"].literal != "StepScaling":
        return False
    return any(other["PolicyType"].literal == TRACKING for other in policies_of(target))


RULES = (policy_follows_the_load,)
