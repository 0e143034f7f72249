"""Endpoints: made, changed and deleted; what takes long goes on in a thread, while the old fleet answers."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ml_lens.rehearsal.inside.sagemaker import guardrails
from ml_lens.rehearsal.inside.sagemaker.catalogue import Catalogue
from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.containers import ContainerFailed
from ml_lens.rehearsal.inside.sagemaker.descriptions import described, event_of, summary
from ml_lens.rehearsal.inside.sagemaker.faults import Fault, invalid
from ml_lens.rehearsal.inside.sagemaker.fleets import Fleet
from ml_lens.rehearsal.inside.sagemaker.listing import page
from ml_lens.rehearsal.inside.sagemaker.starting import Fleets
from ml_lens.rehearsal.inside.sagemaker.traffic import Endpoint, Traffic, watched

logger = logging.getLogger("ml_lens.sandbox")

Document = dict[str, Any]
SETTLES_IN = 0.2
"""Seconds that a change of an endpoint takes at the least."""
STATE_CHANGE = "SageMaker Endpoint State Change"


class Endpoints:
    """Keeps endpoints.

    Args:
        cloud: Knows alarms, and takes events.
        catalogue: Has the configurations, and the models that they name.
        fleets: Starts fleets.
    """

    def __init__(self, cloud: Cloud, catalogue: Catalogue, fleets: Fleets) -> None:
        """Keep none yet."""
        self._cloud = cloud
        self._catalogue = catalogue
        self._fleets = fleets
        self.endpoints: dict[str, Endpoint] = {}

    @property
    def models(self) -> dict[str, Document]:
        """The models there are."""
        return self._catalogue.models

    def definitions(self, model: Mapping[str, Any]) -> list[Document]:
        """Return the containers of a model."""
        return self._catalogue.definitions(model)

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of something of SageMaker's."""
        return self._catalogue.arn(kind, name)

    def create_endpoint(self, request: Document) -> Document:
        """Begin to create an endpoint."""
        name = request["EndpointName"]
        arn = self.arn("endpoint", name)
        if name in self.endpoints:
            raise invalid(f'Cannot create already existing endpoint "{arn}".')
        self._catalogue.config(request["EndpointConfigName"])
        made = self.endpoints[name] = Endpoint(name, arn, deployment=request.get("DeploymentConfig"))
        made.config = request["EndpointConfigName"]
        self._catalogue.tag(arn, request.get("Tags"))
        self._go_on(self._create, made)
        return {"EndpointArn": arn}

    def update_endpoint(self, request: Document) -> Document:
        """Begin to move an endpoint to another configuration; the old fleet answers until the new one can."""
        endpoint = self._ready(request["EndpointName"])
        assert endpoint.fleet is not None  # noqa: S101 - an endpoint in service has one
        config = self._catalogue.config(request["EndpointConfigName"])
        live = self._catalogue.config(endpoint.config)
        deployment = request.get("DeploymentConfig")
        if request.get("RetainDeploymentConfig") and deployment:
            raise invalid("DeploymentConfig cannot be specified when RetainDeploymentConfig is true.")
        if request.get("RetainDeploymentConfig"):
            deployment = endpoint.deployment
        instances = min(each.count for each in endpoint.fleet.production.values())
        guardrails.check(deployment, live["ProductionVariants"], config["ProductionVariants"], instances)
        endpoint.deployment = deployment
        endpoint.begin(pending=request["EndpointConfigName"])
        self._go_on(self._update, endpoint, config, request)
        return {"EndpointArn": endpoint.arn}

    def update_endpoint_weights_and_capacities(self, request: Document) -> Document:
        """Change weights and numbers of instances of the variants that answer."""
        endpoint = self._ready(request["EndpointName"])
        fleet = endpoint.fleet
        assert fleet is not None  # noqa: S101 - an endpoint in service has one
        desired = request["DesiredWeightsAndCapacities"]
        for each in desired:
            if fleet.find(each["VariantName"]) is None:
                raise invalid(f'Could not find variant "{each["VariantName"]}" of endpoint "{endpoint.arn}".')
        for each in desired:
            variant = fleet.find(each["VariantName"])
            if variant is not None:
                variant.want(
                    float(each.get("DesiredWeight", variant.weight)),
                    int(each.get("DesiredInstanceCount", variant.count)),
                )
        endpoint.begin()
        self._go_on(self._rebalance, endpoint, fleet)
        return {"EndpointArn": endpoint.arn}

    def delete_endpoint(self, request: Document) -> Document:
        """Begin to delete an endpoint; nobody answers from now on."""
        endpoint = self._endpoint(request["EndpointName"])
        if endpoint.status not in ("InService", "Failed", "OutOfService"):
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        fleet = endpoint.fleet
        endpoint.begin("Deleting")
        endpoint.traffic = Traffic()
        self._go_on(self._delete, endpoint, fleet)
        return {}

    def describe_endpoint(self, request: Document) -> Document:
        """Describe an endpoint, the variants that answer now, and those that are on their way."""
        return described(self._endpoint(request["EndpointName"]))

    def list_endpoints(self, request: Document) -> Document:
        """List the endpoints."""
        shown = [summary(each) for each in list(self.endpoints.values())]
        return page(shown, request, into="Endpoints", name="EndpointName", status="EndpointStatus")

    def serving(self, name: str) -> Endpoint | None:
        """Return an endpoint that has a fleet."""
        found = self.endpoints.get(name)
        return found if found and found.fleet else None

    def _create(self, endpoint: Endpoint) -> None:
        started = self._started(endpoint, self._catalogue.config(endpoint.config))
        if started is not None:
            time.sleep(SETTLES_IN)
            endpoint.traffic = Traffic(started)
            endpoint.end("InService")

    def _update(self, endpoint: Endpoint, config: Document, request: Document) -> None:
        old = endpoint.fleet
        assert old is not None  # noqa: S101 - an endpoint in service has one
        new = self._started(endpoint, config)
        if new is None:
            return
        if request.get("RetainAllVariantProperties"):
            _retain(old, new, {each["VariantPropertyType"] for each in _excluded(request)})
        time.sleep(SETTLES_IN)
        trouble = self._shift(endpoint, old, new)
        if trouble:
            endpoint.status = "RollingBack"
            endpoint.traffic = Traffic(old)
            new.stop()
            endpoint.end("InService", trouble)
            return
        endpoint.traffic, endpoint.config = Traffic(new), new.config
        endpoint.end("InService")
        old.stop()

    def _shift(self, endpoint: Endpoint, old: Fleet, new: Fleet) -> str | None:
        """Move traffic in the steps of the deployment, and return why it has to go back."""
        deployment, since, scale = endpoint.deployment, time.time(), guardrails.time_scale()
        alarms = guardrails.alarms_of(deployment)
        role = next(iter(new.production.values())).role

        def trouble() -> str | None:
            for name in alarms:
                arn = f"arn:aws:cloudwatch:{self._place()}:alarm:{name}"
                refusal = self._cloud.refusal(role, "cloudwatch:DescribeAlarms", arn)
                if refusal:
                    return f"The alarms of the deployment cannot be watched: {refusal}"
            sounding = self._cloud.sounding(alarms, since, scale) if alarms else []
            return f"One or more alarms are in ALARM state: {', '.join(sounding)}." if sounding else None

        if alarms and (found := trouble()):
            return found
        for step in guardrails.steps(deployment, min(each.count for each in old.production.values())):
            endpoint.traffic = Traffic(old, new, step.share)
            seconds = step.seconds * scale
            if alarms and step.seconds:
                seconds = max(seconds, guardrails.SHORTEST_WATCH)
            if found := watched(seconds, trouble):
                return found
        return None

    def _rebalance(self, endpoint: Endpoint, fleet: Fleet) -> None:
        time.sleep(SETTLES_IN)
        for variant in fleet.all():
            variant.settle()
        endpoint.end("InService")

    def _delete(self, endpoint: Endpoint, fleet: Fleet | None) -> None:
        time.sleep(SETTLES_IN)
        if fleet:
            fleet.stop()
        self._catalogue.tags.pop(endpoint.arn, None)
        self.endpoints.pop(endpoint.name, None)
        endpoint.settled.set()

    def _started(self, endpoint: Endpoint, config: Document) -> Fleet | None:
        try:
            return self._fleets.start(endpoint.name, config, self.models)
        except Exception as failure:
            if not isinstance(failure, ContainerFailed | Fault):
                logger.exception("%s does not come up", endpoint.name)
            endpoint.end("InService" if endpoint.fleet else "Failed", str(failure))
            return None

    def _go_on(self, work: Callable[..., None], endpoint: Endpoint, *rest: Any) -> None:
        """Do the rest of a change while the caller goes away, and tell the event bus how it began and ended."""

        def all_of_it() -> None:
            self._tell(endpoint)
            try:
                work(endpoint, *rest)
            except Exception as failure:
                logger.exception("%s did not change", endpoint.name)
                endpoint.end("Failed", str(failure))
            if endpoint.status != "Deleting":
                self._tell(endpoint)

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(all_of_it,), daemon=True).start()

    def _tell(self, endpoint: Endpoint) -> None:
        tags = self._catalogue.tags.get(endpoint.arn, {})
        self._cloud.announce(STATE_CHANGE, endpoint.arn, {**event_of(endpoint), "Tags": tags})

    def _place(self) -> str:
        account, region = self._cloud.place()
        return f"{region}:{account}"

    def _ready(self, name: str) -> Endpoint:
        endpoint = self._endpoint(name)
        if endpoint.status != "InService":
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise invalid(f'Could not find endpoint "{self.arn("endpoint", name)}".')
        return self.endpoints[name]


def _excluded(request: Mapping[str, Any]) -> list[Document]:
    return request.get("ExcludeRetainedVariantProperties") or []


def _retain(old: Fleet, new: Fleet, excluded: set[str]) -> None:
    """Let variants keep what the old ones of the same name had, but for what is excluded."""
    if "DataCaptureConfig" not in excluded:
        new.capture = old.capture
    for name, variant in new.production.items():
        before = old.production.get(name)
        if before is None:
            continue
        variant.want(
            variant.weight if "DesiredWeight" in excluded else before.weight,
            variant.count if "DesiredInstanceCount" in excluded else before.count,
        )
        variant.settle()
