"""Templates as a whole: a change of any property shows up as a readable difference."""

import re
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.stacks.synthesis import add_scenario, new_app, scenario, templates
from tests.stacks.template import Template

ASSET_HASH = re.compile(r"[0-9a-f]{64}")


def masked(value: Any) -> Any:
    """Return ``value`` with every asset hash replaced, so that code may change."""
    if isinstance(value, dict):
        return {name: masked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [masked(member) for member in value]
    return ASSET_HASH.sub("<asset>", value) if isinstance(value, str) else value


def shape(template: Template) -> Any:
    return masked({part: template.body[part] for part in ("Description", "Resources", "Outputs")})


@pytest.mark.parametrize("name", ["sandbox", "production", "dashboard"])
def test_the_template_is_as_it_was(
    name: str, request: pytest.FixtureRequest, snapshot: SnapshotAssertion
) -> None:
    template = request.getfixturevalue(name)
    assert shape(template) == snapshot(name=name).use_extension(JSONSnapshotExtension)


def test_a_second_synthesis_makes_the_same_template(sandbox: Template, tmp_path: Path) -> None:
    assert scenario(tmp_path).body == sandbox.body


def test_a_dashboard_changes_nothing_else(sandbox: Template, dashboard: Template) -> None:
    without = {
        id: resource
        for id, resource in dashboard.body["Resources"].items()
        if not id.startswith("DemographicsDashboard")
    }
    assert without == sandbox.body["Resources"]


def test_a_scenario_can_be_deployed_twice_in_one_account(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    add_scenario(app, "EastEntrance")
    add_scenario(app, "WestEntrance")
    east, west = templates(app).values()
    assert east.resources().keys() == west.resources().keys()
    for type in ("AWS::Athena::WorkGroup", "AWS::Glue::Database"):
        assert fixed_name(east, type) != fixed_name(west, type)


def fixed_name(template: Template, type: str) -> str:
    properties = template.only(type)
    return str(properties.get("Name") or properties["DatabaseInput"]["Name"])


def test_outputs_name_what_a_person_needs(variant: Template) -> None:
    assert set(variant.body["Outputs"]) == {
        "ImageBucket",
        "ResultsBucket",
        "AuditBucket",
        "CameraRole",
        "AnalystRole",
        "Workgroup",
        "Database",
        "ImageQueue",
        "DeadLetters",
        "AnalysisLogs",
        "ErasureLogs",
        "Thresholds",
        "AlarmTopic",
    }


def test_nothing_is_exported_that_would_tie_another_stack_to_this_one(variant: Template) -> None:
    assert not any("Export" in output for output in variant.body["Outputs"].values())
