"""The states of a load test: level by level, until the plan is done or something rings."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.functions import PythonFunction
from ml_lens.hosting.load_options import LoadPlan
from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call, call_function


@dataclass(frozen=True, kw_only=True)
class LoadedEndpoint:
    """What is driven, and what ends the test."""

    name: str
    """Name of the endpoint."""
    alarms: Sequence[cloudwatch.IAlarm]
    """Alarms that end the test."""


def load_states(
    scope: Construct,
    plan: LoadPlan,
    endpoint: LoadedEndpoint,
    *,
    worker: PythonFunction,
    report: PythonFunction,
) -> sfn.IChainable:
    """Return the first state."""
    begin = sfn.Pass.jsonata(
        scope,
        "Begin",
        assign={
            "plan": [
                {"concurrency": level, "threads": threads}
                for level, threads in zip(plan.levels, plan.workers(), strict=True)
            ],
            "level": 0,
            "levels": [],
            "stopped": "{% '' %}",
        },
    )
    end = _end(scope, report)
    judged = sfn.Choice.jsonata(scope, "Does the test go on?")
    up = sfn.Pass.jsonata(scope, "More load", assign={"level": "{% $level + 1 %}"})
    look = _look(scope, endpoint, loaded=_loaded(scope, worker, report, judged), end=end)
    judged.when(
        sfn.Condition.jsonata("{% $states.input.stop = true %}"),
        _stop(scope, "Stop", "{% $states.input.why %}").next(end),
    )
    judged.when(sfn.Condition.jsonata(f"{{% $level < {len(plan.levels) - 1} %}}"), up.next(look))
    judged.otherwise(end)
    return begin.next(look)


def _look(
    scope: Construct, endpoint: LoadedEndpoint, *, loaded: sfn.IChainable, end: sfn.IChainable
) -> sfn.IChainable:
    """Count instances, and end the test if an alarm is on, be it from the level before or from somebody else's load."""
    count = call(
        scope,
        "Count instances",
        "aws-sdk:sagemaker:describeEndpoint",
        {"EndpointName": endpoint.name},
        retry=[backing_off(ANY_ERROR)],
        Assign={
            "instances": "{% $exists($states.result.ProductionVariants.CurrentInstanceCount) ? "
            "$sum($states.result.ProductionVariants.CurrentInstanceCount) : 0 %}"
        },
    ).next(loaded)
    if not endpoint.alarms:
        return count
    look = call(
        scope,
        "Look at the alarms",
        "aws-sdk:cloudwatch:describeAlarms",
        {"AlarmNames": [alarm.alarm_name for alarm in endpoint.alarms], "StateValue": "ALARM"},
        retry=[backing_off(ANY_ERROR)],
        Output={
            "ringing": "{% $exists($states.result.MetricAlarms.AlarmName) ? "
            "$join([$states.result.MetricAlarms.AlarmName], ', ') : '' %}"
        },
    )
    rings = sfn.Choice.jsonata(scope, "Does one ring?")
    stop = _stop(scope, "Stop for the alarm", "{% 'the alarm went off: ' & $states.input.ringing %}")
    rings.when(sfn.Condition.jsonata("{% $states.input.ringing != '' %}"), stop.next(end)).otherwise(count)
    return look.next(rings)


def _loaded(
    scope: Construct, worker: PythonFunction, report: PythonFunction, then: sfn.IChainable
) -> sfn.IChainable:
    load = sfn.Map.jsonata(
        scope,
        "Load",
        items=sfn.ProvideItems.jsonata("{% [$plan[$level].threads] %}"),
        item_selector={"threads": "{% $states.context.Map.Item.Value %}"},
    )
    load.item_processor(call_function(scope, "Ask without pause", worker, "{% $states.input %}"))
    judge = call_function(
        scope,
        "Sum up",
        report,
        {
            "phase": "level",
            "concurrency": "{% $plan[$level].concurrency %}",
            "instances": "{% $instances %}",
            "workers": "{% $states.input %}",
        },
        Assign={"levels": "{% $append($levels, [$states.result.Payload]) %}"},
    )
    return load.next(judge).next(then)


def _end(scope: Construct, report: PythonFunction) -> sfn.IChainable:
    return call_function(
        scope,
        "Report",
        report,
        {
            "phase": "report",
            "name": "{% $states.context.Execution.Name %}",
            "run": "{% $states.context.Execution.Id %}",
            "started": "{% $states.context.Execution.StartTime %}",
            "levels": "{% [$levels] %}",
            "stopped": "{% $stopped %}",
        },
    )


def _stop(scope: Construct, id: str, why: str) -> sfn.Pass:
    return sfn.Pass.jsonata(scope, id, assign={"stopped": why})
