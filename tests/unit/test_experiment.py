"""What `Experiment` makes: who may do what, what its states do in which order, and what is refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.foundation import AlarmTopic, AuditTrail, Posture, PropError
from ml_lens.hosting import DataCapture, Experiment, ExperimentRules, Outcomes, Shift
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.state_machines import definitions
from tests.stacks.state_machines import problems as asl_problems
from tests.stacks.synthesis import findings, new_app, templates
from tests.unit.experiments import definition, experiment, states, two_variants
from tests.unit.serving import ALARM, PRODUCTION, SANDBOX, host, network_of, template

# CDK writes DependsOn beside references that say the same, and it does no harm.
REDUNDANT_DEPENDS_ON = "W3005"
WEIGHTS = "aws-sdk:sagemaker:updateEndpointWeightsAndCapacities"


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


def refused(stack: cdk.Stack, **props: Any) -> list[str]:
    with pytest.raises(PropError) as raised:
        experiment(stack, **props)
    assert stack.node.try_find_child("Test") is None
    return list(raised.value.problems)


@pytest.mark.lens("AB-03")
def test_every_experiment_begins_with_equal_shares(stack: cdk.Stack) -> None:
    experiment(stack)
    made = definition(stack)
    compare = made["States"]["Compare"]["Branches"][0]
    assert compare["StartAt"] == "Equal shares"
    equal = compare["States"]["Equal shares"]
    assert equal["Assign"] == {"weights": {"A": 50, "B": 50}}
    assert equal["Next"] == "Assign callers at the start"
    set_them = compare["States"]["Set the weights at the start"]
    assert set_them["Resource"].endswith(WEIGHTS)
    assert set_them["Arguments"]["DesiredWeightsAndCapacities"] == [
        {"VariantName": "A", "DesiredWeight": "{% $weights.A %}"},
        {"VariantName": "B", "DesiredWeight": "{% $weights.B %}"},
    ]


@pytest.mark.lens("AB-08")
def test_callers_and_endpoint_get_the_same_shares(stack: cdk.Stack) -> None:
    experiment(stack)
    found = states(definition(stack))
    for occasion in ("at the start", "for the winner", "in safety"):
        assign = found[f"Assign callers {occasion}"]
        values = assign["Arguments"]["ExpressionAttributeValues"]
        assert values[":weights"]["M"]["B"] == {"N": "{% $string($weights.B) %}"}
        assert assign["Next"] == f"Set the weights {occasion}"


@pytest.mark.lens("AB-07")
@pytest.mark.parametrize(
    ("then", "shares"),
    [
        (Shift.gradually(), [60, 80, 100]),
        (Shift.gradually(step=10), [60, 70, 80, 90, 100]),
        (Shift.gradually(step=25), [75, 100]),
        (Shift.gradually(step=50), [100]),
        (Shift.gradually(step=35), [70, 100]),
        (Shift.at_once(), [100]),
    ],
)
def test_the_winner_gets_its_shares_step_by_step(stack: cdk.Stack, then: Shift, shares: list[int]) -> None:
    assert then.shares == shares
    experiment(stack, rules=ExperimentRules(then=then))
    found = states(definition(stack))
    assert found["Read the verdict"]["Assign"]["shares"].endswith(f": {shares} %}}")
    watch = found["Watch the winner"]
    assert (watch["Seconds"], watch["Next"]) == (3600, "Check the winner")


def test_what_can_fail_leads_to_shares_that_are_safe(stack: cdk.Stack) -> None:
    experiment(stack)
    found = definition(stack)["States"]
    for name in ("Compare", "Shift", "Keep what is safe"):
        assert [each["Next"] for each in found[name]["Catch"]] == ["Restore"], name
    assert found["Restore"]["Next"] == "Record"
    assert [each["Next"] for each in found["Restore"]["Catch"]] == ["Record"]
    # Nothing outside of them can fail but what has the endpoint not yet, or any more.
    loose = {name for name, state in found.items() if state["Type"] in ("Task", "Parallel", "Map")}
    assert loose == {
        "Take the endpoint",
        "Take over",
        "Compare",
        "Keep what is safe",
        "Shift",
        "Restore",
        "Record",
        "Give the endpoint back",
        "Tell",
    }
    for name in loose:
        assert found[name]["Catch"], name


def test_a_run_that_is_stopped_or_takes_too_long_is_cleaned_up_after(stack: cdk.Stack) -> None:
    experiment(stack)
    made = template(stack)
    (rule,) = [
        each
        for each in made.resources("AWS::Events::Rule").values()
        if each["EventPattern"]["source"] == ["aws.states"]
    ]
    machine = {"Ref": made.id("AWS::StepFunctions::StateMachine", "TestWorkflow")}
    assert rule["EventPattern"]["detail"] == {
        "stateMachineArn": [machine],
        "status": ["ABORTED", "TIMED_OUT"],
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == machine
    assert target["InputTransformer"]["InputTemplate"] == '{"stopped":<detail-executionArn>}'
    assert target["DeadLetterConfig"]


@pytest.mark.lens("AB-08", "CHG-15", "MON-07")
def test_the_record_tells_what_was_compared_by_which_rules_and_what_came_of_it(stack: cdk.Stack) -> None:
    experiment(stack, rules=ExperimentRules(minimum_outcomes=4000, better="lower"))
    item = states(definition(stack))["Record"]["Arguments"]["Item"]
    assert {"decision", "winner", "reason", "config", "traffic", "verdict"} <= set(item)
    rules = json.loads(item["rules"]["S"])
    assert json.loads(item["versions"]["S"]) == {"A": "1.0.0", "B": "2.0.0"}
    assert (rules["minimum_outcomes"], rules["better"], rules["significance"]) == (4000, "lower", 0.05)
    verdict = template(stack).one("AWS::Lambda::Function", "TestFunction")["Environment"]["Variables"]
    assert json.loads(verdict["RULES"]) == {"variants": ["A", "B"], **rules}


def test_the_state_machine_changes_weights_and_its_own_items_alone(stack: cdk.Stack) -> None:
    experiment(stack)
    made = template(stack)
    role = made.id("AWS::IAM::Role", "TestWorkflowRole")
    named = [each for each in made.statements(role) if each.resources != ("*",)]
    assert {action for each in named for action in each.actions} == {
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "lambda:InvokeFunction",
        "sagemaker:DescribeEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "sns:Publish",
    }
    endpoint = made.id("AWS::SageMaker::Endpoint", "Churn")
    (weights,) = [each for each in named if "sagemaker:DescribeEndpoint" in each.actions]
    assert weights.resources == (f"<{endpoint}>",)
    (items,) = [each for each in named if "dynamodb:UpdateItem" in each.actions]
    (partition,) = items.condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert partition.startswith("experiment#")
    assert "*" not in partition


def test_the_function_that_judges_only_reads(stack: cdk.Stack) -> None:
    experiment(stack)
    made = template(stack)
    actions = made.actions(made.id("AWS::IAM::Role", "TestFunctionRole"))
    assert {each for each in actions if not each.startswith(("logs:", "xray:"))} == {
        "cloudwatch:GetMetricData",
        "dynamodb:Query",
        "kms:Decrypt",
    }


@pytest.mark.lens("AB-08")
def test_who_assigns_reads_one_item_of_the_endpoint(stack: cdk.Stack) -> None:
    made_experiment = experiment(stack)
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    made_experiment.grant_read_assignment(caller)
    made = template(stack)
    statements = made.statements(made.id("AWS::IAM::Role", "Caller"))
    assert {action for each in statements for action in each.actions} == {"dynamodb:GetItem", "kms:Decrypt"}
    (read,) = [each for each in statements if "dynamodb:GetItem" in each.actions]
    keys = read.condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert keys == [f"experiment#{made.only('AWS::SageMaker::Endpoint')['EndpointName']}"]


def test_who_may_start_may_do_nothing_else(stack: cdk.Stack) -> None:
    made_experiment = experiment(stack)
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    made_experiment.grant_start(caller)
    made = template(stack)
    assert made.actions(made.id("AWS::IAM::Role", "Caller")) == {"states:StartExecution"}


def test_alarms_tell_of_runs_that_failed(stack: cdk.Stack) -> None:
    made_experiment = experiment(stack)
    made = template(stack)
    of_the_test = [each for each in made.resources(ALARM) if each.startswith("Test")]
    assert len(of_the_test) == len(made_experiment.alarms) == 4


@pytest.mark.lens("AB-01", "CHG-13")
def test_an_endpoint_with_one_variant_cannot_be_compared(stack: cdk.Stack) -> None:
    (problem,) = refused(stack, model=host(stack))
    assert problem.startswith("model: has 1 variant")
    assert "Deployment.ab_test" in problem
    outcomes = stack.node.find_child("Outcomes")
    two = two_variants(stack, id="Other", network=network_of(stack))
    assert two.variants == ("A", "B")
    experiment(stack, model=two, outcomes=outcomes)


@pytest.mark.lens("AB-06")
def test_in_production_an_experiment_takes_a_day_at_the_least(stack: cdk.Stack) -> None:
    hours = ExperimentRules(minimum_duration=Duration.hours(23))
    (problem,) = refused(stack, posture=PRODUCTION, rules=hours)
    assert problem.startswith("rules.minimum_duration: 82800 is out of range; allowed are 86400")
    Experiment(
        stack,
        "Sandbox",
        posture=SANDBOX,
        model=stack.node.find_child("Churn"),  # type: ignore[arg-type]
        outcomes=stack.node.find_child("Outcomes"),  # type: ignore[arg-type]
        rules=hours,
    )
    assert ExperimentRules().minimum_duration.to_days() == 14
    assert ExperimentRules().longest.to_days() == 28


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"minimum_duration": Duration.minutes(9)}, "rules.minimum_duration"),
        ({"maximum_duration": Duration.days(13)}, "rules.maximum_duration"),
        ({"maximum_duration": Duration.days(91)}, "rules.maximum_duration"),
        ({"minimum_outcomes": 29}, "rules.minimum_outcomes"),
        ({"significance": 0.5}, "rules.significance"),
        ({"looks": 0}, "rules.looks"),
        ({"looks": 11}, "rules.looks"),
        ({"better": "larger"}, "rules.better"),
        ({"errors_percent": 51}, "rules.errors_percent"),
        ({"latency_slo": Duration.minutes(2)}, "rules.latency_slo"),
        ({"then": Shift.gradually(step=4)}, "rules.then"),
        ({"then": Shift.gradually(step=51)}, "rules.then"),
        ({"then": Shift.at_once(watch=Duration.minutes(4))}, "rules.then"),
    ],
)
def test_rules_that_make_no_sense_are_refused(stack: cdk.Stack, rules: dict[str, Any], problem: str) -> None:
    (said,) = refused(stack, rules=ExperimentRules(**rules))
    assert said.startswith(f"{problem}: ")


@pytest.mark.parametrize("days", [1, 14, 28, 90])
def test_the_history_of_a_run_has_room_for_all_its_checks(days: int) -> None:
    rules = ExperimentRules(minimum_duration=Duration.days(1), maximum_duration=Duration.days(days))
    checks = days * 86_400 / rules.checked_every.to_seconds()
    # Of the 25,000 events of an execution, each check takes nine.
    assert 9 * checks < 12_000
    assert rules.checked_every.to_seconds() >= 300


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_the_packs_cfn_lint_and_the_states_language_have_nothing_against_it(
    tmp_path: Path, posture: Posture
) -> None:
    app = new_app(tmp_path, validated=True)
    stack = cdk.Stack(app, "Serving", tags=posture.tags)
    outcomes = Outcomes(stack, "Outcomes", posture=posture)
    made = experiment(
        stack,
        posture=posture,
        outcomes=outcomes,
        model=two_variants(
            stack,
            posture=posture,
            capture=DataCapture(audit=AuditTrail(stack, "Audit", posture=posture)),
        ),
    )
    model = stack.node.find_child("Churn")
    AlarmTopic(stack, "Tell", posture=posture).tell_of(
        [*made.alarms, *outcomes.alarms, *model.alarms]  # type: ignore[attr-defined]
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    # In production the endpoint leaves something for its app to do.
    with contextlib.suppress(RuntimeError):
        app.synth()
    found = [each for each in findings(tmp_path) if each.partition(" ")[2].startswith("Serving/Test")]
    assert found == []
    body = json.loads((tmp_path / "Serving.template.json").read_text())
    (states_language,) = definitions(body).values()
    assert asl_problems(states_language, tmp_path) == ""
    linted = lint(json.dumps(body), list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    assert [str(match) for match in linted if match.rule.id != REDUNDANT_DEPENDS_ON] == []


def test_two_syntheses_are_the_same(tmp_path: Path) -> None:
    made = []
    for attempt in ("first", "second"):
        app = new_app(tmp_path / attempt)
        experiment(cdk.Stack(app, "Serving"))
        made.append(templates(app)["Serving"].body)
    assert made[0] == made[1]
