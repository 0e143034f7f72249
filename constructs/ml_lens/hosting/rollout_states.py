"""The states of a rollout, in the order in which it goes about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.functions import PythonFunction
from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.rollout_plan import RolloutPlan
from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call, call_function, caught, refusal

_SAGEMAKER = "aws-sdk:sagemaker:"
_BUSY = backing_off(["SageMaker.SageMakerException", "SageMaker.SdkClientException"])
_LOOKS_EVERY = Duration.seconds(20)
_MORE_TIME = 3
"""How many times a step is watched once more when there was too little to judge by."""


@dataclass(frozen=True, kw_only=True)
class RolloutParts:
    """What the states speak of."""

    endpoint: str
    prefix: str
    plan: RolloutPlan
    probe: PythonFunction
    judge: PythonFunction
    table: str
    topic: str
    lasts_at_most: Duration


class RolloutStates:
    """Builds the states; ``start`` is the first."""

    def __init__(self, scope: Construct, parts: RolloutParts) -> None:
        """Build from the last to the first, as each names the next."""
        self._scope = scope
        self._parts = parts
        self._back = self._return()
        self.start = self._begin(self._create(self._probe(self._shift(self._promote()))))

    def _api(
        self, id: str, operation: str, arguments: Mapping[str, Any] | str, **fields: Any
    ) -> sfn.CustomState:
        return call(self._scope, id, f"{_SAGEMAKER}{operation}", arguments, retry=[_BUSY], **fields)

    def _or_back(self, state: sfn.CustomState) -> sfn.CustomState:
        state.add_catch(self._back, errors=ANY_ERROR, assign=caught())
        return state

    def _settled(
        self, id: str, then: sfn.IChainable, otherwise: sfn.IChainable, expected: str | None = None
    ) -> sfn.IChainable:
        """Return states that look until the endpoint is in service, with the configuration that is expected."""
        look = self._api(
            f"Look at the endpoint: {id}",
            "describeEndpoint",
            {"EndpointName": self._parts.endpoint},
            Output={
                "status": "{% $states.result.EndpointStatus %}",
                "config": "{% $states.result.EndpointConfigName %}",
                "why": "{% $exists($states.result.FailureReason) ? $states.result.FailureReason : '' %}",
            },
        )
        look.add_catch(otherwise, errors=ANY_ERROR, assign=caught())
        wait = sfn.Wait.jsonata(self._scope, f"Give it time: {id}", time=sfn.WaitTime.duration(_LOOKS_EVERY))
        as_expected = f" and $states.input.config = {expected}" if expected else ""
        decide = sfn.Choice.jsonata(self._scope, f"Is it in service: {id}")
        decide.when(sfn.Condition.jsonata(f"{{% $states.input.status = 'InService'{as_expected} %}}"), then)
        decide.when(
            sfn.Condition.jsonata("{% $states.input.status in ['Creating', 'Updating', 'SystemUpdating'] %}"),
            wait,
        )
        failed = refusal(
            self._scope, f"It does not change: {id}", "EndpointNotChanged", "{% $states.input.why %}"
        )
        decide.otherwise(failed)
        failed.next(otherwise)
        look.next(decide)
        wait.next(look)
        return look

    def _begin(self, then: sfn.IChainable) -> sfn.IChainable:
        """Look at what is live, and see that no other rollout changes it at the same time."""
        parts = self._parts
        endpoint = self._api(
            "Look at what is live",
            "describeEndpoint",
            {"EndpointName": parts.endpoint},
            Assign={
                "id": "{% $substring($uuid(), 0, 8) %}",
                "version": "{% $states.input.version %}",
                "artifact": "{% $states.input.artifact %}",
                "environment": "{% $exists($states.input.environment) ? $states.input.environment : {} %}",
                "original": "{% $states.result.EndpointConfigName %}",
                "instances": "{% $states.result.ProductionVariants[0].CurrentInstanceCount %}",
                "started": "{% $states.context.Execution.StartTime %}",
                "step": 0,
                "more": 0,
                "steps": [
                    {"percent": share, "seconds": wait.to_seconds()} for share, wait in parts.plan.steps
                ],
            },
        )
        names = sfn.Pass.jsonata(
            self._scope,
            "Name what will be made",
            assign={
                "candidate": "{% 'Candidate-' & $id %}",
                "model": f"{{% '{parts.prefix}' & $id %}}",
                "both": f"{{% '{parts.prefix}' & $id & '-both' %}}",
                "alone": f"{{% '{parts.prefix}' & $id & '-alone' %}}",
            },
        )
        lock = call(
            self._scope,
            "See that nobody else is changing it",
            "dynamodb:putItem",
            {
                "TableName": parts.table,
                "Item": {
                    **self._key("lock"),
                    "execution": {"S": "{% $states.context.Execution.Id %}"},
                    "until": {
                        "N": f"{{% $string($floor($millis() / 1000) + {parts.lasts_at_most.to_seconds()}) %}}"
                    },
                },
                "ConditionExpression": "attribute_not_exists(endpoint) OR #until < :now",
                "ExpressionAttributeNames": {"#until": "until"},
                "ExpressionAttributeValues": {":now": {"N": "{% $string($floor($millis() / 1000)) %}"}},
            },
        )
        under_way = sfn.Fail.jsonata(
            self._scope,
            "Another rollout is under way",
            error="RolloutUnderWay",
            cause="Another rollout changes this endpoint; start this one again when it has ended.",
        )
        lock.add_catch(under_way, errors=["DynamoDB.ConditionalCheckFailedException"])
        record = self._or_back(
            call(
                self._scope,
                "Record what begins",
                "dynamodb:putItem",
                {
                    "TableName": parts.table,
                    "Item": {
                        **self._key("{% $started & ' ' & $id %}"),
                        "version": {"S": "{% $version %}"},
                        "artifact": {"S": "{% $artifact %}"},
                        "previous_config": {"S": "{% $original %}"},
                        "outcome": {"S": "under way"},
                    },
                },
            )
        )
        endpoint.next(names).next(lock).next(record).next(then)
        return endpoint

    def _create(self, then: sfn.IChainable) -> sfn.IChainable:
        """Put the candidate beside the live variant, without traffic (F9-01, F9-02)."""
        config = self._or_back(
            self._api(
                "Read the live configuration",
                "describeEndpointConfig",
                {"EndpointConfigName": "{% $original %}"},
                Assign={"live": "{% $states.result %}"},
            )
        )
        model = self._or_back(
            self._api(
                "Read the live model",
                "describeModel",
                {"ModelName": "{% $live.ProductionVariants[0].ModelName %}"},
                Assign={"blue": "{% $states.result %}"},
            )
        )
        create = self._or_back(
            self._api(
                "Create the candidate",
                "createModel",
                "{% $merge([{'ModelName': $model, 'ExecutionRoleArn': $blue.ExecutionRoleArn, 'PrimaryContainer': "
                "{'Image': $blue.PrimaryContainer.Image, 'ModelDataUrl': $artifact, 'Environment': "
                "$merge([$blue.PrimaryContainer.Environment, $environment, {'MODEL_VERSION': $version}])}, "
                "'Tags': [{'Key': 'mllens:model-version', 'Value': $version}]}, "
                "$exists($blue.VpcConfig) ? {'VpcConfig': $blue.VpcConfig, 'EnableNetworkIsolation': true} : {}]) %}",
            )
        )
        both = self._or_back(
            self._api(
                "Configure both",
                "createEndpointConfig",
                _configuration(
                    "$both",
                    "[$live.ProductionVariants[0], $merge([$live.ProductionVariants[0], {'VariantName': $candidate, "
                    "'ModelName': $model, 'InitialVariantWeight': 0, 'InitialInstanceCount': 1}])]",
                ),
            )
        )
        update = self._or_back(
            self._api(
                "Start the candidate",
                "updateEndpoint",
                {
                    "EndpointName": self._parts.endpoint,
                    "EndpointConfigName": "{% $both %}",
                    "RetainAllVariantProperties": True,
                },
            )
        )
        config.next(model).next(create).next(both).next(update).next(
            self._settled("both", then, self._back, expected="$both")
        )
        return config

    def _probe(self, then: sfn.IChainable) -> sfn.IChainable:
        """Ask the candidate what the answers to are known, and nobody else does (F8-02, F8-03)."""
        probe = self._or_back(
            call_function(
                self._scope,
                "Probe the candidate",
                self._parts.probe,
                {"endpoint": self._parts.endpoint, "variant": "{% $candidate %}", "live": VARIANT},
                Assign={"probed": "{% $states.result.Payload %}"},
            )
        )
        before = self._or_back(
            call_function(
                self._scope,
                "Note the outcomes so far",
                self._parts.judge,
                {
                    "baseline": True,
                    "endpoint": self._parts.endpoint,
                    "candidate": "{% $candidate %}",
                    "live": VARIANT,
                },
                Assign={"before": "{% $states.result.Payload.before %}"},
            )
        )
        decide = sfn.Choice.jsonata(self._scope, "Does it pass").when(
            sfn.Condition.jsonata("{% $probed.passed %}"), before
        )
        failed = refusal(self._scope, "It fails the probes", "ProbesFailed", "{% $probed.reason %}")
        decide.otherwise(failed)
        failed.next(self._back)
        before.next(then)
        probe.next(decide)
        return probe

    def _shift(self, then: sfn.IChainable) -> sfn.IChainable:
        """Give the candidate more instances, then more traffic, and watch, step by step (F9-03, F10)."""
        room = self._or_back(
            self._weights(
                "Make room for the next step",
                [
                    {
                        "VariantName": "{% $candidate %}",
                        "DesiredInstanceCount": "{% $max([1, $ceil($instances * $steps[$step].percent / 100)]) %}",
                    }
                ],
            )
        )
        move = self._or_back(
            self._weights(
                "Move traffic",
                [
                    {"VariantName": VARIANT, "DesiredWeight": "{% 100 - $steps[$step].percent %}"},
                    {"VariantName": "{% $candidate %}", "DesiredWeight": "{% $steps[$step].percent %}"},
                ],
                Assign={"since": "{% $now() %}"},
            )
        )
        watch = sfn.Wait.jsonata(
            self._scope, "Watch", time=sfn.WaitTime.seconds("{% $steps[$step].seconds %}")
        )
        judge = self._or_back(
            call_function(
                self._scope,
                "Judge",
                self._parts.judge,
                {
                    "endpoint": self._parts.endpoint,
                    "candidate": "{% $candidate %}",
                    "live": VARIANT,
                    "since": "{% $since %}",
                    "before": "{% $before %}",
                },
                Assign={"judged": "{% $states.result.Payload %}"},
            )
        )
        forward = sfn.Pass.jsonata(self._scope, "Go on", assign={"step": "{% $step + 1 %}", "more": 0})
        longer = sfn.Pass.jsonata(self._scope, "Watch for longer", assign={"more": "{% $more + 1 %}"})
        failed = refusal(
            self._scope, "It does not keep to the checks", "ChecksFailed", "{% $judged.reason %}"
        )
        decide = sfn.Choice.jsonata(self._scope, "What does it show")
        decide.when(
            sfn.Condition.jsonata("{% $judged.verdict = 'pass' and $step + 1 >= $count($steps) %}"), then
        )
        decide.when(sfn.Condition.jsonata("{% $judged.verdict = 'pass' %}"), forward)
        decide.when(
            sfn.Condition.jsonata(f"{{% $judged.verdict = 'wait' and $more < {_MORE_TIME} %}}"), longer
        )
        decide.otherwise(failed)
        failed.next(self._back)
        longer.next(watch)
        forward.next(room)
        judge.next(decide)
        watch.next(judge)
        move.next(self._settled("traffic", watch, self._back))
        room.next(self._settled("room", move, self._back))
        return room

    def _promote(self) -> sfn.IChainable:
        """Make the candidate the live variant and let go of the old one (F9-04, F9-05)."""
        alone = self._or_back(
            self._api(
                "Configure the new version alone",
                "createEndpointConfig",
                _configuration(
                    "$alone",
                    "[$merge([$live.ProductionVariants[0], {'ModelName': $model, 'InitialVariantWeight': 1, "
                    "'InitialInstanceCount': $instances}])]",
                ),
            )
        )
        update = self._or_back(
            self._api(
                "Let go of the old version",
                "updateEndpoint",
                {
                    "EndpointName": self._parts.endpoint,
                    "EndpointConfigName": "{% $alone %}",
                    "RetainAllVariantProperties": True,
                    "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
                },
            )
        )
        probe = self._or_back(
            call_function(
                self._scope,
                "Probe what is live now",
                self._parts.probe,
                {"endpoint": self._parts.endpoint, "variant": VARIANT},
                Assign={"probed": "{% $states.result.Payload %}"},
            )
        )
        failed = refusal(self._scope, "It fails once live", "ProbesFailed", "{% $probed.reason %}")
        decide = sfn.Choice.jsonata(self._scope, "Is it well").when(
            sfn.Condition.jsonata("{% $probed.passed %}"), self._finish()
        )
        decide.otherwise(failed)
        failed.next(self._back)
        alone.next(update).next(self._settled("alone", probe, self._back, expected="$alone"))
        probe.next(decide)
        return alone

    def _finish(self) -> sfn.IChainable:
        record = self._outcome("Record that it has taken over", "live", "it kept to every check")
        forget = self._quietly("Forget the configuration of both", "deleteEndpointConfig", "Both")
        done = sfn.Succeed.jsonata(self._scope, "The new version is live")
        tell = self._tell("Tell that it has taken over", "{% $version & ' is live' %}", done)
        record.next(forget).next(self._unlock("Let others change it")).next(tell).next(done)
        return record

    def _return(self) -> sfn.IChainable:
        """Go back to blue, whatever has happened so far (F8-06, F10-05, CHG-05)."""
        told = self._given_up()
        loud = self._tell(
            "Tell that the endpoint is neither here nor there",
            "{% 'The endpoint could not be returned; look at it now: ' & $failure.Cause %}",
            told,
        )
        loud.next(told)
        weights = self._weights(
            "Return the traffic",
            [
                {"VariantName": VARIANT, "DesiredWeight": 100},
                {"VariantName": "{% $candidate %}", "DesiredWeight": 0},
            ],
        )
        config = self._api(
            "Return to the old configuration",
            "updateEndpoint",
            {
                "EndpointName": self._parts.endpoint,
                "EndpointConfigName": "{% $original %}",
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
            },
        )
        config.add_catch(loud, errors=ANY_ERROR)
        settled = self._settled("weights", config, config)
        # There is no candidate yet, or no longer: then there is no traffic to return.
        weights.add_catch(settled, errors=ANY_ERROR)
        weights.next(settled)
        config.next(self._settled("original", self._clean_up(told), loud, expected="$original"))
        return weights

    def _given_up(self) -> sfn.IChainable:
        return sfn.Fail.jsonata(
            self._scope,
            "The old version is live",
            error="{% $failure.Error %}",
            cause="{% $substring($failure.Cause, 0, 30000) %}",
        )

    def _clean_up(self, end: sfn.IChainable) -> sfn.IChainable:
        first = self._quietly("Forget what both were", "deleteEndpointConfig", "Both")
        second = self._quietly("Forget what was alone", "deleteEndpointConfig", "Alone")
        model = self._quietly("Forget the candidate", "deleteModel", "Model")
        record = self._outcome("Record why it has not taken over", "returned", "{% $failure.Cause %}")
        tell = self._tell(
            "Tell that it has not taken over",
            "{% $version & ' was sent back: ' & $failure.Cause %}",
            end,
        )
        first.next(second).next(model).next(record).next(self._unlock("Let others try")).next(tell).next(end)
        return first

    def _quietly(self, id: str, operation: str, what: str) -> sfn.Chain:
        """Delete something that may not be there."""
        key = "ModelName" if what == "Model" else "EndpointConfigName"
        state = self._api(id, operation, {key: f"{{% ${what.lower()} %}}"})
        passed = sfn.Pass.jsonata(self._scope, f"{id}: done")
        state.add_catch(passed, errors=ANY_ERROR)
        return state.next(passed)

    def _weights(self, id: str, desired: list[dict[str, Any]], **fields: Any) -> sfn.CustomState:
        return self._api(
            id,
            "updateEndpointWeightsAndCapacities",
            {"EndpointName": self._parts.endpoint, "DesiredWeightsAndCapacities": desired},
            **fields,
        )

    def _outcome(self, id: str, outcome: str, reason: str) -> sfn.CustomState:
        return call(
            self._scope,
            id,
            "dynamodb:updateItem",
            {
                "TableName": self._parts.table,
                "Key": self._key("{% $started & ' ' & $id %}"),
                "UpdateExpression": "SET outcome = :outcome, reason = :reason, ended = :ended",
                "ExpressionAttributeValues": {
                    ":outcome": {"S": outcome},
                    ":reason": {"S": reason},
                    ":ended": {"S": "{% $now() %}"},
                },
            },
            retry=[backing_off(ANY_ERROR)],
        )

    def _unlock(self, id: str) -> sfn.CustomState:
        return call(
            self._scope,
            id,
            "dynamodb:deleteItem",
            {"TableName": self._parts.table, "Key": self._key("lock")},
            retry=[backing_off(ANY_ERROR)],
        )

    def _tell(self, id: str, text: str, otherwise: sfn.IChainable) -> sfn.CustomState:
        state = call(
            self._scope,
            id,
            "sns:publish",
            {
                "TopicArn": self._parts.topic,
                "Subject": f"Rollout of {self._parts.endpoint}"[:100],
                "Message": text,
            },
            retry=[backing_off(ANY_ERROR)],
        )
        state.add_catch(otherwise, errors=ANY_ERROR)
        return state

    def _key(self, record: str) -> dict[str, Any]:
        return {"endpoint": {"S": self._parts.endpoint}, "record": {"S": record}}


def _configuration(name: str, variants: str) -> str:
    """Return the request for a configuration that differs from the live one in name and variants alone."""
    return (
        f"{{% $merge([{{'EndpointConfigName': {name}, 'ProductionVariants': {variants}}}, "
        "$exists($live.KmsKeyId) ? {'KmsKeyId': $live.KmsKeyId} : {}, "
        "$exists($live.DataCaptureConfig) ? {'DataCaptureConfig': $live.DataCaptureConfig} : {}]) %}"
    )
