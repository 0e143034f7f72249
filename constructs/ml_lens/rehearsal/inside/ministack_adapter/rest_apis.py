"""REST APIs: refusals in the words that the API was given, and what is wrong with a body."""

from __future__ import annotations

import contextvars
import json
from typing import Any

from jsonschema import Draft4Validator
from ministack import app as gateway
from ministack.core import responses
from ministack.services import apigateway_v1

_faults: contextvars.ContextVar[str] = contextvars.ContextVar("faults", default="")
_VARIABLE = b"$context.error.validationErrorString"


def refuse_in_the_words_of_the_api() -> None:
    """Let a caller without the right see the API's response for that, and not the policies."""
    enforce = gateway._enforce_execute_api

    def enforce_and_say(
        api: str, stage: str, method: str, path: str, headers: Any, query: Any, **rest: Any
    ) -> Any:
        denied = enforce(api, stage, method, path, headers, query, **rest)
        scope = apigateway_v1.find_api_scope(api)
        if not denied or denied[0] != 403 or scope is None or b"AccessDenied" not in denied[2]:
            return denied
        request = {
            "api_id": api,
            "stage_name": stage,
            "stage": apigateway_v1.stages_for_api(api).get(stage) or {},
            "headers": headers or {},
            "query_params": query or {},
            "path_params": {},
            "resource_path": path,
            "request_id": responses.new_uuid(),
        }
        with responses.request_scope(*scope):
            error = apigateway_v1._GatewayError(
                "ACCESS_DENIED", json.loads(denied[2])["message"], "AccessDeniedException"
            )
            return apigateway_v1._gateway_error_response(error, request)

    gateway._enforce_execute_api = enforce_and_say


def say_what_is_wrong_with_a_body() -> None:
    """Fill in ``$context.error.validationErrorString``, which MiniStack leaves as it is."""
    check, render = apigateway_v1._check_request_validation, apigateway_v1._gateway_error_response

    def check_and_note(method: Any, api: str, request: Any, headers: Any, body: Any, query: Any) -> Any:
        error = check(method, api, request, headers, body, query)
        _faults.set(_told(method, api, body) if error else "")
        return error

    def render_with_faults(error: Any, request: Any) -> Any:
        status, headers, body = render(error, request)
        return status, headers, body.replace(_VARIABLE, json.dumps(_faults.get())[1:-1].encode())

    apigateway_v1._check_request_validation = check_and_note
    apigateway_v1._gateway_error_response = render_with_faults


def _told(method: Any, api: str, body: Any) -> str:
    """Return what is wrong with a body, each thing in one sentence, without saying where, as API Gateway does."""
    models = [*(method.get("requestModels") or {}).values()]
    try:
        document = json.loads(body)
    except (TypeError, ValueError):
        return "Invalid JSON"
    schema = apigateway_v1._model_schema(api, models[0]) if models else {}
    return f"[{', '.join(error.message for error in Draft4Validator(schema).iter_errors(document))}]"
