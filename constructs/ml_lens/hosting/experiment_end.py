"""How an experiment ends, however it went: it is recorded, the endpoint is given back, and people are told."""

import json
from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.observability import AlarmTopic
from ml_lens.hosting.experiment_options import ExperimentRules
from ml_lens.hosting.experiment_shares import SharedEndpoint
from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call

_REASON = "{% $failure.Error = '' ? $verdict.reason : $substring($failure.Cause, 0, 30000) %}"


@dataclass(frozen=True, kw_only=True)
class End:
    """Where the states of an experiment lead to."""

    record: sfn.IChainable
    """The end of a run that had the endpoint."""
    tell: sfn.IChainable
    """The end of a run that had not."""


def end_of_experiment(
    scope: Construct, endpoint: SharedEndpoint, rules: ExperimentRules, topic: AlarmTopic
) -> End:
    """Return the last states."""
    tell = _tell(scope, endpoint, topic)
    release = call(
        scope,
        "Give the endpoint back",
        "dynamodb:updateItem",
        {
            "TableName": endpoint.table.table_name,
            "Key": endpoint.key,
            "ConditionExpression": "holder = :run",
            # Once a variant has everything, the weights of the endpoint say so, and callers need no other word.
            "UpdateExpression": "{% 'REMOVE holder, safe' & "
            "($count($each($traffic, function($v) {$v})[$ = 100]) > 0 ? ', weights, salt' : '') %}",
            "ExpressionAttributeValues": {":run": {"S": "{% $states.context.Execution.Id %}"}},
        },
        retry=[backing_off(ANY_ERROR)],
        Output={},
    )
    # An endpoint that was not given back refuses the next experiment, which then says so.
    release.add_catch(tell, errors=ANY_ERROR)
    release.next(tell)
    record = _record(scope, endpoint, rules)
    record.add_catch(release, errors=ANY_ERROR)
    record.next(release)
    return End(record=record, tell=tell)


def _record(scope: Construct, endpoint: SharedEndpoint, rules: ExperimentRules) -> sfn.CustomState:
    return call(
        scope,
        "Record",
        "dynamodb:putItem",
        {
            "TableName": endpoint.table.table_name,
            "Item": {
                "pk": endpoint.key["pk"],
                "sk": {"S": "{% $started & '#' & $states.context.Execution.Name %}"},
                "run": {"S": "{% $states.context.Execution.Id %}"},
                "ended": {"S": "{% $now() %}"},
                "decision": {"S": "{% $decision %}"},
                "winner": {"S": "{% $verdict.winner %}"},
                "reason": {"S": _REASON},
                "config": {"S": "{% $verdict.config %}"},
                "versions": {"S": json.dumps(dict(endpoint.versions))},
                "traffic": {"S": "{% $string($traffic) %}"},
                "verdict": {"S": "{% $string($verdict) %}"},
                "rules": {"S": json.dumps(rules.to_json())},
            },
        },
        retry=[backing_off(ANY_ERROR)],
        Output={},
    )


def _tell(scope: Construct, endpoint: SharedEndpoint, topic: AlarmTopic) -> sfn.IChainable:
    done = sfn.Succeed.jsonata(
        scope,
        "Done",
        outputs={
            "decision": "{% $decision %}",
            "winner": "{% $verdict.winner %}",
            "verdict": "{% $verdict %}",
            "traffic": "{% $traffic %}",
        },
    )
    failed = sfn.Fail.jsonata(scope, "Failed", error="{% $failure.Error %}", cause=_REASON)
    well = sfn.Choice.jsonata(scope, "Is there a result?")
    # The run that was stopped has failed; to restore after it is a success.
    well.when(sfn.Condition.jsonata("{% $failure.Error = '' or $stopped != '' %}"), done).otherwise(failed)
    tell = call(
        scope,
        "Tell",
        "sns:publish",
        {
            "TopicArn": topic.topic.topic_arn,
            "Subject": "{% 'An experiment has ended: ' & $decision %}",
            "Message": {
                "endpoint": endpoint.name,
                "versions": dict(endpoint.versions),
                "run": "{% $states.context.Execution.Id %}",
                "decision": "{% $decision %}",
                "reason": _REASON,
                "traffic": "{% $traffic %}",
                "verdict": "{% $verdict %}",
            },
        },
        retry=[backing_off(ANY_ERROR)],
        Output={},
    )
    tell.add_catch(well, errors=ANY_ERROR)
    return tell.next(well)
