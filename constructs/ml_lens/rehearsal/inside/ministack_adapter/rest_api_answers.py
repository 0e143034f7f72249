"""REST APIs: sizes, functions that may not be called or fail or take too long, and the log of the calls."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import apigateway_v1, cloudwatch_logs, lambda_svc

from ml_lens.rehearsal.inside.ministack_adapter.access import Policies
from ml_lens.rehearsal.inside.ministack_adapter.roles import session, trust_refusal
from ml_lens.rehearsal.inside.rest_api_words import claims, group_of, is_proxy_answer, line

logger = logging.getLogger("ml_lens.sandbox")

_GATEWAY = "apigateway.amazonaws.com"
_LARGEST = 10 * 1024 * 1024
_LONGEST_MS = 29_000
_BAD_GATEWAY = 502

_call: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("api_call", default={})  # noqa: B039


def answer_as_the_gateway(gate: Policies) -> None:
    """Complete the data plane of REST APIs."""
    _refuse_large_bodies()
    _validate_by_content_type()
    _invoke_only_where_let(gate)
    _answer_for_functions()
    _log_calls(gate)


def _error(kind: str, message: str | None = "Internal server error") -> Any:
    return apigateway_v1._GatewayError(kind, message)


def _refuse_large_bodies() -> None:
    authorize = apigateway_v1._authorize_request_v1

    async def authorized(api: str, stage_name: str, method: Any, *rest: Any) -> Any:
        error, context = await authorize(api, stage_name, method, *rest)
        _call.get().update(claims(context))
        if error is None and len(rest[4] or b"") > _LARGEST:
            return _error("REQUEST_TOO_LARGE", "Request Too Long"), None
        return error, context

    apigateway_v1._authorize_request_v1 = authorized


def _validate_by_content_type() -> None:
    """Validate a body by the model of its own content type, and not at all where there is none."""
    check = apigateway_v1._check_request_validation

    def checked(
        method: Mapping[str, Any], api: str, request: Any, headers: Any, body: Any, query: Any
    ) -> Any:
        models = method.get("requestModels") or {}
        kind = apigateway_v1._header_ci(headers, "content-type") or "application/json"
        kind = kind.split(";", 1)[0].strip()
        model = models.get(kind) or models.get("$default")
        named = {"application/json": model} if model else {}
        return check({**method, "requestModels": named}, api, request, headers, body, query)

    apigateway_v1._check_request_validation = checked


def _invoke_only_where_let(gate: Policies) -> None:
    """Call a function only where its policy, or the integration's role, lets API Gateway do so."""
    proxy, custom = apigateway_v1._invoke_lambda_proxy_v1, apigateway_v1._invoke_lambda_custom_v1

    def guarded(invoke: Any) -> Any:
        async def invoked(
            integration: Any, api: str, stage: str, a: Any, b: Any, path: str, method: str, *c: Any, **d: Any
        ) -> Any:
            reference = apigateway_v1._extract_lambda_ref_from_integration_uri(integration.get("uri", ""))
            here = f"arn:aws:execute-api:{gate.region()}:{gate.account()}:{api}"
            resource = b["path"] if isinstance(b, Mapping) else path
            refused = _function_refusal(
                reference, f"{here}/{stage}/{method}{resource}", integration.get("credentials"), gate
            )
            if refused:
                logger.warning("the API %s cannot invoke its function: %s", api, refused)
                return _error("API_CONFIGURATION_ERROR")
            _call.get()["_timeout"] = float(integration.get("timeoutInMillis") or _LONGEST_MS) / 1000
            return await invoke(integration, api, stage, a, b, path, method, *c, **d)

        return invoked

    apigateway_v1._invoke_lambda_proxy_v1 = guarded(proxy)
    apigateway_v1._invoke_lambda_custom_v1 = guarded(custom)


def _function_refusal(reference: str, source: str, role: str | None, gate: Policies) -> str | None:
    arn = reference
    if not arn.startswith("arn:"):
        arn = f"arn:aws:lambda:{gate.region()}:{gate.account()}:function:{reference}"
    if role:
        refused = trust_refusal(role, _GATEWAY, gate, {"aws:SourceAccount": gate.account()})
        caller = session(role, "BackplaneAssumeRoleSession")["aws_access_key_id"]
        return refused or gate.refusal(caller, "lambda:InvokeFunction", arn)
    found = lambda_svc.function_policy_for_arn(arn)
    if found is None:
        return None  # the gateway finds out by itself
    subject = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=gate.region(),
        service_context={"aws:sourcearn": source, "aws:sourceaccount": gate.account()},
    )
    verdict = iam_evaluator.evaluate_resource_policy(found[0], subject, service=_GATEWAY)
    return None if verdict.decision == "Allow" else f"the policy of {arn} does not let {source} call it"


class _NoAnswer(Exception):  # noqa: N818 - an outcome
    """The function gives no answer that can be passed on."""

    def __init__(self, kind: str, status: int | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.status = status


def _answer_for_functions() -> None:
    """Say nothing of what went wrong in a function, and wait no longer than the integration does."""
    raw, shape, execute = (
        apigateway_v1._call_lambda_raw,
        apigateway_v1._lambda_proxy_response,
        apigateway_v1._execute_in_scope,
    )
    render = apigateway_v1._gateway_error_response

    async def called(reference: Any, event: Any, **scope: Any) -> Any:
        began = time.monotonic()
        try:
            result, error = await asyncio.wait_for(
                raw(reference, event, **scope), _call.get().get("_timeout")
            )
        except TimeoutError:
            raise _NoAnswer("INTEGRATION_TIMEOUT") from None
        finally:
            _call.get()["integrationLatency"] = int((time.monotonic() - began) * 1000)
        if result and (result.get("throttle") or result.get("not_connected")):
            raise _NoAnswer("API_CONFIGURATION_ERROR")
        return result, error

    def shaped(result: Any) -> Any:
        if result.get("error") or not is_proxy_answer(result.get("body")):
            raise _NoAnswer("DEFAULT_5XX", _BAD_GATEWAY)
        return shape(result)

    async def executed(request: Any, *rest: Any) -> Any:
        try:
            return await execute(request, *rest)
        except _NoAnswer as none:
            error = _error(none.kind, None if none.kind == "INTEGRATION_TIMEOUT" else "Internal server error")
            error.status = none.status
            return error

    def rendered(error: Any, request: Any) -> Any:
        _call.get()["error.responseType"] = error.response_type
        _call.get()["error.message"] = error.message
        status, headers, body = render(error, request)
        own = getattr(error, "status", None)
        return (own if own and status == 500 else status), headers, body

    apigateway_v1._call_lambda_raw = called
    apigateway_v1._lambda_proxy_response = shaped
    apigateway_v1._execute_in_scope = executed
    apigateway_v1._gateway_error_response = rendered


def _log_calls(gate: Policies) -> None:
    handle = apigateway_v1._handle_execute_in_scope

    async def handled(
        api: str, stage: str, method: str, path: str, headers: Any, body: Any, query: Any, *owner: Any
    ) -> Any:
        began, call = time.time(), dict[str, Any]()
        token = _call.set(call)
        try:
            answer = await handle(api, stage, method, path, headers, body, query, *owner)
        finally:
            _call.reset(token)
        settings = (apigateway_v1.stages_for_api(api).get(stage) or {}).get("accessLogSettings") or {}
        if settings.get("destinationArn"):
            known = {**call, **_known(api, stage, method, path, headers, began, answer)}
            _write(settings, known, gate)
        return answer

    apigateway_v1._handle_execute_in_scope = handled


def _known(
    api: str, stage: str, method: str, path: str, headers: Any, began: float, answer: Any
) -> dict[str, Any]:
    status, sent, body = answer
    length = len(body) if isinstance(body, (bytes, str)) else 0
    return {
        "apiId": api,
        "stage": stage,
        "httpMethod": method,
        "path": f"/{stage}{path}",
        "resourcePath": path,
        "protocol": "HTTP/1.1",
        "requestId": apigateway_v1._header_ci(sent, "x-amzn-requestid") or apigateway_v1.new_uuid(),
        "requestTime": datetime.fromtimestamp(began, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(began * 1000),
        "responseLatency": int((time.time() - began) * 1000),
        "responseLength": length,
        "status": status,
        "identity.sourceIp": "127.0.0.1",
        "identity.userAgent": apigateway_v1._header_ci(headers, "user-agent"),
        "tlsVersion": "TLSv1.3",
        "identity.caller": (apigateway_v1._iam_caller_identity(headers, {}) or {}).get("caller"),
    }


def _write(settings: Mapping[str, Any], known: Mapping[str, Any], gate: Policies) -> None:
    role = str((apigateway_v1._account_settings.get("settings") or {}).get("cloudwatchRoleArn") or "")
    refused = trust_refusal(role, _GATEWAY, gate, {"aws:SourceAccount": gate.account()})
    if not refused:
        caller = session(role, "api-gateway")["aws_access_key_id"]
        target = settings["destinationArn"].removesuffix(":*")
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            refused = refused or gate.refusal(caller, action, f"{target}:log-stream:any")
    if refused:
        logger.warning("API Gateway has no access log: %s", refused)
        return
    where = {"logGroupName": group_of(settings["destinationArn"]), "logStreamName": f"{known['apiId']}"}
    cloudwatch_logs._create_log_stream(where)
    event = {"timestamp": int(time.time() * 1000), "message": line(settings["format"], known)}
    cloudwatch_logs._put_log_events({**where, "logEvents": [event]})
