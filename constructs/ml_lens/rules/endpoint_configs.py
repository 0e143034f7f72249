"""The configuration of an endpoint, and the variants in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.sagemaker_names import CONFIG, ENDPOINT, named

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value


def config_of(endpoint: Node) -> Node | None:
    """Return the configuration of an endpoint; ``None`` when it is outside the run or unknown."""
    return named(endpoint["EndpointConfigName"], CONFIG)


def endpoints_of(config: Node) -> list[Node]:
    """Return the endpoints that have this configuration."""
    graph = config.graph
    return graph.joined("endpoints of configs", (ENDPOINT,), _configured).at(config)


def variants(config: Node) -> list[Value]:
    """Return the production variants."""
    return config["ProductionVariants"].elements


def shadow_variants(config: Node) -> list[Value]:
    """Return the variants that get a copy of the requests and whose answers nobody sees."""
    return config["ShadowProductionVariants"].elements


def is_serverless(variant: Value) -> bool:
    """Whether no instance of yours runs the variant."""
    return not variant.is_open and bool(variant["ServerlessConfig"])


def instance_variants(config: Node) -> list[Value]:
    """Return the production variants that run on instances, or may do so."""
    return [variant for variant in variants(config) if not is_serverless(variant)]


def all_serverless(config: Node) -> bool:
    """Whether a configuration has variants, and none of them runs on instances."""
    return bool(variants(config)) and not instance_variants(config)


def is_async(config: Node) -> bool:
    """Whether requests wait in a queue, and answers are stored."""
    return bool(config["AsyncInferenceConfig"])


def _configured(endpoint: Node) -> Iterator[tuple[Node, Node]]:
    config = config_of(endpoint)
    if config is not None:
        yield config, endpoint
