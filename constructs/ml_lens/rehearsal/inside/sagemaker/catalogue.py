"""Models and endpoint configurations, which are made and deleted and never change, and everybody's tags."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.containers import PROCESSES, ContainerFailed
from ml_lens.rehearsal.inside.sagemaker.faults import invalid
from ml_lens.rehearsal.inside.sagemaker.listing import page
from ml_lens.rehearsal.inside.sagemaker.packages import Packages
from ml_lens.rehearsal.inside.sagemaker.starting import Artifacts

Document = dict[str, Any]


class Catalogue:
    """Keeps models, configurations and tags.

    Args:
        cloud: Knows roles and artifacts.
        packages: The versions in the registry, which models may name.
    """

    def __init__(self, cloud: Cloud, packages: Packages) -> None:
        """Keep nothing yet."""
        self._cloud = cloud
        self._packages = packages
        self.models: dict[str, Document] = {}
        self.configs: dict[str, Document] = {}
        self.tags: dict[str, dict[str, str]] = packages.tags

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a model, an endpoint-config or an endpoint; names are in small letters there."""
        account, region = self._cloud.place()
        return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"

    def definitions(self, model: Mapping[str, Any]) -> list[Document]:
        """Return the containers of a model, with what those that name a version in the registry are made of."""
        named = model.get("Containers") or [model["PrimaryContainer"]]
        return [made for each in named for made in self._packages.resolved(each)]

    def create_model(self, request: Document) -> Document:
        """Create a model, whose role SageMaker must be able to assume, and which must reach its artifact."""
        name, role = request["ModelName"], request["ExecutionRoleArn"]
        arn = self.arn("model", name)
        if name in self.models:
            raise invalid(f'Cannot create already existing model "{arn}".')
        if not self._cloud.may_be_assumed(role):
            raise invalid(
                f"Could not assume role {role}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role."
            )
        PROCESSES.prepare()
        artifacts = Artifacts(self._cloud, role)
        try:
            for each in self.definitions(request):
                if each.get("Mode") != "MultiModel":
                    artifacts.fetch(each)
        except ContainerFailed as failed:
            raise invalid(str(failed)) from failed
        self.models[name] = _made(request, ModelArn=arn)
        self.tag(arn, request.get("Tags"))
        return {"ModelArn": arn}

    def describe_model(self, request: Document) -> Document:
        """Describe a model."""
        return self.model(request["ModelName"])

    def delete_model(self, request: Document) -> Document:
        """Delete a model; endpoints that serve it go on."""
        self._forget(self.model(request["ModelName"])["ModelArn"])
        del self.models[request["ModelName"]]
        return {}

    def list_models(self, request: Document) -> Document:
        """List the models."""
        shown = [_shown(each, "ModelName", "ModelArn", "CreationTime") for each in self.models.values()]
        return page(shown, request, into="Models", name="ModelName")

    def create_endpoint_config(self, request: Document) -> Document:
        """Create a configuration of models that exist."""
        name = request["EndpointConfigName"]
        arn = self.arn("endpoint-config", name)
        if name in self.configs:
            raise invalid(f'Cannot create already existing endpoint configuration "{arn}".')
        production = request["ProductionVariants"]
        shadows = request.get("ShadowProductionVariants") or []
        _check_variants(production, shadows)
        for variant in [*production, *shadows]:
            self.model(variant["ModelName"])
        self.configs[name] = _made(request, EndpointConfigArn=arn)
        self.tag(arn, request.get("Tags"))
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, request: Document) -> Document:
        """Describe a configuration."""
        return self.config(request["EndpointConfigName"])

    def delete_endpoint_config(self, request: Document) -> Document:
        """Delete a configuration; endpoints that were made of it go on, and can be updated no more."""
        self._forget(self.config(request["EndpointConfigName"])["EndpointConfigArn"])
        del self.configs[request["EndpointConfigName"]]
        return {}

    def list_endpoint_configs(self, request: Document) -> Document:
        """List the configurations."""
        keys = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        shown = [_shown(each, *keys) for each in self.configs.values()]
        return page(shown, request, into="EndpointConfigs", name="EndpointConfigName")

    def add_tags(self, request: Document) -> Document:
        """Tag a resource."""
        self.tag(request["ResourceArn"], request["Tags"])
        return self.list_tags(request)

    def delete_tags(self, request: Document) -> Document:
        """Take tags from a resource."""
        for key in request["TagKeys"]:
            self.tags.get(request["ResourceArn"], {}).pop(key, None)
        return {}

    def list_tags(self, request: Document) -> Document:
        """List the tags of a resource."""
        tags = self.tags.get(request["ResourceArn"], {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def tag(self, arn: str, tags: Sequence[Mapping[str, str]] | None) -> None:
        """Tag a resource, or not."""
        if tags:
            self.tags.setdefault(arn, {}).update({each["Key"]: each["Value"] for each in tags})

    def model(self, name: str) -> Document:
        """Return a model.

        Raises:
            Fault: There is none.
        """
        if name not in self.models:
            raise invalid(f'Could not find model "{self.arn("model", name)}".')
        return self.models[name]

    def config(self, name: str) -> Document:
        """Return a configuration.

        Raises:
            Fault: There is none.
        """
        if name not in self.configs:
            raise invalid(f'Could not find endpoint configuration "{self.arn("endpoint-config", name)}".')
        return self.configs[name]

    def _forget(self, arn: str) -> None:
        self.tags.pop(arn, None)


def _check_variants(production: Sequence[Document], shadows: Sequence[Document]) -> None:
    names = [each["VariantName"] for each in [*production, *shadows]]
    if len({*names}) < len(names):
        raise invalid("Variant names must be unique.")
    if shadows and (len(production), len(shadows)) != (1, 1):
        raise invalid(
            "You can only specify one production variant and one shadow production variant in an endpoint "
            "configuration."
        )
    for each in [*production, *shadows]:
        if ("ServerlessConfig" in each) == ("InstanceType" in each or "InitialInstanceCount" in each):
            raise invalid(
                f'Variant "{each["VariantName"]}" must have either ServerlessConfig, or InstanceType and '
                "InitialInstanceCount."
            )


def _made(request: Document, **more: str) -> Document:
    kept = {key: value for key, value in request.items() if key != "Tags"}
    return {**kept, **more, "CreationTime": time.time()}


def _shown(document: Document, *keys: str) -> Document:
    return {key: document[key] for key in keys}
