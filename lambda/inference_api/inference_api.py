"""Lambda function: from a call of the API to predictions of the endpoint.

Read and check the request, call the endpoint, read its answer, say which version and variant gave it. Whatever goes
wrong becomes a problem the caller can act on; causes stand in the log, and bodies nowhere.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING, Any

from answers import NotAnAnswer, Prediction, read_answer
from api_requests import PredictionRequest, read_request
from api_settings import Settings, read_settings
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from endpoint_clients import clients_within, dynamodb
from model_calls import GivenUp, ModelCall, call_model
from prediction_records import prediction_item
from problems import Problem, internal

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()


# Said outright, so that no environment variable can bring the events, and with them bodies, into the log.
@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one call of ``POST /predictions``.

    Lens: F14-05, F14-06, F14-07, F14-09, HST-06, HST-07, HST-08.
    """
    settings = read_settings(os.environ)
    request_id = str(event["requestContext"]["requestId"])
    metrics.add_dimension(name="Endpoint", value=settings.endpoint_name)
    logger.append_keys(request_id=request_id)
    try:
        return _predict(event, context, settings).to_response()
    except Problem as problem:
        _note(problem)
        return problem.to_response(request_id)
    except GivenUp as given_up:
        _note(given_up.problem, given_up.cause)
        return given_up.problem.to_response(request_id)
    except Exception as error:
        _note(internal(), _cause_of(error))
        return internal().to_response(request_id)


def _predict(event: dict[str, Any], context: LambdaContext, settings: Settings) -> Prediction:
    request = read_request(event, settings.check, settings.largest_body)
    call = ModelCall(
        endpoint_name=settings.endpoint_name,
        body=request.body,
        # Made here: an id of the caller's could be that of another prediction, whose outcome it would take.
        inference_id=str(uuid.uuid4()),
        variant=_assigned(request, settings),
    )
    start = time.monotonic()
    answer, retries = call_model(
        call, clients_within(settings.answer_seconds), lambda: context.get_remaining_time_in_millis() / 1000
    )
    taken = time.monotonic() - start
    try:
        prediction = read_answer(
            answer,
            expected=request.instances,
            inference_id=call.inference_id,
            model_versions=settings.model_versions,
        )
    except NotAnAnswer as wrong:
        raise GivenUp(internal(), f"the model's answer: {wrong}") from wrong
    _record(prediction, request, settings)
    metrics.add_metric("Predictions", MetricUnit.Count, len(prediction.predictions))
    metrics.add_metric("EndpointTime", MetricUnit.Milliseconds, taken * 1000)
    metrics.add_metric("Retries", MetricUnit.Count, retries)
    logger.info(
        "predicted",
        inference_id=prediction.inference_id,
        variant=prediction.variant,
        model_version=prediction.model_version,
        predictions=len(prediction.predictions),
        retries=retries,
    )
    return prediction


def _assigned(request: PredictionRequest, settings: Settings) -> str | None:
    """Return the variant of the request's subject, while an experiment assigns any (Lens: AB-08)."""
    if settings.experiment_table is None or request.subject is None:
        return None
    from assignment import assigned_variant

    try:
        return assigned_variant(
            dynamodb(), settings.experiment_table, settings.endpoint_name, request.subject
        )
    except Exception as error:
        # The weights of the endpoint assign as well, though not always the same variant.
        logger.warning("variant not assigned", cause=_cause_of(error))
        metrics.add_metric("AssignmentsMissed", MetricUnit.Count, 1)
        return None


def _record(prediction: Prediction, request: PredictionRequest, settings: Settings) -> None:
    if settings.outcomes_table is None:
        return
    item = prediction_item(
        endpoint_name=settings.endpoint_name,
        inference_id=prediction.inference_id,
        variant=prediction.variant,
        subject=request.subject,
        now=time.time(),
        days=settings.outcomes_days,
    )
    try:
        dynamodb().put_item(TableName=settings.outcomes_table, Item=item)
    except Exception as error:
        # The caller has his prediction all the same; its outcome has to name the variant, then.
        logger.warning(
            "prediction not recorded", inference_id=prediction.inference_id, cause=_cause_of(error)
        )
        metrics.add_metric("RecordsMissed", MetricUnit.Count, 1)


def _note(problem: Problem, cause: str | None = None) -> None:
    """Count and log a problem: its status, its field and its cause, and no value of the request."""
    name = {500: "Failed", 503: "EndpointAway"}.get(problem.status, "Refused")
    metrics.add_metric(name, MetricUnit.Count, 1)
    log = logger.info if name == "Refused" else logger.error
    log("no prediction", status=problem.status, cause=cause or problem.title)


def _cause_of(error: Exception) -> str:
    """Name an error without its message: the code of AWS, or the type and where it was raised."""
    response = getattr(error, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    if code:
        return str(code)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"
