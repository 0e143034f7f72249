"""The scenario of figures 8 to 11: what its template promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from ml_lens.foundation import Posture, PropError
from ml_lens.hosting import RolloutPlan
from ml_lens.rules.pack import MLLensChecks
from stacks.model_rollout import ScenarioStack, Settings
from stacks.model_rollout.strategies import STRATEGIES
from tests.stacks.state_machines import definitions, problems
from tests.stacks.synthesis import findings, new_app, templates
from tests.stacks.test_rule_packs import REDUNDANT_DEPENDS_ON
from tests.stacks.test_snapshots import shape

pytestmark = pytest.mark.xdist_group("model rollout")

ROLLOUT = "ModelRollout"


def add(app: cdk.App, name: str = ROLLOUT, *, posture: str = "sandbox", **settings: Any) -> None:
    ScenarioStack(app, name, posture=Posture.named(posture), settings=Settings(**settings))


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = new_app(tmp_path_factory.mktemp("rollout"), validated=True)
    add(app)
    add(app, "Lasting", posture="production", strategy="linear")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    return Path(app.synth().directory)


@pytest.fixture(scope="module")
def template(assembly: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((assembly / f"{ROLLOUT}.template.json").read_text())
    return made


@pytest.fixture(scope="module")
def machine(template: dict[str, Any]) -> dict[str, Any]:
    (definition,) = definitions(template).values()
    made: dict[str, Any] = json.loads(definition)
    return made


def test_a_sandbox_leaves_no_finding_not_even_a_warning(assembly: Path) -> None:
    assert [found for found in findings(assembly) if "Lasting" not in str(found)] == []


def test_production_leaves_only_warnings_that_are_the_owners_business(assembly: Path) -> None:
    left = [str(found) for found in findings(assembly) if "Lasting" in str(found)]
    assert all("REL04-ModelSecondCopy" in found for found in left), left


@pytest.mark.parametrize("stack", [ROLLOUT, "Lasting"])
def test_cfn_lint_finds_nothing(assembly: Path, stack: str) -> None:
    text = (assembly / f"{stack}.template.json").read_text()
    found = lint(text, list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    assert [str(match) for match in found if match.rule.id != REDUNDANT_DEPENDS_ON] == []


def test_the_state_machine_is_valid(template: dict[str, Any], tmp_path: Path) -> None:
    (definition,) = definitions(template).values()
    assert problems(definition, tmp_path) == ""


def walk(machine: dict[str, Any]) -> Iterator[str]:
    """Yield the states of a rollout in which everything goes well, each once."""
    name, seen = machine["StartAt"], set[str]()
    while name and name not in seen:
        seen.add(name)
        yield name
        state = machine["States"][name]
        name = state.get("Next") or (state["Choices"][0]["Next"] if "Choices" in state else "")


@pytest.mark.lens("F9-01", "F9-02", "F9-03", "F9-04", "F8-02", "F8-04", "F10-03")
def test_the_steps_come_in_the_order_of_the_lens(machine: dict[str, Any]) -> None:
    wanted = [
        "See that nobody else is changing it",
        "Create the candidate",
        "Configure both",
        "Start the candidate",
        "Probe the candidate",
        "Make room for the next step",
        "Move traffic",
        "Watch",
        "Judge",
        "Configure the new version alone",
        "Let go of the old version",
        "Probe what is live now",
        "Record that it has taken over",
    ]
    taken = list(walk(machine))
    assert [name for name in taken if name in wanted] == wanted
    assert machine["States"][taken[-1]]["Type"] == "Succeed"


@pytest.mark.lens("F8-06", "F10-05", "CHG-05")
def test_whatever_fails_once_something_is_changed_leads_back_to_the_old_version(
    machine: dict[str, Any],
) -> None:
    taken = list(walk(machine))
    changing = taken[
        taken.index("Read the live configuration") : taken.index("Record that it has taken over")
    ]
    for name in changing:
        state = machine["States"][name]
        if state["Type"] == "Task":
            (catch,) = state["Catch"]
            assert catch["ErrorEquals"] == ["States.ALL"], name
            assert catch["Next"] == "Return the traffic", name


@pytest.mark.lens("F10-01", "F10-02")
def test_the_first_step_is_small_and_the_last_is_everything(machine: dict[str, Any]) -> None:
    steps = machine["States"]["Look at what is live"]["Assign"]["steps"]
    assert [step["percent"] for step in steps] == [20, 100]
    both = machine["States"]["Configure both"]["Arguments"]
    assert "'InitialVariantWeight': 0" in both


@pytest.mark.lens("F10-04")
def test_the_candidate_has_room_before_it_has_traffic(machine: dict[str, Any]) -> None:
    taken = list(walk(machine))
    assert taken.index("Make room for the next step") < taken.index("Move traffic")
    room = json.dumps(machine["States"]["Make room for the next step"]["Arguments"])
    assert "DesiredInstanceCount" in room
    assert '"DesiredWeight"' not in room


@pytest.mark.lens("CHG-01", "CHG-08", "CHG-12")
def test_every_run_leaves_a_record_of_what_it_released_over_what(machine: dict[str, Any]) -> None:
    item = machine["States"]["Record what begins"]["Arguments"]["Item"]
    assert {"version", "artifact", "previous_config", "outcome"} <= set(item)
    for end in ("Record that it has taken over", "Record why it has not taken over"):
        assert "outcome" in machine["States"][end]["Arguments"]["UpdateExpression"]


@pytest.mark.lens("CHG-17")
def test_people_are_told_of_every_begin_and_end(machine: dict[str, Any]) -> None:
    told = {name for name, state in machine["States"].items() if "sns:publish" in str(state.get("Resource"))}
    assert told == {
        "Tell what begins",
        "Tell that it has taken over",
        "Tell that it has not taken over",
        "Tell that the endpoint is neither here nor there",
    }
    assert "Tell what begins" in walk(machine)
    assert "Tell that it has taken over" in walk(machine)


@pytest.mark.lens("CHG-18", "HST-01")
def test_a_version_is_validated_before_and_after_it_is_live(machine: dict[str, Any]) -> None:
    taken = list(walk(machine))
    assert taken.index("Probe the candidate") < taken.index("Let go of the old version")
    assert taken.index("Probe what is live now") > taken.index("Let go of the old version")


@pytest.mark.lens("CHG-10")
def test_artifacts_are_versioned(template: dict[str, Any]) -> None:
    (bucket,) = [
        each["Properties"]
        for each in template["Resources"].values()
        if each.get("Metadata", {}).get("MLLens", {}).get("Role") == "model-artifacts"
    ]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


@pytest.mark.lens("IAM-02")
def test_who_starts_a_rollout_can_do_nothing_else(template: dict[str, Any]) -> None:
    (policy,) = [
        resource["Properties"]["PolicyDocument"]["Statement"]
        for name, resource in template["Resources"].items()
        if name.startswith("Releasers") and resource["Type"] == "AWS::IAM::Policy"
    ]
    assert [statement["Action"] for statement in policy] == ["states:StartExecution"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_makes_a_template(strategy: str, tmp_path: Path) -> None:
    app = new_app(tmp_path)
    add(app, strategy=strategy)
    assert templates(app)[ROLLOUT].resources("AWS::SageMaker::Endpoint")


def test_an_unknown_strategy_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PropError, match="canary"):
        add(new_app(tmp_path), strategy="big_bang")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda: RolloutPlan.canary(
                percent=60, wait=cdk.Duration.minutes(5), bake=cdk.Duration.minutes(5)
            ),
            "60",
        ),
        (
            lambda: RolloutPlan.canary(
                percent=10, wait=cdk.Duration.seconds(5), bake=cdk.Duration.minutes(5)
            ),
            "5",
        ),
        (
            lambda: RolloutPlan.linear(
                step=1, interval=cdk.Duration.minutes(5), bake=cdk.Duration.minutes(5)
            ),
            "1",
        ),
        (lambda: RolloutPlan.blue_green(bake=cdk.Duration.days(2)), "172800"),
    ],
)
def test_a_senseless_plan_is_refused(make: Any, reason: str) -> None:
    with pytest.raises(PropError, match=reason):
        make()


@pytest.mark.parametrize("posture", ["sandbox", "production"])
def test_the_template_is_as_it_was(posture: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    app = new_app(tmp_path)
    add(app, posture=posture)
    assert shape(templates(app)[ROLLOUT]) == snapshot(name=posture).use_extension(JSONSnapshotExtension)
