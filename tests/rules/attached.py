"""An app with the pack attached, and a judge that finds what a test asks for, so that no rule matters here."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns
from constructs import IConstruct

from ml_lens.rules import pack
from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile

RULE = "MLLens-SEC99-NoRoot"  # none of the catalogue
TOPIC = "AWS::SNS::Topic"


def finding(template: TemplateFile, resource: str, **changes: Any) -> Finding:
    """An error of ``RULE`` on a resource, with ``changes``."""
    described: dict[str, Any] = {
        "rule": RULE,
        "finding": None,
        "level": Level.ERROR,
        "message": "RootAccess is Enabled.",
        "fix": "Set RootAccess to Disabled.",
        "references": (),
        "path": None,
    }
    metadata = template.body["Resources"][resource].get("Metadata", {})
    return Finding(
        resource=resource,
        template=template.name,
        construct_path=metadata.get("aws:cdk:path"),
        source=template.path,
        **(described | changes),
    )


@dataclass
class Judge:
    """Finds the same on every topic, and remembers what it was given."""

    found: Sequence[dict[str, Any]] = ({},)
    runs: list[list[TemplateFile]] = field(default_factory=list)
    options: Options | None = None

    def __call__(self, templates: Sequence[TemplateFile], options: Options) -> tuple[Finding, ...]:
        self.runs.append(list(templates))
        self.options = options
        return tuple(self._findings(templates))

    def _findings(self, templates: Sequence[TemplateFile]) -> Iterator[Finding]:
        for template in templates:
            for resource, body in template.body["Resources"].items():
                if body["Type"] == TOPIC:
                    for changes in self.found:
                        yield finding(template, resource, **changes)


Judged = Callable[..., Judge]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Judged:
    """Let the pack find on every topic what is given: changes to an error of ``RULE``."""

    def judged(*found: dict[str, Any]) -> Judge:
        judge = Judge(found or ({},))
        monkeypatch.setattr(pack, "judge", judge)
        return judge

    return judged


def new_app(outdir: Path, **context: object) -> cdk.App:
    return cdk.App(outdir=str(outdir), context=context, builtin_cloud_formation_validation=False)


def topic(scope: IConstruct, id: str = "Topic") -> sns.Topic:
    return sns.Topic(scope, id)


def app_with_topic(outdir: Path) -> tuple[cdk.App, sns.Topic]:
    """An app with the pack and one stack, which has one topic."""
    app = new_app(outdir)
    made = topic(cdk.Stack(app, "Stack"))
    attach(app)
    return app, made


def attach(scope: IConstruct, **options: Any) -> None:
    cdk.Validations.of(scope).add_plugins(pack.MLLensChecks(scope, **options))


def refused(app: cdk.App) -> str:
    """Synthesize an app that must not pass, and return what the CDK says about it."""
    with pytest.raises(RuntimeError, match="ValidationFailed") as refusal:
        app.synth()
    return str(refusal.value)


def report(outdir: Path, pack_name: str = "MLLens") -> dict[str, Any]:
    """What the report of the synthesis says of the pack; nothing when there was nothing to say."""
    written = json.loads((outdir / "validation-report.json").read_text(encoding="utf-8"))
    found = [each for each in written["pluginReports"] if each["pluginName"] == pack_name]
    assert len(found) <= 1
    return found[0] if found else {}


def told(violations: Sequence[dict[str, Any]]) -> list[str]:
    """Violations as ``rule path``."""
    return sorted(
        f"{violation['ruleName']} {construct['constructPath']}"
        for violation in violations
        for construct in violation["violatingConstructs"]
    )
