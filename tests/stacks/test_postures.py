"""What goes with the stack, and what outlives it."""

from pathlib import Path

import aws_cdk as cdk
import pytest

from tests.stacks.synthesis import SCENARIO, add_scenario, new_app, scenario, templates
from tests.stacks.template import Template

HOLDS_DATA = (
    "AWS::S3::Bucket",
    "AWS::KMS::Key",
    "AWS::SQS::Queue",
    "AWS::Logs::LogGroup",
)


def kept(template: Template, *types: str) -> set[str]:
    """The policies of resources that hold data, on deletion and on replacement."""
    return {
        policy
        for id in template.resources(*types)
        for policy in (
            template.body["Resources"][id].get("DeletionPolicy", "Delete"),
            template.body["Resources"][id].get("UpdateReplacePolicy", "Delete"),
        )
    }


@pytest.fixture
def destroying(tmp_path: Path) -> Template:
    app = new_app(tmp_path, **{"ml-lens:destroy-data": "true"})
    add_scenario(app, posture="production", data_use_opt_out="p-ai-opt-out")
    return templates(app)[SCENARIO]


def warnings(app: cdk.App) -> list[str]:
    return [
        str(message.entry.data)
        for message in app.synth().get_stack_by_name(SCENARIO).messages
        if str(message.level).endswith("WARNING")
    ]


def test_a_sandbox_leaves_nothing_behind(sandbox: Template) -> None:
    assert kept(sandbox) == {"Delete"}
    assert sandbox.only("AWS::Athena::WorkGroup")["RecursiveDeleteOption"] is True
    emptied = {each["BucketName"]["Ref"] for each in sandbox.resources("Custom::EmptiedBucket").values()}
    assert emptied == set(sandbox.resources("AWS::S3::Bucket"))
    assert {key["PendingWindowInDays"] for key in sandbox.resources("AWS::KMS::Key").values()} == {7}


def test_a_sandbox_keeps_logs_for_a_week_and_production_for_a_year(
    sandbox: Template, production: Template
) -> None:
    for template, days in ((sandbox, 7), (production, 365)):
        groups = template.resources("AWS::Logs::LogGroup").values()
        assert {group["RetentionInDays"] for group in groups} == {days}


@pytest.mark.parametrize("type", HOLDS_DATA)
def test_production_keeps_whatever_holds_data(production: Template, type: str) -> None:
    assert kept(production, type) == {"Retain"}


def test_production_has_nothing_that_could_empty_a_bucket(production: Template) -> None:
    assert not production.resources("Custom::EmptiedBucket")
    assert not [id for id in production.resources() if id.startswith("BucketEmptier")]
    deletes = {
        action
        for role in production.resources("AWS::IAM::Role")
        for action in production.actions(role)
        if "Delete" in action
    }
    assert deletes == {"s3:DeleteObjectVersion", "sqs:DeleteMessage"}


def test_production_logs_less(sandbox: Template, production: Template) -> None:
    for template, level in ((sandbox, "DEBUG"), (production, "INFO")):
        for function in template.resources("AWS::Lambda::Function").values():
            assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == level


def test_a_second_key_is_needed_to_delete_production_data(destroying: Template) -> None:
    assert len(destroying.resources("Custom::EmptiedBucket")) == 2
    for bucket in ("DemographicsImages", "DemographicsResults"):
        assert (
            destroying.body["Resources"][destroying.id("AWS::S3::Bucket", bucket)]["DeletionPolicy"]
            == "Delete"
        )


@pytest.mark.lens("F2-07")
def test_no_flag_removes_locked_audit_records(destroying: Template) -> None:
    assert "ObjectLockConfiguration" in destroying.one("AWS::S3::Bucket", "DemographicsAudit")
    for kind, part in (("AWS::S3::Bucket", "DemographicsAudit"), ("AWS::KMS::Key", "DemographicsAuditKey")):
        assert destroying.body["Resources"][destroying.id(kind, part)]["DeletionPolicy"] == "Retain"


def test_the_warning_names_the_flag_that_deletes_production_data(tmp_path: Path) -> None:
    app = new_app(tmp_path, **{"ml-lens:destroy-data": True})
    add_scenario(app, posture="production", data_use_opt_out="p-ai-opt-out")
    told = warnings(app)
    assert told
    assert all("context flag ml-lens:destroy-data is set" in warning for warning in told)


def test_the_flag_says_nothing_unless_it_is_true(tmp_path: Path) -> None:
    app = new_app(tmp_path, **{"ml-lens:destroy-data": "false"})
    add_scenario(app, posture="production", data_use_opt_out="p-ai-opt-out")
    assert warnings(app) == []
    assert kept(templates(app)[SCENARIO], *HOLDS_DATA) == {"Retain"}


@pytest.mark.lens("AIS-08")
def test_production_warns_when_no_decision_on_data_use_is_recorded(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    add_scenario(app, posture="production")
    (warning,) = warnings(app)
    assert "opt-out policy in AWS Organizations" in warning


def test_a_change_of_purpose_replaces_nothing(tmp_path: Path, production: Template) -> None:
    other = scenario(tmp_path, posture="production", purpose="Counting visitors of one exhibition")
    assert set(other.resources()) == set(production.resources())


def test_what_production_keeps_stays_protected(production: Template) -> None:
    policies = [r for r in production.body["Resources"].values() if r["Type"] == "AWS::S3::BucketPolicy"]
    assert {policy["DeletionPolicy"] for policy in policies} == {"Retain"}


def test_the_analysis_is_deleted_before_its_buckets_are_emptied(sandbox: Template) -> None:
    function = sandbox.body["Resources"][sandbox.id("AWS::Lambda::Function", "DemographicsAnalysisAnalyse")]
    emptied = {
        sandbox.id("Custom::EmptiedBucket", f"Demographics{bucket}Emptied")
        for bucket in ("Images", "Results")
    }
    assert emptied <= set(function["DependsOn"])


def test_the_history_of_queries_keeps_no_workgroup_from_being_deleted(production: Template) -> None:
    assert production.only("AWS::Athena::WorkGroup")["RecursiveDeleteOption"] is True
