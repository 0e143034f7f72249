"""What reads the captured requests of an endpoint without anybody asking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.bodies import document
from ml_lens.rules.buckets import BUCKET, bucket_of, reaches_objects
from ml_lens.rules.deliveries import BEGIN, RULE, SCHEDULE, beginnings, waits_for
from ml_lens.rules.policies import role_of
from ml_lens.rules.startable import FUNCTION
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, definition, pipeline_definition
from ml_lens.rules.triggers import triggers_of

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_ROLES: Final = {FUNCTION: "Role", STATE_MACHINE: "RoleArn", PIPELINE: "RoleArn"}
_READS: Final = ("s3:GetObject", "s3:ListBucket")
_BY_ITSELF: Final = ("SCHEDULED", "EVENT")
_GLUE_TRIGGER: Final = "AWS::Glue::Trigger"


def readers_of(bucket: Node) -> list[Node]:
    """Return what a schedule, an event or a notification makes read ``bucket``."""
    types = (*BEGIN, *_ROLES, _GLUE_TRIGGER)
    readers = bucket.graph.joined("readers", types, _buckets_read)
    patterns = bucket.graph.joined("readers of patterns", _ROLES, _patterns_read)
    by_pattern = [node for node, resource in patterns.at(None) if reaches_objects([resource], bucket)]
    return [*readers.at(bucket), *by_pattern]


def _buckets_read(node: Node) -> Iterator[tuple[Node | None, Node]]:
    for source in {source: None for source, _, _ in beginnings(node)}:
        if source.type == BUCKET:
            yield source, source
        told = {SCHEDULE: source["Target"]["Input"], RULE: source["Targets"]}
        for value in _leaves(told.get(source.type)):
            yield bucket_of(value), source
        for name in waits_for(source) if source.type == RULE else ():
            yield bucket_of(name), source
    if node.type in _ROLES and triggers_of(node):
        for value in (*_reads_itself(node), *_leaves(_handed(node))):
            yield bucket_of(value), node
    if node.type == _GLUE_TRIGGER and node["Type"].literal in _BY_ITSELF:
        for value in _leaves(node["Actions"]):
            yield bucket_of(value), node


def _patterns_read(node: Node) -> Iterator[tuple[None, tuple[Node, Value]]]:
    """Yield what names several buckets in the statements of a function or a workflow that something starts."""
    for resource in _reads_itself(node) if triggers_of(node) else ():
        if "*" in (resource.text or "").split("/")[0] and not resource.references:
            yield None, (node, resource)


def _reads_itself(node: Node) -> list[Value]:
    held = role_of(node[_ROLES[node.type]])
    several = [] if held is None else held.allowing(*_READS)
    return [resource for statement in several for resource in statement.resources]


def _handed(node: Node) -> Value | None:
    if node.type == FUNCTION:
        return node["Environment"]["Variables"]
    return definition(node) if node.type == STATE_MACHINE else pipeline_definition(node)


def _leaves(value: Value | None) -> Iterator[Value]:
    """Yield the strings of a document."""
    waiting = [] if value is None else [value]
    while waiting:
        each = waiting.pop()
        if each.is_object:
            waiting += [member for _, member in each.members]
        elif each.is_list:
            waiting += each.elements
        elif each:
            inner = document(each) if "{" in (each.text or "")[:2] else None
            if inner is None:
                yield each
            else:
                waiting.append(inner)
