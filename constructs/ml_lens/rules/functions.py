"""What each Lambda function may call, by the role that it runs with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ml_lens.rules.policies import Role, role_of

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

FUNCTION: Final = "AWS::Lambda::Function"
INVOCATIONS: Final = (
    "sagemaker:InvokeEndpoint",
    "sagemaker:InvokeEndpointAsync",
    "sagemaker:InvokeEndpointWithResponseStream",
    "sagemaker:InvokeEndpointWithBidirectionalStream",
)
AI_SERVICES: Final = ("rekognition", "comprehend", "transcribe", "translate", "textract", "polly")


def role_of_function(function: Node) -> Role | None:
    """Return the role of a function, if it is one of the app."""
    return role_of(function["Role"])


def may_invoke_endpoint(function: Node) -> bool:
    """Whether the role of a function allows it to ask an endpoint."""
    return function.graph.once(("invokes", function.key), lambda: _may_invoke(function))


def ai_services(role: Role) -> set[str]:
    """Return the AI services that a role may call; a wildcard on everything counts all of them."""
    return {service for service in AI_SERVICES if role.may_call(service)}


def is_ml_function(function: Node) -> bool:
    """Whether the role of a function allows it to call SageMaker or an AI service."""
    return function.graph.once(("ML function", function.key), lambda: _is_ml(function))


def _may_invoke(function: Node) -> bool:
    role = role_of_function(function)
    if role is None:
        return False
    stated = role.allowing(*INVOCATIONS)
    if stated:
        return any(statement.may_name("endpoint") for statement in stated)
    return role.may(*INVOCATIONS)


def _is_ml(function: Node) -> bool:
    role = role_of_function(function)
    return role is not None and (role.may_call("sagemaker") or bool(ai_services(role)))
