"""Calls of endpoints, over HTTP as SageMaker answers them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from ml_lens.rehearsal.inside.sagemaker.captured_calls import CapturedCalls
from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.containers import Reply
from ml_lens.rehearsal.inside.sagemaker.endpoints import Endpoint, Endpoints
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.fleets import Fleet, Variant

LARGEST_BODY = 6 * 1024 * 1024
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


@dataclass(frozen=True)
class Call:
    """A call of an endpoint."""

    endpoint: str
    body: bytes
    headers: Mapping[str, str]

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
        """The caller's name for this call, or a new one."""
        return self.headers.get("x-amzn-sagemaker-inference-id") or str(uuid.uuid4())


class Runtime:
    """Answers calls by the variants of an endpoint, and measures and captures them."""

    def __init__(self, endpoints: Endpoints, cloud: Cloud, captured: CapturedCalls) -> None:
        """Measure through ``cloud``; ``captured`` takes what the configuration wants recorded."""
        self._endpoints = endpoints
        self._cloud = cloud
        self._captured = captured

    def invoke(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        """Answer a call.

        Raises:
            Fault: There is no such endpoint or variant, the body is too large, or the model failed.
        """
        if len(call.body) > LARGEST_BODY:
            raise Fault("ValidationError", f"Request size exceeds the limit of {LARGEST_BODY} bytes.")
        endpoint = self._endpoints.serving(call.endpoint)
        if endpoint is None or endpoint.fleet is None:
            account, _ = self._cloud.place()
            raise Fault("ValidationError", f"Endpoint {call.endpoint} of account {account} not found.")
        variant = _variant(endpoint.fleet, call)
        started = time.perf_counter()
        reply = variant.ask(call.body, call.content_type, call.accept)
        self._measure(endpoint.name, variant.name, reply, time.perf_counter() - started)
        for shadow in endpoint.fleet.shadows.values():
            began = time.perf_counter()
            shadowed = shadow.ask(call.body, call.content_type, call.accept)
            self._measure(endpoint.name, shadow.name, shadowed, time.perf_counter() - began)
        if reply.status >= 300:
            raise self._model_error(endpoint, variant, reply)
        config = self._endpoints.configs.get(endpoint.config, {})
        self._captured.add(config.get("DataCaptureConfig"), endpoint.name, variant, call, reply)
        return (
            200,
            {
                "Content-Type": reply.content_type,
                "x-Amzn-Invoked-Production-Variant": variant.name,
                **({_ATTRIBUTES: call.headers[_ATTRIBUTES]} if _ATTRIBUTES in call.headers else {}),
            },
            reply.body,
        )

    def _measure(self, endpoint: str, variant: str, reply: Reply, seconds: float) -> None:
        self._cloud.measure(
            {"EndpointName": endpoint, "VariantName": variant},
            {
                "Invocations": 1,
                "Invocation4XXErrors": float(400 <= reply.status < 500),
                "Invocation5XXErrors": float(reply.status >= 500),
                "InvocationModelErrors": float(reply.status >= 300),
                "ModelLatency": seconds * 1e6,
                "OverheadLatency": 500,
            },
        )

    def _model_error(self, endpoint: Endpoint, variant: Variant, reply: Reply) -> Fault:
        account, region = self._cloud.place()
        said = reply.body.decode(errors="replace")
        group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
        stream = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{variant.name}/i-sandbox"
        return Fault(
            "ModelError",
            f'Received server error ({reply.status}) from primary with message "{said}". See '
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


def refused(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """Return a fault in the shape of the runtime's protocol."""
    body = {"Code": fault.code, "Message": fault.message, "message": fault.message, **fault.details}
    return (
        fault.status,
        {"Content-Type": "application/json", "x-amzn-ErrorType": fault.code},
        json.dumps(body).encode(),
    )
