"""Looks at what the candidate of a rollout did with live traffic since the last step."""

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from judging import Limits, Measured, Outcomes, judge

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
_PATIENT = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=3, read_timeout=10)
_cloudwatch = boto3.client("cloudwatch", config=_PATIENT)
_dynamodb = boto3.client("dynamodb", config=_PATIENT)
_METRICS = (
    ("calls", "Invocations", "Sum"),
    ("errors", "InvocationModelErrors", "Sum"),
    ("broken", "Invocation5XXErrors", "Sum"),
    ("late", "ModelLatency", "p99"),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Return ``verdict``, which is pass, fail or wait, its ``reason``, and the ``outcomes`` so far.

    The event names the ``endpoint``, the ``candidate`` and the ``live`` variant, since when to look at each (``since``
    and ``began``, ISO 8601), and the outcomes of the live variant ``before`` the rollout. With ``baseline`` true it
    only returns those.
    """
    live = _outcomes(event["endpoint"], event["live"])
    if event.get("baseline"):
        return {"before": live.to_json()}
    found = judge(
        _measured(event["endpoint"], event["candidate"], datetime.fromisoformat(event["since"])),
        _measured(event["endpoint"], event["live"], datetime.fromisoformat(event["began"])),
        _outcomes(event["endpoint"], event["candidate"]),
        live.since(Outcomes.from_json(event["before"])),
        Limits.from_environment(os.environ),
    )
    logger.info("judged", candidate=event["candidate"], verdict=found["verdict"], reason=found["reason"])
    return found


def _measured(endpoint: str, variant: str, since: datetime) -> Measured:
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    queries: Any = [
        {
            "Id": id,
            "MetricStat": {
                "Metric": {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": dimensions},
                "Period": 60,
                "Stat": statistic,
            },
        }
        for id, name, statistic in _METRICS
    ]
    answer = _cloudwatch.get_metric_data(
        MetricDataQueries=queries,
        StartTime=since.replace(second=0, microsecond=0),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
    )
    values = {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}
    # What the container fails is among what the endpoint fails, unless the container calls it the caller's fault.
    errors = max(values.get("errors", []), values.get("broken", []), key=sum)
    return Measured.by_minute(values.get("calls", []), errors, values.get("late", []))


def _outcomes(endpoint: str, variant: str) -> Outcomes:
    table = os.environ.get("OUTCOMES_TABLE")
    if not table:
        return Outcomes(0, 0.0)
    answer = _dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"summary#{endpoint}#{variant}"}},
        ConsistentRead=True,
    )
    return Outcomes(
        count=sum(int(item["n"]["N"]) for item in answer["Items"]),
        total=sum(float(item["total"]["N"]) for item in answer["Items"]),
    )
