"""Calls of endpoints, over HTTP as SageMaker answers them."""

from __future__ import annotations

import contextvars
import json
import random
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ml_lens.rehearsal.inside.sagemaker.captured_calls import CapturedCalls
from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.containers import Reply
from ml_lens.rehearsal.inside.sagemaker.endpoints import Endpoints
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.fleets import Fleet, Variant
from ml_lens.rehearsal.inside.sagemaker.measurements import Measurements

LARGEST_BODY = 6 * 1024 * 1024
LARGEST_SERVERLESS_BODY = 4 * 1024 * 1024
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_SHADOWED_AT_ONCE = 4
_SHADOWED_LATER = 200


@dataclass(frozen=True)
class Call:
    """A call of an endpoint."""

    endpoint: str
    body: bytes
    headers: Mapping[str, str]
    invocation: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def content_type(self) -> str:
        """What the body is."""
        return self.headers.get("content-type", "text/csv")

    @property
    def accept(self) -> str:
        """What the caller wants to have."""
        return self.headers.get("accept", "application/json").replace("*/*", "application/json")

    @property
    def inference_id(self) -> str:
        """The caller's name for this call, if it gave one."""
        return self.headers.get("x-amzn-sagemaker-inference-id", "")

    @property
    def target_model(self) -> str:
        """Which of several models is asked."""
        return self.headers.get("x-amzn-sagemaker-target-model", "")


class Runtime:
    """Answers calls by the variants of an endpoint, and measures and captures them."""

    def __init__(self, endpoints: Endpoints, cloud: Cloud, captured: CapturedCalls) -> None:
        """Measure through ``cloud``; ``captured`` takes what the configuration wants recorded."""
        self._endpoints = endpoints
        self._cloud = cloud
        self._captured = captured
        self._measurements = Measurements(cloud)
        self._shadows = ThreadPoolExecutor(_SHADOWED_AT_ONCE, thread_name_prefix="shadow")
        self._shadowing = 0

    def invoke(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        """Answer a call.

        Raises:
            Fault: There is no such endpoint or variant, the body is too large, or the model failed.
        """
        endpoint = self._endpoints.serving(call.endpoint)
        if endpoint is None:
            raise self._not_found(call)
        with endpoint.answering() as fleet:
            if fleet is None:
                raise self._not_found(call)
            variant = _variant(fleet, call)
            _check_size(variant, call)
            reply = self._ask(endpoint.name, variant, call)
            self._shadow(endpoint.name, fleet, variant, call)
            if not 200 <= reply.status < 300:
                raise self._model_error(endpoint.name, variant, reply)
            self._captured.add(fleet.capture, endpoint.name, variant, call, reply)
        headers = {
            "Content-Type": reply.content_type,
            "x-Amzn-Invoked-Production-Variant": variant.name,
            **({"X-Amzn-SageMaker-Custom-Attributes": reply.attributes} if reply.attributes else {}),
        }
        return 200, headers, reply.body

    def _ask(self, endpoint: str, variant: Variant, call: Call) -> Reply:
        started = time.perf_counter()
        try:
            reply = variant.ask(
                call.body,
                call.content_type,
                call.accept,
                attributes=call.headers.get(_ATTRIBUTES, ""),
                target=call.target_model,
            )
        except Fault as fault:
            self._measurements.refused(endpoint, variant, throttled=fault.code == "ThrottlingException")
            raise
        self._measurements.answered(endpoint, variant, reply.status, time.perf_counter() - started)
        return reply

    def _shadow(self, endpoint: str, fleet: Fleet, answered: Variant, call: Call) -> None:
        """Let the shadow see its share of the calls; what it answers is nobody's business."""
        for shadow in fleet.shadows.values():
            share = shadow.weight / answered.weight if answered.weight else 1
            if random.random() >= share or self._shadowing > _SHADOWED_LATER:  # noqa: S311 - a sample
                continue
            if fleet.enter():
                self._shadowing += 1
                context = contextvars.copy_context()
                self._shadows.submit(context.run, self._shadowed, endpoint, fleet, shadow, call)

    def _shadowed(self, endpoint: str, fleet: Fleet, shadow: Variant, call: Call) -> None:
        try:
            reply = self._ask(endpoint, shadow, call)
            self._captured.add(fleet.capture, endpoint, shadow, call, reply)
        except Fault:
            pass  # nobody waits for it
        finally:
            self._shadowing -= 1
            fleet.leave()

    def _not_found(self, call: Call) -> Fault:
        account, _ = self._cloud.place()
        return Fault("ValidationError", f"Endpoint {call.endpoint} of account {account} not found.")

    def _model_error(self, endpoint: str, variant: Variant, reply: Reply) -> Fault:
        account, region = self._cloud.place()
        said = reply.body.decode(errors="replace")
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        stream = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{variant.name}/i-sandbox"
        whose = "client" if 400 <= reply.status < 500 else "server"
        return Fault(
            "ModelError",
            f'Received {whose} error ({reply.status}) from primary with message "{said}". See '
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} "
            f"in account {account} for more information.",
            status=424,
            OriginalStatusCode=reply.status,
            OriginalMessage=said,
            LogStreamArn=stream,
        )


def _variant(fleet: Fleet, call: Call) -> Variant:
    wanted = call.headers.get("x-amzn-sagemaker-target-variant")
    if not wanted:
        return fleet.choose()
    if wanted not in fleet.production:
        raise Fault("ValidationError", f"Variant {wanted} not found for Request.")
    return fleet.production[wanted]


def _check_size(variant: Variant, call: Call) -> None:
    largest = LARGEST_BODY if variant.at_once is None else LARGEST_SERVERLESS_BODY
    if len(call.body) > largest:
        raise Fault("ValidationError", f"Request size exceeds the limit of {largest} bytes.")


def refused(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """Return a fault in the shape of the runtime's protocol."""
    body = {"Code": fault.code, "Message": fault.message, "message": fault.message, **fault.details}
    return (
        fault.status,
        {"Content-Type": "application/json", "x-amzn-ErrorType": fault.code},
        json.dumps(body).encode(),
    )
