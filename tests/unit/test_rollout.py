"""What `Rollout` makes: who may do what, what its states do in which order, and what is refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.foundation import AlarmTopic, AuditTrail, Posture, PropError
from ml_lens.hosting import (
    DataCapture,
    Deployment,
    InferencePipeline,
    Instances,
    ModelArtifacts,
    Outcomes,
    RolloutChecks,
    Serverless,
)
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.state_machines import definitions
from tests.stacks.state_machines import problems as asl_problems
from tests.stacks.synthesis import findings, new_app, templates
from tests.unit.rollouts import CHECKS, after, reachable, rollout, served, states
from tests.unit.serving import ALARM, PRODUCTION, SANDBOX, host, library, model, template

# CDK writes DependsOn beside references that say the same, and it does no harm.
REDUNDANT_DEPENDS_ON = "W3005"
BACK, PROMOTED = "Return the traffic", "Record that it has taken over"
CHANGES = "Start the candidate"
UNLOCKS = {"Let others try", "Let others change it", "Let go of its lock"}


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path / "out"), "Serving")


def sagemaker(found: dict[str, Any], operation: str) -> set[str]:
    return {
        name
        for name, state in found.items()
        if str(state.get("Resource", "")).endswith(f"sagemaker:{operation}")
    }


@pytest.mark.lens("F8-06", "F10-05", "CHG-05")
def test_whatever_fails_after_the_first_change_leads_back(stack: cdk.Stack, tmp_path: Path) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    changed = reachable(found, CHANGES, but_for={BACK, PROMOTED})
    for name in changed - {BACK}:
        state = found[name]
        if state["Type"] == "Task":
            assert [each["Next"] for each in state["Catch"]] == [BACK], name
            assert [each["ErrorEquals"] for each in state["Catch"]] == [["States.ALL"]], name
        # No way leads out of it but success, or the way back.
        assert state["Type"] not in ("Fail", "Succeed"), name
    assert BACK in changed


@pytest.mark.lens("F8-06", "CHG-07")
def test_the_way_back_keeps_the_first_reason_and_ends_with_it(stack: cdk.Stack, tmp_path: Path) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    way_back = reachable(found, BACK)
    for name in way_back:
        state = found[name]
        assert "failure" not in state.get("Assign", {}), name
        assert all("failure" not in each.get("Assign", {}) for each in state.get("Catch", ())), name
    ends = {name for name in way_back if found[name]["Type"] in ("Fail", "Succeed")}
    assert ends == {
        "The old version is live",
        "The endpoint is neither here nor there",
        "The old version is live again",
    }
    for name in ("The old version is live", "The endpoint is neither here nor there"):
        assert found[name]["Error"] == "{% $failure.Error %}"


@pytest.mark.lens("F8-06")
def test_traffic_goes_back_before_the_configuration_and_finds_its_instances(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    live, candidate = found[BACK]["Arguments"]["DesiredWeightsAndCapacities"]
    # Auto scaling has taken them while the candidate had the traffic.
    assert live == {
        "VariantName": "AllTraffic",
        "DesiredWeight": 100,
        "DesiredInstanceCount": "{% $instances %}",
    }
    assert candidate == {"VariantName": "{% $candidate %}", "DesiredWeight": 0}
    config = found["Return to the old configuration"]["Arguments"]
    assert config["EndpointConfigName"] == "{% $original %}"
    kept = {each["VariantPropertyType"] for each in config["ExcludeRetainedVariantProperties"]}
    assert kept == {"DesiredWeight"}


def test_an_endpoint_that_has_its_old_configuration_is_not_updated(stack: cdk.Stack, tmp_path: Path) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    decide = found["Is it the old configuration"]
    assert decide["Choices"][0]["Condition"] == "{% $states.input.config = $original %}"
    assert decide["Choices"][0]["Next"] == "Forget what both were"
    assert decide["Default"] == "Return to the old configuration"


@pytest.mark.lens("F10-04")
def test_the_new_version_begins_with_the_instances_that_answered_before(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    assert "'InitialInstanceCount': $instances" in found["Configure the new version alone"]["Arguments"]
    update = found["Let go of the old version"]["Arguments"]
    assert {each["VariantPropertyType"] for each in update["ExcludeRetainedVariantProperties"]} == {
        "DesiredWeight",
        "DesiredInstanceCount",
    }
    look = found["Look at the endpoint: traffic"]["Assign"]["instances"]
    assert look.startswith("{% $max([$instances, ")


def test_the_lock_is_given_back_on_every_way_but_where_somebody_has_to_look(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    held = found["See that nobody else is changing it"]["Next"]
    without = reachable(found, held, but_for=UNLOCKS)
    ends = {name for name in without if found[name]["Type"] in ("Fail", "Succeed")}
    assert ends == {"The endpoint is neither here nor there"}


@pytest.mark.lens("CHG-17")
def test_the_endpoint_that_cannot_be_returned_is_told_of_loudly(stack: cdk.Stack, tmp_path: Path) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    stuck = reachable(found, "Record that it is neither here nor there")
    assert "Tell that the endpoint is neither here nor there" in stuck
    assert stuck & UNLOCKS == set()
    message = found["Tell that the endpoint is neither here nor there"]["Arguments"]["Message"]
    assert message.startswith("{% 'LOOK AT IT NOW")


@pytest.mark.lens("CHG-01", "CHG-02", "CHG-08", "CHG-12")
def test_a_record_says_what_was_released_over_what_and_how_it_went(stack: cdk.Stack, tmp_path: Path) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    item = found["Record what begins"]["Arguments"]["Item"]
    assert {
        "version",
        "artifact",
        "artifact_version",
        "package",
        "model",
        "previous_config",
        "execution",
        "outcome",
    } <= set(item)
    assert found["Look at the artifact"]["Assign"] == {"artifact_version": "{% $states.result.VersionId %}"}
    for name in (PROMOTED, "Record why it has not taken over"):
        noted = found[name]["Arguments"]["ExpressionAttributeValues"]
        assert {":outcome", ":reason", ":ended", ":probed", ":verdicts"} <= set(noted), name


@pytest.mark.lens("CHG-02", "HST-01", "CHG-19")
def test_nothing_is_made_of_an_artifact_before_it_is_seen_where_candidates_are(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    start = json.loads(next(iter(definitions(template(stack).body).values())))["StartAt"]
    (creates,) = sagemaker(found, "createModel")
    for gate in ("Is it a candidate", "Look at the artifact", "See that nobody else is changing it"):
        assert creates not in reachable(found, start, but_for={gate}), gate


@pytest.mark.lens("CHG-05", "F8-06")
def test_a_run_that_is_stopped_or_takes_too_long_is_cleaned_up_after(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    rollout(stack, tmp_path)
    made = template(stack)
    (rule,) = made.resources("AWS::Events::Rule").values()
    machine = {"Ref": made.id("AWS::StepFunctions::StateMachine", "ReleaseWorkflow")}
    assert rule["EventPattern"]["detail"] == {
        "stateMachineArn": [machine],
        "status": ["ABORTED", "TIMED_OUT"],
    }
    (target,) = rule["Targets"]
    assert target["InputTransformer"]["InputTemplate"] == '{"stopped":<detail-executionArn>}'
    found = states(stack)
    take = found["Take over from it"]["Arguments"]
    assert take["ConditionExpression"] == "execution = :stopped OR execution = :run"
    assert BACK in reachable(found, "Take over from it")


@pytest.mark.lens("CHG-04", "CHG-19")
def test_an_approval_starts_a_run_and_only_then_packages_may_be_read(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    made_rollout = rollout(stack, tmp_path)
    before = _rights(stack)
    assert "sagemaker:DescribeModelPackage" not in before
    other = cdk.Stack(new_app(tmp_path / "other"), "Serving")
    made_rollout = rollout(other, tmp_path)
    made_rollout.release_approved("churn")
    made = template(other)
    (rule,) = [
        each
        for each in made.resources("AWS::Events::Rule").values()
        if each["EventPattern"]["source"] == ["aws.sagemaker"]
    ]
    assert rule["EventPattern"]["detail-type"] == ["SageMaker Model Package State Change"]
    assert rule["EventPattern"]["detail"] == {
        "ModelPackageGroupName": ["churn"],
        "ModelApprovalStatus": ["Approved"],
    }
    (target,) = rule["Targets"]
    assert target["InputTransformer"]["InputTemplate"] == '{"model_package_arn":<detail-ModelPackageArn>}'
    (reads,) = _rights(other)["sagemaker:DescribeModelPackage"]
    assert ":model-package/churn/*" in reads
    assert states(other)["Is it approved"]["Choices"][0]["Condition"] == "{% $approval = 'Approved' %}"


@pytest.mark.parametrize("group", ["", "Churn"])
def test_a_group_that_cannot_be_matched_is_refused(stack: cdk.Stack, tmp_path: Path, group: str) -> None:
    with pytest.raises(PropError, match="small letters"):
        rollout(stack, tmp_path).release_approved(group)


def _rights(stack: cdk.Stack) -> dict[str, list[str]]:
    """Return what the state machine may do by action, with the resources; stars are acknowledged elsewhere."""
    made = template(stack)
    role = made.id("AWS::IAM::Role", "ReleaseWorkflowRole")
    rights: dict[str, list[str]] = {}
    for statement in made.statements(role):
        for action in statement.actions:
            rights.setdefault(action, []).extend(each for each in statement.resources if each != "*")
    return rights


@pytest.mark.lens("IAM-01", "IAM-02")
def test_the_state_machine_may_do_what_its_states_do_on_what_is_named(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    rollout(stack, tmp_path)
    rights = {action: on for action, on in _rights(stack).items() if on}
    assert set(rights) == {
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "iam:PassRole",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "lambda:InvokeFunction",
        "s3:GetObject",
        "sagemaker:AddTags",
        "sagemaker:CreateEndpointConfig",
        "sagemaker:CreateModel",
        "sagemaker:DeleteEndpointConfig",
        "sagemaker:DeleteModel",
        "sagemaker:DescribeEndpoint",
        "sagemaker:DescribeEndpointConfig",
        "sagemaker:DescribeModel",
        "sagemaker:UpdateEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "sns:Publish",
        "states:DescribeExecution",
    }
    for action in ("CreateModel", "DeleteModel", "CreateEndpointConfig", "DeleteEndpointConfig", "AddTags"):
        assert all("-rollout-*" in each for each in rights[f"sagemaker:{action}"]), action
    assert all(each.endswith(":*") and "execution:" in each for each in rights["states:DescribeExecution"])


def test_a_candidate_runs_under_the_role_of_the_endpoint_and_no_other(
    stack: cdk.Stack, tmp_path: Path
) -> None:
    rollout(stack, tmp_path)
    made = template(stack)
    (passes,) = [
        each
        for each in made.statements(made.id("AWS::IAM::Role", "ReleaseWorkflowRole"))
        if "iam:PassRole" in each.actions
    ]
    assert passes.resources == (f"<{made.id('AWS::IAM::Role', 'ChurnRole')}.Arn>",)
    assert passes.condition == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    create = states(stack)["Create the candidate"]["Arguments"]
    for kept in ("$blue.ExecutionRoleArn", "$blue.VpcConfig", "'EnableNetworkIsolation': true"):
        assert kept in create


def test_who_starts_rollouts_may_do_nothing_else(stack: cdk.Stack, tmp_path: Path) -> None:
    made_rollout = rollout(stack, tmp_path)
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
    made_rollout.grant_start(caller)
    made = template(stack)
    assert made.actions(made.id("AWS::IAM::Role", "Caller")) == {"states:StartExecution"}


def test_alarms_tell_of_runs_functions_and_lost_starts(stack: cdk.Stack, tmp_path: Path) -> None:
    made_rollout = rollout(stack, tmp_path)
    of_the_rollout = [each for each in template(stack).resources(ALARM) if each.startswith("Release")]
    assert len(of_the_rollout) == len(made_rollout.alarms) == 6


@pytest.mark.lens("CHG-01")
def test_records_stay_in_production_and_go_with_a_sandbox(tmp_path: Path) -> None:
    for posture, kept in ((SANDBOX, "Delete"), (PRODUCTION, "Retain")):
        stack = cdk.Stack(new_app(tmp_path / posture.name), "Serving")
        rollout(stack, tmp_path, posture=posture)
        (table,) = [
            each
            for each in template(stack).body["Resources"].values()
            if each["Type"] == "AWS::DynamoDB::Table"
        ]
        assert table["DeletionPolicy"] == kept
        assert table["Properties"]["DeletionProtectionEnabled"] is (posture is PRODUCTION)
        assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]


def refused(stack: cdk.Stack, folder: Path, **props: Any) -> list[str]:
    with pytest.raises(PropError) as raised:
        rollout(stack, folder, **props)
    assert stack.node.try_find_child("Release") is None
    return list(raised.value.problems)


@pytest.mark.parametrize(
    ("props", "word"),
    [
        (lambda stack: {"deployment": Deployment.ab_test(b=model(stack, 2))}, "variants A, B"),
        (
            lambda stack: {
                "deployment": Deployment.shadow(candidate=model(stack, 2), sampling=50),
                "capacity": Instances(least=2),
            },
            "shadow",
        ),
        (lambda stack: {"model": library(stack)}, "ModelLibrary"),
        (
            lambda stack: {
                "model": InferencePipeline(containers=[model(stack), model(stack, 2)], version="1")
            },
            "InferencePipeline",
        ),
        (lambda _: {"capacity": Serverless(), "network": None}, "serverless"),
    ],
    ids=["two variants", "shadow", "library", "pipeline", "serverless"],
)
def test_an_endpoint_that_cannot_be_changed_in_this_way_is_refused(
    stack: cdk.Stack, tmp_path: Path, props: Any, word: str
) -> None:
    made = served(stack, **props(stack))
    problems = refused(stack, tmp_path, model=made)
    assert all(problem.startswith("model: ") for problem in problems)
    assert any(word in problem for problem in problems)


def test_it_looks_after_nothing_that_a_state_cannot_reach(stack: cdk.Stack, tmp_path: Path) -> None:
    rollout(stack, tmp_path)
    found = states(stack)
    assert reachable(found, "Begin") == set(found)
    for name, state in found.items():
        assert list(after(state)) or state["Type"] in ("Fail", "Succeed"), name


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_the_packs_cfn_lint_and_the_states_language_have_nothing_against_it(
    tmp_path: Path, posture: Posture
) -> None:
    app = new_app(tmp_path / "out", validated=True)
    stack = cdk.Stack(app, "Serving", tags=posture.tags)
    audit = AuditTrail(stack, "Audit", posture=posture)
    outcomes = Outcomes(stack, "Outcomes", posture=posture)
    made_model = served(stack, posture=posture, capture=DataCapture(audit=audit))
    made = rollout(
        stack,
        tmp_path,
        posture=posture,
        model=made_model,
        checks=RolloutChecks(latency_slo=CHECKS.latency_slo, outcomes=outcomes, slowdown=2),
        candidates=ModelArtifacts(stack, "Candidates", posture=posture, audit=audit),
    )
    made.release_approved("churn")
    AlarmTopic(stack, "Tell", posture=posture).tell_of([*made.alarms, *outcomes.alarms, *made_model.alarms])
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    # In production the endpoint leaves something for its app to do.
    with contextlib.suppress(RuntimeError):
        app.synth()
    found = [
        each for each in findings(tmp_path / "out") if each.partition(" ")[2].startswith("Serving/Release")
    ]
    assert found == []
    body = json.loads((tmp_path / "out" / "Serving.template.json").read_text())
    (states_language,) = definitions(body).values()
    assert asl_problems(states_language, tmp_path) == ""
    linted = lint(json.dumps(body), list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    assert [str(match) for match in linted if match.rule.id != REDUNDANT_DEPENDS_ON] == []


def test_two_syntheses_are_the_same(tmp_path: Path) -> None:
    made = []
    for attempt in ("first", "second"):
        app = new_app(tmp_path / attempt)
        rollout(cdk.Stack(app, "Serving"), tmp_path)
        made.append(templates(app)["Serving"].body)
    assert made[0] == made[1]


def test_a_model_that_can_be_changed_is_not_refused(stack: cdk.Stack, tmp_path: Path) -> None:
    rollout(stack, tmp_path, model=host(stack))
