"""SageMaker's types in CloudFormation, which waits for endpoints and rolls back when they do not come up."""

from __future__ import annotations

import json
import secrets
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import provisioners, stacks

from ml_lens.rehearsal.inside.sagemaker.catalogue import Catalogue
from ml_lens.rehearsal.inside.sagemaker.endpoints import Document, Endpoints
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.packages import Packages

_PREFIX = "AWS::SageMaker::"
_PATIENCE = 600
# Every other property of these replaces the resource.
_CHANGEABLE = {
    "Model": {"Tags"},
    "EndpointConfig": {"Tags"},
    "ModelPackageGroup": {"Tags", "ModelPackageGroupDescription"},
    "ModelPackage": {"Tags", "ModelApprovalStatus", "ApprovalDescription", "CustomerMetadataProperties"},
}
_NAME = {
    "Model": "ModelName",
    "EndpointConfig": "EndpointConfigName",
    "Endpoint": "EndpointName",
    "ModelPackageGroup": "ModelPackageGroupName",
}
_TRUTHS = {
    "EnableCapture",
    "EnableNetworkIsolation",
    "RetainAllVariantProperties",
    "RetainDeploymentConfig",
}
_NUMBERS = {
    "InitialInstanceCount",
    "InitialVariantWeight",
    "InitialSamplingPercentage",
    "MemorySizeInMB",
    "MaxConcurrency",
    "ProvisionedConcurrency",
    "WaitIntervalInSeconds",
    "TerminationWaitInSeconds",
    "MaximumExecutionTimeoutInSeconds",
}
_OF_UPDATES = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")

Made = tuple[str, dict[str, str]]


def register_types(catalogue: Catalogue, endpoints: Endpoints, packages: Packages) -> None:
    """Let templates have models, configurations, endpoints, and versions in the registry."""
    _work_in_threads()
    parts = {
        "Model": _Part("Model", catalogue, catalogue.create_model, catalogue.delete_model),
        "EndpointConfig": _Part(
            "EndpointConfig", catalogue, catalogue.create_endpoint_config, catalogue.delete_endpoint_config
        ),
        "ModelPackageGroup": _Part(
            "ModelPackageGroup",
            catalogue,
            packages.create_model_package_group,
            packages.delete_model_package_group,
        ),
    }
    for kind, part in parts.items():
        _register(kind, part.create, part.update, part.delete)
    version = _Version(catalogue, packages)
    _register("ModelPackage", version.create, version.update, version.delete)
    endpoint = _Endpoint(catalogue, endpoints)
    _register("Endpoint", endpoint.create, endpoint.update, endpoint.delete)


def _register(kind: str, create: Any, update: Any, delete: Any) -> None:
    whole = f"{_PREFIX}{kind}"
    provisioners._RESOURCE_HANDLERS[whole] = {"create": create, "update": update, "delete": delete}
    provisioners._STACK_TAG_PROPERTY[whole] = ("Tags", "list")
    if kind in _NAME:
        provisioners._CUSTOM_NAME_REPLACEMENT[whole] = {"name": _NAME[kind]}


def _work_in_threads() -> None:
    """Let the gateway go on answering while CloudFormation waits, and say which changes replace a resource."""
    blocks, replaces = stacks._runs_on_worker_thread, provisioners._property_recreation

    def runs_on_worker_thread(kind: str) -> bool:
        return kind.startswith(_PREFIX) or bool(blocks(kind))

    def property_recreation(kind: str, name: str) -> str:
        if not kind.startswith(_PREFIX):
            return str(replaces(kind, name))
        known = kind.removeprefix(_PREFIX)
        if known == "Endpoint":
            return "Always" if name == "EndpointName" else "Never"
        return "Never" if name in _CHANGEABLE.get(known, ()) else "Always"

    stacks._runs_on_worker_thread = runs_on_worker_thread
    provisioners._property_recreation = property_recreation


class _Part:
    """What is made and deleted at once."""

    def __init__(
        self,
        kind: str,
        catalogue: Catalogue,
        create: Callable[[Document], Document],
        delete: Callable[[Document], Document],
    ) -> None:
        self._key = _NAME[kind]
        self._catalogue = catalogue
        self._create, self._delete = create, delete

    def create(self, logical_id: str, properties: Document, _stack: str) -> Made:
        name = properties.get(self._key) or _generated(logical_id)
        made = _or_fail(lambda: self._create({**_typed(properties), self._key: name}))
        arn = str(next(iter(made.values())))
        self._catalogue.tag(arn, properties.get("Tags"))
        return arn, {self._key: name, **made}

    def update(self, arn: str, old: Document, new: Document, _stack: str) -> Made:
        _tag_again(self._catalogue, arn, old, new)
        return arn, {}

    def delete(self, arn: str, _properties: Document) -> None:
        _unless_gone(lambda: self._delete({self._key: self._named(arn)}))

    def _named(self, arn: str) -> str:
        name = arn.rpartition("/")[2]
        kept = [*self._catalogue.models, *self._catalogue.configs]
        return next((each for each in kept if each.lower() == name), name)


class _Version:
    """A version in the registry."""

    def __init__(self, catalogue: Catalogue, packages: Packages) -> None:
        self._catalogue = catalogue
        self._packages = packages

    def create(self, _logical_id: str, properties: Document, _stack: str) -> Made:
        made = _or_fail(lambda: self._packages.create_model_package(_typed(properties)))
        self._catalogue.tag(made["ModelPackageArn"], properties.get("Tags"))
        return made["ModelPackageArn"], dict(made)

    def update(self, arn: str, old: Document, new: Document, _stack: str) -> Made:
        _tag_again(self._catalogue, arn, old, new)
        changed = {
            key: new[key] for key in _CHANGEABLE["ModelPackage"] - {"Tags"} if new.get(key) != old.get(key)
        }
        if changed:
            _or_fail(lambda: self._packages.update_model_package({"ModelPackageArn": arn, **changed}))
        return arn, {}

    def delete(self, arn: str, _properties: Document) -> None:
        _unless_gone(lambda: self._packages.delete_model_package({"ModelPackageName": arn}))


class _Endpoint:
    """An endpoint, for which CloudFormation waits."""

    def __init__(self, catalogue: Catalogue, endpoints: Endpoints) -> None:
        self._catalogue = catalogue
        self._endpoints = endpoints

    def create(self, logical_id: str, properties: Document, _stack: str) -> Made:
        name = properties.get("EndpointName") or _generated(logical_id)
        asked = {key: value for key, value in _typed(properties).items() if key not in _OF_UPDATES}
        made = _or_fail(lambda: self._endpoints.create_endpoint({**asked, "EndpointName": name}))
        try:
            self._wait(name)
        except ValueError:
            # CloudFormation deletes what it could not finish to create.
            self.delete(made["EndpointArn"], properties)
            raise
        return made["EndpointArn"], {"EndpointName": name}

    def update(self, arn: str, old: Document, new: Document, _stack: str) -> Made:
        name = self._named(arn)
        _tag_again(self._catalogue, arn, old, new)
        asked = _typed({key: value for key, value in new.items() if key != "Tags"})
        if new["EndpointConfigName"] != old["EndpointConfigName"]:
            _or_fail(lambda: self._endpoints.update_endpoint({**asked, "EndpointName": name}))
            self._wait(name)
        return arn, {"EndpointName": name}

    def delete(self, arn: str, _properties: Document) -> None:
        name = self._named(arn)
        _unless_gone(lambda: self._endpoints.delete_endpoint({"EndpointName": name}))
        until = time.monotonic() + _PATIENCE
        while name in self._endpoints.endpoints and time.monotonic() < until:
            time.sleep(0.02)

    def _named(self, arn: str) -> str:
        found = [each.name for each in self._endpoints.endpoints.values() if each.arn == arn]
        return found[0] if found else arn.rpartition("/")[2]

    def _wait(self, name: str) -> None:
        endpoint = self._endpoints.endpoints[name]
        if not endpoint.settled.wait(_PATIENCE):
            raise ValueError(f"endpoint {name} did not settle within {_PATIENCE} s")
        if endpoint.failure:
            raise ValueError(f"{endpoint.name}: {endpoint.failure}")


def _generated(logical_id: str) -> str:
    """Return a name as CloudFormation makes them for SageMaker."""
    letters = string.ascii_letters + string.digits
    return f"{logical_id[:50]}-{''.join(secrets.choice(letters) for _ in range(12))}"


def _tag_again(catalogue: Catalogue, arn: str, old: Document, new: Document) -> None:
    gone = {each["Key"] for each in old.get("Tags") or []} - {each["Key"] for each in new.get("Tags") or []}
    catalogue.delete_tags({"ResourceArn": arn, "TagKeys": sorted(gone)})
    catalogue.tag(arn, new.get("Tags"))


def _or_fail(action: Callable[[], Document]) -> Document:
    try:
        return action()
    except Fault as fault:
        raise ValueError(fault.message) from fault


def _unless_gone(action: Callable[[], Document]) -> None:
    try:
        action()
    except Fault as fault:
        if "Could not find" not in fault.message and "does not exist" not in fault.message:
            raise ValueError(fault.message) from fault


def _typed(value: Any, key: str = "") -> Any:
    """Return properties with the numbers and truths that templates may write as text, but for variables."""
    if key == "Environment":
        return {name: _text(each) for name, each in value.items()}
    if isinstance(value, Mapping):
        return {name: _typed(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    if isinstance(value, str) and key in _TRUTHS:
        return value.lower() == "true"
    if isinstance(value, str) and key in _NUMBERS:
        return json.loads(value)
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
