"""What stands behind an endpoint: variants, each a model in its containers."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.containers import Container, ContainerFailed, Reply

_S3 = re.compile(r"s3://([^/]+)/(.+)")


@dataclass
class Variant:
    """One variant and its containers, which answer one after the other."""

    name: str
    weight: float
    count: int
    model: str
    containers: Sequence[Container]
    role: str

    def ask(self, body: bytes, content_type: str, accept: str) -> Reply:
        """Send a request through all containers; the first that fails ends it."""
        reply = Reply(200, body, content_type)
        for container in self.containers:
            reply = container.ask(reply.body, reply.content_type, accept)
            if reply.status >= 300:
                break
        return reply


@dataclass
class Fleet:
    """The variants that answer, and the shadow that only listens."""

    production: dict[str, Variant]
    shadows: dict[str, Variant]

    def choose(self) -> Variant:
        """Return a variant by the weights."""
        variants = list(self.production.values())
        weights = [variant.weight for variant in variants]
        if not any(weights):
            return variants[0]
        return random.choices(variants, weights)[0]  # noqa: S311 - traffic, not secrets

    def all(self) -> Iterator[Variant]:
        """Yield every variant."""
        yield from self.production.values()
        yield from self.shadows.values()

    def stop(self, but_for: Fleet | None = None) -> None:
        """End all containers, except those of another fleet."""
        kept = {id(each) for variant in (but_for.all() if but_for else ()) for each in variant.containers}
        for variant in self.all():
            for container in variant.containers:
                if id(container) not in kept:
                    container.stop()

    def serving(self, name: str, model: str) -> Variant | None:
        """Return the variant of this name where it serves this model."""
        found = self.production.get(name) or self.shadows.get(name)
        return found if found and found.model == model else None


class Fleets:
    """Starts fleets as an endpoint configuration describes them."""

    def __init__(self, cloud: Cloud) -> None:
        """Read artifacts and write logs through ``cloud``."""
        self._cloud = cloud

    def start(
        self,
        endpoint: str,
        config: Mapping[str, Any],
        models: Mapping[str, Mapping[str, Any]],
        old: Fleet | None = None,
    ) -> Fleet:
        """Start every variant of a configuration and wait until all answer.

        A variant of ``old`` that serves the same model goes on in the containers that it has.

        Raises:
            ContainerFailed: One does not, or its artifact cannot be had.
        """
        fleet = Fleet({}, {})
        try:
            for kind, target in (
                ("ProductionVariants", fleet.production),
                ("ShadowProductionVariants", fleet.shadows),
            ):
                for spec in config.get(kind) or []:
                    target[spec["VariantName"]] = self._variant(endpoint, spec, models, old)
            for variant in fleet.all():
                for container in variant.containers:
                    container.wait()
        except BaseException:
            fleet.stop(but_for=old)
            raise
        return fleet

    def _variant(
        self,
        endpoint: str,
        spec: Mapping[str, Any],
        models: Mapping[str, Mapping[str, Any]],
        old: Fleet | None,
    ) -> Variant:
        model = models[spec["ModelName"]]
        caller = self._cloud.session(model["ExecutionRoleArn"])
        definitions = model.get("Containers") or [model["PrimaryContainer"]]
        name = spec["VariantName"]
        serving = old.serving(name, spec["ModelName"]) if old else None
        return Variant(
            name=name,
            weight=float(spec.get("InitialVariantWeight", 1)),
            count=int(spec.get("InitialInstanceCount") or 1),
            model=spec["ModelName"],
            containers=serving.containers
            if serving
            else [self._container(endpoint, name, caller, each) for each in definitions],
            role=caller,
        )

    def _container(
        self, endpoint: str, variant: str, caller: str, definition: Mapping[str, Any]
    ) -> Container:
        url = str(definition.get("ModelDataUrl", ""))
        found = _S3.fullmatch(url)
        if found is None:
            raise ContainerFailed(f"Could not find model data at {url}.")
        artifact, refusal = self._cloud.read(caller, found[1], found[2])
        if artifact is None:
            raise ContainerFailed(
                f"Could not access model data at {url}. Please ensure that the role exists, that its trust "
                'relationship policy allows the action "sts:AssumeRole" for the service principal '
                f'"sagemaker.amazonaws.com", and that it has "s3:GetObject" permissions: {refusal}'
            )
        group, stream = f"/aws/sagemaker/Endpoints/{endpoint}", f"{variant}/i-sandbox"
        self._cloud.log(caller, group, stream, [f"serving {url}"])
        return Container(
            artifact,
            definition.get("Environment") or {},
            on_line=lambda line: self._cloud.log(caller, group, stream, [line]),
        )
