"""Giving each variant its share of the traffic: of the calls of the API, and of all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call

_LOOKS_EVERY = Duration.seconds(30)
_LOOKS = 60


@dataclass(frozen=True, kw_only=True)
class SharedEndpoint:
    """An endpoint with two variants, and the item that says who gets which."""

    name: str
    """Name of the endpoint."""
    variants: Sequence[str]
    """Names of the variants. The first one is kept when there is no difference."""
    versions: Mapping[str, str]
    """Versions of the models, by variant."""
    table: dynamodb.ITable
    """Holds the item."""

    @property
    def key(self) -> dict[str, dict[str, str]]:
        """Primary key of the item."""
        return {"pk": {"S": f"experiment#{self.name}"}, "sk": {"S": "-"}}

    def as_map(self, variable: str) -> dict[str, object]:
        """Return the value of DynamoDB for a variable that holds a weight for every variant."""
        return {"M": {name: {"N": f"{{% $string(${variable}.{name}) %}}"} for name in self.variants}}


def share_out(
    scope: Construct, endpoint: SharedEndpoint, occasion: str, then: sfn.IChainable
) -> sfn.IChainable:
    """Return states that share the traffic out by the variable ``weights``, and wait until the endpoint does.

    Args:
        scope: Where the states belong.
        endpoint: The endpoint.
        occasion: What it is for, as a part of the states' names.
        then: What follows.
    """
    callers = call(
        scope,
        f"Assign callers {occasion}",
        "dynamodb:updateItem",
        {
            "TableName": endpoint.table.table_name,
            "Key": endpoint.key,
            "ConditionExpression": "holder = :run",
            "UpdateExpression": "SET weights = :weights",
            "ExpressionAttributeValues": {
                ":run": {"S": "{% $states.context.Execution.Id %}"},
                ":weights": endpoint.as_map("weights"),
            },
        },
        retry=[backing_off(ANY_ERROR)],
        Output={},
    )
    weigh = call(
        scope,
        f"Set the weights {occasion}",
        "aws-sdk:sagemaker:updateEndpointWeightsAndCapacities",
        {
            "EndpointName": endpoint.name,
            "DesiredWeightsAndCapacities": [
                {"VariantName": name, "DesiredWeight": f"{{% $weights.{name} %}}"}
                for name in endpoint.variants
            ],
        },
        # While it scales, an endpoint takes no weights.
        retry=[backing_off(ANY_ERROR, attempts=8, first=5, longest=120)],
        Assign={"polls": 0},
        Output={},
    )
    return callers.next(weigh).next(_wait(scope, endpoint, occasion, then))


def _wait(scope: Construct, endpoint: SharedEndpoint, occasion: str, then: sfn.IChainable) -> sfn.IChainable:
    wait = sfn.Wait.jsonata(
        scope, f"Wait for the weights {occasion}", time=sfn.WaitTime.duration(_LOOKS_EVERY)
    )
    look = call(
        scope,
        f"Look at the endpoint {occasion}",
        "aws-sdk:sagemaker:describeEndpoint",
        {"EndpointName": endpoint.name},
        retry=[backing_off(ANY_ERROR)],
        Assign={
            "polls": "{% $polls + 1 %}",
            "config": "{% $states.result.EndpointConfigName %}",
            "since": "{% $now() %}",
        },
        Output={"status": "{% $states.result.EndpointStatus %}"},
    )
    done = sfn.Choice.jsonata(scope, f"Are they set {occasion}?")
    done.when(sfn.Condition.jsonata("{% $states.input.status = 'InService' %}"), then)
    done.when(sfn.Condition.jsonata(f"{{% $states.input.status = 'Updating' and $polls < {_LOOKS} %}}"), wait)
    done.otherwise(
        sfn.Fail.jsonata(
            scope,
            f"Weights not set {occasion}",
            error="Experiment.NotInService",
            cause="{% 'The endpoint is ' & $states.input.status %}",
        )
    )
    return wait.next(look).next(done)
