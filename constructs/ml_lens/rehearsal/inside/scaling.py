"""Application Auto Scaling: what may scale and by which rules is kept and told; nothing scales here."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

_KEY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_LISTS = {
    "DescribeScalableTargets": "ScalableTargets",
    "DescribeScalingPolicies": "ScalingPolicies",
    "DescribeScheduledActions": "ScheduledActions",
    "DescribeScalingActivities": "ScalingActivities",
}

Target = tuple[str, str, str]


class ScalingFault(Exception):  # noqa: N818 - as the services call it
    """A request is refused as the service refuses it."""

    def __init__(self, code: str, message: str) -> None:
        """Refuse with ``code``."""
        super().__init__(message)
        self.code = code
        self.message = message


class Scaling:
    """The service, as far as its users can see without anything ever scaling."""

    def __init__(self, place: Callable[[], tuple[str, str]]) -> None:
        """Keep everything; ``place`` gives the account and the region of the request under way."""
        self._place = place
        self._lock = threading.Lock()
        self._targets: dict[Target, dict[str, Any]] = {}
        self._policies: dict[tuple[Target, str], dict[str, Any]] = {}

    def answer(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request.

        Raises:
            ScalingFault: The request is refused.
        """
        with self._lock:
            if operation in _LISTS:
                return self._described(operation, asked)
            match operation:
                case "RegisterScalableTarget":
                    return self._register(asked)
                case "DeregisterScalableTarget":
                    return self._deregister(asked)
                case "PutScalingPolicy":
                    return self._put(asked)
                case "DeleteScalingPolicy":
                    return self._delete(asked)
                case "ListTagsForResource":
                    return {"Tags": {}}
        raise ScalingFault("ValidationException", f"{operation} is not a part of the sandbox")

    def _described(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        if not asked.get("ServiceNamespace"):
            raise ScalingFault("ValidationException", "ServiceNamespace is required")
        kept: list[dict[str, Any]] = []
        if operation == "DescribeScalableTargets":
            kept = list(self._targets.values())
        elif operation == "DescribeScalingPolicies":
            kept = list(self._policies.values())
        named = [each for name in ("ResourceIds", "PolicyNames") for each in asked.get(name) or []]
        found = [
            each
            for each in kept
            if all(each[name] == asked[name] for name in _KEY if asked.get(name))
            and (not named or each["ResourceId"] in named or each.get("PolicyName") in named)
        ]
        return {_LISTS[operation]: found}

    def _register(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        known = _target(asked)
        account, region = self._place()
        before = self._targets.get(known)
        if before is None and not {"MinCapacity", "MaxCapacity"} <= asked.keys():
            raise ScalingFault(
                "ValidationException", "MinCapacity and MaxCapacity are required for a new scalable target"
            )
        made = {
            "CreationTime": time.time(),
            "ScalableTargetARN": f"arn:aws:application-autoscaling:{region}:{account}:scalable-target/"
            f"{uuid.uuid4().hex[:34]}",
            "RoleARN": f"arn:aws:iam::{account}:role/aws-service-role/{_role(known[0])}",
            "SuspendedState": {
                "DynamicScalingInSuspended": False,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
            **(before or {}),
            **{key: value for key, value in asked.items() if key != "Tags"},
        }
        if int(made["MinCapacity"]) > int(made["MaxCapacity"]):
            raise ScalingFault("ValidationException", "MinCapacity cannot be greater than MaxCapacity")
        self._targets[known] = made
        return {"ScalableTargetARN": made["ScalableTargetARN"]}

    def _deregister(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        known = self._known(asked)
        del self._targets[known]
        for policy in [each for each in self._policies if each[0] == known]:
            del self._policies[policy]
        return {}

    def _put(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        known, name = self._known(asked), str(asked.get("PolicyName", ""))
        account, region = self._place()
        before = self._policies.get((known, name), {})
        made = {
            "PolicyType": "StepScaling",
            "CreationTime": time.time(),
            "Alarms": [],
            "PolicyARN": f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:{uuid.uuid4()}:"
            f"resource/{known[0]}/{known[1]}:policyName/{name}",
            **before,
            **asked,
        }
        self._policies[(known, name)] = made
        return {"PolicyARN": made["PolicyARN"], "Alarms": []}

    def _delete(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if self._policies.pop((_target(asked), str(asked.get("PolicyName", ""))), None) is None:
            raise ScalingFault(
                "ObjectNotFoundException", f"No scaling policy found: {asked.get('PolicyName')}"
            )
        return {}

    def _known(self, asked: Mapping[str, Any]) -> Target:
        known = _target(asked)
        if known not in self._targets:
            raise ScalingFault(
                "ObjectNotFoundException",
                f"No scalable target registered for service namespace: {known[0]}, "
                f"resource ID: {known[1]}, scalable dimension: {known[2]}",
            )
        return known


def _target(asked: Mapping[str, Any]) -> Target:
    namespace, resource, dimension = (str(asked.get(name) or "") for name in _KEY)
    if not (namespace and resource and dimension):
        raise ScalingFault(
            "ValidationException", "ServiceNamespace, ResourceId and ScalableDimension are required"
        )
    return namespace, resource, dimension


def _role(namespace: str) -> str:
    part = "SageMakerEndpoint" if namespace == "sagemaker" else namespace.title()
    return f"{namespace}.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_{part}"
