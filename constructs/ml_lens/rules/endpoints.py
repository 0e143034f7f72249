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
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, states, training_tasks
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.joins import Join

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
    graph = model.graph
    users = (CONFIG, STATE_MACHINE, COMPONENT, EXPERIMENT, PIPELINE)
    return frozenset(graph.joined("model uses", users, _models_used).at(model))


def only_serverless(model: Node) -> bool:
    """Whether the app uses the model, and nothing but serverless variants does."""
    return uses_of(model) == {SERVERLESS}


def components_on(endpoint: Node, variant: Value | None = None) -> list[Node]:
    """Return the inference components on an endpoint, or on one variant of it."""
    graph = endpoint.graph
    found = graph.joined("components", (COMPONENT,), _endpoint_of).at(endpoint)
    if variant is None:
        return found
    name = variant["VariantName"].identity
    return [component for component in found if _runs_on(component, name)]


def scalable_targets(endpoint: Node, variant: Value | None = None) -> list[Node]:
    """Return what Application Auto Scaling may scale on an endpoint or on one variant of it, in any dimension."""
    name = _EVERY if variant is None else variant["VariantName"].identity
    return [] if name is None else _targets(endpoint.graph).at((endpoint, name))


def targets_that_may_scale(endpoint: Node, variant: Value) -> list[Node]:
    """Return the scalable targets that may be those of a variant: what they name is known only to a deployment."""
    graph = endpoint.graph
    found = graph.joined("open targets", (SCALABLE_TARGET,), _open_part)
    several = [*found.at(endpoint), *found.at(_ANY)]
    if endpoint["EndpointName"].is_open:
        several += found.at(_OTHER)
    return several


def component_targets(component: Node) -> list[Node]:
    """Return what Application Auto Scaling may scale on an inference component."""
    return _targets(component.graph).at((component, _COMPONENT))


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
    graph = target.graph
    return graph.joined("scaling policies", (SCALING_POLICY,), _own_target).at(target)


def policies_that_may_scale(graph: Graph) -> list[Node]:
    """Return the scaling policies of which nobody can tell what they scale."""
    return graph.joined("open policies", (SCALING_POLICY,), _open_policy).at(_ANY)


def target_of(policy: Node) -> Node | None:
    """Return the scalable target of a scaling policy."""
    owner = _target_id(policy).reference
    if owner is not None:
        return owner if owner.type == SCALABLE_TARGET else None
    graph, key = policy.graph, _key(policy)
    by_key = graph.joined("targets by key", (SCALABLE_TARGET,), lambda node: [(_key(node), node)])
    return None if key is None else by_key.last(key)


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


def _models_used(user: Node) -> Iterator[tuple[Node, str]]:
    """Yield each model that a resource uses, and how."""
    for value, use in _uses(user):
        model = named(value, MODEL)
        if model is not None:
            yield model, use


def _uses(user: Node) -> Iterator[tuple[Value, str]]:
    for config in [user.properties] if user.type == CONFIG else _configs_of_tasks(user):
        for listed in ("ProductionVariants", "ShadowProductionVariants"):
            for variant in config[listed].elements:
                yield variant["ModelName"], SERVERLESS if is_serverless(variant) else HOSTED
    if user.type == COMPONENT:
        yield user["Specification"]["ModelName"], HOSTED
    if user.type == EXPERIMENT:
        for variant in user["ModelVariants"].elements:
            yield variant["ModelName"], HOSTED
    for task in training_tasks(user) if user.type in (STATE_MACHINE, PIPELINE) else ():
        if task.kind == "transform":
            yield task["ModelName"], BATCH


def _configs_of_tasks(user: Node) -> list[Value]:
    several = states(user) if user.type == STATE_MACHINE else ()
    return [state.arguments for state in several if state.calls("createEndpointConfig")]


def _endpoint_of(component: Node) -> Iterator[tuple[Node, Node]]:
    endpoint = named(component["EndpointName"], ENDPOINT)
    if endpoint is not None:
        yield endpoint, component


def _runs_on(component: Node, variant_name: object) -> bool:
    """Whether a component runs on a variant; one that builds on another runs where that one does."""
    own = component["VariantName"]
    return not own or own.identity == variant_name


def _targets(graph: Graph) -> Join[Subject, Node]:
    return graph.joined("scalable targets", (SCALABLE_TARGET,), _scaled)


def _scaled(target: Node) -> Iterator[tuple[Subject, Node]]:
    subject = _subject(target)
    if subject is not None:
        yield subject, target
        yield (subject[0], _EVERY), target


def _own_target(policy: Node) -> Iterator[tuple[Node, Node]]:
    target = target_of(policy)
    if target is not None:
        yield target, policy


def _key(node: Node) -> object:
    """Return what a scalable target and a scaling policy without a reference to it have in common."""
    scaled = _subject(node) or node["ResourceId"].identity
    if scaled is None:
        return None
    return (scaled, node["ServiceNamespace"].identity, node["ScalableDimension"].identity)


def _target_id(policy: Node) -> Value:
    return policy["ScalingTargetId"] or policy["ScalableTargetId"]


def _open_part(target: Node) -> Iterator[tuple[object, Node]]:
    """Yield the endpoint of a target of which the variant is not known; or that its endpoint is not, or is another."""
    if not is_of_sagemaker(target) and not target["ResourceId"].is_open:
        return
    subject = _subject(target)
    if subject is None:
        yield _ANY if _is_open(target) else _OTHER, target
    elif variant_of(target) is None and (_is_open(target) or _has_open_names(subject[0])):
        yield subject[0], target


def _open_policy(policy: Node) -> Iterator[tuple[str, Node]]:
    if _is_open(policy):
        yield _ANY, policy


def _has_open_names(endpoint: Node) -> bool:
    config = config_of(endpoint)
    return config is not None and any(variant["VariantName"].is_open for variant in variants(config))


def _is_open(node: Node) -> bool:
    """Whether nobody can tell what a scalable target or a scaling policy scales."""
    if _target_id(node):
        return _target_id(node).reference is None
    return any(isinstance(part, Opaque) for part in node["ResourceId"].parts)
