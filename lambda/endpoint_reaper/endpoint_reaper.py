"""Lambda function: delete endpoints that a run has left behind.

Called by schedule, it looks at all endpoints of one prefix; called with the end of a run, at that run's alone.
Deleting twice does no harm.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from orphans import Endpoint, Settings, ended_run, is_empty_for_good, name_of, orphans, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()

_GONE = "Could not find"


class NotReapedError(RuntimeError):
    """Some endpoints could not be deleted; they are looked at again."""


@logger.inject_lambda_context(log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:
    """Delete orphans, and return their names.

    Raises:
        NotReapedError: An endpoint could not be deleted.

    Lens: ODE-02.
    """
    settings = read_settings(os.environ)
    metrics.add_dimension(name="Endpoints", value=settings.prefix)
    sagemaker = _client("sagemaker")
    run = ended_run(event, settings)
    if run is not None:
        left = [name_of(run, settings)]
    else:
        # Endpoints first: one that is made after the list of runs was read must not be taken for an orphan.
        there = list(_endpoints(sagemaker, settings))
        left = orphans(there, _running(settings) if there else [], datetime.now(UTC), settings)
        _forget_old_logs(settings)
    reaped, failed = [], []
    for name in left:
        try:
            if _deleted(sagemaker, name):
                reaped.append(name)
                logger.warning("endpoint left behind and deleted", endpoint=name, run=run)
        except Exception as error:
            failed.append(name)
            logger.exception("endpoint not deleted", endpoint=name, cause=type(error).__name__)
    metrics.add_metric("EndpointsReaped", MetricUnit.Count, len(reaped))
    metrics.add_metric("EndpointsNotReaped", MetricUnit.Count, len(failed))
    if failed:
        raise NotReapedError(f"{len(failed)} endpoints are still there: {', '.join(failed)}")
    return {"reaped": reaped}


def _deleted(sagemaker: Any, name: str) -> bool:
    """Delete an endpoint; ``False`` when there is none, or it is on its way."""
    try:
        if sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Deleting":
            return False
        sagemaker.delete_endpoint(EndpointName=name)
    except sagemaker.exceptions.ClientError as error:
        if _GONE in error.response["Error"].get("Message", ""):
            return False
        raise
    return True


def _endpoints(sagemaker: Any, settings: Settings) -> Iterator[Endpoint]:
    for page in sagemaker.get_paginator("list_endpoints").paginate(NameContains=settings.prefix):
        for found in page["Endpoints"]:
            yield Endpoint(found["EndpointName"], found["CreationTime"], found["EndpointStatus"])


def _running(settings: Settings) -> list[str]:
    pages = (
        _client("stepfunctions")
        .get_paginator("list_executions")
        .paginate(stateMachineArn=settings.machine_arn, statusFilter="RUNNING")
    )
    return [run["executionArn"] for page in pages for run in page["executions"]]


def _forget_old_logs(settings: Settings) -> None:
    """Delete log groups of runs whose last event has expired: each run has one of its own."""
    logs = _client("logs")
    prefix = f"{settings.log_prefix}{settings.prefix}-"
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for group in page["logGroups"]:
            if is_empty_for_good(group["creationTime"], datetime.now(UTC), settings):
                logs.delete_log_group(logGroupName=group["logGroupName"])
                logger.info("log group expired", log_group=group["logGroupName"])


@cache
def _client(service: str) -> Any:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5})
    return boto3.client(service, config=config)
