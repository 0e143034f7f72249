"""Log groups by name: those of the app, and those that services create when nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ml_lens.rules.resolved import Opaque, Reference, identity, joined
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node

LOG_GROUP: Final = "AWS::Logs::LogGroup"
Parts = tuple[str | Reference | Opaque, ...]


def log_group_of(value: Value) -> Node | None:
    """Return the log group of the app that ``value`` names, by reference, ARN or name."""
    named = next((node for node in value.references if node.type == LOG_GROUP), None)
    return named or _by_name(value.node.graph).get(value.identity)


def log_group_called(graph: Graph, *parts: str | Reference | Opaque) -> Node | None:
    """Return the log group whose name is ``parts``, put together."""
    return _by_name(graph).get(identity(joined(list(parts))))


def log_group_maybe_called(graph: Graph, *parts: str | Reference | Opaque) -> Node | None:
    """Return a log group of which nobody knows yet whether its name will be ``parts``."""
    wanted = _known_start(parts)
    for group in graph.once("log groups with open names", lambda: _with_open_names(graph)):
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


def _with_open_names(graph: Graph) -> list[Node]:
    return [
        group for group in graph.nodes(LOG_GROUP) if may_start_with(group["LogGroupName"], "/aws/sagemaker/")
    ]


def _by_name(graph: Graph) -> dict[object, Node]:
    return graph.once(
        "log groups by name",
        lambda: {
            group["LogGroupName"].identity: group
            for group in graph.nodes(LOG_GROUP)
            if group["LogGroupName"] and group["LogGroupName"].identity is not None
        },
    )
