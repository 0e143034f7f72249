"""How ``MLLensChecks`` is made, what it tells the CDK about itself, and what it needs to be there."""

import os
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns

from ml_lens.rules import pack
from ml_lens.rules.catalogue import RULES
from ml_lens.rules.finding import Level
from ml_lens.rules.options import OptionError
from ml_lens.rules.pack import MLLensChecks
from tests.rules.attached import RULE, Judged, attach, judged, new_app, refused, report, topic

__all__ = ["judged"]

CHECKOUT = Path(__file__).resolve().parents[2]
OTHERS = "import ml_lens.rules, ml_lens.foundation, ml_lens.ai_services"
INSTEAD = {
    "none": "raise ModuleNotFoundError(\"No module named 'cdk_nag'\", name='cdk_nag')",
    "cdk-nag 2": "class NagPack:\n    def visit(self, node): ...",
}


class TestOptions:
    def test_options_are_given_by_name(self, judged: Judged, tmp_path: Path) -> None:
        judge = judged({"level": Level.WARNING})
        app = new_app(tmp_path)
        topic(cdk.Stack(app, "Stack"))
        attach(app, environment="dev", pillars=["cost"], existing_customer=["clarify"], max_idle_minutes=30)
        app.synth()
        assert judge.options is not None
        assert judge.options.environment == "dev"
        assert judge.options.pillars == ("cost",)
        assert judge.options.existing_customer == frozenset({"clarify"})
        assert judge.options.max_idle_minutes == 30

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"enviroment": "dev"}, "enviroment is not an option"),
            ({"unresolved": "fail"}, "unresolved: 'fail' is not one of error, warn, ignore"),
            ({"pillars": ["sustainability"]}, "pillars: 'sustainability' is not one of security"),
            ({"max_idle_minutes": 0}, "max_idle_minutes: 0 is not a whole number of at least 1"),
        ],
    )
    def test_an_option_that_no_rule_can_use_is_refused_at_once_in_one_line(
        self, options: dict[str, object], problem: str
    ) -> None:
        with pytest.raises(OptionError) as refusal:
            MLLensChecks(**options)
        assert str(refusal.value).startswith(problem)
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize(
        ("options", "description"),
        [
            ({}, "RootAccess is Enabled."),
            ({"verbose": True}, "RootAccess is Enabled. A user with root controls the instance."),
        ],
    )
    def test_verbose_tells_why_too(
        self,
        options: dict[str, bool],
        description: str,
        judged: Judged,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        class Known:
            why = "A user with root controls the instance."
            construct = "SecureNotebook"

        judged({})
        monkeypatch.setattr(pack, "rule_named", {RULE: Known}.get)
        app = new_app(tmp_path)
        topic(cdk.Stack(app, "Stack"))
        attach(app, **options)
        refused(app)
        (violation,) = report(tmp_path)["violations"]
        assert violation["description"] == description
        assert violation["ruleMetadata"]["construct"] == "SecureNotebook"


class TestPlugin:
    def test_it_names_itself_its_version_and_its_rules(self) -> None:
        checks = MLLensChecks()
        assert (checks.name, checks.read_pack_name) == ("MLLens", "MLLens")
        assert checks.version == stated_version()
        assert checks.rule_ids == [rule.id for rule in RULES]

    def test_it_names_only_the_rules_that_run(self) -> None:
        named = MLLensChecks(pillars=["cost"]).rule_ids
        assert named == [rule.id for rule in RULES if rule.name.startswith("COST")]

    def test_it_refuses_to_judge_constructs_as_it_could_only_say_that_all_is_well(self) -> None:
        stack = cdk.Stack()
        sns.Topic(stack, "Topic")
        with pytest.raises(RuntimeError, match="synthesize the app"):
            MLLensChecks().validate_scope(stack)


def stated_version() -> str:
    """The version that ``pyproject.toml`` states."""
    lines = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))


class TestWithoutCdkNag3:
    """cdk-nag is an extra, and others pin cdk-nag 2."""

    @pytest.fixture(params=INSTEAD.values(), ids=INSTEAD.keys())
    def instead(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        """A folder with what stands in the place of cdk-nag 3."""
        (tmp_path / "cdk_nag.py").write_text(request.param)
        return tmp_path

    def run(self, code: str, instead: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(instead), "PYTHONUTF8": "1"}
        return subprocess.run(  # noqa: S603
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def test_everything_else_can_be_imported(self, instead: Path) -> None:
        done = self.run(OTHERS, instead)
        assert done.returncode == 0, done.stderr

    def test_the_pack_says_in_one_line_what_it_needs(self, instead: Path) -> None:
        done = self.run("import ml_lens.rules.pack", instead)
        last = done.stderr.rstrip().splitlines()[-1]
        assert last.startswith("ImportError: MLLensChecks needs cdk-nag 3")
        assert "pip install 'ml-lens-constructs[nag]'" in last
        assert done.stderr.count("Traceback") == 1
