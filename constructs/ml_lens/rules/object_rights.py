"""Which objects of which buckets a role may read, write and delete, by its own policies and by the bucket's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.attachments import named
from ml_lens.rules.buckets import (
    MODEL_ARTIFACTS,
    POLICY,
    TEMPORARY_RAW,
    TRAINING_DATA,
    bucket_of,
    buckets_that_may_have,
    covers_objects,
    has_role,
    location_of,
    places_of,
    policy_statements,
    reaches_objects,
)
from ml_lens.rules.policies import ROLE, Role, Statement, statements_of
from ml_lens.rules.policies import role as role_of_node

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

READS: Final = ("s3:GetObject", "s3:GetObjectVersion")
WRITES: Final = ("s3:PutObject",)
DELETES: Final = ("s3:DeleteObject", "s3:DeleteObjectVersion")
_ALL: Final = (*READS, *WRITES, *DELETES)
_GUARDED: Final = (TRAINING_DATA, MODEL_ARTIFACTS, TEMPORARY_RAW)


def reached_buckets(role: Role, purpose: str) -> list[Node]:
    """Return the buckets with a purpose, ``training-data``, of which a statement on the role names objects."""
    if not buckets_that_may_have(role.node.graph, purpose):
        return []
    return [bucket for bucket in _objects_of(role.node) if has_role(bucket, purpose)]


def grants(role: Role, bucket: Node, purpose: str, *apis: str) -> list[Statement]:
    """Return the statements by which a role may do one of ``apis`` where the bucket serves its purpose.

    A wildcard for every service on everything does not count: what is wrong with it is said elsewhere.
    """
    places = places_of(bucket, purpose)
    allowed = [api for api in apis if not _is_refused(role, bucket, api)]
    return [
        statement
        for statement in _stated(role, bucket)
        if statement.covers_apart(*allowed) and any(reaches_objects(statement, bucket, at) for at in places)
    ]


def hidden_grants(role: Role, bucket: Node, purpose: str) -> list[Statement]:
    """Return the statements on objects of a bucket of which nobody knows what they allow."""
    places = places_of(bucket, purpose)
    return [
        statement
        for statement in _stated(role, bucket)
        if statement.open_action is not None and any(reaches_objects(statement, bucket, at) for at in places)
    ]


def _objects_of(node: Node) -> dict[Node, list[Statement]]:
    # Asked of the resource: what a role has, read before, may hang on a condition that nobody would notice here.
    return node.graph.once(("reached buckets", node.key), lambda: _reached(role_of_node(node)))


def _stated(role: Role, bucket: Node) -> list[Statement]:
    return _objects_of(role.node).get(bucket, [])


def _reached(role: Role) -> dict[Node, list[Statement]]:
    found: dict[Node, list[Statement]] = {}
    for statement in role.statements:
        if statement.allows and (statement.open_action is not None or statement.covers_apart(*_ALL)):
            for bucket in dict.fromkeys(_buckets(statement)):
                found.setdefault(bucket, []).append(statement)
    named_by = role.node.graph.joined("roles in bucket policies", (POLICY,), _named_by_policy)
    for bucket, policy in named_by.at(role.node):
        found.setdefault(bucket, []).extend(
            each for each in statements_of(policy) if _allows(each, role.node)
        )
    return found


def _buckets(statement: Statement) -> Iterator[Node]:
    """Yield the buckets whose objects a statement may name; those of a wildcard only where it matters."""
    graph = statement.node.graph
    if statement.except_resources:
        yield from buckets_that_may_have(graph, *_GUARDED)
        return
    for resource in statement.resources:
        bucket = location_of(resource).bucket
        if bucket is not None:
            yield bucket
        elif "*" in (resource.text or ""):
            several = buckets_that_may_have(graph, *_GUARDED)
            yield from (each for each in several if reaches_objects([resource], each))


def _named_by_policy(policy: Node) -> Iterator[tuple[Node, tuple[Node, Node]]]:
    """Yield the roles that the policy of a bucket allows something, with the bucket and the policy."""
    bucket = bucket_of(policy["Bucket"])
    for statement in statements_of(policy) if bucket is not None else ():
        for trusted in statement.principal["AWS"].elements if statement.allows else ():
            node = named(trusted, ROLE)
            if node is not None and bucket is not None:
                yield node, (bucket, policy)


def _allows(statement: Statement, role: Node) -> bool:
    return statement.allows and any(
        named(trusted, ROLE) is role for trusted in statement.principal["AWS"].elements
    )


def _is_refused(role: Role, bucket: Node, api: str) -> bool:
    """Whether a refusal without conditions keeps a role from every object of a bucket."""
    denials = [*role.denying(api), *(each for each in policy_statements(bucket) if _denies(each, role, api))]
    return any(
        not denial.conditions and covers_objects(denial, bucket) for denial in denials
    ) or role.refuses(api)


def _denies(statement: Statement, role: Role, api: str) -> bool:
    if statement.allows or not statement.covers(api):
        return False
    several = (statement.principal, *statement.principal["AWS"].elements)
    return any(who.literal == "*" or named(who, ROLE) is role.node for who in several)
