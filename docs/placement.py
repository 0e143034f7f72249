"""Where the nodes of a picture stand: the flow in rows from left to right, the rest above, below and at the end."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from docs.graph import Edge, Graph

Cell = tuple[int, float]
"""Column, from the left, and row, from the top."""
_GAP = 0.3
"""Between two bands, in rows."""


@dataclass(frozen=True)
class Box:
    """The frame around what one construct holds."""

    name: str
    left: int
    right: int
    top: float
    bottom: float


def folds(graph: Graph) -> set[Edge]:
    """Return the edges after which a new row begins: those by which a function fills a bucket."""
    kinds = {node.id: node.kind for node in graph.nodes}
    return {
        edge
        for edge in graph.edges
        if edge.main and kinds[edge.source] == "function" and kinds[edge.target] == "bucket"
    }


def places(graph: Graph) -> dict[str, Cell]:
    """Return the cell of every node.

    What the main flow connects makes a band, as high as its most crowded column. A node that only one other
    knows stands above it, or below where it belongs to no construct of the same group. Everything else makes
    the last row.
    """
    flow = [edge for edge in graph.edges if edge.main and edge not in folds(graph)]
    bands = [band for band in _components(graph, flow) if len(band) > 1]
    bands.sort(key=lambda band: (any(edge.target in band for edge in folds(graph)), min(band)))
    neighbours = _neighbours(graph.edges)
    within = {node: index for index, band in enumerate(bands) for node in band}
    cells: dict[str, Cell] = {}
    row = 0.0
    for index, band in enumerate(bands):
        beside = {
            node.id: next(iter(neighbours[node.id]))
            for node in graph.nodes
            if node.id not in within
            and len(neighbours[node.id]) == 1
            and within.get(next(iter(neighbours[node.id]))) == index
        }
        above = {node for node, anchor in beside.items() if group(node) == group(anchor)}
        row += 1 if above else 0
        cells |= _band(graph, band, flow, first_column=1 if index else 0, row=row)
        lowest = max(cells[node][1] for node in band)
        for node, anchor in beside.items():
            cells[node] = (cells[anchor][0], row - 1 if node in above else lowest + 1)
        row = lowest + (2 if len(above) < len(beside) else 1) + _GAP
    return cells | _last_row(graph, set(cells), row)


def boxes(graph: Graph, cells: dict[str, Cell]) -> Iterator[Box]:
    """Yield a frame for every construct that holds more than one node."""
    members = defaultdict(list)
    for node in graph.nodes:
        members[group(node.id)].append(cells[node.id])
    for name, held in members.items():
        if len(held) > 1:
            columns, rows = [cell[0] for cell in held], [cell[1] for cell in held]
            yield Box(name.rpartition("/")[2], min(columns), max(columns), min(rows), max(rows))


def group(node: str) -> str:
    """Return the construct that a node is drawn in: two levels deep."""
    return "/".join(node.split("/")[:2])


def _band(
    graph: Graph, band: set[str], flow: list[Edge], *, first_column: int, row: float
) -> dict[str, Cell]:
    """Spread crowded columns over the band; a node alone in its column stands level with what leads to it."""
    columns = defaultdict(list)
    for node, distance in _distances(band, flow).items():
        columns[distance].append(node)
    highest = max(len(nodes) for nodes in columns.values())
    extra = {node.id: node.extra for node in graph.nodes}
    cells: dict[str, Cell] = {}
    for column in sorted(columns):
        nodes = sorted(columns[column], key=lambda node: (extra[node], node))
        leading = [cells[edge.source][1] for edge in flow if edge.target == nodes[0] and edge.source in cells]
        top = row + (highest - len(nodes)) / 2
        if len(nodes) == 1 and leading:
            top = sum(leading) / len(leading)
        cells |= {node: (first_column + column, top + number) for number, node in enumerate(nodes)}
    return cells


def _distances(band: set[str], flow: list[Edge]) -> dict[str, int]:
    """Return the length of the longest way to each node of a band."""
    distances = dict.fromkeys(band, 0)
    for _ in band:
        for edge in flow:
            if edge.source in band:
                distances[edge.target] = max(distances[edge.target], distances[edge.source] + 1)
    return distances


def _last_row(graph: Graph, placed: set[str], row: float) -> dict[str, Cell]:
    left = [edge for edge in graph.edges if not {edge.source, edge.target} & placed]
    known = _neighbours(graph.edges)
    chains = [chain for chain in _components(graph, left) if not chain & placed]
    chains.sort(key=lambda chain: (not any(known[node] & placed for node in chain), min(chain)))
    cells: dict[str, Cell] = {}
    column = 1
    for chain in chains:
        distances = _distances(chain, left)
        cells |= {node: (column + distance, row) for node, distance in distances.items()}
        column += max(distances.values()) + 2
    return cells


def _neighbours(edges: Iterable[Edge]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for edge in edges:
        found[edge.source].add(edge.target)
        found[edge.target].add(edge.source)
    return found


def _components(graph: Graph, edges: Iterable[Edge]) -> list[set[str]]:
    neighbours = _neighbours(edges)
    found: list[set[str]] = []
    for node in graph.nodes:
        if any(node.id in component for component in found):
            continue
        component, waiting = {node.id}, [node.id]
        while waiting:
            for other in neighbours[waiting.pop()] - component:
                component.add(other)
                waiting.append(other)
        found.append(component)
    return found
