"""The states of an experiment: equal shares, looks until there is a verdict, and the traffic to whom it belongs."""

from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.hosting.experiment_end import end_of_experiment
from ml_lens.hosting.experiment_plan import ExperimentPlan
from ml_lens.hosting.experiment_shares import share_out
from ml_lens.hosting.experiment_shift import restore_shares, shift_traffic
from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call, call_function, caught, refusal

_RUN = {"S": "{% $states.context.Execution.Id %}"}
_TAKEN = "DynamoDB.ConditionalCheckFailedException"


def experiment_states(scope: Construct, plan: ExperimentPlan) -> sfn.IChainable:
    """Return the first state.

    What can fail is inside of states with a ``Catch`` that restores shares that are known to be safe: equal ones, or,
    after a variant has failed, those of the other one. What no state can catch, the end of the whole run, starts a run
    that takes over from it.
    """
    end = end_of_experiment(scope, plan.endpoint, plan.rules, plan.topic)
    restore = restore_shares(scope, plan, end.record)
    begin = sfn.Pass.jsonata(
        scope,
        "Begin",
        assign={
            "started": "{% $states.context.Execution.StartTime %}",
            "stopped": "{% $type($states.input.stopped) = 'string' ? $states.input.stopped : '' %}",
            "safe": plan.equal,
            "traffic": plan.equal,
            "decision": "failed",
            "verdict": {"winner": "{% '' %}", "config": "{% '' %}"},
            "failure": {"Error": "{% '' %}", "Cause": "{% '' %}"},
        },
    )
    after = sfn.Choice.jsonata(scope, "After a run that was stopped?")
    after.when(
        sfn.Condition.jsonata("{% $stopped != '' %}"), _take_over(scope, plan, restore, end.tell)
    ).otherwise(_take(scope, plan, end.tell, _compare(scope, plan, restore, end.record)))
    return begin.next(after)


def _take(
    scope: Construct, plan: ExperimentPlan, tell: sfn.IChainable, compare: sfn.IChainable
) -> sfn.IChainable:
    """Make the endpoint this run's own: two experiments at once would shift each other's traffic."""
    equal = {"M": {name: {"N": str(weight)} for name, weight in plan.equal.items()}}
    take = call(
        scope,
        "Take the endpoint",
        "dynamodb:updateItem",
        {
            "TableName": plan.endpoint.table.table_name,
            "Key": plan.endpoint.key,
            "ConditionExpression": "attribute_not_exists(holder) OR holder = :run",
            "UpdateExpression": "SET holder = :run, salt = :salt, weights = :equal, safe = :equal",
            "ExpressionAttributeValues": {
                ":run": _RUN,
                ":salt": {"S": "{% $states.context.Execution.Name %}"},
                ":equal": equal,
            },
        },
        retry=_unless_taken(),
        Output={},
    )
    taken = refusal(
        scope,
        "Taken already",
        "Experiment.Running",
        "Another experiment of the endpoint is running; its item in the table names it as holder",
    ).next(tell)
    take.add_catch(taken, errors=[_TAKEN])
    take.add_catch(tell, errors=ANY_ERROR, assign=caught())
    return take.next(compare)


def _unless_taken() -> list[dict[str, Any]]:
    return [{"ErrorEquals": [_TAKEN], "MaxAttempts": 0}, backing_off(ANY_ERROR)]


def _take_over(
    scope: Construct, plan: ExperimentPlan, restore: sfn.IChainable, tell: sfn.IChainable
) -> sfn.IChainable:
    """Take the endpoint from a run that was stopped, if it still has it."""
    safe = {
        name: f"{{% $number($states.result.Attributes.safe.M.{name}.N) %}}" for name in plan.endpoint.variants
    }
    take_over = call(
        scope,
        "Take over",
        "dynamodb:updateItem",
        {
            "TableName": plan.endpoint.table.table_name,
            "Key": plan.endpoint.key,
            "ConditionExpression": "holder = :stopped OR holder = :run",
            "UpdateExpression": "SET holder = :run",
            "ExpressionAttributeValues": {":stopped": {"S": "{% $stopped %}"}, ":run": _RUN},
            "ReturnValues": "ALL_NEW",
        },
        retry=_unless_taken(),
        Assign={
            "safe": safe,
            "decision": "stopped",
            "failure": {
                "Error": "Experiment.Stopped",
                "Cause": "{% 'The run was stopped: ' & $stopped %}",
            },
        },
        Output={},
    )
    take_over.add_catch(sfn.Succeed.jsonata(scope, "Nothing to restore"), errors=[_TAKEN])
    take_over.add_catch(tell, errors=ANY_ERROR, assign=caught())
    return take_over.next(restore)


def _compare(
    scope: Construct, plan: ExperimentPlan, restore: sfn.IChainable, record: sfn.IChainable
) -> sfn.IChainable:
    """Share equally, and look until there is a verdict (Lens: AB-03, AB-05, AB-06)."""
    every = int(plan.rules.checked_every.to_seconds())
    wait = sfn.Wait.jsonata(
        scope, "Let outcomes come in", time=sfn.WaitTime.duration(plan.rules.checked_every)
    )
    elapsed = f"{{% $elapsed + {every} %}}"
    look = call_function(
        scope,
        "Look",
        plan.verdict,
        {"phase": "look", "state": "{% $state %}", "elapsed": elapsed, "since": "{% $since %}"},
        Assign={"state": "{% $states.result.Payload.state %}", "elapsed": elapsed},
        Output="{% $states.result.Payload.verdict %}",
    )
    judged = sfn.Choice.jsonata(scope, "Is there a verdict?")
    judged.when(sfn.Condition.jsonata("{% $states.input.decision = 'wait' %}"), wait)
    judged.otherwise(
        sfn.Pass.jsonata(
            scope,
            "Compared",
            outputs="{% $merge([$states.input, {'config': $config, 'elapsed': $elapsed}]) %}",
        )
    )
    wait.next(look).next(judged)
    begin = call_function(
        scope,
        "Remember the sums",
        plan.verdict,
        {"phase": "begin"},
        Assign={"state": "{% $states.result.Payload %}", "elapsed": 0},
    ).next(wait)
    equal = sfn.Pass.jsonata(scope, "Equal shares", assign={"weights": plan.equal})
    compare = sfn.Parallel.jsonata(scope, "Compare", assign={"verdict": "{% $states.result[0] %}"})
    compare.branch(equal.next(share_out(scope, plan.endpoint, "at the start", begin)))
    compare.add_catch(restore, errors=ANY_ERROR, assign=caught())
    return compare.next(_follow(scope, plan, restore, record))


def _follow(
    scope: Construct, plan: ExperimentPlan, restore: sfn.IChainable, record: sfn.IChainable
) -> sfn.IChainable:
    """Take the verdict, and keep which shares are safe from now on."""
    shares = plan.rules.then.shares
    unhealthy = "$verdict.decision = 'unhealthy'"
    read = sfn.Pass.jsonata(
        scope,
        "Read the verdict",
        assign={
            "safe": f"{{% {unhealthy} ? {plan.all_to('$verdict.winner')} : {plan.equally} %}}",
            # There is no time to lose when a variant fails.
            "shares": f"{{% {unhealthy} ? [100] : {shares} %}}",
        },
    )
    none_left = refusal(scope, "Both fail", "Experiment.Unhealthy", "{% $verdict.reason %}").next(restore)
    keep = call(
        scope,
        "Keep what is safe",
        "dynamodb:updateItem",
        {
            "TableName": plan.endpoint.table.table_name,
            "Key": plan.endpoint.key,
            "ConditionExpression": "holder = :run",
            "UpdateExpression": "SET safe = :safe",
            "ExpressionAttributeValues": {":run": _RUN, ":safe": plan.endpoint.as_map("safe")},
        },
        retry=_unless_taken(),
        Output={},
    )
    keep.add_catch(restore, errors=ANY_ERROR, assign=caught())
    keep.next(shift_traffic(scope, plan, restore, record))
    is_left = sfn.Choice.jsonata(scope, "Is a variant left?")
    is_left.when(sfn.Condition.jsonata("{% $verdict.winner = '' %}"), none_left).otherwise(read)
    read.next(keep)
    return is_left
