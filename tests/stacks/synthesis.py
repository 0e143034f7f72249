"""Makes templates for the tests: with the feature flags of the app, in folders that go with the test."""

import json
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk

from ml_lens.foundation import Posture
from stacks.customer_demographics import ScenarioStack, Settings
from tests.stacks.template import Template

CHECKOUT = Path(__file__).resolve().parents[2]
CONTEXT: Mapping[str, object] = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
SCENARIO = "CustomerDemographics"
PURPOSE = "Footfall statistics by age group with a notice at the entrance"
VIEWERS = "arn:aws:quicksight:eu-west-1:123456789012:group/default/analysts"


def new_app(outdir: Path, *, validated: bool = False, **context: object) -> cdk.App:
    """Return an app as ``cdk.json`` sets it up; validation costs a second, so only one test asks for it."""
    return cdk.App(
        context={**CONTEXT, **context}, outdir=str(outdir), builtin_cloud_formation_validation=validated
    )


def add_scenario(app: cdk.App, name: str = SCENARIO, *, posture: str = "sandbox", **settings: object) -> None:
    ScenarioStack(
        app, name, posture=Posture.named(posture), settings=Settings(**{"purpose": PURPOSE, **settings})
    )


def templates(app: cdk.App) -> dict[str, Template]:
    """Synthesize and return every template by its stack's name."""
    folder = Path(app.synth().directory)
    return {
        stack.node.id: Template.read(folder / f"{stack.node.id}.template.json")
        for stack in app.node.children
        if isinstance(stack, cdk.Stack)
    }


def scenario(outdir: Path, *, posture: str = "sandbox", **settings: object) -> Template:
    """Synthesize the scenario alone."""
    app = new_app(outdir)
    add_scenario(app, posture=posture, **settings)
    return templates(app)[SCENARIO]


def findings(folder: Path, *, warnings: bool = True) -> list[str]:
    """Return what the CDK and the rule packs complained about, as ``rule path``."""
    report = json.loads((folder / "validation-report.json").read_text())
    return sorted(
        f"{violation['ruleName']} {construct['constructPath']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        if warnings or violation["severity"] != "warning"
        for construct in violation["violatingConstructs"]
    )
