"""The pictures in the READMEs show what is deployed today."""

import copy
import json
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest

from docs.graph import Edge, Graph, Node
from docs.placement import places
from docs.scenario_graph import graph_of, picture_of, template_of
from docs.template_graph import read_graph
from stacks import SCENARIOS

SVG = "{http://www.w3.org/2000/svg}"
LARGEST_PICTURE = 400 * 1024


@cache
def graph_today(scenario: str) -> Graph:
    return graph_of(scenario)


@cache
def template() -> dict[str, Any]:
    return template_of("CustomerDemographics")


def picture(scenario: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture_of(scenario).read_text("utf-8"))  # noqa: S314  (our own file)


def demographics_without(**changes: Any) -> Graph:
    """Read today's template with some resources replaced, or left out where the change is None."""
    changed = copy.deepcopy(template())
    for path, resource in changes.items():
        for logical_id, found in list(changed["Resources"].items()):
            if found["Metadata"]["aws:cdk:path"].endswith(path.replace("__", "/")):
                del changed["Resources"][logical_id]
                if resource:
                    changed["Resources"][logical_id] = resource(found)
    return read_graph(changed)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_picture_shows_the_template_of_today(scenario: str) -> None:
    shown = json.loads(picture(scenario).findtext(f"{SVG}desc") or "{}")
    assert shown == json.loads(graph_today(scenario).to_json()), "the picture is stale: run make diagrams"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_picture_writes_every_name_it_shows(scenario: str) -> None:
    written = {"".join(text.itertext()) for text in picture(scenario).iter(f"{SVG}text")}
    graph = graph_today(scenario)
    wanted = {node.name for node in graph.nodes} | {edge.label for edge in graph.edges if edge.label}
    assert wanted <= written


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_picture_needs_no_other_file(scenario: str) -> None:
    elements = list(picture(scenario).iter())
    links = [value for each in elements for name, value in each.attrib.items() if name.endswith("href")]
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert picture_of(scenario).stat().st_size < LARGEST_PICTURE


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_picture_brings_a_white_background(scenario: str) -> None:
    page = picture(scenario)
    first = page.find(f"{SVG}rect")
    assert first is not None
    assert first.attrib == {"width": page.attrib["width"], "height": page.attrib["height"], "fill": "#fff"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_two_nodes_stand_in_one_place(scenario: str) -> None:
    cells = places(graph_today(scenario))
    assert cells.keys() == {node.id for node in graph_today(scenario).nodes}
    for one in cells:
        for other in cells:
            same_column = one != other and cells[one][0] == cells[other][0]
            assert not same_column or abs(cells[one][1] - cells[other][1]) >= 1, (one, other)


def test_a_way_that_is_gone_from_the_template_is_gone_from_the_graph() -> None:
    today = graph_today("CustomerDemographics")
    assert any(edge.source.endswith("/Uploads") and edge.target.endswith("/Analyse") for edge in today.edges)
    without = demographics_without(Analyse__UploadsSource__Resource=None)
    assert not any(
        edge.source.endswith("/Uploads") and edge.target.endswith("/Analyse") for edge in without.edges
    )


def test_a_permission_that_is_gone_takes_its_arrow_along() -> None:
    def without_rekognition(policy: dict[str, Any]) -> dict[str, Any]:
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if "rekognition:DetectFaces" in statement["Action"]:
                statement["Action"].remove("rekognition:DetectFaces")
        return policy

    assert "rekognition" in {node.id for node in graph_today("CustomerDemographics").nodes}
    changed = demographics_without(Analyse__Role__DefaultPolicy__Resource=without_rekognition)
    assert "rekognition" not in {node.id for node in changed.nodes}


def test_what_is_only_there_when_asked_for_is_marked() -> None:
    plain = Graph((Node("a", "bucket", "A"), Node("b", "queue", "B")), (Edge("a", "b"),))
    larger = Graph((*plain.nodes, Node("c", "topic", "C")), (*plain.edges, Edge("b", "c")))
    merged = plain.with_extras_of(larger)
    assert [node.id for node in merged.nodes if node.extra] == ["c"]
    assert [(edge.source, edge.target) for edge in merged.edges if edge.extra] == [("b", "c")]


def test_the_optional_dashboard_is_in_the_picture() -> None:
    extra = {node.id for node in graph_today("CustomerDemographics").nodes if node.extra}
    assert extra == {"Demographics/Dashboard", "viewers:Demographics/Dashboard"}
