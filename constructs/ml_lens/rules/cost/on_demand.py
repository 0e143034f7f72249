"""Rules on endpoints that exist for one run of a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.deliveries import target_of_task
from ml_lens.rules.policies import role_of
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.startable import FUNCTION, started_of
from ml_lens.rules.state_paths import Leak, Level, Walk, workflow
from ml_lens.rules.tasks import STATE_MACHINE, State, unread_body
from ml_lens.rules.verdicts import Verdict, fails, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

_INVOKES: Final = re.compile(r"sagemaker(?:runtime)?:invokeendpoint", re.IGNORECASE)
_HOW: Final = {
    "ends": "ends the workflow",
    "fails": "fails, and no Catch leads to a deleteEndpoint",
    "never ends": "leads into a circle without an end",
}


@rule(
    "COST04-OnDemandEndpointDeleted",
    number=65,
    weight=ERROR,
    on=STATE_MACHINE,
    title="A workflow that creates an endpoint for one run deletes it on every path.",
    why="An endpoint that a failed run leaves behind is paid for until somebody finds it.",
    fix="Give every task after createEndpoint a Catch for States.ALL that leads to deleteEndpoint.",
    cloudformation="""
Type: AWS::StepFunctions::StateMachine
Metadata:
  MLLens: {Role: on-demand}
Properties:
  RoleArn: !GetAtt Runs.Arn
  Definition:
    StartAt: Create
    States:
      Create:
        Type: Task
        Resource: arn:aws:states:::sagemaker:createEndpoint
        Parameters: {EndpointName: nightly, EndpointConfigName: nightly}
        Next: Predict
      Predict:
        Type: Task
        Resource: arn:aws:states:::aws-sdk:sagemakerruntime:invokeEndpoint
        Parameters: {EndpointName: nightly, Body.$: $.body}
        Catch: [{ErrorEquals: [States.ALL], Next: Delete}]
        Next: Delete
      Delete:
        Type: Task
        Resource: arn:aws:states:::aws-sdk:sagemaker:deleteEndpoint
        Parameters: {EndpointName: nightly}
        End: true
""",
    lens2020="Desativando o modelo",
    lens2025="MLCOST05-BP01",
    settled=(
        "A workflow is on demand when its metadata says so, when it also invokes an endpoint, or when every path "
        "without an error deletes the endpoint that it creates; the role deployment exempts it.",
        "A task after createEndpoint needs a Catch for States.ALL; States.TaskFailed is enough without a time limit.",
        "createEndpoint itself needs no Catch; where it has one, that path deletes too, for a call whose answer was "
        "lost may have succeeded.",
        "A choice without Default may match nothing, which is a failure; a Fail state is one too.",
        "An error in one branch ends the others: it counts as a failure of the parallel state or the map around it.",
        "deleteEndpoint itself may fail: give it a Retry; no more is asked of it.",
        "A function deletes the endpoint when its role names sagemaker:DeleteEndpoint.",
    ),
)
def endpoint_is_deleted(machine: Node) -> Iterator[Verdict]:
    """Follow every path from each createEndpoint."""
    if machine.declared_role == "deployment":
        return
    whole = workflow(machine)
    if whole is None:
        yield from _unread(machine)
        return
    everywhere = list(whole.everywhere())
    for level, created in everywhere:
        if created.calls("createEndpoint") and _is_on_demand(machine, everywhere, level, created):
            yield from _judged(machine, level, created)


def _judged(machine: Node, level: Level, created: State) -> Iterator[Verdict]:
    way = Walk(lambda state: _deletes(state, created)).after(level, created)
    hopeful = Walk(lambda state: state in way.opaque or _deletes(state, created)).after(level, created)
    for leak in (*hopeful.ends, *hopeful.fails):
        yield _left_behind(machine, created, leak)
    if (way.ends or way.fails) and not (hopeful.ends or hopeful.fails):
        hidden = way.opaque[0].body["Resource"]
        told = f"{way.opaque[0].name} calls {hidden.shown}, which may delete the endpoint of {created.name} or not"
        yield unknown(machine, told, path=hidden.path)


def _left_behind(machine: Node, created: State, leak: Leak) -> Verdict:
    told = f"the endpoint of {created.name} is left behind when {leak.state.name} {_HOW[leak.how]}"
    return fails(machine, told, path=leak.state.body.path)


def _is_on_demand(machine: Node, everywhere: list[tuple[Level, State]], level: Level, created: State) -> bool:
    if machine.declared_role == "on-demand" or any(
        _INVOKES.search(state.resource) for _, state in everywhere
    ):
        return True
    way = Walk(lambda state: _deletes(state, created), errors=False).after(level, created)
    name = created.arguments["EndpointName"].identity
    same = [state.arguments["EndpointName"].identity == name for state in way.done]
    return name is not None and not way.ends and bool(same) and all(same)


def _deletes(state: State, created: State) -> bool:
    if state.calls("deleteEndpoint"):
        deleted, made = state.arguments["EndpointName"], created.arguments["EndpointName"]
        return not (deleted.is_literal and made.is_literal and deleted.literal != made.literal)
    if not state.resource:
        return False
    function = started_of(target_of_task(state.body["Resource"], state.arguments))
    role = None if function is None or function.type != FUNCTION else role_of(function["Role"])
    return role is not None and any(
        (action or "").startswith("sagemaker:deleteendpoint")
        for statement in role.allowing("sagemaker:DeleteEndpoint")
        for action in statement.actions
    )


def _unread(machine: Node) -> Iterator[Verdict]:
    body, role = unread_body(machine), role_of(machine["RoleArn"])
    runs = machine.declared_role == "on-demand" or (
        role is not None and role.may("sagemaker:CreateEndpoint") and role.may("sagemaker:InvokeEndpoint")
    )
    if body is not None and runs:
        told = f"{body.path} cannot be read here, so nobody knows whether its endpoint is deleted"
        yield unknown(machine, told, path=body.path)


RULES = (endpoint_is_deleted,)
