"""Application Auto Scaling in the sandbox: kept and told, and honest about that nothing scales."""

from __future__ import annotations

from typing import Any

import pytest

from ml_lens.rehearsal.inventory import inventory
from ml_lens.rehearsal.sandbox import ACCOUNT, Sandbox
from tests.rehearsal.made_to_measure import Roles, Stack, eventually, refused

pytestmark = pytest.mark.xdist_group("sandbox")

RESOURCE = "endpoint/ours/variant/AllTraffic"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TRACKING = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


def resources() -> dict[str, Any]:
    return {
        "Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {
                "MinCapacity": 1,
                "MaxCapacity": 4,
                "ResourceId": RESOURCE,
                "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/any",
                "ScalableDimension": DIMENSION,
                "ServiceNamespace": "sagemaker",
            },
        },
        "Policy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": "follow",
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "TargetTrackingScalingPolicyConfiguration": TRACKING,
            },
        },
    }


def test_targets_and_policies_of_a_template_are_told(sandbox: Sandbox, stack: Stack) -> None:
    made = stack(resources(), Outputs={"Target": {"Value": {"Ref": "Target"}}})
    assert made["Target"] == f"{RESOURCE}|{DIMENSION}|sagemaker"
    scaling = sandbox.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[RESOURCE])[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=RESOURCE)[
        "ScalingPolicies"
    ]
    assert policy["TargetTrackingScalingPolicyConfiguration"] == TRACKING
    assert ("AWS::ApplicationAutoScaling::ScalableTarget", "Target") in sandbox.declared_only()
    assert ("AWS::ApplicationAutoScaling::ScalableTarget", made["Target"]) in inventory(sandbox)
    sandbox.client("cloudformation").delete_stack(StackName=made["StackName"])
    eventually(lambda: not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"])
    assert made["Target"] not in sandbox.declared_left()


def test_a_role_needs_the_right_and_a_policy_its_target(role: Roles) -> None:
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/b/variant/B",
        "ScalableDimension": DIMENSION,
    }
    register = {**target, "MinCapacity": 1, "MaxCapacity": 2}
    code, message = refused(role().client("application-autoscaling").register_scalable_target, **register)
    assert code == "AccessDeniedException"
    assert "application-autoscaling:RegisterScalableTarget" in message
    able = role({"Action": "application-autoscaling:*", "Resource": "*"}).client("application-autoscaling")
    put = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling", **target}
    assert refused(able.put_scaling_policy, **put)[0] == "ObjectNotFoundException"
    able.register_scalable_target(**register)
    assert able.put_scaling_policy(**put)["PolicyARN"]
    able.deregister_scalable_target(**target)
    assert refused(able.deregister_scalable_target, **target)[0] == "ObjectNotFoundException"
