"""What reads the captured requests of an endpoint without anybody asking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ml_lens.rules.bodies import document
from ml_lens.rules.buckets import BUCKET, bucket_of, reaches_objects
from ml_lens.rules.deliveries import RULE, SCHEDULE, beginnings, waits_for
from ml_lens.rules.policies import role_of
from ml_lens.rules.startable import FUNCTION
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, definition, pipeline_definition
from ml_lens.rules.triggers import triggers_of

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

_ROLES: Final = {FUNCTION: "Role", STATE_MACHINE: "RoleArn", PIPELINE: "RoleArn"}
_READS: Final = ("s3:GetObject", "s3:ListBucket")
_BY_ITSELF: Final = ("SCHEDULED", "EVENT")
_GLUE_TRIGGER: Final = "AWS::Glue::Trigger"


@dataclass
class _Readers:
    """Who reads which bucket, and whose statements name buckets by a pattern."""

    by_bucket: dict[Node, list[Node]] = field(default_factory=dict)
    patterns: list[tuple[Node, Value]] = field(default_factory=list)

    def add(self, reader: Node, bucket: Node | None) -> None:
        if bucket is not None:
            self.by_bucket.setdefault(bucket, []).append(reader)


def readers_of(bucket: Node) -> list[Node]:
    """Return what a schedule, an event or a notification makes read ``bucket``."""
    readers = bucket.graph.once("readers", lambda: _readers(bucket.graph))
    by_pattern = [node for node, resource in readers.patterns if reaches_objects([resource], bucket)]
    return [*readers.by_bucket.get(bucket, []), *by_pattern]


def _readers(graph: Graph) -> _Readers:
    readers = _Readers()
    for source in {source: None for source, _, _ in beginnings(graph)}:
        told = {SCHEDULE: source["Target"]["Input"], RULE: source["Targets"]}
        readers.add(source, source if source.type == BUCKET else None)
        for value in _leaves(told.get(source.type)):
            readers.add(source, bucket_of(value))
        for name in waits_for(source) if source.type == RULE else ():
            readers.add(source, bucket_of(name))
    for kind, role in _ROLES.items():
        for node in graph.nodes(kind):
            if triggers_of(node):
                _add_started(readers, node, role)
    for trigger in graph.nodes(_GLUE_TRIGGER):
        for value in _leaves(trigger["Actions"]) if trigger["Type"].literal in _BY_ITSELF else ():
            readers.add(trigger, bucket_of(value))
    return readers


def _add_started(readers: _Readers, node: Node, role: str) -> None:
    """Add what a function or a workflow may read itself, and what it hands to a job with a role of its own."""
    held = role_of(node[role])
    for statement in () if held is None else held.allowing(*_READS):
        for resource in statement.resources:
            if "*" in (resource.text or "").split("/")[0] and not resource.references:
                readers.patterns.append((node, resource))
            readers.add(node, bucket_of(resource))
    for value in _leaves(_handed(node)):
        readers.add(node, bucket_of(value))


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
