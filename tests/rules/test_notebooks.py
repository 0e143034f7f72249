"""Notebooks and domains in company: several of each, schedules, scripts and repositories of other stacks."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import read_templates
from tests.rules.apps import read
from tests.rules.cases.notebooks import AUTO_STOP, DOMAIN, NOTEBOOK, encoded, lifecycle, schedule
from tests.rules.fixtures import OPEN_PARAMETER, said, template, told

AUTO_STOPS = "COST02-NotebookAutoStop"
REPOSITORY = "OPS02-NotebookCodeRepository"
OF_NOTEBOOKS = (
    "SEC02-NotebookInVpc",
    "SEC02-NotebookNoDirectInternet",
    "SEC02-NotebookNoRoot",
    "SEC02-NotebookKmsKey",
    "SEC02-NotebookPlatformImds",
    REPOSITORY,
    AUTO_STOPS,
)
Told = list[tuple[str | None, str, str]]


def found(rule: str, resources: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Told:
    return told(said(rule, template(resources), options or {}))


def notebook(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SageMaker::NotebookInstance", "Properties": properties}


def domain(**settings: Any) -> dict[str, Any]:
    changed = copy.deepcopy(DOMAIN)
    changed["Properties"]["DefaultUserSettings"].update(settings)
    return changed


# --- notebooks by themselves ----------------------------------------------------------------------


@pytest.mark.parametrize("rule", OF_NOTEBOOKS)
def test_an_app_without_notebooks_is_left_alone(rule: str) -> None:
    assert found(rule, {"Bucket": {"Type": "AWS::S3::Bucket"}, "Lifecycle": lifecycle("")}) == []


@pytest.mark.parametrize("rule", OF_NOTEBOOKS)
def test_a_notebook_of_which_nothing_is_said_violates_every_rule_once(rule: str) -> None:
    ((finding, _, resource),) = found(rule, {"Bare": {"Type": "AWS::SageMaker::NotebookInstance"}})
    assert (finding, resource) == (None, "Bare")


def test_what_is_missing_of_one_rule_is_told_in_one_sentence() -> None:
    (only,) = said("SEC02-NotebookInVpc", template({"Bare": notebook()}), {})
    assert only.message == "SubnetId is missing; SecurityGroupIds is missing, must name at least 1"


def test_the_version_of_the_metadata_service_may_be_a_number() -> None:
    properties = {**NOTEBOOK["Properties"]}
    properties["InstanceMetadataServiceConfiguration"] = {"MinimumInstanceMetadataServiceVersion": 2}
    assert found("SEC02-NotebookPlatformImds", {"Notebook": notebook(**properties)}) == []


# --- code repositories ----------------------------------------------------------------------------


def test_the_repositories_of_a_domain_s_spaces_stand_for_all_notebooks() -> None:
    spaces = {
        "JupyterLabAppSettings": {"CodeRepositories": [{"RepositoryUrl": "https://git.example.com/churn"}]}
    }
    two = {"One": notebook(), "Two": notebook()}
    assert found(REPOSITORY, two) == [(None, "warning", "One"), (None, "warning", "Two")]
    shared = {"Type": "AWS::SageMaker::Domain", "Properties": {"DefaultSpaceSettings": spaces}}
    assert found(REPOSITORY, {**two, "Bare": domain(), "Domain": shared}) == []


# --- stopping by a script -------------------------------------------------------------------------


def test_a_script_that_runs_only_once_does_not_count() -> None:
    once = {
        "Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
        "Properties": {"OnCreate": [{"Content": encoded(AUTO_STOP)}]},
    }
    app = {"Notebook": notebook(LifecycleConfigName={"Ref": "Lifecycle"}), "Lifecycle": once}
    assert found(AUTO_STOPS, app) == [(None, "error", "Notebook")]


def test_a_script_that_is_not_there_does_not_count() -> None:
    empty = lifecycle(None)
    app = {"Notebook": notebook(LifecycleConfigName={"Ref": "Lifecycle"}), "Lifecycle": empty}
    assert found(AUTO_STOPS, app) == [(None, "error", "Notebook")]


@pytest.mark.parametrize(
    "content",
    [
        encoded("aws sagemaker STOP-notebook-instance --notebook-instance-name $NAME"),
        {"Fn::Base64": AUTO_STOP},
        {"Fn::Base64": {"Fn::Sub": "cd ${AWS::Region}; python autostop.py --time ${NobodyKnows}"}},
        {"Fn::Base64": {"Fn::Join": ["\n", ["#!/bin/bash", OPEN_PARAMETER, "python autostop.py"]]}},
    ],
)
def test_a_script_is_read_in_every_way_of_writing_it(content: Any) -> None:
    app = {"Notebook": notebook(LifecycleConfigName={"Ref": "Lifecycle"}), "Lifecycle": lifecycle(content)}
    assert found(AUTO_STOPS, app) == []


def test_a_script_is_found_by_its_name_and_in_another_stack() -> None:
    named = lifecycle(encoded(AUTO_STOP))
    named["Properties"]["NotebookInstanceLifecycleConfigName"] = "auto-stop"
    assert (
        found(AUTO_STOPS, {"Notebook": notebook(LifecycleConfigName="auto-stop"), "Lifecycle": named}) == []
    )
    name = {"Fn::GetAtt": ["Lifecycle", "NotebookInstanceLifecycleConfigName"]}
    scripts = {
        "Resources": {"Lifecycle": lifecycle(encoded("pip install pandas"))},
        "Outputs": {"Name": {"Value": name, "Export": {"Name": "Scripts:Name"}}},
    }
    use = {"Resources": {"Notebook": notebook(LifecycleConfigName={"Fn::ImportValue": "Scripts:Name"})}}
    together = judge([read("Scripts", scripts), read("Use", use)], Options())
    assert told([each for each in together if each.rule == f"MLLens-{AUTO_STOPS}"]) == [
        (None, "error", "Notebook")
    ]


def test_one_script_of_several_is_enough() -> None:
    both = lifecycle(OPEN_PARAMETER)
    both["Properties"]["OnStart"].append({"Content": encoded(AUTO_STOP)})
    app = {"Notebook": notebook(LifecycleConfigName={"Ref": "Lifecycle"}), "Lifecycle": both}
    assert found(AUTO_STOPS, app) == []


# --- stopping by a schedule -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("churn", "churn"),
        (None, {"Ref": "Notebook"}),
        ({"Fn::Sub": "churn-${AWS::Region}"}, {"Fn::Sub": "churn-${AWS::Region}"}),
        (OPEN_PARAMETER, OPEN_PARAMETER),
    ],
)
def test_a_schedule_stops_the_notebook_that_its_input_names(name: Any, named: Any) -> None:
    app = {"Notebook": notebook(NotebookInstanceName=name), "Evening": schedule(named)}
    assert found(AUTO_STOPS, app) == []
    assert found(AUTO_STOPS, {**app, "Other": notebook()}) == [(None, "error", "Other")]


def test_a_schedule_whose_state_is_not_told_is_on() -> None:
    evening = schedule("churn")
    del evening["Properties"]["State"]
    assert found(AUTO_STOPS, {"Notebook": notebook(NotebookInstanceName="churn"), "Evening": evening}) == []


def test_a_schedule_that_is_off_does_not_spoil_a_script() -> None:
    evening = schedule("churn")
    evening["Properties"]["State"] = "DISABLED"
    stopped = notebook(NotebookInstanceName="churn", LifecycleConfigName={"Ref": "Lifecycle"})
    app = {"Notebook": stopped, "Evening": evening, "Lifecycle": lifecycle(encoded(AUTO_STOP))}
    assert found(AUTO_STOPS, app) == []


def test_a_schedule_that_names_nothing_stops_nothing() -> None:
    for nothing in ({}, {"NotebookInstanceName": ["churn"]}, {"NotebookInstanceName": None}):
        evening = schedule("churn")
        evening["Properties"]["Target"]["Input"] = nothing
        app = {"Notebook": notebook(), "Evening": evening}
        assert found(AUTO_STOPS, app) == [(None, "error", "Notebook")]


@pytest.mark.xdist_group("notebooks")
def test_a_schedule_of_the_cdk_is_understood(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path), builtin_cloud_formation_validation=False, analytics_reporting=False)
    stack = cdk.Stack(app, "Notebooks")
    role = iam.Role.from_role_arn(stack, "Role", "arn:aws:iam::111122223333:role/notebook")
    for name in ("Stopped", "Forgotten"):
        made = sagemaker.CfnNotebookInstance(
            stack, name, instance_type="ml.t3.medium", role_arn=role.role_arn
        )
        if name == "Stopped":
            request = {"NotebookInstanceName": made.attr_notebook_instance_name}
            scheduler.Schedule(
                stack,
                "Evening",
                schedule=scheduler.ScheduleExpression.cron(hour="19", minute="0"),
                target=targets.Universal(
                    service="sagemaker",
                    action="stopNotebookInstance",
                    input=scheduler.ScheduleTargetInput.from_object(request),
                    role=role,
                ),
            )
    judged = judge(read_templates([Path(app.synth().directory)]), Options())
    stops = told([each for each in judged if each.rule == f"MLLens-{AUTO_STOPS}"])
    assert stops == [(None, "error", "Forgotten")]


# --- applications of a domain ---------------------------------------------------------------------


def test_a_hidden_application_need_not_stop() -> None:
    without = domain(StudioWebPortalSettings={"HiddenAppTypes": ["CodeEditor"]}, CodeEditorAppSettings={})
    assert found(AUTO_STOPS, {"Domain": without}) == []
    other = domain(StudioWebPortalSettings={"HiddenAppTypes": ["JupyterServer"]}, CodeEditorAppSettings={})
    assert found(AUTO_STOPS, {"Domain": other}) == [(None, "error", "Domain")]


def test_an_application_that_may_be_hidden_is_left_open() -> None:
    path = "DefaultUserSettings.StudioWebPortalSettings.HiddenAppTypes"
    maybe = domain(StudioWebPortalSettings={"HiddenAppTypes": [OPEN_PARAMETER]}, CodeEditorAppSettings={})
    assert found(AUTO_STOPS, {"Domain": maybe}) == [(f"unresolved:{path}", "warning", "Domain")]


@pytest.mark.parametrize(("limit", "expected"), [(60, []), (59, [(None, "error", "Domain")])])
def test_the_longest_idle_time_is_an_option(limit: int, expected: Told) -> None:
    assert found(AUTO_STOPS, {"Domain": domain()}, {"max_idle_minutes": limit}) == expected
