"""The states of batch inference: from a request to counted results, or to a message that says why not."""

import math

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.hosting.batch_request import BatchPlan, transform_request
from ml_lens.hosting.workflows import (
    ANY_ERROR,
    backing_off,
    begins,
    call,
    call_function,
    caught,
    refusal,
    tell_of_failure,
)

_THROTTLED = ("SageMaker.ThrottlingException", "SageMaker.SdkClientException")
# The integration calls by this name whatever SageMaker's API does not list, throttling among it, and mistakes too.
_UNLISTED = ("SageMaker.AmazonSageMakerException", "SageMaker.SageMakerException")
_NO_CAPACITY = "/CapacityError|Unable to provision|[Rr]esource ?[Ll]imit ?[Ee]xceeded/"
_ALREADY_THERE = "/already exists|ResourceInUse|must be unique/"
_FIRST_PAUSE = 300
_LOOKS_EVERY = Duration.minutes(1)
_LOOK_AGAIN = {"looks": "{% $looks + 1 %}"}


def batch_states(
    scope: Construct, plan: BatchPlan, *, summary: PythonFunction, topic: AlarmTopic
) -> sfn.IChainable:
    """Return the first state.

    A run is one request: its job has a name made from it, so that an event that comes twice gets one job, which both
    runs wait for. A job that found no instances is tried again under the next name. Whatever else goes wrong stops the
    job, and the topic gets the reason.
    """
    tell = tell_of_failure(scope, topic, "Batch inference failed", {"batch": plan.name, "job": plan.job_name})
    stop = call(
        scope,
        "Stop the job",
        "aws-sdk:sagemaker:stopTransformJob",
        {"TransformJobName": plan.job_name},
        retry=[backing_off((*_THROTTLED, *_UNLISTED), attempts=2)],
    )
    stop.add_catch(tell, errors=ANY_ERROR).next(tell)

    count = _count(scope, plan, summary, tell=tell)
    why = sfn.Choice.jsonata(scope, "Why did it fail?")
    transform = _transform(scope, plan)
    follow = _follow(scope, plan, done=count, why=why, stop=stop)
    transform.add_catch(why, errors=ANY_ERROR, assign=caught()).next(follow if plan.jobs.capture else count)
    why.when(_matches(_ALREADY_THERE), follow)
    why.when(
        _matches(_NO_CAPACITY, f"$attempt < {plan.jobs.attempts - 1} and "), _pause(scope).next(transform)
    )
    why.otherwise(stop)
    return _request(scope, plan).next(_check(scope, plan, ours=transform, tell=tell))


def _request(scope: Construct, plan: BatchPlan) -> sfn.Pass:
    """Read what the run was given: nothing, a prefix, or a manifest with the event that announced it."""
    context = "$states.context.Execution"
    request = (
        "($exists($states.input.event) ? $string($states.input.manifest) & ' ' & $string($states.input.event) : "
        f"$string({context}.Id) & ' ' & $string({context}.StartTime)) & ' ' & $string({context}.RedriveCount)"
    )
    return sfn.Pass.jsonata(
        scope,
        "Read the request",
        assign={
            "prefix": f"{{% $exists($states.input.prefix) ? $states.input.prefix : '{plan.source.prefix}' %}}",
            "manifest": "{% $exists($states.input.manifest) ? $states.input.manifest : '' %}",
            "request": f"{{% $substring($hash({request}, 'SHA-256'), 0, 16) %}}",
            "attempt": 0,
            "looks": 0,
        },
    )


def _check(scope: Construct, plan: BatchPlan, *, ours: sfn.IChainable, tell: sfn.IChainable) -> sfn.Choice:
    within = (
        f"{begins('$prefix', plan.source.prefix)} and "
        f"($manifest = '' or {begins('$manifest', plan.source.manifests)})"
    )
    refused = refusal(
        scope,
        "Not ours to read",
        "BatchInference.Refused",
        f"prefix must be a text that begins with '{plan.source.prefix}', and manifest one that begins with "
        f"'{plan.source.manifests}'",
    ).next(tell)
    may = sfn.Choice.jsonata(scope, "May it be read?")
    return may.when(sfn.Condition.jsonata(f"{{% {within} %}}"), ours).otherwise(refused)


def _transform(scope: Construct, plan: BatchPlan) -> sfn.CustomState:
    """Run a job and wait for it; or only begin one, where waiting would forbid a part of the request."""
    waits = not plan.jobs.capture
    return call(
        scope,
        "Transform",
        "sagemaker:createTransformJob.sync" if waits else "aws-sdk:sagemaker:createTransformJob",
        transform_request(plan),
        retry=[
            backing_off(_THROTTLED, attempts=8, first=5, longest=300),
            backing_off(_UNLISTED, attempts=3, first=10),
        ],
        **({"TimeoutSeconds": plan.jobs.time_limit.to_seconds()} if waits else {}),
    )


def _count(
    scope: Construct, plan: BatchPlan, summary: PythonFunction, *, tell: sfn.IChainable
) -> sfn.CustomState:
    """Count what went in and came out, and end the run by it."""
    count = call_function(
        scope,
        "Count",
        summary,
        {
            "job": plan.job_name,
            "run": "{% $states.context.Execution.Id %}",
            "started": "{% $states.context.Execution.StartTime %}",
            "prefix": "{% $prefix %}",
            "manifest": "{% $manifest %}",
            "request": "{% $request %}",
        },
        Assign={"summary": "{% $states.result.Payload %}"},
    )
    count.add_catch(tell, errors=ANY_ERROR, assign=caught())
    lacking = refusal(
        scope,
        "Records are missing",
        "BatchInference.Incomplete",
        "{% $string($summary.records.input) & ' records went in and ' & $string($summary.records.results) & "
        "' answers came out, in ' & $summary.results %}",
    ).next(tell)
    counted = sfn.Choice.jsonata(scope, "Is every record answered?")
    counted.when(sfn.Condition.jsonata("{% $summary.complete = false %}"), lacking)
    counted.otherwise(sfn.Succeed.jsonata(scope, "Done", outputs="{% $summary %}"))
    count.next(counted)
    return count


def _follow(
    scope: Construct, plan: BatchPlan, *, done: sfn.IChainable, why: sfn.IChainable, stop: sfn.IChainable
) -> sfn.CustomState:
    """Wait for a job that this run does not wait for by starting it, such as one of another run of the same request."""
    follow = call(
        scope,
        "Follow the job",
        "aws-sdk:sagemaker:describeTransformJob",
        {"TransformJobName": plan.job_name},
        retry=[backing_off(ANY_ERROR, attempts=8)],
    )
    follow.add_catch(stop, errors=ANY_ERROR, assign=caught())
    wait = sfn.WaitTime.duration(_LOOKS_EVERY)
    again = sfn.Wait.jsonata(scope, "Wait for the job", time=wait, assign=_LOOK_AGAIN).next(follow)
    late = refusal(scope, "Too late", "States.Timeout", "The job takes longer than it may.").next(stop)
    fell = sfn.Pass.jsonata(
        scope,
        "The job failed",
        assign={
            "failure": {
                "Error": "States.TaskFailed",
                "Cause": "{% $exists($states.input.FailureReason) ? $states.input.FailureReason : "
                "'The job was stopped.' %}",
            }
        },
    ).next(why)
    found = sfn.Choice.jsonata(scope, "How is the job?")
    found.when(sfn.Condition.jsonata("{% $states.input.TransformJobStatus = 'Completed' %}"), done)
    found.when(sfn.Condition.jsonata("{% $states.input.TransformJobStatus in ['Failed', 'Stopped'] %}"), fell)
    looks = math.ceil(plan.jobs.time_limit.to_seconds() / _LOOKS_EVERY.to_seconds())
    found.when(sfn.Condition.jsonata(f"{{% $looks >= {looks} %}}"), late)
    found.otherwise(again)
    follow.next(found)
    return follow


def _pause(scope: Construct) -> sfn.Wait:
    """Wait twice as long after every attempt, and a random part of that."""
    return sfn.Wait.jsonata(
        scope,
        "Wait for capacity",
        time=sfn.WaitTime.seconds(
            f"{{% $round({_FIRST_PAUSE} * $power(2, $attempt) * (0.5 + $random() / 2)) %}}"
        ),
        assign={"attempt": "{% $attempt + 1 %}", "looks": 0},
    )


def _matches(pattern: str, also: str = "") -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% {also}$contains($failure.Error & ' ' & $failure.Cause, {pattern}) %}}")
