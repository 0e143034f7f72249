"""``MLLensChecks`` beside other packs: what it judges, what it reports, and when it ends the synthesis."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.rules import pack
from ml_lens.rules.finding import Level
from ml_lens.rules.templates import UnusableInput
from tests.rules.attached import (
    RULE,
    Judged,
    app_with_topic,
    attach,
    judged,
    new_app,
    refused,
    report,
    told,
    topic,
)

__all__ = ["judged"]

WARNING = {"level": Level.WARNING}


class TestReporting:
    def test_an_error_ends_the_synthesis(self, judged: Judged, tmp_path: Path) -> None:
        judged()
        app, _ = app_with_topic(tmp_path)
        assert "RootAccess is Enabled." in refused(app)
        assert report(tmp_path)["conclusion"] == "failure"

    def test_a_warning_is_told_and_ends_nothing(
        self, judged: Judged, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        judged(WARNING)
        app, _ = app_with_topic(tmp_path)
        app.synth()
        assert report(tmp_path)["conclusion"] == "success"
        assert told(report(tmp_path)["violations"]) == [f"{RULE} Stack/Topic/Resource"]
        assert "WARNING RootAccess is Enabled. (MLLens)" in capfd.readouterr().err

    def test_a_warning_beside_an_error_does_not_hide_it(self, judged: Judged, tmp_path: Path) -> None:
        judged({}, WARNING)
        app, _ = app_with_topic(tmp_path)
        refused(app)
        assert [each["severity"] for each in report(tmp_path)["violations"]] == ["error", "warning"]

    def test_an_app_without_findings_passes_in_silence(
        self, judged: Judged, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        judged()
        app = new_app(tmp_path)
        cdk.Stack(app, "Empty")
        attach(app)
        app.synth()
        assert report(tmp_path) == {}
        assert capfd.readouterr().err == ""

    def test_a_violation_carries_what_a_reader_and_a_program_need(
        self, judged: Judged, tmp_path: Path
    ) -> None:
        references = (
            "lens2020:MLSEC 02",
            "lens2020:MLSEC 03",
            "lens2025:MLSEC04-BP01",
            "SecurityHub:SageMaker.3",
            "Config:sagemaker-notebook-instance-root-access-check",
            "cdk-nag:AwsSolutions-SM3",
            "checkov:CKV_AWS_307",
        )
        judged({"finding": "root", "path": "RootAccess", "references": references})
        app, _ = app_with_topic(tmp_path)
        refused(app)
        (violation,) = report(tmp_path)["violations"]
        (construct,) = violation.pop("violatingConstructs")
        assert violation == {
            "ruleName": f"{RULE}[root]",
            "description": "RootAccess is Enabled.",
            "suggestedFix": "Set RootAccess to Disabled.",
            "severity": "error",
            "ruleMetadata": {
                "lens2020": "MLSEC 02, MLSEC 03",
                "lens2025": "MLSEC04-BP01",
                "securityHub": "SageMaker.3",
                "config": "sagemaker-notebook-instance-root-access-check",
                "cdkNag": "AwsSolutions-SM3",
                "checkov": "CKV_AWS_307",
                "fix": "Set RootAccess to Disabled.",
            },
        }
        assert construct["constructPath"] == "Stack/Topic/Resource"
        assert construct["cloudFormationResource"] == {
            "templatePath": "Stack.template.json",
            "logicalId": "TopicBFC7AF6E",
            "propertyPaths": ["Properties.RootAccess"],
        }

    def test_resources_with_the_same_finding_stand_together(self, judged: Judged, tmp_path: Path) -> None:
        judged()
        app, _ = app_with_topic(tmp_path)
        topic(cdk.Stack(app, "Second"))
        refused(app)
        (violation,) = report(tmp_path)["violations"]
        assert told([violation]) == [f"{RULE} Second/Topic/Resource", f"{RULE} Stack/Topic/Resource"]

    def test_findings_that_read_differently_stand_apart(self, judged: Judged, tmp_path: Path) -> None:
        judged({"message": "RootAccess is Enabled."}, {"message": "RootAccess is not given."})
        app, _ = app_with_topic(tmp_path)
        refused(app)
        told_of = [each["description"] for each in report(tmp_path)["violations"]]
        assert told_of == ["RootAccess is Enabled.", "RootAccess is not given."]

    def test_nothing_is_left_of_an_earlier_synthesis(self, judged: Judged, tmp_path: Path) -> None:
        judged(WARNING)
        app, _ = app_with_topic(tmp_path)
        app.synth()
        app.synth(force=True)
        assert told(report(tmp_path)["violations"]) == [f"{RULE} Stack/Topic/Resource"]

    def test_it_stands_beside_other_packs(self, judged: Judged, tmp_path: Path) -> None:
        judged(WARNING)
        app, _ = app_with_topic(tmp_path)
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        refused(app)
        assert report(tmp_path)["conclusion"] == "success"
        assert told(report(tmp_path, "AwsSolutions")["violations"]) == [
            "AwsSolutions-SNS3 Stack/Topic/Resource"
        ]


class TestInput:
    @pytest.mark.parametrize(
        ("mistake", "told_so"),
        [
            (
                UnusableInput(Path("Stack.template.json"), "nests too deep"),
                "Stack.template.json: nests too deep",
            ),
            (KeyError("Type"), "the templates (KeyError: 'Type'); please report it"),
            (ValueError("one line\nand another"), "the templates (ValueError: one line and another); please"),
        ],
        ids=["a file that cannot be used", "a bug", "a long story"],
    )
    def test_what_cannot_be_judged_is_one_clear_error_that_nobody_can_acknowledge(
        self, mistake: Exception, told_so: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unusable(paths: object) -> object:
            raise mistake

        monkeypatch.setattr(pack, "read_templates", unusable)
        app, _ = app_with_topic(tmp_path)
        acknowledge(app, "MLLens::MLLens-CouldNotJudge", "There is no reason that could be given for this.")
        said = refused(app)
        assert f"FATAL MLLens could not judge {told_so}" in said
        assert "Traceback" not in said
        (violation,) = report(tmp_path)["violations"]
        assert report(tmp_path)["conclusion"] == "failure"
        # Without a construct the command line of the CDK fails, too: see its filterReportsByStacks.
        assert [each["constructPath"] for each in violation["violatingConstructs"]] == [""]

    def test_a_finding_that_cannot_be_told_does_not_pass_for_none(
        self, judged: Judged, tmp_path: Path
    ) -> None:
        judged({"references": (1,)})
        app, _ = app_with_topic(tmp_path)
        assert "FATAL MLLens could not judge the templates (AttributeError" in refused(app)

    def test_all_stacks_are_judged_together(self, judged: Judged, tmp_path: Path) -> None:
        judge = judged(WARNING)
        app, _ = app_with_topic(tmp_path)
        topic(cdk.Stack(app, "Second", stack_name="second-stack", tags={"mllens:environment": "dev"}))
        app.synth()
        (templates,) = judge.runs
        assert {template.stack_name: template.tags for template in templates} == {
            "Stack": {},
            "second-stack": {"mllens:environment": "dev"},
        }

    @pytest.mark.parametrize("context", [{}, {"aws:cdk:enable-asset-metadata": True}])
    def test_nested_stacks_are_judged_with_the_tags_of_their_parent(
        self, context: dict[str, object], judged: Judged, tmp_path: Path
    ) -> None:
        judge = judged(WARNING)
        app = new_app(tmp_path, **context)
        stack = cdk.Stack(app, "Stack", tags={"mllens:environment": "dev"})
        topic(cdk.NestedStack(cdk.NestedStack(stack, "Nested"), "Inner"))
        attach(app)
        app.synth()
        assert told(report(tmp_path)["violations"]) == [f"{RULE} Stack/Nested/Inner/Topic/Resource"]
        (templates,) = judge.runs
        assert [template.tags for template in templates] == [{"mllens:environment": "dev"}] * 3

    def test_a_template_of_an_earlier_synthesis_is_not_judged(self, judged: Judged, tmp_path: Path) -> None:
        judge = judged(WARNING)
        earlier = new_app(tmp_path)
        cdk.NestedStack(cdk.Stack(earlier, "Earlier"), "Nested")
        earlier.synth()
        app, _ = app_with_topic(tmp_path)
        app.synth()
        (templates,) = judge.runs
        assert [template.name for template in templates] == ["Stack.template.json"]

    def test_each_stage_is_judged_on_its_own(self, judged: Judged, tmp_path: Path) -> None:
        judge = judged(WARNING)
        app, _ = app_with_topic(tmp_path)
        stage = cdk.Stage(app, "Prod")
        topic(cdk.Stack(stage, "Stack"))
        topic(cdk.Stack(cdk.Stage(stage, "Inner"), "Stack"))
        app.synth()
        assert sorted(template.stack_name for (template,) in judge.runs) == [
            "Prod-Inner-Stack",
            "Prod-Stack",
            "Stack",
        ]
        assert told(report(tmp_path)["violations"]) == [
            f"{RULE} Prod/Inner/Stack/Topic/Resource",
            f"{RULE} Prod/Stack/Topic/Resource",
            f"{RULE} Stack/Topic/Resource",
        ]

    def test_attached_to_a_stage_it_judges_nothing_else(self, judged: Judged, tmp_path: Path) -> None:
        judged(WARNING)
        app = new_app(tmp_path)
        topic(cdk.Stack(app, "Tools"))
        stage = cdk.Stage(app, "Prod")
        topic(cdk.Stack(stage, "Stack"))
        attach(stage)
        app.synth()
        assert told(report(tmp_path)["violations"]) == [f"{RULE} Prod/Stack/Topic/Resource"]
