"""Which policies of the app each role, user and group has, attached from either side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.sagemaker_names import segments
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.joins import Join

ROLE: Final = "AWS::IAM::Role"
USER: Final = "AWS::IAM::User"
GROUP: Final = "AWS::IAM::Group"
PERMISSION_SET: Final = "AWS::SSO::PermissionSet"
PRINCIPALS: Final = (ROLE, USER, GROUP, PERMISSION_SET)
INLINE: Final = ("AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy")
MANAGED: Final = "AWS::IAM::ManagedPolicy"
_NAME_OF: Final = {ROLE: "RoleName", USER: "UserName", GROUP: "GroupName", MANAGED: "ManagedPolicyName"}
_ATTACHING: Final = (*INLINE, MANAGED, *PRINCIPALS)
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
    attached = _attached(principal.graph)
    found = dict.fromkeys(attached.at(principal))
    for group in _groups_of(principal) if principal.type == USER else ():
        found.update(dict.fromkeys([group, *attached.at(group)]))
    return list(found)


def holders_of(policy: Node) -> list[Node]:
    """Return the roles, users and groups of the app that have ``policy``."""
    graph = policy.graph
    holders = graph.joined("holders of policies", _ATTACHING, lambda node: _swapped(_pairs(node)))
    members = graph.joined("members of groups", (USER,), _memberships)
    found = dict.fromkeys(holders.at(policy))
    for group in [holder for holder in found if holder.type == GROUP]:
        found.update(dict.fromkeys(members.at(group)))
    return list(found)


def limits_somebody(policy: Node) -> bool:
    """Whether a managed policy is the permissions boundary of a role or a user of the app."""
    graph = policy.graph
    return graph.joined("boundaries", (ROLE, USER), _boundary).has(policy)


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
    graph = value.node.graph
    found = graph.joined(("named principals", kind), (kind,), _own_name).at(name.identity)
    return next((node for node in found if node.scope is value.node.scope), found[0] if found else None)


def _attached(graph: Graph) -> Join[Node, Node]:
    """Return the policies by the principal that they are attached to, from either side."""
    return graph.joined("attached policies", _ATTACHING, _pairs)


def _pairs(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield each holder and policy of which ``node``, one of the two, says that they belong together."""
    if node.type in PRINCIPALS:
        for arn in managed_policies(node):
            policy = named(arn, MANAGED)
            if policy is not None:
                yield node, policy
        return
    for name, kind in _HOLDERS.items():
        for value in node[name].elements:
            holder = named(value, kind)
            if holder is not None:
                yield holder, node


def _swapped(pairs: Iterable[tuple[Node, Node]]) -> Iterator[tuple[Node, Node]]:
    return ((policy, holder) for holder, policy in pairs)


def _groups_of(user: Node) -> list[Node]:
    groups = (named(name, GROUP) for name in user["Groups"].elements)
    return [group for group in groups if group is not None]


def _memberships(user: Node) -> Iterator[tuple[Node, Node]]:
    return ((group, user) for group in _groups_of(user))


def _boundary(node: Node) -> Iterator[tuple[Node, Node]]:
    limit = named(node["PermissionsBoundary"], MANAGED)
    if limit is not None:
        yield limit, node


def _before_splitting(value: Value) -> Value:
    """Return the ARN of which a template takes the name, as the CDK does with a role that it imports by ARN."""
    raw = value.raw
    while True:
        match raw:
            case {"Fn::Select": [_, {"Fn::Split": [_, inner]}]}:
                raw = inner
            case _:
                return value if raw is value.raw else Value(value.node, raw, value.scope, value.path)


def _own_name(node: Node) -> Iterator[tuple[object, Node]]:
    name = node[_NAME_OF[node.type]]
    if name and name.identity is not None:
        yield name.identity, node
