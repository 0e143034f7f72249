"""The states of an endpoint for one run: create, ask, and delete, whatever happens."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.hosting.batch_options import BatchSource
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

LOG_PREFIX = "/aws/sagemaker/Endpoints/"
"""What the names of the log groups of endpoints begin with."""
# SageMaker's model lists no error for throttling; it comes under the name of whatever is not listed.
_BUSY = ("SageMaker.SageMakerException", "SageMaker.SdkClientException")
_LOGS_BUSY = (
    "CloudWatchLogs.CloudWatchLogsException",
    "CloudWatchLogs.OperationAbortedException",
    "CloudWatchLogs.ServiceUnavailableException",
)
_LOOKS_EVERY = Duration.seconds(30)
_LOOKS = 80
# SageMaker refuses to delete an endpoint that is being created.
_DELETES_EVERY = Duration.minutes(1)
_DELETES = 45


@dataclass(frozen=True, kw_only=True)
class OnDemandPlan:
    """What the states speak of."""

    name: str
    """What the names of endpoints begin with."""
    config_name: str
    """Name of the endpoint configuration."""
    model_version: str
    """Version of the model."""
    source: BatchSource
    """What is read."""
    results: str
    """Where results go, as a place in S3 up to a slash."""
    shares: int
    """Functions that work at the same time."""
    log_key: kms.IKey
    """Encrypts the logs of the endpoint."""
    log_days: int
    """How long they are kept."""


def on_demand_states(
    scope: Construct, plan: OnDemandPlan, *, predict: PythonFunction, topic: AlarmTopic
) -> sfn.IChainable:
    """Return the first state.

    Everything between creation and deletion is one state, so that no error inside, not even one of an expression, gets
    past its ``Catch``. What no state can catch, the end of the whole run, is the business of the reaper.
    """
    about = {"endpoint": "{% $endpoint %}", "name": plan.name}
    tell = tell_of_failure(scope, topic, "Predictions on demand failed", about)
    delete = _delete(scope, plan, tell)

    use = sfn.Parallel.jsonata(
        scope,
        "Use the endpoint",
        assign={"shares": "{% $states.result[0] %}", "failure": "{% {'Error': '', 'Cause': ''} %}"},
    )
    use.branch(_use(scope, plan, predict)).add_catch(delete, errors=ANY_ERROR, assign=caught()).next(delete)

    create = call(
        scope,
        "Create the endpoint",
        "aws-sdk:sagemaker:createEndpoint",
        {
            "EndpointName": "{% $endpoint %}",
            "EndpointConfigName": plan.config_name,
            "Tags": [
                {"Key": "mllens:model-version", "Value": plan.model_version},
                {"Key": "mllens:run", "Value": "{% $states.context.Execution.Name %}"},
            ],
        },
        retry=[backing_off(_BUSY, first=10, longest=120)],
    )
    # A call whose answer was lost may have created the endpoint: whatever went wrong, it is deleted.
    create.add_catch(delete, errors=ANY_ERROR, assign=caught()).next(use)
    return _begin(scope, plan, _log(scope, plan, create, tell), tell)


def _begin(
    scope: Construct, plan: OnDemandPlan, ours: sfn.IChainable, tell: sfn.IChainable
) -> sfn.IChainable:
    execution = "$states.context.Execution"
    name = sfn.Pass.jsonata(
        scope,
        "Name the endpoint",
        assign={
            "prefix": f"{{% $exists($states.input.prefix) ? $states.input.prefix : '{plan.source.prefix}' %}}",
            # The reaper makes the same name of the same ARN.
            "endpoint": f"{{% '{plan.name}-' & $substring($hash({execution}.Id, 'SHA-256'), 0, 16) %}}",
            "request": f"{{% $substring($hash({execution}.Id & {execution}.StartTime, 'SHA-256'), 0, 16) %}}",
            "deletes": 0,
        },
    )
    refused = refusal(
        scope,
        "Not ours to read",
        "OnDemandEndpoint.Refused",
        f"prefix must be a text that begins with '{plan.source.prefix}'",
    ).next(tell)
    may = sfn.Choice.jsonata(scope, "May it be read?")
    may.when(sfn.Condition.jsonata(f"{{% {begins('$prefix', plan.source.prefix)} %}}"), ours).otherwise(
        refused
    )
    return name.next(may)


def _log(
    scope: Construct, plan: OnDemandPlan, create: sfn.IChainable, tell: sfn.IChainable
) -> sfn.IChainable:
    """Make the log group of the endpoint: SageMaker would make one without a key that never expires."""
    group = f"{{% '{LOG_PREFIX}' & $endpoint %}}"
    keep = call(
        scope,
        "Let the log expire",
        "aws-sdk:cloudwatchlogs:putRetentionPolicy",
        {"LogGroupName": group, "RetentionInDays": plan.log_days},
        retry=[backing_off(_LOGS_BUSY)],
    )
    keep.add_catch(tell, errors=ANY_ERROR, assign=caught()).next(create)
    make = call(
        scope,
        "Make the log",
        "aws-sdk:cloudwatchlogs:createLogGroup",
        {"LogGroupName": group, "KmsKeyId": plan.log_key.key_arn},
        retry=[backing_off(_LOGS_BUSY)],
    )
    make.add_catch(keep, errors=["CloudWatchLogs.ResourceAlreadyExistsException"])
    make.add_catch(tell, errors=ANY_ERROR, assign=caught())
    return make.next(keep)


def _use(scope: Construct, plan: OnDemandPlan, predict: PythonFunction) -> sfn.IChainable:
    """Wait until the endpoint is in service, and let functions ask it until every object is done."""
    ask = sfn.Map.jsonata(
        scope,
        "Share the objects out",
        items=sfn.ProvideItems.jsonata(f"{{% [$range(0, {plan.shares - 1}, 1)] %}}"),
        max_concurrency=plan.shares,
        item_selector={
            "number": "{% $states.context.Map.Item.Value %}",
            "of": plan.shares,
            "endpoint": "{% $endpoint %}",
            "prefix": "{% $prefix %}",
            "request": "{% $request %}",
        },
    )
    predict_share = call_function(scope, "Predict", predict, "{% $states.input %}")
    more = sfn.Choice.jsonata(scope, "Is the share done?")
    more.when(sfn.Condition.jsonata("{% $states.input.done = true %}"), sfn.Pass.jsonata(scope, "Share done"))
    more.otherwise(predict_share)
    ask.item_processor(predict_share.next(more))

    wait = sfn.Wait.jsonata(scope, "Wait for instances", time=sfn.WaitTime.duration(_LOOKS_EVERY))
    look = call(
        scope,
        "Look at the endpoint",
        "aws-sdk:sagemaker:describeEndpoint",
        {"EndpointName": "{% $endpoint %}"},
        retry=[backing_off(ANY_ERROR)],
        Assign={"looks": "{% $looks + 1 %}"},
        Output={
            "status": "{% $states.result.EndpointStatus %}",
            "reason": "{% $exists($states.result.FailureReason) ? $states.result.FailureReason : '' %}",
        },
    )
    ready = sfn.Choice.jsonata(scope, "Is it in service?")
    ready.when(sfn.Condition.jsonata("{% $states.input.status = 'InService' %}"), ask)
    ready.when(
        sfn.Condition.jsonata(f"{{% $states.input.status = 'Creating' and $looks < {_LOOKS} %}}"), wait
    )
    ready.otherwise(
        sfn.Fail.jsonata(
            scope,
            "Never in service",
            error="OnDemandEndpoint.NotInService",
            cause="{% 'The endpoint is ' & $states.input.status & '. ' & $states.input.reason %}",
        )
    )
    begin = sfn.Pass.jsonata(scope, "Begin to look", assign={"looks": 0})
    return begin.next(wait).next(look).next(ready)


def _delete(scope: Construct, plan: OnDemandPlan, tell: sfn.IChainable) -> sfn.CustomState:
    delete = call(
        scope,
        "Delete the endpoint",
        "aws-sdk:sagemaker:deleteEndpoint",
        {"EndpointName": "{% $endpoint %}"},
    )
    worked = sfn.Choice.jsonata(scope, "Did the run succeed?")
    worked.when(sfn.Condition.jsonata("{% $failure.Error = '' %}"), _done(scope, plan)).otherwise(tell)
    again = sfn.Wait.jsonata(
        scope,
        "Wait until it can be deleted",
        time=sfn.WaitTime.duration(_DELETES_EVERY),
        assign={"deletes": "{% $deletes + 1 %}"},
    ).next(delete)
    left = refusal(
        scope,
        "Leave it to the reaper",
        "OnDemandEndpoint.NotDeleted",
        "{% 'The endpoint ' & $endpoint & ' is still there: ' & $refused %}",
    ).next(tell)
    gone = sfn.Choice.jsonata(scope, "Is it gone?")
    gone.when(sfn.Condition.jsonata("{% $contains($refused, 'Could not find') %}"), worked)
    gone.when(sfn.Condition.jsonata(f"{{% $deletes < {_DELETES} %}}"), again)
    gone.otherwise(left)
    delete.add_catch(gone, errors=ANY_ERROR, assign=_refused()).next(worked)
    return delete


def _done(scope: Construct, plan: OnDemandPlan) -> sfn.Succeed:
    return sfn.Succeed.jsonata(
        scope,
        "Done",
        outputs={
            "endpoint": "{% $endpoint %}",
            "model_version": plan.model_version,
            "results": f"{{% '{plan.results}' & $request & '/' %}}",
            "objects": "{% $sum($shares.objects) %}",
            "records": "{% $sum($shares.records) %}",
            "refused": "{% $sum($shares.refused) %}",
        },
    )


def _refused() -> dict[str, Any]:
    return {"refused": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}"}
