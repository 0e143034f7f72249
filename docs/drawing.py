"""Writes a graph as one SVG file that needs no other: icons inside, and the graph itself as text."""

import base64
import html
import importlib.util
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image

from docs.graph import Edge, Graph, Node
from docs.placement import Box, boxes, places
from docs.routes import COLUMN, FOOT, MARGIN, REACH, Line, Point, Routes

_KINDS = {
    "alarm": ("management/cloudwatch-alarm", "CloudWatch"),
    "api": ("network/api-gateway", "API Gateway"),
    "bucket": ("storage/simple-storage-service-s3-bucket", "S3 bucket"),
    "camera": ("iot/iot-camera", "IAM role"),
    "comprehend": ("ml/comprehend", ""),
    "dashboard": ("analytics/quicksight", "QuickSight"),
    "endpoint": ("ml/sagemaker-model", "SageMaker endpoint"),
    "function": ("compute/lambda-function", "Lambda"),
    "people": ("general/users", "IAM role"),
    "queue": ("integration/simple-queue-service-sqs-queue", "SQS queue"),
    "rekognition": ("ml/rekognition", ""),
    "rule": ("integration/eventbridge-rule", "EventBridge rule"),
    "table": ("analytics/glue-data-catalog", "Glue table"),
    "topic": ("integration/simple-notification-service-sns-topic", "SNS topic"),
    "trail": ("management/cloudtrail", "CloudTrail"),
    "transcribe": ("ml/transcribe", ""),
    "view": ("analytics/athena", "Athena view"),
    "viewers": ("general/users", "QuickSight users"),
    "workflow": ("integration/step-functions", "Step Functions"),
    "workgroup": ("analytics/athena", "Athena workgroup"),
}
"""Icon and service of every kind of node."""
_ICON, _ICON_PIXELS = 66, 132
_INK, _GREY, _MAIN, _ASIDE = "#1B2733", "#55626F", "#1F5FBF", "#85919C"
_STYLE = f"""\
text {{ font-family: Helvetica, Arial, sans-serif; fill: {_GREY}; font-size: 14px; text-anchor: middle }}
.name {{ fill: {_INK}; font-size: 16.5px; font-weight: bold }}
.frame {{ font-size: 16.5px; text-anchor: start }}
.label {{ paint-order: stroke; stroke: #fff; stroke-width: 4px; stroke-linejoin: round; font-size: 13.5px }}
path {{ fill: none; stroke: {_ASIDE}; stroke-width: 1.6; marker-end: url(#aside) }}
path.main {{ stroke: {_MAIN}; stroke-width: 2.6; marker-end: url(#main) }}
path.extra {{ stroke-dasharray: 7 5 }}
"""
_BEND = 10.0


def drawn(graph: Graph, *, title: str) -> str:
    """Return the picture of ``graph`` as the text of an SVG file."""
    cells = places(graph)
    routes = Routes(cells, graph.edges)
    centres = {node.id: routes.centre(cells[node.id]) for node in graph.nodes}
    width = max(x for x, _ in centres.values()) + MARGIN
    height = max(y for _, y in centres.values()) + FOOT + 10
    lines = [(edge, routes.line(edge)) for edge in graph.edges]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<title>{html.escape(title)}</title>",
        f"<desc>{html.escape(graph.to_json(), quote=False)}</desc>",
        f"<style>\n{_STYLE}</style>",
        "<defs>",
        _arrowhead("main", _MAIN, 4.2),
        _arrowhead("aside", _ASIDE, 5.5),
        *(_icon(kind) for kind in sorted({node.kind for node in graph.nodes})),
        "</defs>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
        *(_frame(box, routes) for box in boxes(graph, cells)),
        *(_path(edge, line) for edge, line in sorted(lines, key=lambda pair: pair[0].main)),
        *(_node(node, centres[node.id]) for node in graph.nodes),
        *_labels(lines),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _arrowhead(name: str, colour: str, size: float) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="{size}" markerHeight="{size}" '
        f'orient="auto-start-reverse"><polygon points="0,0 10,5 0,10" fill="{colour}"/></marker>'
    )


def _frame(box: Box, routes: Routes) -> str:
    left, top = routes.centre((box.left, box.top))
    right, bottom = routes.centre((box.right, box.bottom))
    x, y = left - 0.5 * COLUMN + 4, top - REACH - 24
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{right - left + COLUMN - 8:.0f}" '
        f'height="{bottom - top + REACH + 24 + FOOT - 4:.0f}" rx="12" fill="#F4F7FA" stroke="#CBD5DF"/>\n'
        f'<text class="frame" x="{x + 12:.0f}" y="{y + 22:.0f}">{html.escape(box.name)}</text>'
    )


def _node(node: Node, centre: Point) -> str:
    x, y = centre
    service = _KINDS[node.kind][1]
    words = [line for line in (service, node.note, "optional" if node.extra else "") if line]
    written = [f'<text class="name" x="{x:.0f}" y="{y + 52:.0f}">{html.escape(node.name)}</text>']
    written += [
        f'<text x="{x:.0f}" y="{y + 70 + 17 * number:.0f}">{html.escape(line)}</text>'
        for number, line in enumerate(words)
    ]
    corner = f'x="{x - _ICON / 2:.0f}" y="{y - _ICON / 2:.0f}"'
    return "\n".join([f'<use href="#icon-{node.kind}" {corner}/>', *written])


def _path(edge: Edge, line: Line) -> str:
    look = " ".join(name for name, holds in (("main", edge.main), ("extra", edge.extra)) if holds)
    corners = _curve(line.corners) if line.curved else _rounded(line.corners)
    return f'<path class="{look}" d="{corners}"/>'


def _curve(corners: Sequence[Point]) -> str:
    (x1, y1), (x2, y2) = corners
    half = (x1 + x2) / 2
    return f"M{x1:.0f} {y1:.0f}C{half:.0f} {y1:.0f} {half:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"


def _rounded(corners: Sequence[Point]) -> str:
    """Join corners by straight lines with round bends."""
    drawn_so_far = f"M{corners[0][0]:.0f} {corners[0][1]:.0f}"
    for before, here, after in zip(corners, corners[1:], corners[2:], strict=False):
        (x1, y1), (x2, y2) = _towards(here, before), _towards(here, after)
        drawn_so_far += f"L{x1:.0f} {y1:.0f}Q{here[0]:.0f} {here[1]:.0f} {x2:.0f} {y2:.0f}"
    return drawn_so_far + f"L{corners[-1][0]:.0f} {corners[-1][1]:.0f}"


def _towards(start: Point, end: Point) -> Point:
    (x1, y1), (x2, y2) = start, end
    length = max(abs(x2 - x1), abs(y2 - y1))
    share = min(_BEND, length / 2) / length if length else 0
    return x1 + (x2 - x1) * share, y1 + (y2 - y1) * share


def _labels(lines: Sequence[tuple[Edge, Line]]) -> list[str]:
    """Write each label once where lines run together."""
    at = {(line.label_at, edge.label): line.anchor for edge, line in lines if edge.label}
    return [
        f'<text class="label" x="{x:.0f}" y="{y:.0f}" style="text-anchor: {anchor}">{html.escape(label)}</text>'
        for ((x, y), label), anchor in at.items()
    ]


def _icon(kind: str) -> str:
    size = f'width="{_ICON}" height="{_ICON}"'
    return f'<image id="icon-{kind}" {size} href="{_data_uri(_icons() / f"{_KINDS[kind][0]}.png")}"/>'


@cache
def _icons() -> Path:
    """Return the folder of the AWS icons, which the wheel of the package `diagrams` carries.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    installed = importlib.util.find_spec("diagrams")
    if installed is None or installed.origin is None:
        raise FileNotFoundError("the icons are not here; pip install -r requirements-docs.txt")
    return Path(installed.origin).parent.parent / "resources" / "aws"


def _data_uri(icon: Path) -> str:
    written = io.BytesIO()
    with Image.open(icon) as picture:
        small = picture.convert("RGBA")
        small.thumbnail((_ICON_PIXELS, _ICON_PIXELS), Image.Resampling.LANCZOS)
        small.quantize(64, method=Image.Quantize.FASTOCTREE).save(written, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
