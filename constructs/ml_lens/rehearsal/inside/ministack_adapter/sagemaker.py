"""SageMaker in MiniStack: its types in CloudFormation, its two protocols on the gateway, its rights."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import re
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions, lambda_runtime, router
from ministack.services import cloudwatch, cloudwatch_logs, iam, s3
from ministack.services.cloudformation import provisioners

from ml_lens.rehearsal.inside.ministack_adapter.access import KEY_HEADER, Keys, Policies
from ml_lens.rehearsal.inside.ministack_adapter.gateway import around
from ml_lens.rehearsal.inside.permissions import Proceed, Request, Response, through
from ml_lens.rehearsal.inside.sagemaker.captured_calls import CapturedCalls
from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud, StoredObject
from ml_lens.rehearsal.inside.sagemaker.endpoints import Document, Endpoints
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.fleets import Fleets
from ml_lens.rehearsal.inside.sagemaker.runtime import Call, Runtime, refused

logger = logging.getLogger("ml_lens.sandbox")

_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
_PATIENCE = 90
_BETWEEN_LOOKS_AT_ALARMS = 0.5


class MiniStackCloud:
    """The rest of the sandbox, as SageMaker sees it."""

    def __init__(self, gate: Policies, keys: Keys) -> None:
        """Ask ``gate`` for every right."""
        self._gate = gate
        self._keys = keys
        self._looked = 0.0

    def place(self) -> tuple[str, str]:
        """Return account and Region of the request under way."""
        return self._gate.account(), self._gate.region()

    def session(self, role_arn: str) -> str:
        """Return an access key with the rights of ``role_arn``."""
        account, region = self.place()
        # MiniStack has sessions for functions only; the name of the role makes this one differ from theirs.
        name = f"sagemaker-{role_arn.rpartition('/')[2]}"[:64]
        config = {
            "Role": role_arn,
            "FunctionArn": f"arn:aws:lambda:{region}:{account}:function:{name}",
            "FunctionName": name,
        }
        return str(lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"])

    def may_be_assumed(self, role_arn: str) -> bool:
        """Return whether the trust policy of the role lets SageMaker in."""
        role = iam._roles.get(role_arn.rpartition("/")[2]) or {}
        return "sagemaker.amazonaws.com" in json.dumps(role.get("AssumeRolePolicyDocument", ""))

    def read(self, caller: str, bucket: str, key: str) -> tuple[bytes | None, str]:
        """Return an object's bytes, or ``None`` and why not."""
        refusal = self._gate.refusal(caller, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        used = None if refusal else self._keys.of_object(bucket, key, None)
        if used:
            refusal = self._gate.refusal(caller, "kms:Decrypt", used, through("s3", self._gate))
        if refusal:
            return None, refusal
        content: bytes | None = s3._get_object_data(bucket, key) if bucket in s3._buckets else None
        return content, "" if content is not None else "The specified key does not exist."

    def write(self, caller: str, target: StoredObject, content: bytes) -> str | None:
        """Store an object, and return why that is refused, if it is."""
        arn = f"arn:aws:s3:::{target.bucket}/{target.key}"
        refusal = self._gate.refusal(caller, "s3:PutObject", arn)
        used = self._keys.arn(target.kms_key or "") or self._keys.of_bucket(target.bucket)
        if used and not refusal:
            refusal = self._gate.refusal(caller, "kms:GenerateDataKey", used, through("s3", self._gate))
        if not refusal:
            headers = {"x-amz-server-side-encryption": "aws:kms", KEY_HEADER: used} if used else {}
            status, _, body = s3._put_object(target.bucket, target.key, content, headers)
            refusal = None if status < 300 else body.decode(errors="replace")
        if refusal:
            logger.warning("SageMaker cannot write %s: %s", arn, refusal)
        return refusal

    def measure(self, dimensions: Mapping[str, str], values: Mapping[str, float]) -> None:
        """Record one value of each metric, now."""
        now = time.time()
        for name, value in values.items():
            cloudwatch._store_datum(
                "AWS/SageMaker", name, dict(dimensions), now, "None", value, None, None, None
            )
        if now - self._looked > _BETWEEN_LOOKS_AT_ALARMS:
            self._looked = now
            cloudwatch._evaluate_all_alarms()

    def log(self, caller: str, group: str, stream: str, lines: list[str]) -> None:
        """Write lines to a log, where the caller may."""
        account, region = self.place()
        arn = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            refusal = self._gate.refusal(caller, action, arn)
            if refusal:
                logger.warning("an endpoint has no log: %s", refusal)
                return
        where = {"logGroupName": group, "logStreamName": stream}
        cloudwatch_logs._create_log_stream(where)
        now = int(time.time() * 1000)
        cloudwatch_logs._put_log_events(
            {**where, "logEvents": [{"timestamp": now, "message": line} for line in lines]}
        )


def serve_sagemaker(gate: Policies, keys: Keys) -> tuple[Endpoints, Cloud]:
    """Make SageMaker a service of the gateway and of CloudFormation; return its parts for what is added to it."""
    cloud = MiniStackCloud(gate, keys)
    endpoints = Endpoints(cloud, Fleets(cloud))
    runtime = Runtime(endpoints, cloud, CapturedCalls(cloud))
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "credential_scope": "sagemaker",
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    _authorize_calls(endpoints)
    _register_types(endpoints, cloud)

    async def answer(request: Request, _proceed: Proceed) -> Response:
        called = _INVOCATION.fullmatch(request.path)
        if called is None:
            return _control(endpoints, gate, request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(unquote(called[1]), request.body, headers)
        try:
            return await asyncio.to_thread(runtime.invoke, call)
        except Fault as fault:
            return refused(fault)

    around("sagemaker", answer)
    return endpoints, cloud


def _control(endpoints: Endpoints, gate: Policies, request: Request) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    try:
        document = _carry_out(endpoints, gate, request)
    except Fault as fault:
        error = {"__type": fault.code, "message": fault.message}
        return fault.status, headers, json.dumps(error).encode()
    return 200, headers, json.dumps(document).encode()


def _carry_out(endpoints: Endpoints, gate: Policies, request: Request) -> Document:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", request.operation).lower()
    if name not in _OPERATIONS:
        raise Fault("UnknownOperationException", f"The sandbox does not emulate {request.operation}.")
    document = json.loads(request.body or b"{}")
    role = document.get("ExecutionRoleArn")
    if role:
        passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
        refusal = gate.refusal(request.caller, "iam:PassRole", role, passed)
        if refusal:
            raise Fault("AccessDeniedException", refusal)
    answer: Document = getattr(endpoints, name)(document)
    return answer


_OPERATIONS = {
    f"{verb}_{kind}"
    for verb in ("create", "describe", "delete")
    for kind in ("model", "endpoint_config", "endpoint")
} | {
    "update_endpoint",
    "update_endpoint_weights_and_capacities",
    "list_endpoints",
    "list_endpoint_configs",
    "list_models",
}


def _authorize_calls(endpoints: Endpoints) -> None:
    """Name the action and the resource of a call, as IAM knows them."""
    action, resource = iam_actions.extract_iam_action, iam_actions.extract_resource_arn

    def action_of(service: str, method: str, path: str, *rest: Any) -> str | None:
        if service == "sagemaker" and _INVOCATION.fullmatch(path):
            return "sagemaker:InvokeEndpoint"
        found: str | None = action(service, method, path, *rest)
        return found

    def resource_of(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        if service != "sagemaker":
            return str(resource(service, method, path, headers, body, *rest))
        called = _INVOCATION.fullmatch(path)
        if called:
            return endpoints.arn("endpoint", unquote(called[1]))
        document = json.loads(body or b"{}")
        operation = str(headers.get("x-amz-target", "")).rpartition(".")[2]
        for kind, key in (
            ("endpoint", "EndpointName"),
            ("endpoint-config", "EndpointConfigName"),
            ("model", "ModelName"),
        ):
            if key in document and not operation.startswith("List"):
                return endpoints.arn(kind, str(document[key]))
        return "*"

    iam_actions.extract_iam_action = action_of
    iam_actions.extract_resource_arn = resource_of


def _register_types(endpoints: Endpoints, cloud: MiniStackCloud) -> None:
    handlers = provisioners._RESOURCE_HANDLERS
    for kind, name_key, path in (
        ("Model", "ModelName", "model"),
        ("EndpointConfig", "EndpointConfigName", "endpoint-config"),
    ):
        handlers[f"AWS::SageMaker::{kind}"] = {
            "create": functools.partial(_create_part, endpoints, path, name_key),
            "delete": functools.partial(_delete_part, endpoints, path, name_key),
        }
    handlers["AWS::SageMaker::Endpoint"] = {
        "create": functools.partial(_create_endpoint, endpoints),
        "update": functools.partial(_update_endpoint, endpoints),
        "delete": lambda arn, _properties: _forget(endpoints, arn),
    }


_numbers = iter(range(1, 1_000_000))
_numbering = threading.Lock()


def _create_part(
    endpoints: Endpoints, path: str, name_key: str, logical_id: str, properties: Document, stack: str
) -> tuple[str, dict[str, str]]:
    with _numbering:
        name = properties.get(name_key) or f"{stack}-{logical_id}-{next(_numbers)}"[-63:].strip("-")
    create = getattr(endpoints, f"create_{path.replace('-', '_')}")
    arn = _or_fail(lambda: create({**_plain(properties), name_key: name}))
    return next(iter(arn.values())), {name_key: name}


def _delete_part(
    endpoints: Endpoints, path: str, name_key: str, reference: str, _properties: Document
) -> None:
    kept = endpoints.models if path == "model" else endpoints.configs
    for name in [name for name in kept if endpoints.arn(path, name) == reference]:
        getattr(endpoints, f"delete_{path.replace('-', '_')}")({name_key: name})


def _create_endpoint(
    endpoints: Endpoints, logical_id: str, properties: Document, stack: str
) -> tuple[str, dict[str, str]]:
    name = properties.get("EndpointName") or f"{stack}-{logical_id}"
    made = _or_fail(lambda: endpoints.create_endpoint({**_plain(properties), "EndpointName": name}))
    _wait(endpoints, name)
    return made["EndpointArn"], {"EndpointName": name}


def _update_endpoint(
    endpoints: Endpoints, arn: str, _old: Document, properties: Document, _stack: str
) -> tuple[str, dict[str, str]]:
    name = next(each.name for each in endpoints.endpoints.values() if each.arn == arn)
    _or_fail(lambda: endpoints.update_endpoint({**_plain(properties), "EndpointName": name}))
    _wait(endpoints, name)
    return arn, {"EndpointName": name}


def _forget(endpoints: Endpoints, arn: str) -> None:
    for name in [each.name for each in endpoints.endpoints.values() if each.arn == arn]:
        endpoints.delete_endpoint({"EndpointName": name})


def _wait(endpoints: Endpoints, name: str) -> None:
    """Wait as CloudFormation does, and fail as it does."""
    endpoint = endpoints.endpoints[name]
    if not endpoint.settled.wait(_PATIENCE):
        raise ValueError(f"endpoint {name} did not settle within {_PATIENCE} s")
    if endpoint.failure:
        raise ValueError(f"{endpoint.name}: {endpoint.failure}")


def _or_fail(action: Any) -> Document:
    try:
        made: Document = action()
    except Fault as fault:
        raise ValueError(fault.message) from fault
    return made


def _plain(value: Any) -> Any:
    """Return properties with the true values that templates may write as text."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
