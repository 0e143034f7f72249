"""The rule packs, cfn-lint and the checks of the CDK itself have nothing to say that is not answered."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.rules.pack import MLLensChecks
from tests.stacks.synthesis import VIEWERS, add_scenario, findings, new_app
from tests.stacks.template import Statement, Template

pytestmark = pytest.mark.xdist_group("rule packs")

# CDK writes DependsOn beside references that say the same. Nothing here can change that, and it does no harm.
REDUNDANT_DEPENDS_ON = "W3005"
ACKNOWLEDGEMENT = "aws:cdk:acknowledged-rules"


@dataclass(frozen=True)
class Acknowledged:
    """One acknowledgement, and where it was made."""

    path: str
    finding: str
    reason: str


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All variants in one app, as ``app.py`` makes it: with the rule packs and with validation."""
    app = new_app(tmp_path_factory.mktemp("checked"), validated=True)
    add_scenario(app, "Sandbox")
    add_scenario(app, "Production", posture="production", data_use_opt_out="p-ai-opt-out")
    add_scenario(app, "Dashboard", dashboard_principal_arn=VIEWERS)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    return Path(app.synth().directory)


def acknowledged(folder: Path, stack: str) -> list[Acknowledged]:
    entries: dict[str, list[dict[str, Any]]] = json.loads((folder / f"{stack}.metadata.json").read_text())
    return [
        Acknowledged(path, finding.removeprefix("Annotation::"), reason)
        for path, told in entries.items()
        for entry in told
        if entry["type"] == ACKNOWLEDGEMENT
        for finding, reason in entry["data"].items()
    ]


def test_no_finding_of_aws_solutions_or_of_the_cdk_is_left(assembly: Path) -> None:
    assert [found for found in findings(assembly) if not found.startswith("MLLens-")] == []


def test_no_error_of_the_lens_is_left(assembly: Path) -> None:
    assert findings(assembly, warnings=False) == []


def test_a_finding_that_nobody_acknowledged_ends_the_synthesis(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    s3.Bucket(cdk.Stack(app, "Open"), "Bucket")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert findings(tmp_path) == [
        "AwsSolutions-S1 Open/Bucket/Resource",
        "AwsSolutions-S10 Open/Bucket/Resource",
    ]


def test_an_error_of_the_lens_that_nobody_acknowledged_ends_the_synthesis(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    sagemaker.CfnNotebookInstance(
        cdk.Stack(app, "Open"),
        "Notebook",
        instance_type="ml.t3.medium",
        role_arn="arn:aws:iam::111122223333:role/notebook",
        root_access="Enabled",
    )
    cdk.Validations.of(app).add_plugins(MLLensChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert "MLLens-SEC02-NotebookNoRoot Open/Notebook" in findings(tmp_path, warnings=False)


@pytest.mark.parametrize("stack", ["Sandbox", "Production", "Dashboard"])
def test_every_acknowledgement_is_narrow_reasoned_and_inside_its_construct(
    assembly: Path, stack: str
) -> None:
    made = acknowledged(assembly, stack)
    assert made
    for each in made:
        assert len(each.path.strip("/").split("/")) > 2, f"{each} is made on a stack or right below it"
        assert len(each.reason) >= 40, each
        assert each.finding.removeprefix("MLLens::").startswith(("AwsSolutions-", "MLLens-")), each
        if each.finding.startswith("AwsSolutions-IAM"):
            assert each.finding.endswith("]"), f"{each} covers more than one finding"


def test_the_reason_for_a_star_names_every_action_that_needs_it(assembly: Path) -> None:
    template = Template.read(assembly / "Sandbox.template.json")
    starred = {
        action
        for policy in template.resources("AWS::IAM::Policy").values()
        for said in map(Statement.of, policy["PolicyDocument"]["Statement"])
        if "*" in said.resources
        for action in said.actions
    }
    reasons = " ".join(
        each.reason
        for each in acknowledged(assembly, "Sandbox")
        if each.finding == "AwsSolutions-IAM5[Resource::*]"
    )
    assert {action for action in starred if action not in reasons} == set()


@pytest.mark.parametrize("stack", ["Production", "Dashboard"])  # what is in a sandbox is in Dashboard, too
def test_cfn_lint_finds_nothing(assembly: Path, stack: str) -> None:
    template = (assembly / f"{stack}.template.json").read_text()
    found = lint(template, list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    assert [str(match) for match in found if match.rule.id != REDUNDANT_DEPENDS_ON] == []


def test_cfn_lint_is_really_at_work() -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"Nonsense": 1}, "DependsOn": "Nobody"}
    found = lint(json.dumps({"Resources": {"Topic": topic}}), list(get_rules([], [], [], {}, False)))
    assert {"E3002", "E3005"} <= {match.rule.id for match in found}
