"""Rules on whether anybody notices that a model has become worse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.alarms import ALARM, COMPOSITE, Alarm, read_alarm
from ml_lens.rules.buckets import location_of
from ml_lens.rules.capture_readers import readers_of
from ml_lens.rules.endpoints import config_of, is_serverless, variants
from ml_lens.rules.rule import PRODUCTION_ERROR, rule
from ml_lens.rules.sagemaker_names import ENDPOINT, named
from ml_lens.rules.verdicts import Verdict, any_of, fails, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

_SCHEDULE: Final = "AWS::SageMaker::MonitoringSchedule"
_INPUTS: Final = {
    "AWS::SageMaker::DataQualityJobDefinition": "DataQualityJobInput",
    "AWS::SageMaker::ModelQualityJobDefinition": "ModelQualityJobInput",
    "AWS::SageMaker::ModelBiasJobDefinition": "ModelBiasJobInput",
    "AWS::SageMaker::ModelExplainabilityJobDefinition": "ModelExplainabilityJobInput",
}
# Namespaces of AWS, apart from those in which Model Monitor tells what it has measured.
_OF_AWS: Final = re.compile(r"^/?aws/(?!sagemaker/.*-metrics?$)", re.IGNORECASE)


@rule(
    "OPS05-ModelQualityMonitored",
    number=53,
    weight=PRODUCTION_ERROR,
    on=ENDPOINT,
    title="The captured requests of every endpoint are measured, and an alarm watches the measure.",
    why="A model becomes worse without any error when the world changes.",
    fix=(
        "Let a schedule or an event start something that reads the captured data and publishes a metric, and put an "
        "alarm with an action on that metric."
    ),
    cloudformation="""
Type: AWS::Scheduler::Schedule
Properties:
  ScheduleExpression: rate(1 day)
  FlexibleTimeWindow: {Mode: 'OFF'}
  Target:
    Arn: !GetAtt MeasuresDrift.Arn
    RoleArn: !GetAtt StartsMeasuring.Arn
    DeadLetterConfig: {Arn: !GetAtt Unmeasured.Arn}
""",
    lens2020=("MLOPS 05", "MLOPS 06", "MLPER 02"),
    lens2025=("MLPERF06-BP03", "MLPERF06-BP04"),
    settled=(
        "A monitoring schedule of Model Monitor counts, and so does whatever is started by a schedule, an event or a "
        "notification and may read the bucket of the captured data.",
        "A notification of the capture bucket itself counts, whoever gets it.",
        "The alarm has an action and watches a metric that is not one of AWS's own, or one of Model Monitor's.",
        "Endpoints that are wholly serverless cannot capture, and are left alone.",
        "A capture bucket outside the app leaves the answer open: what reads it may stand beside it.",
    ),
)
def model_quality_is_measured(endpoint: Node) -> Iterator[Verdict]:
    """Look for what reads the capture, then for an alarm on what it tells."""
    config = config_of(endpoint)
    if config is not None and variants(config) and all(map(is_serverless, variants(config))):
        return
    if not _is_monitored(endpoint):
        yield any_of(_measured(endpoint, config), *_may_be_monitored(endpoint))
    alarmed = _alarmed(endpoint.graph)
    if alarmed is None:
        yield fails(endpoint, "no alarm with an action watches a metric of the model's quality")
    else:
        yield alarmed.landing_on(endpoint)


def _measured(endpoint: Node, config: Node | None) -> Verdict:
    if config is None:
        named_config = endpoint["EndpointConfigName"]
        told = f"{named_config.path} is {named_config.shown}, so where it captures is not known"
        return unknown(endpoint, told, path=named_config.path)
    place = config["DataCaptureConfig"]["DestinationS3Uri"]
    if not place:
        return fails(endpoint, "captures no data, and no monitoring schedule measures it")
    bucket = location_of(place).bucket
    if bucket is None:
        told = f"{place.path} is {place.shown}, a bucket outside the app; what reads it is not known here"
        return unknown(config, told, path=place.path)
    if readers_of(bucket):
        return passes(endpoint)
    return fails(endpoint, f"nothing reads what is captured in {bucket.logical_id}, by schedule or by event")


def _is_monitored(endpoint: Node) -> bool:
    return any(named(name, ENDPOINT) is endpoint for name in _monitored_names(endpoint.graph))


def _may_be_monitored(endpoint: Node) -> Iterator[Verdict]:
    """Yield a doubt where a monitoring schedule and the endpoint may have one name, and only a deployment knows."""
    own = endpoint["EndpointName"]
    for name in _monitored_names(endpoint.graph):
        if named(name, ENDPOINT) is None and (name.is_open or own.is_open):
            hidden = name if name.is_open else own
            told = (
                f"{hidden.path} is {hidden.shown}, so nobody knows whether a monitoring schedule measures it"
            )
            yield unknown(hidden.node, f"{endpoint.logical_id}: {told}", path=hidden.path)


def _monitored_names(graph: Graph) -> list[Value]:
    return graph.joined("monitored endpoints", (_SCHEDULE,), _monitored).at(None)


def _monitored(schedule: Node) -> Iterator[tuple[None, Value]]:
    config = schedule["MonitoringScheduleConfig"]
    given = config["MonitoringJobDefinition"]["MonitoringInputs"]
    inputs: list[Value] = given["MonitoringInputs"].elements if given.is_object else given.elements
    job = schedule.graph.target(config["MonitoringJobDefinitionName"], *_INPUTS) or _definition(config)
    if job is not None:
        inputs = [*inputs, job[_INPUTS[job.type]]]
    for each in inputs:
        if each["EndpointInput"]["EndpointName"]:
            yield None, each["EndpointInput"]["EndpointName"]


def _definition(config: Value) -> Node | None:
    """Return the job definition that a schedule names by its name."""
    name = config["MonitoringJobDefinitionName"].identity
    graph = config.node.graph
    known = graph.once(
        "job definitions",
        lambda: {node["JobDefinitionName"].identity: node for node in graph.nodes(*_INPUTS)},
    )
    return None if name is None else known.get(name)


def _alarmed(graph: Graph) -> Verdict | None:
    """Return whether an alarm on a measure of quality acts; ``None`` where there is none."""
    acting = [
        alarm.acts.saying("no alarm with an action watches a metric of the model's quality")
        for alarm in graph.joined("quality alarms", (ALARM, COMPOSITE), _of_quality).at(None)
    ]
    return any_of(*acting) if acting else None


def _of_quality(node: Node) -> Iterator[tuple[None, Alarm]]:
    read = read_alarm(node)
    if any(metric.namespace and not _OF_AWS.match(metric.namespace.text or "") for metric in read.metrics):
        yield None, read


RULES = (model_quality_is_measured,)
