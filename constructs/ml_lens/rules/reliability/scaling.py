"""Rules on endpoints that carry more load, and survive the loss of a zone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.endpoints import (
    BATCH,
    CONFIG,
    COPY_COUNT,
    ENDPOINT,
    INSTANCE_COUNT,
    MODEL,
    SCALABLE_TARGET,
    component_targets,
    components_on,
    config_of,
    instance_variants,
    is_async,
    is_of_sagemaker,
    policies_of,
    policies_that_may_scale,
    scalable_targets,
    targets_that_may_scale,
    uses_of,
)
from ml_lens.rules.rule import PRODUCTION_ERROR, WARNING, rule
from ml_lens.rules.verdicts import (
    FAIL,
    PASS,
    Verdict,
    all_of,
    any_of,
    fails,
    must_be_at_least,
    must_equal,
    passes,
    unknown,
)
from ml_lens.rules.zones import must_span_zones

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_NOT_FOR_BATCH = {BATCH, "serverless"}


@rule(
    "REL03-EndpointAutoScaling",
    number=39,
    weight=PRODUCTION_ERROR,
    on=ENDPOINT,
    title="Every production variant scales.",
    why="A variant of fixed size fails under load, and costs money without it.",
    fix=(
        "Add a ScalableTarget with ServiceNamespace sagemaker, ScalableDimension "
        "sagemaker:variant:DesiredInstanceCount and ResourceId endpoint/<endpoint>/variant/<variant>, and a "
        "ScalingPolicy on it."
    ),
    cloudformation="""
Type: AWS::ApplicationAutoScaling::ScalableTarget
Properties:
  ServiceNamespace: sagemaker
  ScalableDimension: sagemaker:variant:DesiredInstanceCount
  ResourceId: !Sub endpoint/${Endpoint.EndpointName}/variant/AllTraffic
  MinCapacity: 2
  MaxCapacity: 8
""",
    construct="ml_lens.hosting.HostedModel",
    lens2020=("MLREL 03", "MLPER 02", "MLOPS 05"),
    lens2025="MLREL05-BP01",
    settled=(
        "Serverless variants and asynchronous endpoints are left out, and so are shadow variants, whose answers "
        "nobody waits for.",
        "Managed instance scaling counts, and so does scaling the copies of every inference component of the variant.",
        "A policy of any type counts; scheduled actions alone do not answer load.",
        "The finding is on the endpoint, once, with every variant that does not scale.",
    ),
)
def every_variant_scales(endpoint: Node) -> Iterator[Verdict]:
    """Demand that something scales each variant on instances."""
    config = config_of(endpoint)
    if config is None:
        name = endpoint["EndpointConfigName"]
        told = f"{name.path} is {name.shown}, which is not part of the app, so nobody knows its variants"
        yield unknown(endpoint, told, path=name.path)
    elif not is_async(config):
        yield from (_must_scale(endpoint, variant) for variant in instance_variants(config))


@rule(
    "REL03-EndpointMultiAz",
    number=40,
    weight=PRODUCTION_ERROR,
    on=(CONFIG, SCALABLE_TARGET, MODEL),
    title="Endpoints survive the loss of an availability zone.",
    why="SageMaker spreads instances over zones, which takes at least two instances and subnets in two zones.",
    fix=(
        "Give every variant an InitialInstanceCount of at least 2, its ScalableTarget a MinCapacity of at least 2, and "
        "the model subnets in two zones."
    ),
    cloudformation="""
Type: AWS::SageMaker::EndpointConfig
Properties:
  ProductionVariants:
    - VariantName: AllTraffic
      ModelName: !GetAtt Model.ModelName
      InstanceType: ml.m5.large
      InitialInstanceCount: 2
""",
    lens2020="MLREL 03",
    lens2025="MLREL05-BP01",
    same_as=(
        "SecurityHub:SageMaker.4",
        "Config:sagemaker-endpoint-config-prod-instance-count",
    ),
    findings={
        "count": "A variant begins with fewer than two instances.",
        "min": "A variant may be scaled in to fewer than two instances.",
        "az": "The subnets of a model lie in one zone.",
    },
    settled=(
        "Serverless and shadow variants are left out. Asynchronous ones are not: a queue keeps requests, but nobody "
        "answers them while the zone is gone.",
        "The MinInstanceCount of managed instance scaling counts like MinCapacity.",
        "A model without a VpcConfig, or used in batch or by serverless variants only, is not asked for zones.",
        "Zones are told apart by their names or by the index in Fn::GetAZs; of subnets outside the app two different "
        "ones are taken to lie in two zones. Zones that two parameters name may be one, and stay open.",
    ),
)
def endpoint_survives_a_zone(resource: Node) -> Iterator[Verdict]:
    """Demand two instances, at the beginning and later, in two zones."""
    if resource.type == CONFIG:
        yield from _must_begin_with_two(resource)
    elif resource.type == SCALABLE_TARGET:
        if is_of_sagemaker(resource) and resource["ScalableDimension"].literal in (None, INSTANCE_COUNT):
            yield must_be_at_least(resource["MinCapacity"], 2).named("min")
    elif resource["VpcConfig"]["Subnets"] and (not uses_of(resource) or uses_of(resource) - _NOT_FOR_BATCH):
        yield must_span_zones(resource["VpcConfig"]["Subnets"]).named("az")


@rule(
    "REL03-RetainVariantProperties",
    number=41,
    weight=WARNING,
    on=ENDPOINT,
    title="An update of the stack leaves a scaled endpoint its capacity.",
    why="Otherwise the update sets every variant back to its initial number of instances, in the middle of the load.",
    fix="Set RetainAllVariantProperties to true.",
    cloudformation="""
Type: AWS::SageMaker::Endpoint
Properties:
  RetainAllVariantProperties: true
""",
    construct="ml_lens.hosting.HostedModel",
    lens2020="MLREL 03",
    lens2025="MLREL05-BP01",
    settled=(
        "Asked of endpoints of which Application Auto Scaling scales the instances of a variant.",
        "ExcludeRetainedVariantProperties must not name DesiredInstanceCount.",
    ),
)
def capacity_is_retained(endpoint: Node) -> Verdict | None:
    """Demand that the number of instances is kept."""
    kept = must_equal(endpoint["RetainAllVariantProperties"], True)
    excluded = endpoint["ExcludeRetainedVariantProperties"]
    if any(each["VariantPropertyType"].literal == "DesiredInstanceCount" for each in excluded.elements):
        kept = all_of(
            kept, fails(endpoint, f"{excluded.path} names DesiredInstanceCount", path=excluded.path)
        )
    scaled = [_must_scale_instances(target) for target in scalable_targets(endpoint)]
    if any(verdict.answer is PASS for verdict in scaled):
        return kept
    config = config_of(endpoint)
    several = [] if config is None else instance_variants(config)
    doubts = [verdict for verdict in scaled if verdict.answer is not FAIL]
    doubts += [
        _may_be_of(target) for variant in several for target in targets_that_may_scale(endpoint, variant)[:1]
    ]
    return any_of(kept, *doubts) if doubts else None


def _must_scale(endpoint: Node, variant: Value) -> Verdict:
    name = variant["VariantName"].shown
    missing = fails(endpoint, f"nothing scales {name}")
    managed = must_equal(variant["ManagedInstanceScaling"]["Status"], "ENABLED")
    ways = [_must_be_scaled(target, INSTANCE_COUNT) for target in scalable_targets(endpoint, variant)]
    components = [
        component
        for component in components_on(endpoint, variant)
        if not component["Specification"]["BaseInferenceComponentName"]
    ]
    if components:
        ways.append(all_of(*(_must_scale_copies(component) for component in components)))
    ways += [_may_be_of(target) for target in targets_that_may_scale(endpoint, variant)[:1]]
    told = "; ".join(way.message for way in ways if way.answer is FAIL)
    verdict = any_of(missing, managed, *ways)
    if verdict.answer is FAIL and told:
        return verdict.saying(f"{verdict.message}: {told}")
    return verdict


def _must_scale_copies(component: Node) -> Verdict:
    missing = fails(component, f"nothing scales the copies of {component.logical_id}")
    return any_of(missing, *(_must_be_scaled(target, COPY_COUNT) for target in component_targets(component)))


def _must_scale_instances(target: Node) -> Verdict:
    return must_equal(target["ScalableDimension"], INSTANCE_COUNT)


def _must_be_scaled(target: Node, dimension: str) -> Verdict:
    """Demand that a scalable target is one for ``dimension``, and that a policy moves it."""
    right = all_of(
        must_equal(target["ServiceNamespace"], "sagemaker"),
        must_equal(target["ScalableDimension"], dimension),
    )
    return all_of(right, _must_have_policy(target))


def _must_have_policy(target: Node) -> Verdict:
    if policies_of(target):
        return passes(target)
    for policy in policies_that_may_scale(target.graph)[:1]:
        told = f"nobody can tell whether {policy.logical_id} scales {target.logical_id}"
        return unknown(policy, told, path="ScalingTargetId" if policy["ScalingTargetId"] else "ResourceId")
    return fails(target, f"{target.logical_id} has no scaling policy")


def _may_be_of(target: Node) -> Verdict:
    resource_id = target["ResourceId"]
    told = f"{resource_id.path} is {resource_id.shown}, and nobody can tell which variant that is"
    return unknown(target, told, path=resource_id.path)


def _must_begin_with_two(config: Node) -> Iterator[Verdict]:
    for variant in instance_variants(config):
        yield must_be_at_least(variant["InitialInstanceCount"], 2).named("count")
        managed = variant["ManagedInstanceScaling"]
        if managed["Status"].literal == "ENABLED":
            yield must_be_at_least(managed["MinInstanceCount"], 2, when_absent=PASS).named("min")


RULES = (every_variant_scales, endpoint_survives_a_zone, capacity_is_retained)
