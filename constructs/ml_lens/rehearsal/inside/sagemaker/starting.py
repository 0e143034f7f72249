"""From an endpoint configuration to a fleet: artifacts are fetched with the rights of the model's role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud, StoredObject, place_of
from ml_lens.rehearsal.inside.sagemaker.containers import Container, ContainerFailed
from ml_lens.rehearsal.inside.sagemaker.fleets import Asked, Fleet, Variant
from ml_lens.rehearsal.inside.sagemaker.multi_models import MultiModel

Document = Mapping[str, Any]


class Artifacts:
    """Models in S3, as a role sees them."""

    def __init__(self, cloud: Cloud, role_arn: str) -> None:
        """Read with the rights of ``role_arn``."""
        self._cloud = cloud
        self._role = role_arn
        self._caller = cloud.session(role_arn)

    def fetch(self, definition: Document) -> bytes | Mapping[str, bytes]:
        """Return the artifact that a container definition names.

        Raises:
            ContainerFailed: It cannot be had.
        """
        source = (definition.get("ModelDataSource") or {}).get("S3DataSource")
        if source is None:
            url = definition.get("ModelDataUrl")
            return self.object(url) if url else {}
        if source.get("CompressionType") == "Gzip":
            return self.object(source["S3Uri"])
        return self._below(source["S3Uri"])

    def object(self, url: str) -> bytes:
        """Return one object.

        Raises:
            ContainerFailed: It cannot be had.
        """
        place = _place(url)
        content, refusal = self._cloud.read(self._caller, place.bucket, place.key)
        if content is None:
            raise ContainerFailed(self._no_access(url, refusal))
        return content

    def _below(self, url: str) -> dict[str, bytes]:
        place = _place(url)
        keys, refusal = self._cloud.objects(self._caller, place.bucket, place.key)
        if not keys:
            raise ContainerFailed(self._no_access(url, refusal or "there are no objects"))
        return {
            key.removeprefix(place.key).lstrip("/"): self.object(f"s3://{place.bucket}/{key}") for key in keys
        }

    def _no_access(self, url: str, refusal: str) -> str:
        _, region = self._cloud.place()
        return (
            f'Could not access model data at {url}. Please ensure that the role "{self._role}" exists and that its '
            'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object '
            f"is located in {region}. ({refusal})"
        )


def _place(url: str) -> StoredObject:
    place = place_of(url)
    if place is None:
        raise ContainerFailed(f"Could not find model data at {url}.")
    return place


class Fleets:
    """Starts fleets as an endpoint configuration describes them.

    Args:
        cloud: Has artifacts and logs.
        definitions: Returns the container definitions of a model.
    """

    def __init__(self, cloud: Cloud, definitions: Callable[[Document], Sequence[Document]]) -> None:
        """Start nothing yet."""
        self._cloud = cloud
        self._definitions = definitions

    def start(self, endpoint: str, config: Document, models: Mapping[str, Document]) -> Fleet:
        """Start every variant of a configuration and wait until all answer.

        Raises:
            ContainerFailed: One does not, or its artifact cannot be had.
        """
        fleet = Fleet(config["EndpointConfigName"], config.get("DataCaptureConfig"))
        try:
            for kind, target in (
                ("ProductionVariants", fleet.production),
                ("ShadowProductionVariants", fleet.shadows),
            ):
                for spec in config.get(kind) or []:
                    target[spec["VariantName"]] = self._variant(endpoint, spec, models)
            for variant in fleet.all():
                for container in variant.containers:
                    container.wait()
        except BaseException:
            fleet.stop()
            raise
        return fleet

    def _variant(self, endpoint: str, spec: Document, models: Mapping[str, Document]) -> Variant:
        model = models.get(spec["ModelName"])
        if model is None:
            raise ContainerFailed(f"Could not find model {spec['ModelName']}.")
        artifacts = Artifacts(self._cloud, model["ExecutionRoleArn"])
        caller = self._cloud.session(model["ExecutionRoleArn"])
        definitions = self._definitions(model)
        name = spec["VariantName"]
        # A container that cannot be had must not leave those before it running.
        containers: list[Asked] = []
        try:
            for each in definitions:
                containers.append(self._container(endpoint, name, caller, artifacts, each))
        except BaseException:
            for made in containers:
                made.stop()
            raise
        return Variant(
            name=name,
            weight=float(spec.get("InitialVariantWeight", 1)),
            count=int(spec.get("InitialInstanceCount") or 1),
            model=spec["ModelName"],
            containers=containers,
            role=caller,
            spec=spec,
            images=[str(each.get("Image", "")) for each in definitions],
            takes_target=any(each.get("Mode") == "MultiModel" for each in definitions),
        )

    def _container(
        self, endpoint: str, variant: str, caller: str, artifacts: Artifacts, definition: Document
    ) -> Asked:
        group, stream = f"/aws/sagemaker/Endpoints/{endpoint}", f"{variant}/i-sandbox"
        environment = definition.get("Environment") or {}

        def tell(line: str) -> None:
            self._cloud.log(caller, group, stream, [line])

        if definition.get("Mode") == "MultiModel":
            prefix = str(definition["ModelDataUrl"]).rstrip("/")
            return MultiModel(
                lambda name: Container(artifacts.object(f"{prefix}/{name}"), environment, on_line=tell)
            )
        artifact = artifacts.fetch(definition)
        tell(f"serving {definition.get('ModelDataUrl') or definition.get('Image', '')}")
        return Container(artifact, environment, on_line=tell)
