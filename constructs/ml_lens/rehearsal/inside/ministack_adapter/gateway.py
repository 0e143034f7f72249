"""Requests on their way through the gateway: who is authorized for what, and who answers."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app as gateway
from ministack.core import iam_actions, iam_evaluator, responses, router
from ministack.services import s3

from ml_lens.rehearsal.inside.athena import Athena
from ml_lens.rehearsal.inside.encryption import KeyEnforcement
from ml_lens.rehearsal.inside.ministack_adapter.access import KEY_HEADER
from ml_lens.rehearsal.inside.missing_objects import MissingObjects
from ml_lens.rehearsal.inside.permissions import Proceed, Request, Response
from ml_lens.rehearsal.inside.rekognition import Fault, ScriptedRekognition


def treat_loopback_as_tls() -> None:
    """Let policies that demand TLS pass: on the loopback there is nobody to listen in."""
    iam_evaluator._request_origin = contextvars.ContextVar("request_origin", default=("127.0.0.1", True))
    gateway.pin_request_origin = lambda address, _secure: iam_evaluator._request_origin.set((address, True))


def around(service: str, wrapper: Callable[[Request, Proceed], Awaitable[Response]]) -> None:
    """Let ``wrapper`` answer a service's authorized requests; it may proceed to MiniStack's handler."""
    original = gateway.SERVICE_HANDLERS.get(service)

    async def handler(method: str, path: str, headers: Any, body: bytes, query: Any) -> Response:
        caller = router.extract_access_key_id(headers, query)

        async def proceed() -> Response:
            answer: Response = await original(method, path, headers, body, query)
            return answer

        return await wrapper(Request(method, path, headers, body, query, caller), proceed)

    gateway.SERVICE_HANDLERS[service] = handler


def serve_rekognition(scripted: ScriptedRekognition) -> None:
    """Make Rekognition a service of the gateway, with its permissions enforced like any other's."""
    router.SERVICE_PATTERNS["rekognition"] = {"target_prefixes": ["RekognitionService."]}
    iam_actions.SERVICE_TO_IAM_NAMESPACE["rekognition"] = "rekognition"

    async def answer(request: Request, _proceed: Proceed) -> Response:
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            document = scripted.answer(request.operation, json.loads(request.body or b"{}"), request.caller)
        except Fault as fault:
            error = {"__type": fault.code, "Message": fault.message}
            return fault.status, headers, json.dumps(error).encode()
        return 200, headers, json.dumps(document).encode()

    around("rekognition", answer)


def serve_athena(athena: Athena) -> None:
    """Run queries by our own engine, and authorize their later calls on the query's workgroup."""
    around("athena", athena.handle)
    original = iam_actions.extract_resource_arn

    def resource_arn(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        if service == "athena" and body:
            data = json.loads(body)
            started = headers.get("x-amz-target", "").endswith(".StartQueryExecution")
            named = data.get("WorkGroup") or athena.workgroup_of(str(data.get("QueryExecutionId", "")))
            if named or started:
                place = f"{responses.get_region()}:{responses.get_account_id()}"
                return f"arn:aws:athena:{place}:workgroup/{named or 'primary'}"
        return str(original(service, method, path, headers, body, *rest))

    iam_actions.extract_resource_arn = resource_arn


_BATCH_ACTIONS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}


def authorize_batches_as_their_parts() -> None:
    """Ask for the actions that exist in IAM: a batch needs the action of its entries."""
    original = iam_actions.extract_iam_action

    def action_of(service: str, method: str, path: str, headers: Any, body: bytes, query: Any) -> str | None:
        action: str | None = original(service, method, path, headers, body, query)
        if service == "s3" and method == "POST" and "delete" in query:
            # MiniStack checks the first entry as if it named no version, and the others rightly.
            targets = iam_actions._s3_batch_delete_targets(path.strip("/"), body)
            return "s3:DeleteObjectVersion" if targets and targets[0][1] else action
        return _BATCH_ACTIONS.get(action or "", action)

    iam_actions.extract_iam_action = action_of


def enforce_keys(keys: KeyEnforcement) -> None:
    """Refuse S3 and SQS calls whose caller may not use the key behind them."""
    around("s3", keys.s3)
    around("sqs", keys.sqs)


def hide_missing_objects(missing: MissingObjects) -> None:
    """Refuse, instead of answering "not found", those who may not list."""
    around("s3", missing.s3)


def accept_the_managed_key() -> None:
    """Let a write ask for ``aws:kms`` without naming a key, which means AWS's own key for S3."""
    resolve = s3._resolve_sse_write_headers

    def resolve_with_default(headers: dict[str, str], bucket: str) -> Any:
        if headers.get("x-amz-server-side-encryption") == "aws:kms" and not headers.get(KEY_HEADER):
            place = f"{responses.get_region()}:{responses.get_account_id()}"
            headers = {**headers, KEY_HEADER: f"arn:aws:kms:{place}:alias/aws/s3"}
        return resolve(headers, bucket)

    s3._resolve_sse_write_headers = resolve_with_default


def serve() -> None:
    """Serve until the process is told to stop."""
    gateway.main()
