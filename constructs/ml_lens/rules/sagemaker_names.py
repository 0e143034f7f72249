"""Which resource of SageMaker hosting a reference, an ARN or a name stands for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.resolved import Followed, Opaque, Reference, joined
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.joins import Join

ENDPOINT: Final = "AWS::SageMaker::Endpoint"
CONFIG: Final = "AWS::SageMaker::EndpointConfig"
MODEL: Final = "AWS::SageMaker::Model"
COMPONENT: Final = "AWS::SageMaker::InferenceComponent"
EXPERIMENT: Final = "AWS::SageMaker::InferenceExperiment"
_NAME_OF: Final = {
    ENDPOINT: "EndpointName",
    CONFIG: "EndpointConfigName",
    MODEL: "ModelName",
    COMPONENT: "InferenceComponentName",
}


def named(value: Value, kind: str) -> Node | None:
    """Return the resource of type ``kind`` that ``value`` names: by reference, by ARN, or by its literal name.

    ``None`` stands both for something outside the run and for something unknown.
    """
    *before, last = value.parts or ("",)
    if isinstance(last, Reference) and (not before or _is_start_of_arn(before)):
        return last.node if last.node.type == kind else None
    found = _by_name(value.node.graph, kind).at(_name_in(value).identity)
    own = [node for node in found if node.scope is value.node.scope]
    return next(iter(own or found), None)


def segments(value: Value) -> list[Value]:
    """Split a string at its slashes; references and what is open stay whole."""
    pieces: list[list[str | Reference | Opaque]] = [[]]
    for part in value.parts:
        if isinstance(part, str):
            first, *others = part.split("/")
            pieces[-1].append(first)
            pieces += [[other] for other in others]
        else:
            pieces[-1].append(part)
    return [Value(value.node, Followed(joined(piece)), value.scope, value.path) for piece in pieces]


def _is_start_of_arn(parts: list[str | Reference | Opaque]) -> bool:
    return str(parts[0]).startswith("arn:") and str(parts[-1]).endswith("/")


def _name_in(value: Value) -> Value:
    """Return the name that stands at the end of an ARN, or the value as it is."""
    if not (value.text or "").startswith("arn:"):
        return value
    return segments(value)[-1]


def _by_name(graph: Graph, kind: str) -> Join[object, Node]:
    return graph.joined(("named", kind), (kind,), _own_name)


def _own_name(node: Node) -> Iterator[tuple[object, Node]]:
    name = node[_NAME_OF[node.type]]
    if name and name.identity is not None:
        yield name.identity, node
