"""Workflows of hosting for the tests: how they are made, and how their definitions are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.foundation import AuditTrail, DerivedDataBucket, MlNetwork, Posture, TemporaryInputBucket
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.state_machines import definitions
from tests.stacks.synthesis import findings
from tests.stacks.template import Statement, Template

MACHINE, ROLE, RULE = "AWS::StepFunctions::StateMachine", "AWS::IAM::Role", "AWS::Events::Rule"
# CDK writes DependsOn beside references that say the same, and it does no harm.
REDUNDANT_DEPENDS_ON = "W3005"

# What the packs say of everything that a test stack lacks on purpose: a budget, a registry.
OF_THE_APP = ("MLLens-COST04-TagsAndBudget", "MLLens-REL01-ModelFromRegistry")


class Place:
    """A stack with what every workflow needs around it."""

    def __init__(self, app: cdk.App, posture: Posture, name: str = "Serving") -> None:
        self.stack = cdk.Stack(app, name, tags=posture.tags)
        self.posture = posture
        self.audit = AuditTrail(self.stack, "Audit", posture=posture)
        self.network = MlNetwork(self.stack, "Network", posture=posture)
        self.files = TemporaryInputBucket(self.stack, "Files", posture=posture, audit=self.audit)
        self.results = DerivedDataBucket(self.stack, "Results", posture=posture, audit=self.audit)
        self.models = s3.Bucket.from_bucket_name(self.stack, "Models", "models-of-ours")


def states(made: Template) -> dict[str, Any]:
    """Return every state of the one state machine, those inside of others included, by name."""
    (definition,) = definitions(made.body).values()

    def walk(level: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, state in level["States"].items():
            yield name, state
            for inner in (*state.get("Branches", ()), *filter(None, [state.get("ItemProcessor")])):
                yield from walk(inner)

    return dict(walk(json.loads(definition)))


def raw_states(made: Template) -> str:
    """Return the definition as the template has it, references in angle brackets."""
    parts = made.only(MACHINE)["DefinitionString"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else _reference(part) for part in parts)


def catchers(state: Mapping[str, Any], error: str = "States.ALL") -> list[str]:
    """Return where ``error`` leads from a state."""
    return [each["Next"] for each in state.get("Catch", ()) if error in each["ErrorEquals"]]


def allowed(made: Template, role: str, action: str) -> list[Statement]:
    """Return the statements that allow ``action`` to the role at a path."""
    return [each for each in made.statements(made.id(ROLE, role)) if action in each.actions]


def complaints(app: cdk.App) -> list[str]:
    """Synthesize with both packs and cfn-lint, and return what they say, except what is the app's business."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    folder = Path(app.outdir)
    try:
        app.synth()
    except RuntimeError as failed:
        assert "ValidationFailed" in str(failed)  # noqa: PT017
    said = [each for each in findings(folder) if not each.startswith(OF_THE_APP)]
    for file in folder.glob("*.template.json"):
        found = lint(file.read_text(), list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
        said += [str(match) for match in found if match.rule.id != REDUNDANT_DEPENDS_ON]
    return said


def _reference(part: Mapping[str, Any]) -> str:
    if "Ref" in part:
        return f"<{part['Ref']}>"
    return f"<{'.'.join(part['Fn::GetAtt'])}>"
