"""Instances that come and go with the load."""

from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.hosting.capacity import Instances, Sizing


def scale_by_calls(
    scope: Construct, endpoint: sagemaker.CfnEndpoint, variant: str, capacity: Instances, sizing: Sizing
) -> None:
    """Hold the calls a minute to one instance of ``variant`` at the target of ``capacity``.

    There is no role: Application Auto Scaling uses its service-linked one, which AWS makes with the first target.

    Args:
        scope: Where target and policy belong.
        endpoint: The endpoint.
        variant: Name of the variant that is scaled.
        capacity: The target, and the cooldowns.
        sizing: Between how many instances. Nothing scales where both are the same.
    """
    if not sizing.scales:
        return
    target = scaling.CfnScalableTarget(
        scope,
        "Scaling",
        service_namespace="sagemaker",
        scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        resource_id=f"endpoint/{endpoint.attr_endpoint_name}/variant/{variant}",
        min_capacity=sizing.least,
        max_capacity=sizing.most,
    )
    tracking = scaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
        target_value=capacity.calls_per_minute,
        scale_in_cooldown=int(capacity.scale_in_cooldown.to_seconds()),
        scale_out_cooldown=int(capacity.scale_out_cooldown.to_seconds()),
        predefined_metric_specification=scaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
            predefined_metric_type="SageMakerVariantInvocationsPerInstance"
        ),
    )
    scaling.CfnScalingPolicy(
        scope,
        "CallsPerInstance",
        policy_name="calls-per-instance",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.ref,
        target_tracking_scaling_policy_configuration=tracking,
    )
