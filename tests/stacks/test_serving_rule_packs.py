"""The rule packs, cfn-lint and the checks of the CDK have nothing to say to figure 14 that is not answered."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.rules.pack import MLLensChecks
from tests.stacks.serving_scenario import GUARDED, add_serving
from tests.stacks.synthesis import findings, new_app
from tests.stacks.test_rule_packs import REDUNDANT_DEPENDS_ON, acknowledged

pytestmark = pytest.mark.xdist_group("serving rule packs")


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All variants in one app, as ``app.py`` makes it: with the rule packs and with validation."""
    app = new_app(tmp_path_factory.mktemp("serving"), validated=True)
    add_serving(app, "Trial")
    add_serving(app, "Lasting", posture="production")
    add_serving(app, "Guarded", account_logging=True, **GUARDED)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    return Path(app.synth().directory)


def test_no_finding_is_left_not_even_a_warning(assembly: Path) -> None:
    assert findings(assembly) == []


@pytest.mark.parametrize("stack", ["Trial", "Lasting", "Guarded"])
def test_every_acknowledgement_is_narrow_reasoned_and_inside_its_construct(
    assembly: Path, stack: str
) -> None:
    made = acknowledged(assembly, stack)
    assert made
    for each in made:
        assert len(each.path.strip("/").split("/")) > 2, f"{each} is made on a stack or right below it"
        assert len(each.reason) >= 40, each
        if each.finding.startswith("AwsSolutions-IAM"):
            assert each.finding.endswith("]"), f"{each} covers more than one finding"


@pytest.mark.parametrize("stack", ["Lasting", "Guarded"])
def test_cfn_lint_finds_nothing(assembly: Path, stack: str) -> None:
    template = (assembly / f"{stack}.template.json").read_text()
    found = lint(template, list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    assert [str(match) for match in found if match.rule.id != REDUNDANT_DEPENDS_ON] == []
