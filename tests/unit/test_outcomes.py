"""What `Outcomes` makes, who may do what with it, and that nobody has anything against it."""

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

from ml_lens.foundation import AlarmTopic, Posture, PropError
from ml_lens.hosting.outcomes import Outcomes
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.synthesis import findings, new_app, templates
from tests.stacks.template import Statement, Template

SANDBOX, PRODUCTION = Posture.sandbox(), Posture.production()
# CDK writes DependsOn beside references that say the same, and it does no harm.
REDUNDANT_DEPENDS_ON = "W3005"
TABLE, QUEUE, ALARM = "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::CloudWatch::Alarm"


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Counting")


def outcomes(stack: cdk.Stack, **props: Any) -> Outcomes:
    return Outcomes(stack, "Outcomes", **{"posture": SANDBOX, **props})


def template(stack: cdk.Stack) -> Template:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)["Counting"]


def caller(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def granted(made: Template) -> set[str]:
    return made.actions(made.id("AWS::IAM::Role", "Caller"))


def partitions(statements: list[Statement], action: str) -> list[str]:
    (found,) = [each for each in statements if action in each.actions]
    return list(found.condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_the_table_is_encrypted_forgets_predictions_and_can_be_taken_back_in_time(
    stack: cdk.Stack, posture: Posture
) -> None:
    outcomes(stack, posture=posture)
    made = template(stack)
    table = made.only(TABLE)
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert table["SSESpecification"]["KMSMasterKeyId"]["Fn::GetAtt"][0] in made.resources("AWS::KMS::Key")
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["DeletionProtectionEnabled"] is posture.keeps_data
    (resource,) = [each for each in made.body["Resources"].values() if each["Type"] == TABLE]
    assert resource["DeletionPolicy"] == ("Retain" if posture.keeps_data else "Delete")


def test_failures_come_again_one_by_one_and_then_become_dead_letters_with_an_alarm(stack: cdk.Stack) -> None:
    made_outcomes = outcomes(stack)
    made = template(stack)
    source = made.only("AWS::Lambda::EventSourceMapping")
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = made.one(QUEUE, "OutcomesQueue")
    dead_letters = made.id(QUEUE, "OutcomesQueueDeadLetters")
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": [dead_letters, "Arn"]}
    assert len(made.resources(ALARM)) == len(made_outcomes.alarms) == 5
    watched = made.one(ALARM, "OutcomesQueueDeadLettersAlarm")
    assert watched["Dimensions"][0]["Value"] == {"Fn::GetAtt": [dead_letters, "QueueName"]}
    rejected = made.one(ALARM, "OutcomesRejectionsAlarm")
    assert (rejected["MetricName"], rejected["Namespace"]) == ("OutcomesRejected", "MLLens")


def test_the_function_counts_and_can_do_nothing_else(stack: cdk.Stack) -> None:
    outcomes(stack)
    made = template(stack)
    role = made.id("AWS::IAM::Role", "OutcomesFunctionRole")
    assert {action for action in made.actions(role) if action.startswith("dynamodb:")} == {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    }
    statements = made.statements(role)
    assert partitions(statements, "dynamodb:GetItem") == ["inference#*"]
    assert partitions(statements, "dynamodb:UpdateItem") == ["inference#*", "summary#*"]
    assert partitions(statements, "dynamodb:PutItem") == ["rejected#*"]
    environment = made.only("AWS::Lambda::Function")["Environment"]["Variables"]
    assert environment["OUTCOMES_TABLE"] == {"Ref": made.id(TABLE, "Outcomes")}
    assert environment["OUTCOMES_DAYS"] == "90"


def test_who_reports_outcomes_reads_none(stack: cdk.Stack) -> None:
    outcomes(stack).grant_report(caller(stack))
    assert granted(template(stack)) == {"sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"}


@pytest.mark.lens("AB-08")
def test_who_predicts_records_predictions_alone(stack: cdk.Stack) -> None:
    outcomes(stack).grant_record_predictions(caller(stack))
    made = template(stack)
    assert granted(made) == {"dynamodb:PutItem", "kms:Decrypt"}
    statements = made.statements(made.id("AWS::IAM::Role", "Caller"))
    assert partitions(statements, "dynamodb:PutItem") == ["inference#*"]


def test_who_judges_reads_sums_alone(stack: cdk.Stack) -> None:
    outcomes(stack).grant_read_summary(caller(stack))
    made = template(stack)
    assert granted(made) == {"dynamodb:Query", "kms:Decrypt"}
    statements = made.statements(made.id("AWS::IAM::Role", "Caller"))
    assert partitions(statements, "dynamodb:Query") == ["summary#*"]


def test_the_metric_is_the_one_that_the_function_publishes(stack: cdk.Stack) -> None:
    metric = outcomes(stack).metric_outcome("serving", "A")
    assert (metric.namespace, metric.metric_name) == ("MLLens", "Outcome")
    assert dict(metric.dimensions or {}) == {
        "Endpoint": "serving",
        "Variant": "A",
        "service": "record_outcomes",
    }


@pytest.mark.parametrize("keep", [Duration.days(29), Duration.days(3651), Duration.hours(36)])
def test_a_prediction_is_kept_as_long_as_its_outcome_can_be_delivered(
    stack: cdk.Stack, keep: Duration
) -> None:
    with pytest.raises(PropError, match="keep: "):
        outcomes(stack, keep=keep)
    assert stack.node.try_find_child("Outcomes") is None


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_the_packs_and_cfn_lint_have_nothing_against_it(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path, validated=True)
    stack = cdk.Stack(app, "Counting", tags=posture.tags)
    made = outcomes(stack, posture=posture)
    role = caller(stack)
    made.grant_report(role)
    made.grant_record_predictions(role)
    made.grant_read_summary(role)
    AlarmTopic(stack, "Tell", posture=posture).tell_of(made.alarms)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    body = templates(app)["Counting"].body
    assert findings(tmp_path) == []
    linted = lint(json.dumps(body), list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    assert [str(match) for match in linted if match.rule.id != REDUNDANT_DEPENDS_ON] == []
