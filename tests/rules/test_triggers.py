"""What starts a state machine, a pipeline or a function."""

from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.graph import Graph
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from ml_lens.rules.triggers import triggers_of
from tests.rules.fixtures import Body, template

MACHINE = {
    "Type": "AWS::StepFunctions::StateMachine",
    "Properties": {"StateMachineName": "train", "DefinitionString": Body(StartAt="A", States={})},
}
ARN = "arn:aws:states:eu-west-1:111122223333:stateMachine:train"
LAMBDA_ARN = {"Fn::GetAtt": ["Starter", "Arn"]}


def role(action: str, resource: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [statement]}}]},
    }


def function(held: str = "Starts") -> dict[str, Any]:
    return {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::GetAtt": [held, "Arn"]}}}


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


STARTER = {"Starts": role("states:StartExecution", {"Ref": "Train"}), "Starter": function()}


def sources(resources: dict[str, Any], of: str = "Train") -> list[str]:
    """The names of what starts a resource; the first of those that bear its name."""
    body = template({"Train": MACHINE, **resources})
    read = TemplateFile(Path("T.template.json"), "T.template.json", body, "T", {})
    graph = Graph([read], Options())
    node = graph.scopes[0].nodes[of]
    return [trigger.source.logical_id for trigger in triggers_of(node)]


@pytest.mark.parametrize(
    "named",
    [
        {"Ref": "Train"},
        {"Fn::GetAtt": ["Train", "Arn"]},
        ARN,
        {"Fn::Sub": ARN.replace("111122223333", "${AWS::AccountId}")},
    ],
)
def test_a_rule_starts_its_target_however_it_names_it(named: Any) -> None:
    assert sources({"Daily": resource("Events::Rule", Targets=[{"Id": "t", "Arn": named}])}) == ["Daily"]


@pytest.mark.parametrize(
    "named", [ARN + "2", "arn:aws:sqs:eu-west-1:111122223333:queue", {"Ref": "NobodyKnows"}]
)
def test_a_rule_with_another_target_starts_nothing(named: Any) -> None:
    assert sources({"Daily": resource("Events::Rule", Targets=[{"Id": "t", "Arn": named}])}) == []


def test_what_is_turned_off_starts_nothing() -> None:
    target = {"Arn": {"Ref": "Train"}}
    off = {
        "Rule": resource("Events::Rule", State="DISABLED", Targets=[target]),
        "Schedule": resource("Scheduler::Schedule", State="DISABLED", Target=target),
        "Pipe": resource("Pipes::Pipe", DesiredState="STOPPED", Target={"Ref": "Train"}),
        "Alarm": resource("CloudWatch::Alarm", ActionsEnabled=False, AlarmActions=[LAMBDA_ARN]),
        "Mapping": resource("Lambda::EventSourceMapping", Enabled=False, FunctionName={"Ref": "Starter"}),
        **STARTER,
    }
    assert sources(off) == []


def test_a_universal_schedule_starts_what_its_input_names() -> None:
    universal = "arn:aws:scheduler:::aws-sdk:sfn:startExecution"
    target = {"Arn": universal, "Input": Body(StateMachineArn={"Ref": "Train"})}
    assert sources({"Daily": resource("Scheduler::Schedule", Target=target)}) == ["Daily"]
    other = {"Arn": universal, "Input": Body(StateMachineArn=ARN + "2")}
    assert sources({"Daily": resource("Scheduler::Schedule", Target=other)}) == []


def test_a_pipe_starts_its_target() -> None:
    assert sources(
        {"Pipe": resource("Pipes::Pipe", Source="arn:aws:sqs:a:b:c", Target={"Ref": "Train"})}
    ) == ["Pipe"]


def test_an_alarm_starts_it_through_a_topic_and_a_function() -> None:
    chain = {
        "Drift": resource("CloudWatch::Alarm", AlarmActions=[{"Ref": "Alerts"}]),
        "Alerts": resource("SNS::Topic"),
        "Heard": resource("SNS::Subscription", TopicArn={"Ref": "Alerts"}, Endpoint=LAMBDA_ARN),
        **STARTER,
    }
    assert sources(chain) == ["Drift"]
    inline = {**chain, "Alerts": resource("SNS::Topic", Subscription=[{"Endpoint": LAMBDA_ARN}])}
    del inline["Heard"]
    assert sources(inline) == ["Drift"]


def test_two_ways_through_one_function_are_one() -> None:
    heard = resource("SNS::Subscription", TopicArn={"Ref": "Alerts"}, Endpoint=LAMBDA_ARN)
    chain = {
        "Drift": resource("CloudWatch::Alarm", AlarmActions=[{"Ref": "Alerts"}]),
        "Alerts": resource("SNS::Topic"),
        "Heard": heard,
        "HeardAgain": heard,
        **STARTER,
    }
    assert sources(chain) == ["Drift"]


def test_an_alarm_starts_a_function_directly() -> None:
    assert sources({"Drift": resource("CloudWatch::Alarm", AlarmActions=[LAMBDA_ARN]), **STARTER}) == [
        "Drift"
    ]


def test_four_steps_are_too_many() -> None:
    chain = {
        "Drift": resource("CloudWatch::Alarm", AlarmActions=[{"Ref": "Alerts"}]),
        "Alerts": resource("SNS::Topic"),
        "Queue": resource("SQS::Queue"),
        "Heard": resource(
            "SNS::Subscription", TopicArn={"Ref": "Alerts"}, Endpoint={"Fn::GetAtt": ["Queue", "Arn"]}
        ),
        "Reads": resource(
            "Lambda::EventSourceMapping",
            EventSourceArn={"Fn::GetAtt": ["Queue", "Arn"]},
            FunctionName={"Ref": "Starter"},
        ),
        **STARTER,
    }
    assert sources(chain) == ["Reads"]
    assert sources(chain, of="Starter") == ["Reads", "Drift"]


def test_a_function_without_the_right_starts_nothing() -> None:
    daily = resource("Events::Rule", Targets=[{"Arn": LAMBDA_ARN}])
    assert sources({"Daily": daily, **STARTER}) == ["Daily"]
    for held in (
        role("states:DescribeExecution", {"Ref": "Train"}),
        role("states:StartExecution", ARN + "2"),
        role("states:StartExecution", "arn:aws:states:eu-west-1:111122223333:stateMachine:load-*"),
    ):
        assert sources({"Daily": daily, **STARTER, "Starts": held}) == []


@pytest.mark.parametrize("resource_arn", ["*", ARN[:-2] + "*", ARN])
def test_a_right_on_a_pattern_is_one_on_what_matches(resource_arn: str) -> None:
    daily = resource("Events::Rule", Targets=[{"Arn": LAMBDA_ARN}])
    held = role("states:StartExecution", resource_arn)
    assert sources({"Daily": daily, **STARTER, "Starts": held}) == ["Daily"]


def test_a_target_may_be_an_alias() -> None:
    aliases = {
        "Live": resource("Lambda::Alias", FunctionName={"Ref": "Starter"}, Name="live"),
        "Daily": resource("Events::Rule", Targets=[{"Arn": {"Ref": "Live"}}]),
        **STARTER,
    }
    assert sources(aliases) == ["Daily"]
    machine = {
        "One": resource("StepFunctions::StateMachineVersion", StateMachineArn={"Ref": "Train"}),
        "Live": resource(
            "StepFunctions::StateMachineAlias",
            RoutingConfiguration=[{"StateMachineVersionArn": {"Ref": "One"}, "Weight": 100}],
        ),
        "Daily": resource("Events::Rule", Targets=[{"Arn": {"Ref": "Live"}}]),
    }
    assert sources(machine) == ["Daily"]


def test_a_bucket_starts_what_it_notifies() -> None:
    told = {"LambdaConfigurations": [{"Event": "s3:ObjectCreated:*", "Function": LAMBDA_ARN}]}
    assert sources({"Data": resource("S3::Bucket", NotificationConfiguration=told), **STARTER}) == ["Data"]


def test_a_bucket_starts_what_the_resource_of_the_cdk_notifies_for_it() -> None:
    notifications = {
        "Type": "Custom::S3BucketNotifications",
        "Properties": {
            "BucketName": {"Ref": "Data"},
            "NotificationConfiguration": {
                "LambdaFunctionConfigurations": [{"LambdaFunctionArn": LAMBDA_ARN}]
            },
        },
    }
    assert sources({"Data": resource("S3::Bucket"), "Tells": notifications, **STARTER}) == ["Data"]


NEW_DATA = {
    "source": ["aws.s3"],
    "detail-type": ["Object Created"],
    "detail": {"bucket": {"name": [{"Ref": "Data"}]}},
}
ARRIVES = resource("Events::Rule", EventPattern=NEW_DATA, Targets=[{"Arn": {"Ref": "Train"}}])


def test_a_rule_on_a_bucket_needs_a_bucket_that_tells_event_bridge() -> None:
    silent = resource("S3::Bucket")
    told = resource("S3::Bucket", NotificationConfiguration={"EventBridgeConfiguration": {}})
    off = {"EventBridgeConfiguration": {"EventBridgeEnabled": False}}
    assert sources({"Data": told, "Arrives": ARRIVES}) == ["Arrives"]
    assert sources({"Data": silent, "Arrives": ARRIVES}) == []
    assert sources({"Data": resource("S3::Bucket", NotificationConfiguration=off), "Arrives": ARRIVES}) == []
    tells = {
        "Type": "Custom::S3BucketNotifications",
        "Properties": {
            "BucketName": {"Ref": "Data"},
            "NotificationConfiguration": {"EventBridgeConfiguration": {}},
        },
    }
    assert sources({"Data": silent, "Tells": tells, "Arrives": ARRIVES}) == ["Arrives"]


def test_a_rule_on_the_trail_needs_no_event_bridge_configuration() -> None:
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {"requestParameters": {"bucketName": [{"Ref": "Data"}]}},
    }
    rule = resource("Events::Rule", EventPattern=pattern, Targets=[{"Arn": {"Ref": "Train"}}])
    assert sources({"Data": resource("S3::Bucket"), "Arrives": rule}) == ["Arrives"]


def test_a_queue_passes_on_what_fills_it() -> None:
    chain = {
        "Data": resource(
            "S3::Bucket",
            NotificationConfiguration={"QueueConfigurations": [{"Queue": {"Fn::GetAtt": ["Queue", "Arn"]}}]},
        ),
        "Queue": resource("SQS::Queue"),
        "Reads": resource(
            "Lambda::EventSourceMapping",
            EventSourceArn={"Fn::GetAtt": ["Queue", "Arn"]},
            FunctionName={"Ref": "Starter"},
        ),
        **STARTER,
    }
    assert sources(chain) == ["Reads", "Data"]


@pytest.mark.parametrize(
    "task",
    [
        {
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Arguments": {"StateMachineArn": {"Ref": "Train"}},
        },
        {"Resource": {"Fn::GetAtt": ["Starter", "Arn"]}},
        {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": {"Ref": "Starter"}}},
    ],
)
def test_a_workflow_passes_on_what_starts_it(task: dict[str, Any]) -> None:
    outer = {
        "Outer": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"DefinitionString": Body(StartAt="A", States={"A": {"Type": "Task", **task}})},
        },
        "Daily": resource("Events::Rule", Targets=[{"Arn": {"Ref": "Outer"}}]),
    }
    assert sources({**outer, **STARTER}) == ["Daily"]


def test_a_circle_has_an_end() -> None:
    again = {
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {"StateMachineArn": {"Ref": "Train"}},
    }
    self_starting = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": Body(StartAt="A", States={"A": {"Type": "Task", **again}})},
    }
    assert sources({"Train": self_starting}) == []


def test_a_pipeline_of_code_passes_on_and_does_not_begin() -> None:
    stages = [
        {"Name": "Go", "Actions": [{"Name": "Train", "Configuration": {"StateMachineArn": {"Ref": "Train"}}}]}
    ]
    release = {"Release": resource("CodePipeline::Pipeline", Stages=stages)}
    assert sources(release) == []
    arn = {"Fn::Sub": "arn:${AWS::Partition}:codepipeline:${AWS::Region}:${AWS::AccountId}:${Release}"}
    daily = resource("Scheduler::Schedule", Target={"Arn": arn})
    assert sources({**release, "Daily": daily}) == ["Daily"]


def test_a_device_starts_what_its_messages_go_to() -> None:
    payload = {"Actions": [{"StepFunctions": {"StateMachineName": "train", "RoleArn": "r"}}]}
    assert sources({"Heard": resource("IoT::TopicRule", TopicRulePayload=payload)}) == ["Heard"]
