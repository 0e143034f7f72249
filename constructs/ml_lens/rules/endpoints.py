"""What belongs to an endpoint: its configuration, models, inference components and what scales them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.endpoint_configs import (
    all_serverless,
    config_of,
    endpoints_of,
    instance_variants,
    is_async,
    is_serverless,
    shadow_variants,
    variants,
)
from ml_lens.rules.resolved import Opaque
from ml_lens.rules.sagemaker_names import COMPONENT, CONFIG, ENDPOINT, EXPERIMENT, MODEL, named, segments
from ml_lens.rules.tasks import STATE_MACHINE, all_training_tasks, states
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node

__all__ = [
    "COMPONENT",
    "CONFIG",
    "ENDPOINT",
    "EXPERIMENT",
    "MODEL",
    "all_serverless",
    "component_targets",
    "components_on",
    "config_of",
    "endpoints_of",
    "instance_variants",
    "is_async",
    "is_of_sagemaker",
    "is_serverless",
    "models_of",
    "named",
    "only_serverless",
    "policies_of",
    "policies_that_may_scale",
    "scalable_targets",
    "shadow_variants",
    "target_of",
    "targets_that_may_scale",
    "uses_of",
    "variant_of",
    "variants",
]

SCALABLE_TARGET: Final = "AWS::ApplicationAutoScaling::ScalableTarget"
SCALING_POLICY: Final = "AWS::ApplicationAutoScaling::ScalingPolicy"

INSTANCE_COUNT: Final = "sagemaker:variant:DesiredInstanceCount"
PROVISIONED_CONCURRENCY: Final = "sagemaker:variant:DesiredProvisionedConcurrency"
COPY_COUNT: Final = "sagemaker:inference-component:DesiredCopyCount"

HOSTED: Final = "hosted"
SERVERLESS: Final = "serverless"
BATCH: Final = "batch"

# Scalable targets of which nobody knows which endpoint they scale, and those that scale one outside the run.
_ANY: Final = "any endpoint"
_OTHER: Final = "another endpoint"
# What is scaled: a variant of an endpoint by the identity of its name, or an inference component as a whole.
_COMPONENT: Final = "component"
_EVERY: Final = object()
Subject = tuple["Node", object]


def models_of(config: Node) -> list[Node]:
    """Return the models that the variants of a configuration run, those of inference components included."""
    values = [variant["ModelName"] for variant in (*variants(config), *shadow_variants(config))]
    for endpoint in endpoints_of(config):
        values += [component["Specification"]["ModelName"] for component in components_on(endpoint)]
    found = [model for value in values if (model := named(value, MODEL)) is not None]
    return list(dict.fromkeys(found))


def uses_of(model: Node) -> frozenset[str]:
    """Return how the app uses a model: ``HOSTED`` on instances, ``SERVERLESS``, or in ``BATCH``."""
    uses = model.graph.once("model uses", lambda: _model_uses(model.graph))
    return frozenset(uses.get(model, ()))


def only_serverless(model: Node) -> bool:
    """Whether the app uses the model, and nothing but serverless variants does."""
    return uses_of(model) == {SERVERLESS}


def components_on(endpoint: Node, variant: Value | None = None) -> list[Node]:
    """Return the inference components on an endpoint, or on one variant of it."""
    found = endpoint.graph.once("components", lambda: _components(endpoint.graph)).get(endpoint, [])
    if variant is None:
        return found
    name = variant["VariantName"].identity
    return [component for component in found if _runs_on(component, name)]


def scalable_targets(endpoint: Node, variant: Value | None = None) -> list[Node]:
    """Return what Application Auto Scaling may scale on an endpoint or on one variant of it, in any dimension."""
    name = _EVERY if variant is None else variant["VariantName"].identity
    return [] if name is None else _targets(endpoint.graph).get((endpoint, name), [])


def targets_that_may_scale(endpoint: Node, variant: Value) -> list[Node]:
    """Return the scalable targets that may be those of a variant: what they name is known only to a deployment."""
    found = endpoint.graph.once("open targets", lambda: _open_targets(endpoint.graph))
    several = [*found.get(endpoint, []), *found.get(_ANY, [])]
    if endpoint["EndpointName"].is_open:
        several += found.get(_OTHER, [])
    return several


def component_targets(component: Node) -> list[Node]:
    """Return what Application Auto Scaling may scale on an inference component."""
    return _targets(component.graph).get((component, _COMPONENT), [])


def variant_of(target: Node) -> tuple[Node, Value] | None:
    """Return the endpoint and the variant that a scalable target or a scaling policy acts on."""
    subject = _subject(target)
    if subject is None or subject[0].type != ENDPOINT or subject[1] is None:
        return None
    endpoint, name = subject
    config = config_of(endpoint)
    several = () if config is None else (*variants(config), *shadow_variants(config))
    return next(((endpoint, variant) for variant in several if variant["VariantName"].identity == name), None)


def policies_of(target: Node) -> list[Node]:
    """Return the scaling policies of a scalable target."""
    return target.graph.once("scaling policies", lambda: _policies(target.graph)).get(target, [])


def policies_that_may_scale(graph: Graph) -> list[Node]:
    """Return the scaling policies of which nobody can tell what they scale."""
    return graph.once(
        "open policies", lambda: [node for node in graph.nodes(SCALING_POLICY) if _is_open(node)]
    )


def target_of(policy: Node) -> Node | None:
    """Return the scalable target of a scaling policy."""
    owner = _target_id(policy).reference
    if owner is not None:
        return owner if owner.type == SCALABLE_TARGET else None
    by_key = policy.graph.once("targets by key", lambda: _by_key(policy.graph))
    key = _key(policy)
    return None if key is None else by_key.get(key)


def is_of_sagemaker(node: Node) -> bool:
    """Whether a scalable target or a scaling policy scales something of SageMaker."""
    owner = _target_id(node).reference
    scaled = node if owner is None else owner
    if scaled["ServiceNamespace"].is_literal:
        return bool(scaled["ServiceNamespace"].literal == "sagemaker")
    dimension = scaled["ScalableDimension"].text or ""
    return dimension.startswith("sagemaker:") or _subject(scaled) is not None


def _subject(node: Node) -> Subject | None:
    """Return what the ``ResourceId`` of a scalable target or a scaling policy names."""
    named_in = segments(node["ResourceId"])
    match [segment.literal for segment in named_in]:
        case ["endpoint", _, "variant", _]:
            found = named(named_in[1], ENDPOINT)
            return None if found is None else (found, named_in[3].identity)
        case ["inference-component", _]:
            found = named(named_in[1], COMPONENT)
            return None if found is None else (found, _COMPONENT)
        case _:
            return None


def _model_uses(graph: Graph) -> dict[Node, set[str]]:
    found: dict[Node, set[str]] = {}
    for value, use in _uses(graph):
        model = named(value, MODEL)
        if model is not None:
            found.setdefault(model, set()).add(use)
    return found


def _uses(graph: Graph) -> Iterator[tuple[Value, str]]:
    """Yield each name of a model that something uses, and how."""
    for config in (*(node.properties for node in graph.nodes(CONFIG)), *_configs_of_tasks(graph)):
        for listed in ("ProductionVariants", "ShadowProductionVariants"):
            for variant in config[listed].elements:
                yield variant["ModelName"], SERVERLESS if is_serverless(variant) else HOSTED
    for component in graph.nodes(COMPONENT):
        yield component["Specification"]["ModelName"], HOSTED
    for experiment in graph.nodes(EXPERIMENT):
        for variant in experiment["ModelVariants"].elements:
            yield variant["ModelName"], HOSTED
    for task in all_training_tasks(graph):
        if task.kind == "transform":
            yield task["ModelName"], BATCH


def _configs_of_tasks(graph: Graph) -> Iterator[Value]:
    for machine in graph.nodes(STATE_MACHINE):
        for state in states(machine):
            if state.calls("createEndpointConfig"):
                yield state.arguments


def _components(graph: Graph) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for component in graph.nodes(COMPONENT):
        endpoint = named(component["EndpointName"], ENDPOINT)
        if endpoint is not None:
            found.setdefault(endpoint, []).append(component)
    return found


def _runs_on(component: Node, variant_name: object) -> bool:
    """Whether a component runs on a variant; one that builds on another runs where that one does."""
    own = component["VariantName"]
    return not own or own.identity == variant_name


def _targets(graph: Graph) -> dict[Subject, list[Node]]:
    return graph.once("scalable targets", lambda: _scaled(graph))


def _scaled(graph: Graph) -> dict[Subject, list[Node]]:
    found: dict[Subject, list[Node]] = {}
    for node in graph.nodes(SCALABLE_TARGET):
        subject = _subject(node)
        if subject is not None:
            found.setdefault(subject, []).append(node)
            found.setdefault((subject[0], _EVERY), []).append(node)
    return found


def _policies(graph: Graph) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for policy in graph.nodes(SCALING_POLICY):
        target = target_of(policy)
        if target is not None:
            found.setdefault(target, []).append(policy)
    return found


def _by_key(graph: Graph) -> dict[object, Node]:
    return {_key(node): node for node in graph.nodes(SCALABLE_TARGET)}


def _key(node: Node) -> object:
    """Return what a scalable target and a scaling policy without a reference to it have in common."""
    scaled = _subject(node) or node["ResourceId"].identity
    if scaled is None:
        return None
    return (scaled, node["ServiceNamespace"].identity, node["ScalableDimension"].identity)


def _target_id(policy: Node) -> Value:
    return policy["ScalingTargetId"] or policy["ScalableTargetId"]


def _open_targets(graph: Graph) -> dict[object, list[Node]]:
    """Return the targets whose variant is not known, by endpoint; those whose endpoint is not known; and others."""
    found: dict[object, list[Node]] = {}
    for node in graph.nodes(SCALABLE_TARGET):
        if is_of_sagemaker(node) or node["ResourceId"].is_open:
            found.setdefault(_open_part(node), []).append(node)
    return found


def _open_part(node: Node) -> object:
    subject = _subject(node)
    if subject is None:
        return _ANY if _is_open(node) else _OTHER
    doubtful = variant_of(node) is None and (_is_open(node) or _has_open_names(subject[0]))
    return subject[0] if doubtful else None


def _has_open_names(endpoint: Node) -> bool:
    config = config_of(endpoint)
    return config is not None and any(variant["VariantName"].is_open for variant in variants(config))


def _is_open(node: Node) -> bool:
    """Whether nobody can tell what a scalable target or a scaling policy scales."""
    if _target_id(node):
        return _target_id(node).reference is None
    return any(isinstance(part, Opaque) for part in node["ResourceId"].parts)
