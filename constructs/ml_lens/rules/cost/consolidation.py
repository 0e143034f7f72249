"""Rules on endpoints that could be one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.endpoints import config_of, is_serverless, variants
from ml_lens.rules.functions import FUNCTION, INVOCATIONS, role_of_function
from ml_lens.rules.graph import Graph
from ml_lens.rules.resolved import Opaque
from ml_lens.rules.rule import APP, WARNING, rule
from ml_lens.rules.sagemaker_names import ENDPOINT, MODEL, named
from ml_lens.rules.tasks import STATE_MACHINE, State, states
from ml_lens.rules.verdicts import Verdict, fails, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_INVOKES: Final = re.compile(r"sagemaker(?:runtime)?:invokeendpoint(?:async)?(?:\.|$)", re.IGNORECASE)


@rule(
    "COST04-ConsolidateModels",
    number=66,
    weight=WARNING,
    on=(APP, STATE_MACHINE, FUNCTION),
    title="Models with one image share an endpoint, and models that always follow each other are one pipeline.",
    why="Every endpoint keeps instances of its own running, however little it is asked.",
    fix=(
        "Put the models on a multi-model endpoint or into inference components; make containers that always follow "
        "each other one inference pipeline."
    ),
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  ExecutionRoleArn: !GetAtt Serves.Arn
  PrimaryContainer:
    Mode: MultiModel
    Image: !Ref Image
    ModelDataUrl: !Sub s3://${Models}/churn/
""",
    findings={
        "mme": "More endpoints than allowed serve one model each from the same image.",
        "pipeline": "Two endpoints are always invoked one after the other.",
    },
    lens2020="MLCOST 04",
    lens2025="MLSUS05-BP04",
    settled=(
        "Counted are endpoints with one instance-based variant, whose model has one container that serves one model.",
        "A group of endpoints gets one finding, on its first endpoint.",
        "Two tasks of a state machine always follow each other when no choice, map or parallel state is between them.",
        "Of a function that may invoke several endpoints of the app by name, nobody can tell from the template whether "
        "it asks them one after the other: the answer stays open.",
    ),
)
def models_share_endpoints(subject: Graph | Node) -> Iterator[Verdict]:
    """Count the endpoints of each image, and look for invocations in a row."""
    if isinstance(subject, Graph):
        yield from _side_by_side(subject)
    else:
        yield from _in_a_row(subject) if subject.type == STATE_MACHINE else _asks_several(subject)


def _side_by_side(graph: Graph) -> Iterator[Verdict]:
    groups: dict[object, list[Node]] = {}
    opaque: list[Value] = []
    for endpoint in graph.nodes(ENDPOINT):
        image = _only_image(endpoint)
        if image is not None and isinstance(image.resolved, Opaque):
            opaque.append(image)
        if image is not None and image.identity is not None:
            groups.setdefault(image.identity, []).append(endpoint)
    most = graph.options.max_single_model_endpoints
    for group in groups.values():
        if len(group) > most:
            names = ", ".join(endpoint.logical_id for endpoint in group)
            told = f"{len(group)} endpoints serve one model each from one image, more than {most}: {names}"
            yield fails(group[0], told).named("mme")
    largest = max(groups.values(), key=len, default=[])
    others = [image for image in opaque if image.identity not in _images_of(largest)]
    if len(largest) <= most < len(largest) + len(others):
        hidden = others[0]
        told = f"{hidden.path} is {hidden.shown}, which may be the image of too many endpoints with one model each"
        yield unknown(hidden.node, told, path=hidden.path)


def _images_of(endpoints: list[Node]) -> set[object]:
    return {image.identity for endpoint in endpoints if (image := _only_image(endpoint)) is not None}


def _only_image(endpoint: Node) -> Value | None:
    """Return the image of an endpoint that serves one model, in one container, on instances."""
    config = config_of(endpoint)
    several = [] if config is None else variants(config)
    if len(several) != 1 or is_serverless(several[0]):
        return None
    model = named(several[0]["ModelName"], MODEL)
    if model is None:
        return None
    containers = [each for each in (model["PrimaryContainer"], *model["Containers"].elements) if each]
    if len(containers) != 1 or containers[0]["Mode"].literal == "MultiModel" or not containers[0]["Image"]:
        return None
    return containers[0]["Image"]


def _in_a_row(machine: Node) -> Iterator[Verdict]:
    for first in states(machine):
        if not _INVOKES.search(first.resource):
            continue
        second = _next_invocation(first)
        if second is None:
            continue
        asked = [state.arguments["EndpointName"] for state in (first, second)]
        if any(name.identity is None or isinstance(name.resolved, Opaque) for name in asked):
            continue
        if asked[0].identity != asked[1].identity:
            told = f"{first.name} and {second.name} always ask {asked[0].shown} and {asked[1].shown} in a row"
            yield fails(machine, told, path=first.body.path).named("pipeline")


def _next_invocation(first: State) -> State | None:
    """Return the next task that invokes an endpoint, if nothing but plain states is between."""
    seen = {first.name}
    state = first
    while True:
        name = state.body["Next"].literal
        body = state.siblings[str(name)]
        if name is None or name in seen or body["Type"].literal not in ("Task", "Pass", "Wait"):
            return None
        seen.add(str(name))
        state = State(first.node, str(name), body, first.siblings)
        if _INVOKES.search(state.resource):
            return state


def _asks_several(function: Node) -> Iterator[Verdict]:
    role = role_of_function(function)
    granted = [] if role is None else role.allowing(*INVOCATIONS)
    asked = {
        endpoint
        for statement in granted
        for resource in statement.resources
        if not statement.except_resources and (endpoint := named(resource, ENDPOINT)) is not None
    }
    if len(asked) > 1:
        names = ", ".join(sorted(endpoint.logical_id for endpoint in asked))
        told = f"may invoke {names}; whether always one after the other, the template does not tell"
        yield unknown(function, told, path="Code")


RULES = (models_share_endpoints,)
