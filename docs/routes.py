"""The lines of a picture: straight to a neighbour, in lanes below a row to anything further away."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from docs.graph import Edge
from docs.placement import Cell

COLUMN, ROW = 182.0, 150.0
MARGIN = 100.0
LANE = 24.0
REACH = 40.0
"""From the middle of an icon to where lines begin and end."""
FOOT = 100.0
"""From the middle of an icon to beneath its words."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """The corners of one edge, and where its label stands."""

    corners: Sequence[Point]
    label_at: Point
    anchor: str = "middle"
    curved: bool = False


@dataclass
class Routes:
    """Finds the line of every edge of one picture."""

    cells: Mapping[str, Cell]
    edges: Sequence[Edge]
    lanes: dict[Edge, int] = field(init=False)

    def __post_init__(self) -> None:
        below: defaultdict[float, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            if self._needs_lane(edge):
                below[self.cells[edge.source][1]].append(edge)
        self.lanes = {
            edge: number
            for edges in below.values()
            for number, edge in enumerate(sorted(edges, key=self._length_of_lane))
        }
        self._widened = {row: LANE * len(edges) for row, edges in below.items()}

    def centre(self, cell: Cell) -> Point:
        """Return the middle of the icon in ``cell``; a row with lanes beneath it pushes the others down."""
        column, row = cell
        pushed = sum(space for above, space in self._widened.items() if above < row)
        return MARGIN + column * COLUMN, MARGIN * 0.75 + row * ROW + pushed

    def line(self, edge: Edge) -> Line:
        """Return the line of ``edge``."""
        source, target = self.cells[edge.source], self.cells[edge.target]
        right, down = target[0] - source[0], target[1] - source[1]
        if edge in self.lanes:
            return self._along_lane(edge)
        if right == 0:
            return self._upright(self.centre(source), self.centre(target))
        if right > 0:
            return self._onward(self.centre(source), self.centre(target), level=not down)
        return self._back(self.centre(source), self.centre(target))

    def _needs_lane(self, edge: Edge) -> bool:
        source, target = self.cells[edge.source], self.cells[edge.target]
        right, down = target[0] - source[0], target[1] - source[1]
        level_and_far = down == 0 and (right > 1 or right < -1)
        return level_and_far or down > 1 or (right < 0 and down > 0)

    def _length_of_lane(self, edge: Edge) -> tuple[bool, bool, float]:
        source, target = self.cells[edge.source], self.cells[edge.target]
        return target[1] != source[1], not edge.main, abs(target[0] - source[0])

    def _along_lane(self, edge: Edge) -> Line:
        (x1, y1), (x2, y2) = self.centre(self.cells[edge.source]), self.centre(self.cells[edge.target])
        lane = y1 + FOOT + LANE * (self.lanes[edge] + 0.6)
        if y1 == y2:
            shift = 16 if x2 > x1 else -16
            x1, x2 = x1 + shift, x2 - shift if x2 > x1 else x2 + shift
            return Line([(x1, y1 + FOOT), (x1, lane), (x2, lane), (x2, y2 + FOOT)], ((x1 + x2) / 2, lane - 5))
        if edge.main:
            x1 -= 32
            corners = [(x1, y1 + FOOT), (x1, lane), (x2, lane), (x2, y2 - REACH)]
            return Line(corners, ((x1 + x2) / 2, lane - 5))
        return self._down_the_side(x1, y1, x2, y2, lane)

    def _down_the_side(self, x1: float, y1: float, x2: float, y2: float, lane: float) -> Line:
        """Lead past everything between: left of the column, and in from the left."""
        side = min(x1, x2) - 0.52 * COLUMN
        corners = [(x1 - 32, y1 + FOOT), (x1 - 32, lane), (side, lane), (side, y2), (x2 - REACH, y2)]
        return Line(corners, (side - 8, y2 - 60), anchor="end")

    def _upright(self, start: Point, end: Point) -> Line:
        (x, y1), (_, y2) = start, end
        ends = [(x, y1 - REACH), (x, y2 + FOOT - 18)] if y2 < y1 else [(x, y1 + FOOT), (x, y2 - REACH)]
        middle = (ends[0][1] + ends[1][1]) / 2 + 5
        return (
            Line(ends, (x - 8, middle), anchor="end")
            if y2 < y1
            else Line(ends, (x + 8, middle), anchor="start")
        )

    def _onward(self, start: Point, end: Point, *, level: bool) -> Line:
        (x1, y1), (x2, y2) = (start[0] + REACH, start[1]), (end[0] - REACH, end[1])
        if level:
            return Line([(x1, y1), (x2, y2)], ((x1 + x2) / 2, y1 - 8))
        return Line([(x1, y1), (x2, y2)], (x2 - 8, y2 + (22 if y2 > y1 else -10)), anchor="end", curved=True)

    def _back(self, start: Point, end: Point) -> Line:
        (x1, y1), (x2, y2) = (start[0] - 30, start[1] - 30), (end[0] + 30, end[1] - 30)
        return Line([(x1, y1), (x1 - 14, y1 - 14), (x2 + 14, y2 - 14), (x2, y2)], ((x1 + x2) / 2, y1 - 20))
