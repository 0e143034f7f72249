"""How a construct records that a finding of a rule pack does not apply to one of its resources."""

from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import IConstruct


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Acknowledge one ``finding`` on ``construct``, for a ``reason`` that names the API's limit."""
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))


def acknowledge_wildcard(
    grantee: iam.IGrantable, resource: str, reason: str, *, on: IConstruct | None = None
) -> None:
    """Acknowledge that a policy of ``grantee`` names ``resource``, which holds a wildcard.

    The policy is the role's own, or the resource ``on``.

    Nothing happens for a grantee that is not defined in this app: its policies are not checked here. A resource
    of another stack is named by an output that only synthesis makes; there the finding stands, and the app that
    spreads the pattern over stacks acknowledges it.
    """
    principal = grantee.grant_principal
    if not isinstance(principal, iam.Role):
        return
    named = _as_cdk_nag_writes(Stack.of(principal).resolve(resource))
    acknowledge(on or principal, f"AwsSolutions-IAM5[Resource::{named}]", reason)


def _as_cdk_nag_writes(resource: Any) -> str:
    match resource:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_as_cdk_nag_writes(part) for part in parts)
        case {"Fn::GetAtt": [logical_id, attribute]}:
            return f"<{logical_id}.{attribute}>"
        case {"Ref": logical_id}:
            return f"<{logical_id}>"
        case _:
            return str(resource)
