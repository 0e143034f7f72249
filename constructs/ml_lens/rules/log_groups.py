"""Log groups by name: those of the app, and those that services create when nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.resolved import Opaque, Reference, identity, joined
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.joins import Join

LOG_GROUP: Final = "AWS::Logs::LogGroup"
Parts = tuple[str | Reference | Opaque, ...]


def log_group_of(value: Value) -> Node | None:
    """Return the log group of the app that ``value`` names, by reference, ARN or name."""
    named = next((node for node in value.references if node.type == LOG_GROUP), None)
    return named or _by_name(value.node.graph).last(value.identity)


def log_group_called(graph: Graph, *parts: str | Reference | Opaque) -> Node | None:
    """Return the log group whose name is ``parts``, put together."""
    return _by_name(graph).last(identity(joined(list(parts))))


def log_group_maybe_called(graph: Graph, *parts: str | Reference | Opaque) -> Node | None:
    """Return a log group of which nobody knows yet whether its name will be ``parts``."""
    wanted = _known_start(parts)
    named_later = graph.joined("log groups with open names", (LOG_GROUP,), _open_name)
    for group in named_later.at(None):
        if wanted.startswith(_known_start(group["LogGroupName"].parts)):
            return group
    if not any(isinstance(part, Opaque) for part in parts):
        return None
    names = ((group, group["LogGroupName"].literal) for group in graph.nodes(LOG_GROUP))
    return next((group for group, name in names if name and str(name).startswith(wanted)), None)


def may_start_with(name: Value, *starts: str) -> bool:
    """Whether a name of which the start is not wholly known may turn out to begin with one of ``starts``."""
    first = next((part for part in name.parts if not isinstance(part, str)), None)
    # The name of a resource or of a stack is no path of a service.
    if not isinstance(first, Opaque) or first.shown.startswith("${AWS::"):
        return False
    return any(start.startswith(_known_start(name.parts)) for start in starts)


def _known_start(name: Parts) -> str:
    return name[0] if name and isinstance(name[0], str) else ""


def _open_name(group: Node) -> Iterator[tuple[None, Node]]:
    if may_start_with(group["LogGroupName"], "/aws/sagemaker/"):
        yield None, group


def _by_name(graph: Graph) -> Join[object, Node]:
    return graph.joined("log groups by name", (LOG_GROUP,), _own_name)


def _own_name(group: Node) -> Iterator[tuple[object, Node]]:
    name = group["LogGroupName"]
    if name and name.identity is not None:
        yield name.identity, group
