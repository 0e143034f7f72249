"""Application Auto Scaling as a service of the gateway, and its types for CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions, responses, router
from ministack.services.cloudformation import provisioners

from ml_lens.rehearsal.inside.declared import DeclaredResources
from ml_lens.rehearsal.inside.ministack_adapter.gateway import around
from ml_lens.rehearsal.inside.permissions import Proceed, Request, Response
from ml_lens.rehearsal.inside.scaling import Scaling, ScalingFault

_NAME = "application-autoscaling"
_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
_POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"
_IN_TEMPLATE = {
    "TargetTrackingScalingPolicyConfiguration": "TargetTrackingScalingPolicyConfiguration",
    "StepScalingPolicyConfiguration": "StepScalingPolicyConfiguration",
    "PolicyName": "PolicyName",
    "PolicyType": "PolicyType",
}


def serve_scaling(scaling: Scaling) -> None:
    """Make Application Auto Scaling a service of the gateway, with its permissions enforced like any other's."""
    router.SERVICE_PATTERNS[_NAME] = {
        "target_prefixes": ["AnyScaleFrontendService."],
        "credential_scope": _NAME,
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[_NAME] = _NAME
    original = iam_actions.extract_resource_arn

    def resource_arn(service: str, *rest: Any) -> str:
        if service == _NAME:
            place = f"{responses.get_region()}:{responses.get_account_id()}"
            return f"arn:aws:{_NAME}:{place}:scalable-target/*"
        return str(original(service, *rest))

    iam_actions.extract_resource_arn = resource_arn

    async def answer(request: Request, _proceed: Proceed) -> Response:
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            document = scaling.answer(request.operation, json.loads(request.body or b"{}"))
        except ScalingFault as fault:
            return 400, headers, json.dumps({"__type": fault.code, "Message": fault.message}).encode()
        return 200, headers, json.dumps(document).encode()

    around(_NAME, answer)


def provision_scaling(scaling: Scaling, declared: DeclaredResources) -> None:
    """Provision scalable targets and policies; each is reported as declared, as nothing scales here."""
    _provision_targets(scaling, declared)
    _provision_policies(scaling, declared)


def _provision_targets(scaling: Scaling, declared: DeclaredResources) -> None:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        scaling.answer("RegisterScalableTarget", _numbers(properties))
        return declared.create(_TARGET, logical_id, properties, stack)

    def delete(reference: str, properties: Mapping[str, Any]) -> None:
        _leave(scaling, "DeregisterScalableTarget", properties)
        declared.delete(reference)

    def update(reference: str, old: Mapping[str, Any], new: Mapping[str, Any], _stack: str) -> Any:
        scaling.answer("RegisterScalableTarget", _numbers(new))
        return reference, {}

    provisioners._RESOURCE_HANDLERS[_TARGET] = {"create": create, "delete": delete, "update": update}


def _provision_policies(scaling: Scaling, declared: DeclaredResources) -> None:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        made = scaling.answer("PutScalingPolicy", _policy(properties))
        reference, attributes = declared.create(_POLICY, logical_id, {**properties, **made}, stack)
        return reference, attributes

    def delete(reference: str, properties: Mapping[str, Any]) -> None:
        _leave(scaling, "DeleteScalingPolicy", _policy(properties))
        declared.delete(reference)

    def update(reference: str, old: Mapping[str, Any], new: Mapping[str, Any], _stack: str) -> Any:
        if _policy(old)["PolicyName"] != _policy(new)["PolicyName"]:
            _leave(scaling, "DeleteScalingPolicy", _policy(old))
        scaling.answer("PutScalingPolicy", _policy(new))
        return reference, {"Arn": reference}

    provisioners._RESOURCE_HANDLERS[_POLICY] = {"create": create, "delete": delete, "update": update}


def _leave(scaling: Scaling, operation: str, properties: Mapping[str, Any]) -> None:
    try:
        scaling.answer(operation, properties)
    except ScalingFault as fault:
        if fault.code != "ObjectNotFoundException":
            raise


def _numbers(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: int(value) if key in ("MinCapacity", "MaxCapacity") else value
        for key, value in properties.items()
    }


def _policy(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy of a template as the API wants it; ``ScalingTargetId`` names all three of its target."""
    made = {name: properties[key] for key, name in _IN_TEMPLATE.items() if key in properties}
    if "ScalingTargetId" in properties:
        resource, dimension, namespace = str(properties["ScalingTargetId"]).split("|")
        return {
            **made,
            "ResourceId": resource,
            "ScalableDimension": dimension,
            "ServiceNamespace": namespace,
        }
    return {
        **made,
        **{key: properties[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace")},
    }
