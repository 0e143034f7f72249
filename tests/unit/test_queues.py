"""Queues that lose nothing: their limits, and what watches them."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration

from ml_lens.foundation import AlarmTopic, Posture, PropError, WorkQueue
from ml_lens.foundation.keys import customer_key
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template

SANDBOX = Posture.sandbox()


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Work")


def queue(stack: cdk.Stack, **props: Any) -> WorkQueue:
    key = customer_key(stack, "Key", posture=SANDBOX, purpose="messages")
    return WorkQueue(
        stack, "Queue", **{"posture": SANDBOX, "key": key, "handled_within": Duration.minutes(1), **props}
    )


def template(stack: cdk.Stack) -> Template:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)["Work"]


@pytest.mark.parametrize("receives", [0, 1, 1001, 2.5])
def test_one_attempt_is_too_few_and_sqs_stops_at_a_thousand(stack: cdk.Stack, receives: float) -> None:
    with pytest.raises(PropError, match="allowed are 2 to 1000 attempts"):
        queue(stack, max_receives=receives)
    assert stack.node.try_find_child("Queue") is None


def test_work_that_takes_more_than_two_hours_does_not_fit_a_queue(stack: cdk.Stack) -> None:
    with pytest.raises(PropError, match="a message can stay hidden for twelve hours at the most"):
        queue(stack, handled_within=Duration.minutes(121))


def test_two_problems_are_two_lines(stack: cdk.Stack) -> None:
    with pytest.raises(PropError) as raised:
        queue(stack, handled_within=Duration.days(1), max_receives=1)
    assert len(raised.value.problems) == 2


def test_the_longest_work_and_the_most_attempts_pass(stack: cdk.Stack) -> None:
    queue(stack, handled_within=Duration.hours(2), max_receives=1000)
    made = template(stack).one("AWS::SQS::Queue", "Queue")
    assert made["VisibilityTimeout"] == 12 * 3600
    assert made["RedrivePolicy"]["maxReceiveCount"] == 1000


@pytest.mark.parametrize(("given", "seconds"), [(None, 900), (Duration.hours(1), 3600)])
def test_the_age_at_which_to_worry_can_be_set(stack: cdk.Stack, given: Duration | None, seconds: int) -> None:
    queue(stack, alarm_age=given)
    assert template(stack).one("AWS::CloudWatch::Alarm", "QueueAgeAlarm")["Threshold"] == seconds


def test_both_queues_refuse_requests_without_tls(stack: cdk.Stack) -> None:
    queue(stack)
    made = template(stack)
    refused = [
        policy["Queues"][0]["Ref"]
        for policy in made.resources("AWS::SQS::QueuePolicy").values()
        for said in policy["PolicyDocument"]["Statement"]
        if said["Effect"] == "Deny" and said["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert sorted(refused) == sorted(made.resources("AWS::SQS::Queue"))


def test_a_topic_hears_of_the_alarms_that_it_is_told_of(stack: cdk.Stack) -> None:
    work = queue(stack)
    AlarmTopic(stack, "Topic", posture=SANDBOX).tell_of(work.alarms[:1])
    made = template(stack)
    told = {id for id, alarm in made.resources("AWS::CloudWatch::Alarm").items() if "AlarmActions" in alarm}
    assert told == {made.id("AWS::CloudWatch::Alarm", "QueueDeadLettersAlarm")}


def test_metrics_are_those_of_the_right_queue(stack: cdk.Stack) -> None:
    work = queue(stack)
    assert work.metric_dead_letters().metric_name == "ApproximateNumberOfMessagesVisible"
    assert work.metric_age().metric_name == "ApproximateAgeOfOldestMessage"
    assert work.metric_dead_letters().dimensions == {"QueueName": work.dead_letters.queue_name}
    assert work.metric_age().dimensions == {"QueueName": work.queue.queue_name}
