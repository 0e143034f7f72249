"""Models, endpoint configurations and endpoints, as SageMaker keeps them."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.containers import ContainerFailed
from ml_lens.rehearsal.inside.sagemaker.faults import invalid
from ml_lens.rehearsal.inside.sagemaker.fleets import Fleet, Fleets

logger = logging.getLogger("ml_lens.sandbox")

Document = dict[str, Any]
SETTLES_IN = 0.2
"""Seconds that a change of an endpoint takes at the least."""


@dataclass
class Endpoint:
    """An endpoint, and the fleet that answers for it."""

    name: str
    arn: str
    config: str
    status: str = "Creating"
    failure: str | None = None
    fleet: Fleet | None = None
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    settled: threading.Event = field(default_factory=threading.Event)


class Endpoints:
    """Creates, changes and deletes; what takes long goes on in a thread, while the old fleet answers."""

    def __init__(self, cloud: Cloud, fleets: Fleets) -> None:
        """Start fleets by ``fleets``."""
        self._cloud = cloud
        self._fleets = fleets
        self.models: dict[str, Document] = {}
        self.configs: dict[str, Document] = {}
        self.endpoints: dict[str, Endpoint] = {}

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a model, an endpoint-config or an endpoint; names are in small letters there."""
        account, region = self._cloud.place()
        return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"

    def create_model(self, request: Document) -> Document:
        """Create a model, whose role SageMaker must be able to assume."""
        name, role = request["ModelName"], request["ExecutionRoleArn"]
        if name in self.models:
            raise invalid(f'Cannot create already existing model "{self.arn("model", name)}".')
        if not self._cloud.may_be_assumed(role):
            raise invalid(
                f"Could not assume role {role}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role."
            )
        self.models[name] = {**request, "ModelArn": self.arn("model", name), "CreationTime": time.time()}
        return {"ModelArn": self.models[name]["ModelArn"]}

    def create_endpoint_config(self, request: Document) -> Document:
        """Create a configuration of models that exist."""
        name = request["EndpointConfigName"]
        arn = self.arn("endpoint-config", name)
        if name in self.configs:
            raise invalid(f'Cannot create already existing endpoint configuration "{arn}".')
        for variant in [*request["ProductionVariants"], *(request.get("ShadowProductionVariants") or [])]:
            if variant["ModelName"] not in self.models:
                raise invalid(f'Could not find model "{self.arn("model", variant["ModelName"])}".')
        self.configs[name] = {**request, "EndpointConfigArn": arn, "CreationTime": time.time()}
        return {"EndpointConfigArn": arn}

    def create_endpoint(self, request: Document) -> Document:
        """Begin to create an endpoint."""
        name, config = request["EndpointName"], request["EndpointConfigName"]
        arn = self.arn("endpoint", name)
        if name in self.endpoints:
            raise invalid(f'Cannot create already existing endpoint "{arn}".')
        self._config(config)
        made = self.endpoints[name] = Endpoint(name, arn, config)
        self._settle(made, config, {})
        return {"EndpointArn": arn}

    def update_endpoint(self, request: Document) -> Document:
        """Begin to move an endpoint to another configuration; the old fleet answers until the new one can."""
        endpoint = self._ready(request["EndpointName"], "update")
        self._config(request["EndpointConfigName"])
        kept: dict[str, tuple[float | None, int]] = {}
        if request.get("RetainAllVariantProperties") and endpoint.fleet:
            excluded = {
                each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties") or []
            }
            kept = {
                variant.name: (None if "DesiredWeight" in excluded else variant.weight, variant.count)
                for variant in endpoint.fleet.production.values()
            }
        self._begin(endpoint)
        self._settle(endpoint, request["EndpointConfigName"], kept)
        return {"EndpointArn": endpoint.arn}

    def update_endpoint_weights_and_capacities(self, request: Document) -> Document:
        """Change weights and numbers of instances of the variants that answer."""
        endpoint = self._ready(request["EndpointName"], "update")
        assert endpoint.fleet is not None  # noqa: S101 - an endpoint in service has one
        for desired in request["DesiredWeightsAndCapacities"]:
            variant = endpoint.fleet.production.get(desired["VariantName"])
            if variant is None:
                raise invalid(f'Could not find variant "{desired["VariantName"]}".')
            variant.weight = float(desired.get("DesiredWeight", variant.weight))
            variant.count = int(desired.get("DesiredInstanceCount", variant.count))
        self._begin(endpoint)
        threading.Timer(SETTLES_IN, self._end, (endpoint,)).start()
        return {"EndpointArn": endpoint.arn}

    def delete_endpoint(self, request: Document) -> Document:
        """Delete an endpoint and end its fleet."""
        endpoint = self._endpoint(request["EndpointName"])
        del self.endpoints[endpoint.name]
        if endpoint.fleet:
            endpoint.fleet.stop()
        return {}

    def delete_endpoint_config(self, request: Document) -> Document:
        """Delete a configuration; endpoints that were made of it go on."""
        self._config(request["EndpointConfigName"])
        del self.configs[request["EndpointConfigName"]]
        return {}

    def delete_model(self, request: Document) -> Document:
        """Delete a model; endpoints that serve it go on."""
        self._model(request["ModelName"])
        del self.models[request["ModelName"]]
        return {}

    def describe_model(self, request: Document) -> Document:
        """Describe a model."""
        return self._model(request["ModelName"])

    def describe_endpoint_config(self, request: Document) -> Document:
        """Describe a configuration."""
        return self._config(request["EndpointConfigName"])

    def describe_endpoint(self, request: Document) -> Document:
        """Describe an endpoint and the variants that answer now."""
        endpoint = self._endpoint(request["EndpointName"])
        variants = endpoint.fleet.production.values() if endpoint.fleet else ()
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config,
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.changed,
            **({"FailureReason": endpoint.failure} if endpoint.failure else {}),
            "ProductionVariants": [
                {
                    "VariantName": variant.name,
                    "CurrentWeight": variant.weight,
                    "DesiredWeight": variant.weight,
                    "CurrentInstanceCount": variant.count,
                    "DesiredInstanceCount": variant.count,
                }
                for variant in variants
            ],
        }

    def list_endpoints(self, _request: Document) -> Document:
        """List the endpoints."""
        return {"Endpoints": [_summary(each) for each in self.endpoints.values()]}

    def list_endpoint_configs(self, _request: Document) -> Document:
        """List the configurations."""
        keys = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return {"EndpointConfigs": [{key: each[key] for key in keys} for each in self.configs.values()]}

    def list_models(self, _request: Document) -> Document:
        """List the models."""
        keys = ("ModelName", "ModelArn", "CreationTime")
        return {"Models": [{key: each[key] for key in keys} for each in self.models.values()]}

    def serving(self, name: str) -> Endpoint | None:
        """Return an endpoint that has a fleet."""
        found = self.endpoints.get(name)
        return found if found and found.fleet else None

    def _settle(self, endpoint: Endpoint, config: str, kept: Mapping[str, tuple[float | None, int]]) -> None:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._move, endpoint, config, kept), daemon=True).start()

    def _move(self, endpoint: Endpoint, config: str, kept: Mapping[str, tuple[float | None, int]]) -> None:
        old = endpoint.fleet
        try:
            fleet = self._fleets.start(endpoint.name, self.configs[config], self.models, old)
        except Exception as failure:
            if not isinstance(failure, ContainerFailed):
                logger.exception("%s does not come up", endpoint.name)
            endpoint.failure = str(failure)
            self._end(endpoint, "InService" if old else "Failed")
            return
        for name, (weight, count) in kept.items():
            if name in fleet.production:
                fleet.production[name].count = count
                if weight is not None:
                    fleet.production[name].weight = weight
        time.sleep(SETTLES_IN)
        endpoint.fleet, endpoint.config, endpoint.failure = fleet, config, None
        self._end(endpoint)
        if old:
            time.sleep(SETTLES_IN)  # what is under way is still answered
            old.stop(but_for=fleet)

    def _begin(self, endpoint: Endpoint) -> None:
        endpoint.status, endpoint.changed = "Updating", time.time()
        endpoint.settled.clear()

    def _end(self, endpoint: Endpoint, status: str = "InService") -> None:
        endpoint.status, endpoint.changed = status, time.time()
        endpoint.settled.set()

    def _ready(self, name: str, what: str) -> Endpoint:
        endpoint = self._endpoint(name)
        if endpoint.status != "InService":
            raise invalid(f'Cannot {what} in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise invalid(f'Could not find endpoint "{self.arn("endpoint", name)}".')
        return self.endpoints[name]

    def _config(self, name: str) -> Document:
        if name not in self.configs:
            raise invalid(f'Could not find endpoint configuration "{self.arn("endpoint-config", name)}".')
        return self.configs[name]

    def _model(self, name: str) -> Document:
        if name not in self.models:
            raise invalid(f'Could not find model "{self.arn("model", name)}".')
        return self.models[name]


def _summary(endpoint: Endpoint) -> Document:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.changed,
    }
