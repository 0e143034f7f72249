"""Rules on endpoints that are paid for while nobody asks them anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.bodies import document
from ml_lens.rules.endpoints import (
    ENDPOINT,
    SCALABLE_TARGET,
    SCALING_POLICY,
    config_of,
    instance_variants,
    is_async,
    is_of_sagemaker,
    named,
    scalable_targets,
    targets_that_may_scale,
)
from ml_lens.rules.policies import role_of
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.tasks import STATE_MACHINE, states
from ml_lens.rules.triggers import RULE, SCHEDULE, triggers_of
from ml_lens.rules.verdicts import (
    PASS,
    Verdict,
    all_of,
    any_of,
    fails,
    must_be_at_most,
    must_equal,
    passes,
    unknown,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

FUNCTION = "AWS::Lambda::Function"

_ANY = "any endpoint"


@rule(
    "COST04-EndpointCanScaleIn",
    number=64,
    weight=WARNING,
    on=(SCALABLE_TARGET, SCALING_POLICY, ENDPOINT),
    title="Endpoints give capacity back when the load is gone.",
    why="Instances are paid for by the hour, whether somebody asks them or not.",
    fix=(
        "Give the ScalableTarget a MaxCapacity above its MinCapacity, and leave DisableScaleIn false. Outside "
        "production let the endpoint be serverless or asynchronous, scale to zero, or be deleted by a schedule."
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
    lens2020="MLCOST 04",
    lens2025="MLCOST05-BP03",
    settled=(
        "An absent DisableScaleIn is false.",
        "Scaling to zero is a MinCapacity of 0, at all times or by a scheduled action, or a MinInstanceCount of 0, for "
        "every variant on instances.",
        "A schedule deletes an endpoint when it calls deleteEndpoint with its name, or starts a state machine that "
        "does so or a function that may.",
    ),
)
def capacity_is_given_back(resource: Node) -> Iterator[Verdict]:
    """Demand room to scale in, and no idle instances outside production."""
    if resource.type == ENDPOINT:
        if not resource.in_production:
            yield _must_be_able_to_rest(resource)
    elif is_of_sagemaker(resource):
        if resource.type == SCALABLE_TARGET:
            yield _must_have_room(resource)
        else:
            tracking = resource["TargetTrackingScalingPolicyConfiguration"]
            yield must_equal(tracking["DisableScaleIn"], False, when_absent=PASS)


def _must_have_room(target: Node) -> Verdict:
    least, most = target["MinCapacity"], target["MaxCapacity"]
    if most.bounds[0] > least.bounds[1]:
        return passes(target)
    told = f"MaxCapacity is {most.shown if most else 'missing'}, must be above MinCapacity, which is {least.shown}"
    same = most.identity is not None and most.identity == least.identity
    if same or most.bounds[1] <= least.bounds[0] or not (most.is_open or least.is_open):
        return fails(target, told, path=most.path)
    return unknown(target, told, path=most.path if most.is_open else least.path)


def _must_be_able_to_rest(endpoint: Node) -> Verdict:
    config = config_of(endpoint)
    if _is_deleted(endpoint):
        return passes(endpoint)
    if config is None:
        name = endpoint["EndpointConfigName"]
        told = f"{name.path} is {name.shown}, which is not part of the app; nobody knows whether it scales to zero"
        return unknown(endpoint, told, path=name.path)
    if is_async(config):
        return passes(endpoint)
    resting = [_must_reach_zero(endpoint, variant) for variant in instance_variants(config)]
    return all_of(passes(endpoint), *resting)


def _must_reach_zero(endpoint: Node, variant: Value) -> Verdict:
    name = variant["VariantName"].shown
    told = (
        f"{name} runs on instances outside production, and nothing scales it to zero or deletes the endpoint"
    )
    ways = [must_be_at_most(variant["ManagedInstanceScaling"]["MinInstanceCount"], 0)]
    for target in scalable_targets(endpoint, variant):
        ways.append(must_be_at_most(target["MinCapacity"], 0))
        scheduled = target["ScheduledActions"].elements
        ways += [must_be_at_most(action["ScalableTargetAction"]["MinCapacity"], 0) for action in scheduled]
    for target in targets_that_may_scale(endpoint, variant)[:1]:
        resource_id = target["ResourceId"]
        doubt = f"{resource_id.path} is {resource_id.shown}, and nobody can tell which variant that is"
        ways.append(unknown(target, doubt, path=resource_id.path))
    return any_of(fails(endpoint, told), *ways)


def _is_deleted(endpoint: Node) -> bool:
    """Whether something deletes an endpoint on a schedule."""
    deleted = endpoint.graph.joined("deleted endpoints", (SCHEDULE, STATE_MACHINE, FUNCTION), _deletions)
    return deleted.has(endpoint) or deleted.has(_ANY)


def _deletions(node: Node) -> Iterator[tuple[Node | str | None, bool]]:
    if node.type == SCHEDULE:
        target = node["Target"]
        if (target["Arn"].text or "").lower().endswith("sagemaker:deleteendpoint"):
            request = document(target["Input"])
            yield None if request is None else named(request["EndpointName"], ENDPOINT), True
    elif node.type == STATE_MACHINE:
        calls = [state.arguments["EndpointName"] for state in states(node) if state.calls("deleteEndpoint")]
        for name in calls if calls and _is_scheduled(node) else ():
            endpoint = named(name, ENDPOINT)  # a name that is computed may be any
            yield _ANY if endpoint is None and name.is_open else endpoint, True
    else:
        role = role_of(node["Role"])
        if role is not None and role.may("sagemaker:DeleteEndpoint") and _is_scheduled(node):
            yield _ANY, True


def _is_scheduled(node: Node) -> bool:
    return any(
        trigger.source.type == SCHEDULE
        or (trigger.source.type == RULE and trigger.source["ScheduleExpression"])
        for trigger in triggers_of(node)
    )


RULES = (capacity_is_given_back,)
