"""Who delivers to whom: each place in a template in which one resource names another that it starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from ml_lens.rules.alarms import ALARM, COMPOSITE
from ml_lens.rules.bodies import document
from ml_lens.rules.buckets import BUCKET, bucket_of
from ml_lens.rules.startable import CODE_PIPELINE, TOPIC, started_of
from ml_lens.rules.tasks import STATE_MACHINE, states

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

RULE: Final = "AWS::Events::Rule"
SCHEDULE: Final = "AWS::Scheduler::Schedule"
PIPE: Final = "AWS::Pipes::Pipe"
MAPPING: Final = "AWS::Lambda::EventSourceMapping"
# The resource by which the CDK gives notifications to a bucket.
NOTIFICATIONS: Final = "Custom::S3BucketNotifications"
SWITCHES: Final = {
    PIPE: "DesiredState",
    MAPPING: "Enabled",
    ALARM: "ActionsEnabled",
    COMPOSITE: "ActionsEnabled",
}
_OFF: Final = ("disabled", "stopped", "false")
_REQUESTS: Final = {  # the member of a request that names what is started
    "startexecution": "StateMachineArn",
    "startpipelineexecution": "PipelineName",
    "invoke": "FunctionName",
}
_SYNCHRONOUS: Final = re.compile(r"\.[A-Za-z]+(?::\d+)?$")  # .sync:2, .waitForTaskToken
# Who delivers, the entry in its properties, and the value in the entry that names the other.
Delivery = tuple["Node", "Value", "Value"]


def switch(source: Node) -> Value:
    """Return the property that turns a source on and off; absent means on."""
    return source[SWITCHES.get(source.type, "State")]


def is_on(source: Node) -> bool:
    """Whether a source is turned on, as far as the template tells."""
    return _says_on(switch(source))


def beginnings(node: Node) -> Iterator[Delivery]:
    """Yield the deliveries of what goes off by itself that stand in ``node``."""
    return _BEGINNINGS[node.type](node) if node.type in _BEGINNINGS else iter(())


def onward(node: Node) -> Iterator[Delivery]:
    """Yield the deliveries of what only passes on that stand in ``node``."""
    return _ONWARD[node.type](node) if node.type in _ONWARD else iter(())


def waits_for(rule: Node) -> list[Value]:
    """Return the names of the buckets whose objects a rule waits for; empty for other rules."""
    pattern = document(rule["EventPattern"])
    if pattern is None or all(source.literal != "aws.s3" for source in pattern["source"].elements):
        return []
    detail = pattern["detail"]
    return [*detail["bucket"]["name"].elements, *detail["requestParameters"]["bucketName"].elements]


def _of_rule(rule: Node) -> Iterator[Delivery]:
    if is_on(rule) and not _waits_in_vain(rule):
        for target in rule["Targets"].elements:
            yield rule, target, target["Arn"]


def _of_schedule(schedule: Node) -> Iterator[Delivery]:
    if is_on(schedule):
        yield schedule, schedule["Target"], _target_of_schedule(schedule["Target"])


def _of_pipe(pipe: Node) -> Iterator[Delivery]:
    if is_on(pipe):
        yield pipe, pipe["Target"], pipe["Target"]
        yield pipe, pipe["Enrichment"], pipe["Enrichment"]


def _of_alarm(alarm: Node) -> Iterator[Delivery]:
    if is_on(alarm):
        for action in alarm["AlarmActions"].elements:
            yield alarm, action, action


def _of_stream(mapping: Node) -> Iterator[Delivery]:
    if is_on(mapping):
        yield mapping, mapping["FunctionName"], mapping["FunctionName"]


def _of_log(log: Node) -> Iterator[Delivery]:
    yield log, log["DestinationArn"], log["DestinationArn"]


def _of_things(rule: Node) -> Iterator[Delivery]:
    for action in rule["TopicRulePayload"]["Actions"].elements:
        yield rule, action, action["Lambda"]["FunctionArn"]
        yield rule, action, action["StepFunctions"]["StateMachineName"]


def _of_bucket(bucket: Node) -> Iterator[Delivery]:
    told = bucket["NotificationConfiguration"]
    for kind in ("Lambda", "Queue", "Topic"):
        for entry in told[f"{kind}Configurations"].elements:
            yield bucket, entry, entry["Function" if kind == "Lambda" else kind]


def _of_notifications(notifications: Node) -> Iterator[Delivery]:
    told = notifications["NotificationConfiguration"]
    source = bucket_of(notifications["BucketName"]) or notifications
    for kind in ("LambdaFunction", "Queue", "Topic"):
        for entry in told[f"{kind}Configurations"].elements:
            yield source, entry, entry[f"{kind}Arn"]


def _of_subscription(subscription: Node) -> Iterator[Delivery]:
    topic = started_of(subscription["TopicArn"])
    if topic is not None:
        yield topic, subscription["Endpoint"], subscription["Endpoint"]


def _of_topic(topic: Node) -> Iterator[Delivery]:
    for inline in topic["Subscription"].elements:
        yield topic, inline["Endpoint"], inline["Endpoint"]


def _of_queue(consumer: Node) -> Iterator[Delivery]:
    source, target = _CONSUMES[consumer.type]
    queue = started_of(consumer[source])
    if queue is not None and is_on(consumer):
        yield queue, consumer[target], consumer[target]


def _of_machine(machine: Node) -> Iterator[Delivery]:
    for state in states(machine):
        if state.resource:
            yield machine, state.body, target_of_task(state.body["Resource"], state.arguments)


def _of_code_pipeline(pipeline: Node) -> Iterator[Delivery]:
    for stage in pipeline["Stages"].elements:
        for action in stage["Actions"].elements:
            for name in ("StateMachineArn", "FunctionName", "PipelineName"):
                yield pipeline, action, action["Configuration"][name]


_CONSUMES: Final = {MAPPING: ("EventSourceArn", "FunctionName"), PIPE: ("Source", "Target")}
_BEGINNINGS: Final[Mapping[str, Callable[[Node], Iterator[Delivery]]]] = {
    RULE: _of_rule,
    SCHEDULE: _of_schedule,
    PIPE: _of_pipe,
    ALARM: _of_alarm,
    COMPOSITE: _of_alarm,
    MAPPING: _of_stream,
    "AWS::Logs::SubscriptionFilter": _of_log,
    "AWS::IoT::TopicRule": _of_things,
    BUCKET: _of_bucket,
    NOTIFICATIONS: _of_notifications,
}
_ONWARD: Final[Mapping[str, Callable[[Node], Iterator[Delivery]]]] = {
    "AWS::SNS::Subscription": _of_subscription,
    TOPIC: _of_topic,
    MAPPING: _of_queue,
    PIPE: _of_queue,
    STATE_MACHINE: _of_machine,
    CODE_PIPELINE: _of_code_pipeline,
}
BEGIN: Final = tuple(_BEGINNINGS)
PASS_ON: Final = tuple(_ONWARD)


def _target_of_schedule(target: Value) -> Value:
    """Return what a schedule starts; a universal target says it in its input."""
    called = target["Arn"].text or ""
    member = _REQUESTS.get(called.rsplit(":", 1)[-1].lower()) if ":aws-sdk:" in called else None
    request = document(target["Input"]) if member else None
    return target["Arn"] if request is None or member is None else request[member]


def target_of_task(resource: Value, arguments: Value) -> Value:
    """Return what a task of a state machine starts; one that calls a function may name it as its resource."""
    _, integrated, called = (resource.text or "").partition(":states:::")
    if not integrated:
        return resource
    api = _SYNCHRONOUS.sub("", called).rsplit(":", 1)[-1].lower()
    return arguments[_REQUESTS.get(api, "nothing")]


def _waits_in_vain(rule: Node) -> bool:
    """Whether a rule waits for news of buckets of the app that tell EventBridge nothing."""
    names = waits_for(rule)
    pattern = document(rule["EventPattern"])
    if not names or pattern is None:
        return False
    if any("CloudTrail" in str(kind.literal) for kind in pattern["detail-type"].elements):
        return False
    buckets = [bucket for name in names if (bucket := bucket_of(name)) is not None]
    return len(buckets) == len(names) and not any(_tells(bucket) for bucket in buckets)


def _tells(bucket: Node) -> bool:
    """Whether a bucket tells EventBridge what happens in it."""
    own = bucket["NotificationConfiguration"]
    if own.is_open:
        return True
    if "EventBridgeConfiguration" in dict(own.members):
        return _says_on(own["EventBridgeConfiguration"]["EventBridgeEnabled"])
    graph = bucket.graph
    return graph.joined("buckets that tell", (NOTIFICATIONS,), _told_by).has(bucket)


def _told_by(notifications: Node) -> Iterator[tuple[Node | None, Node]]:
    if "EventBridgeConfiguration" in dict(notifications["NotificationConfiguration"].members):
        yield bucket_of(notifications["BucketName"]), notifications


def _says_on(value: Value) -> bool:
    return str(value.literal).lower() not in _OFF
