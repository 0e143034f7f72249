"""Lambda function: from a batch of outcomes to sums for every variant that made predictions.

Each outcome counts once, however often it is delivered. What can never be counted is kept with its reason; what could
not be counted this time is delivered again, on its own.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric
from outcome_counting import Counted, Reason, Rejected, Repeated, count
from outcome_messages import NotAnOutcome, Outcome, read_outcome
from outcome_table import OutcomeTable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()

_SPARE_MS = 10_000


# Said outright, so that no environment variable can bring the events into the log.
@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Count the outcomes of one SQS batch; the answer names the messages to deliver again.

    Lens: AB-05, AB-08, CHG-15.
    """
    table = OutcomeTable(_dynamodb(), os.environ["OUTCOMES_TABLE"], int(os.environ["OUTCOMES_DAYS"]))
    counts: Counter[str] = Counter()
    failures: dict[str, str] = {}
    for record in event["Records"]:
        message_id = record["messageId"]
        if context.get_remaining_time_in_millis() < _SPARE_MS:
            failures[message_id] = "no time left"
            continue
        try:
            counts[_handle(record["body"], message_id, table)] += 1
        except Exception as error:
            failures[message_id] = _cause_of(error)
    for message_id, cause in failures.items():
        logger.error("outcome not counted", message_id=message_id, cause=cause)
    counts["OutcomesFailed"] = len(failures)
    for name in ("OutcomesCounted", "OutcomesRepeated", "OutcomesRejected", "OutcomesFailed"):
        metrics.add_metric(name, MetricUnit.Count, counts[name])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failures]}


def _handle(body: str, message_id: str, table: OutcomeTable) -> str:
    """Count one message, or keep why not; return what it counts as."""
    outcome: Outcome | None = None
    endpoint: str | None
    try:
        outcome = read_outcome(body)
        endpoint = outcome.endpoint
        decision = count(outcome, table)
    except NotAnOutcome as wrong:
        endpoint, decision = wrong.endpoint, Rejected(Reason.NOT_AN_OUTCOME, str(wrong))
    match decision:
        case Counted(variant) if outcome is not None:
            _publish(outcome, variant)
            return "OutcomesCounted"
        case Rejected(reason, detail):
            table.reject(decision, endpoint=endpoint, message_id=message_id)
            logger.warning("outcome rejected", message_id=message_id, reason=reason.value, detail=detail)
            return "OutcomesRejected"
        case Repeated() | _:
            return "OutcomesRepeated"


def _publish(outcome: Outcome, variant: str) -> None:
    with single_metric(name="Outcome", unit=MetricUnit.NoUnit, value=float(outcome.value)) as metric:
        metric.add_dimension(name="Endpoint", value=outcome.endpoint)
        metric.add_dimension(name="Variant", value=variant)


@cache
def _dynamodb() -> Any:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    return boto3.client(
        "dynamodb",
        config=Config(
            connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}
        ),
    )


def _cause_of(error: Exception) -> str:
    """Name an error without its message, which can hold what was sent."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    code = response.get("Error", {}).get("Code", "")
    if code:
        reasons = {each.get("Code", "None") for each in response.get("CancellationReasons", ())}
        return " ".join([str(code), *sorted(reasons - {"None"})])
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"
