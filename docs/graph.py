"""A picture before it is drawn."""

import json
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, order=True)
class Node:
    """Something a reader should know of."""

    id: str
    kind: str
    name: str
    note: str = ""
    extra: bool = False


@dataclass(frozen=True, order=True)
class Edge:
    """A way that data, or word of it, takes."""

    source: str
    target: str
    label: str = ""
    main: bool = True
    extra: bool = False


@dataclass(frozen=True)
class Graph:
    """A picture before it is drawn."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def to_json(self) -> str:
        """Return the graph as the pictures carry it."""
        return json.dumps(
            {
                "nodes": [asdict(node) for node in self.nodes],
                "edges": [asdict(edge) for edge in self.edges],
            },
            sort_keys=True,
        )

    def with_extras_of(self, larger: "Graph") -> "Graph":
        """Return ``larger``, with what is not in this graph marked as extra."""
        return Graph(
            tuple(node if node in self.nodes else replace(node, extra=True) for node in larger.nodes),
            tuple(edge if edge in self.edges else replace(edge, extra=True) for edge in larger.edges),
        )
