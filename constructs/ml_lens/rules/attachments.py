"""Which policies of the app each role, user and group has, attached from either side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.sagemaker_names import segments
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node

ROLE: Final = "AWS::IAM::Role"
USER: Final = "AWS::IAM::User"
GROUP: Final = "AWS::IAM::Group"
PERMISSION_SET: Final = "AWS::SSO::PermissionSet"
PRINCIPALS: Final = (ROLE, USER, GROUP, PERMISSION_SET)
INLINE: Final = ("AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy")
MANAGED: Final = "AWS::IAM::ManagedPolicy"
_NAME_OF: Final = {ROLE: "RoleName", USER: "UserName", GROUP: "GroupName", MANAGED: "ManagedPolicyName"}
# Where a policy names those that have it.
_HOLDERS: Final = {
    "Roles": ROLE,
    "RoleName": ROLE,
    "Users": USER,
    "UserName": USER,
    "Groups": GROUP,
    "GroupName": GROUP,
}


def policies_of(principal: Node) -> list[Node]:
    """Return the policies of the app that a role, user or group has; of a user, its groups too."""
    attached = principal.graph.once("attached policies", lambda: _attached(principal.graph))
    return list(attached.get(principal, {}))


def holders_of(policy: Node) -> list[Node]:
    """Return the roles, users and groups of the app that have ``policy``."""
    return policy.graph.once("holders of policies", lambda: _holders(policy.graph)).get(policy, [])


def limits_somebody(policy: Node) -> bool:
    """Whether a managed policy is the permissions boundary of a role or a user of the app."""
    return policy in policy.graph.once("boundaries", lambda: _boundaries(policy.graph))


def managed_policies(principal: Node) -> list[Value]:
    """Return the ARNs of the managed policies that a principal lists itself."""
    return [*principal["ManagedPolicyArns"].elements, *principal["ManagedPolicies"].elements]


def named(value: Value, kind: str) -> Node | None:
    """Return the principal or managed policy that a reference, an ARN or a name stands for."""
    value = _before_splitting(value)
    whole = value.reference
    if whole is not None:
        return whole if whole.type == kind else None
    name = segments(value)[-1]  # what follows the path of an ARN; a name has no slash
    if name.reference is not None:
        return name.reference if name.reference.type == kind else None
    if kind not in _NAME_OF or name.identity is None:
        return None
    same_name = value.node.graph.once(("named principals", kind), lambda: _by_name(value.node.graph, kind))
    found = same_name.get(name.identity, [])
    return next((node for node in found if node.scope is value.node.scope), found[0] if found else None)


def _attached(graph: Graph) -> dict[Node, dict[Node, None]]:
    attached: dict[Node, dict[Node, None]] = {}
    for holder, policy in (*_by_policies(graph), *_by_principals(graph)):
        attached.setdefault(holder, {})[policy] = None
    for user in graph.nodes(USER):
        for group in (named(name, GROUP) for name in user["Groups"].elements):
            if group is not None:
                attached.setdefault(user, {}).update({group: None, **attached.get(group, {})})
    return attached


def _by_policies(graph: Graph) -> Iterator[tuple[Node, Node]]:
    for policy in graph.nodes(*INLINE, MANAGED):
        for name, kind in _HOLDERS.items():
            for value in policy[name].elements:
                holder = named(value, kind)
                if holder is not None:
                    yield holder, policy


def _by_principals(graph: Graph) -> Iterator[tuple[Node, Node]]:
    for holder in graph.nodes(*PRINCIPALS):
        for arn in managed_policies(holder):
            policy = named(arn, MANAGED)
            if policy is not None:
                yield holder, policy


def _holders(graph: Graph) -> dict[Node, list[Node]]:
    held_by: dict[Node, list[Node]] = {}
    for holder, policies in graph.once("attached policies", lambda: _attached(graph)).items():
        for policy in policies:
            held_by.setdefault(policy, []).append(holder)
    return held_by


def _boundaries(graph: Graph) -> set[Node]:
    limits = (named(node["PermissionsBoundary"], MANAGED) for node in graph.nodes(ROLE, USER))
    return {limit for limit in limits if limit is not None}


def _before_splitting(value: Value) -> Value:
    """Return the ARN of which a template takes the name, as the CDK does with a role that it imports by ARN."""
    raw = value.raw
    while True:
        match raw:
            case {"Fn::Select": [_, {"Fn::Split": [_, inner]}]}:
                raw = inner
            case _:
                return value if raw is value.raw else Value(value.node, raw, value.scope, value.path)


def _by_name(graph: Graph, kind: str) -> dict[object, list[Node]]:
    found: dict[object, list[Node]] = {}
    for node in graph.nodes(kind):
        name = node[_NAME_OF[kind]]
        if name and name.identity is not None:
            found.setdefault(name.identity, []).append(node)
    return found
