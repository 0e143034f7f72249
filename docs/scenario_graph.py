"""What the picture of a scenario shows: its nodes and the ways of its data, read from its templates."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import App

from app import add_scenarios
from docs.graph import Graph
from docs.template_graph import read_graph
from stacks import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent

EXTRAS = {
    "CustomerDemographics": {
        "CustomerDemographics.dashboard_principal_arn": (
            "arn:aws:quicksight:us-east-1:111122223333:group/default/viewers"
        )
    }
}
"""Settings that add something to a scenario; the picture shows dashed what exists only with them."""


def picture_of(scenario: str) -> Path:
    """Return where the picture of ``scenario`` is kept."""
    return ROOT / SCENARIOS[scenario].replace(".", "/") / "architecture.svg"


def template_of(scenario: str, settings: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Synthesize ``scenario`` with the settings of cdk.json and ``settings``, construct paths included."""
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    context |= {"scenarios": scenario, "aws:cdk:enable-path-metadata": True, **(settings or {})}
    with TemporaryDirectory() as assembly:
        app = App(
            context=context,
            outdir=assembly,
            analytics_reporting=False,
            builtin_cloud_formation_validation=False,
        )
        add_scenarios(app)
        template: dict[str, Any] = app.synth().get_stack_by_name(scenario).template
    return template


def graph_of(scenario: str) -> Graph:
    """Return what the picture of ``scenario`` has to show today."""
    plain = read_graph(template_of(scenario))
    if scenario not in EXTRAS:
        return plain
    return plain.with_extras_of(read_graph(template_of(scenario, EXTRAS[scenario])))
