"""Who delivers to whom: each place in a template in which one resource names another that it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.alarms import ALARM, COMPOSITE
from ml_lens.rules.bodies import document
from ml_lens.rules.buckets import BUCKET, bucket_of
from ml_lens.rules.startable import CODE_PIPELINE, TOPIC, started_of
from ml_lens.rules.tasks import STATE_MACHINE, states

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
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


def beginnings(graph: Graph) -> Iterator[Delivery]:
    """Yield the deliveries of what goes off by itself."""
    for find in (_of_rules, _of_schedules, _of_pipes, _of_alarms, _of_streams, _of_things, _of_buckets):
        yield from find(graph)


def onward(graph: Graph) -> Iterator[Delivery]:
    """Yield the deliveries of what only passes on."""
    for find in (_of_topics, _of_queues, _of_machines, _of_code_pipelines):
        yield from find(graph)


def waits_for(rule: Node) -> list[Value]:
    """Return the names of the buckets whose objects a rule waits for; empty for other rules."""
    pattern = document(rule["EventPattern"])
    if pattern is None or all(source.literal != "aws.s3" for source in pattern["source"].elements):
        return []
    detail = pattern["detail"]
    return [*detail["bucket"]["name"].elements, *detail["requestParameters"]["bucketName"].elements]


def _of_rules(graph: Graph) -> Iterator[Delivery]:
    for rule in graph.nodes(RULE):
        if is_on(rule) and not _waits_in_vain(rule):
            for target in rule["Targets"].elements:
                yield rule, target, target["Arn"]


def _of_schedules(graph: Graph) -> Iterator[Delivery]:
    for schedule in graph.nodes(SCHEDULE):
        if is_on(schedule):
            yield schedule, schedule["Target"], _target_of_schedule(schedule["Target"])


def _of_pipes(graph: Graph) -> Iterator[Delivery]:
    for pipe in graph.nodes(PIPE):
        if is_on(pipe):
            yield pipe, pipe["Target"], pipe["Target"]
            yield pipe, pipe["Enrichment"], pipe["Enrichment"]


def _of_alarms(graph: Graph) -> Iterator[Delivery]:
    for alarm in graph.nodes(ALARM, COMPOSITE):
        if is_on(alarm):
            for action in alarm["AlarmActions"].elements:
                yield alarm, action, action


def _of_streams(graph: Graph) -> Iterator[Delivery]:
    for mapping in graph.nodes(MAPPING):
        if is_on(mapping):
            yield mapping, mapping["FunctionName"], mapping["FunctionName"]
    for log in graph.nodes("AWS::Logs::SubscriptionFilter"):
        yield log, log["DestinationArn"], log["DestinationArn"]


def _of_things(graph: Graph) -> Iterator[Delivery]:
    for rule in graph.nodes("AWS::IoT::TopicRule"):
        for action in rule["TopicRulePayload"]["Actions"].elements:
            yield rule, action, action["Lambda"]["FunctionArn"]
            yield rule, action, action["StepFunctions"]["StateMachineName"]


def _of_buckets(graph: Graph) -> Iterator[Delivery]:
    for bucket in graph.nodes(BUCKET):
        told = bucket["NotificationConfiguration"]
        for kind in ("Lambda", "Queue", "Topic"):
            for entry in told[f"{kind}Configurations"].elements:
                yield bucket, entry, entry["Function" if kind == "Lambda" else kind]
    for notifications in graph.nodes(NOTIFICATIONS):
        told = notifications["NotificationConfiguration"]
        source = bucket_of(notifications["BucketName"]) or notifications
        for kind in ("LambdaFunction", "Queue", "Topic"):
            for entry in told[f"{kind}Configurations"].elements:
                yield source, entry, entry[f"{kind}Arn"]


def _of_topics(graph: Graph) -> Iterator[Delivery]:
    for subscription in graph.nodes("AWS::SNS::Subscription"):
        topic = started_of(subscription["TopicArn"])
        if topic is not None:
            yield topic, subscription["Endpoint"], subscription["Endpoint"]
    for topic in graph.nodes(TOPIC):
        for inline in topic["Subscription"].elements:
            yield topic, inline["Endpoint"], inline["Endpoint"]


def _of_queues(graph: Graph) -> Iterator[Delivery]:
    for kind, source, target in ((MAPPING, "EventSourceArn", "FunctionName"), (PIPE, "Source", "Target")):
        for consumer in graph.nodes(kind):
            queue = started_of(consumer[source])
            if queue is not None and is_on(consumer):
                yield queue, consumer[target], consumer[target]


def _of_machines(graph: Graph) -> Iterator[Delivery]:
    for machine in graph.nodes(STATE_MACHINE):
        for state in states(machine):
            if state.resource:
                yield machine, state.body, target_of_task(state.body["Resource"], state.arguments)


def _of_code_pipelines(graph: Graph) -> Iterator[Delivery]:
    for pipeline in graph.nodes(CODE_PIPELINE):
        for stage in pipeline["Stages"].elements:
            for action in stage["Actions"].elements:
                for name in ("StateMachineArn", "FunctionName", "PipelineName"):
                    yield pipeline, action, action["Configuration"][name]


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
    return bucket in bucket.graph.once("buckets that tell", lambda: _told_by_others(bucket.graph))


def _told_by_others(graph: Graph) -> set[Node | None]:
    return {
        bucket_of(notifications["BucketName"])
        for notifications in graph.nodes(NOTIFICATIONS)
        if "EventBridgeConfiguration" in dict(notifications["NotificationConfiguration"].members)
    }


def _says_on(value: Value) -> bool:
    return str(value.literal).lower() not in _OFF
