"""SageMaker in MiniStack: its two protocols on the gateway, and what each of its calls needs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions, router

from ml_lens.rehearsal.inside.ministack_adapter.access import Keys, Policies
from ml_lens.rehearsal.inside.ministack_adapter.gateway import around
from ml_lens.rehearsal.inside.ministack_adapter.sagemaker_cloud import MiniStackCloud
from ml_lens.rehearsal.inside.ministack_adapter.sagemaker_types import register_types
from ml_lens.rehearsal.inside.permissions import Proceed, Request, Response, through
from ml_lens.rehearsal.inside.sagemaker.captured_calls import CapturedCalls
from ml_lens.rehearsal.inside.sagemaker.catalogue import Catalogue
from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.endpoints import Document, Endpoints
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.packages import Packages
from ml_lens.rehearsal.inside.sagemaker.runtime import Call, Runtime, refused
from ml_lens.rehearsal.inside.sagemaker.starting import Fleets

logger = logging.getLogger("ml_lens.sandbox")

Operations = Mapping[str, Callable[[Document], Document]]
_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
# kind → the member that names it, in the order in which a call that names several is about one
_NAMES = {
    "endpoint": "EndpointName",
    "endpoint-config": "EndpointConfigName",
    "model": "ModelName",
    "model-package": "ModelPackageName",
    "model-package-group": "ModelPackageGroupName",
}


def serve_sagemaker(gate: Policies, keys: Keys) -> tuple[Endpoints, Cloud]:
    """Make SageMaker a service of the gateway and of CloudFormation; return its parts for what is added to it."""
    cloud = MiniStackCloud(gate, keys)
    packages = Packages(cloud)
    catalogue = Catalogue(cloud, packages)
    endpoints = Endpoints(cloud, catalogue, Fleets(cloud, catalogue.definitions))
    runtime = Runtime(endpoints, cloud, CapturedCalls(cloud))
    operations = _operations(catalogue, endpoints, packages)
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "credential_scope": "sagemaker",
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    _authorize_calls(endpoints)
    register_types(catalogue, endpoints, packages)

    async def answer(request: Request, _proceed: Proceed) -> Response:
        called = _INVOCATION.fullmatch(request.path)
        if called is None:
            return await asyncio.to_thread(_control, operations, catalogue, gate, request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(unquote(called[1]), request.body, headers)
        try:
            return await asyncio.to_thread(runtime.invoke, call)
        except Fault as fault:
            return refused(fault)

    around("sagemaker", answer)
    return endpoints, cloud


def _operations(catalogue: Catalogue, endpoints: Endpoints, packages: Packages) -> Operations:
    """Return what is emulated, by the names of the API."""
    kinds: dict[str, tuple[Any, str]] = {
        "Model": (catalogue, "model"),
        "EndpointConfig": (catalogue, "endpoint_config"),
        "Endpoint": (endpoints, "endpoint"),
        "ModelPackageGroup": (packages, "model_package_group"),
        "ModelPackage": (packages, "model_package"),
    }
    made: dict[str, Callable[[Document], Document]] = {}
    for kind, (keeper, name) in kinds.items():
        for verb in ("Create", "Describe", "Delete"):
            made[f"{verb}{kind}"] = getattr(keeper, f"{verb.lower()}_{name}")
        made[f"List{kind}s"] = getattr(keeper, f"list_{name}s")
    return made | {
        "UpdateEndpoint": endpoints.update_endpoint,
        "UpdateEndpointWeightsAndCapacities": endpoints.update_endpoint_weights_and_capacities,
        "UpdateModelPackage": packages.update_model_package,
        "AddTags": catalogue.add_tags,
        "DeleteTags": catalogue.delete_tags,
        "ListTags": catalogue.list_tags,
    }


def _control(operations: Operations, catalogue: Catalogue, gate: Policies, request: Request) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    try:
        document = json.loads(request.body or b"{}")
        _check_other_rights(catalogue, gate, request, document)
        answer = operations.get(request.operation, _not_emulated(request))(document)
    except Fault as fault:
        error = {"__type": fault.code, "message": fault.message}
        return fault.status, headers, json.dumps(error).encode()
    return 200, headers, json.dumps(answer).encode()


def _not_emulated(request: Request) -> Callable[[Document], Document]:
    def refuse(_document: Document) -> Document:
        raise Fault("UnknownOperationException", f"The sandbox does not emulate {request.operation}.")

    return refuse


def _check_other_rights(catalogue: Catalogue, gate: Policies, request: Request, document: Document) -> None:
    """Refuse a call whose caller lacks what it needs beyond the call itself."""
    needed: list[tuple[str, str, dict[str, str] | None]] = []
    role, config = document.get("ExecutionRoleArn"), document.get("EndpointConfigName")
    if role:
        needed.append(("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    if request.operation in ("CreateEndpoint", "UpdateEndpoint") and config:
        needed.append((f"sagemaker:{request.operation}", catalogue.arn("endpoint-config", config), None))
    if request.operation.startswith("Create") and document.get("Tags"):
        needed.append(("sagemaker:AddTags", _about(catalogue.arn, request.operation, document), None))
    key = catalogue.configs.get(config or "", {}).get("KmsKeyId")
    if request.operation == "CreateEndpoint" and key:
        through_sagemaker = {**through("sagemaker", gate), "kms:GrantIsForAWSResource": "true"}
        needed.append(("kms:CreateGrant", key, through_sagemaker))
    for action, resource, context in needed:
        refusal = gate.refusal(request.caller, action, resource, context)
        if refusal:
            raise Fault("AccessDeniedException", refusal)


def _about(arn: Callable[[str, str], str], operation: str, document: Document) -> str:
    """Return the ARN of what a call is about."""
    if operation.startswith("List") and operation != "ListTags":
        return "*"
    if operation == "CreateModelPackage" and "ModelPackageGroupName" in document:
        group = str(document["ModelPackageGroupName"]).rpartition("/")[2]
        return arn("model-package", f"{group}/*")
    named = next(
        (document[key] for key in ("ResourceArn", "ModelPackageArn") if key in document),
        None,
    )
    if named:
        return str(named)
    for kind, key in _NAMES.items():
        if key in document:
            name = str(document[key])
            return name if name.startswith("arn:") else arn(kind, name)
    return "*"


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
        operation = str(headers.get("x-amz-target", "")).rpartition(".")[2]
        return _about(endpoints.arn, operation, json.loads(body or b"{}"))

    iam_actions.extract_iam_action = action_of
    iam_actions.extract_resource_arn = resource_of
