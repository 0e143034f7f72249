"""What others can start: state machines, pipelines, functions, and the topics and queues in between."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from ml_lens.rules.graph import PHYSICAL_NAMES
from ml_lens.rules.policies import role_of
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

FUNCTION: Final = "AWS::Lambda::Function"
TOPIC: Final = "AWS::SNS::Topic"
QUEUE: Final = "AWS::SQS::Queue"
CODE_PIPELINE: Final = "AWS::CodePipeline::Pipeline"
STARTED: Final = (STATE_MACHINE, PIPELINE, FUNCTION, TOPIC, QUEUE, CODE_PIPELINE)
_STAND_INS: Final = {
    "AWS::Lambda::Alias": "FunctionName",
    "AWS::Lambda::Version": "FunctionName",
    "AWS::StepFunctions::StateMachineVersion": "StateMachineArn",
}
_MACHINE_ALIAS: Final = "AWS::StepFunctions::StateMachineAlias"
_RIGHTS: Final = {
    "states:StartExecution": STATE_MACHINE,
    "states:StartSyncExecution": STATE_MACHINE,
    "sagemaker:StartPipelineExecution": PIPELINE,
}


def started_of(value: Value) -> Node | None:
    """Return what ``value`` names, also by alias, ARN or name; ``None`` for the rest of the world."""
    graph = value.node.graph
    for node in value.references:
        found = _behind(node)
        if found is not None:
            return found
    text = value.text
    if text is None or value.references:
        return None
    names = graph.joined("started by name", (*STARTED,), _own_name)
    return names.last(value.identity) or names.last(last_name(text))


def started_by_role(node: Node, role: Value) -> list[Node]:
    """Return the machines and pipelines that ``node`` may start with its role."""
    held = role_of(role)
    if held is None:
        return []
    found: dict[Node, None] = {}
    for api, kind in _RIGHTS.items():
        for statement in held.allowing(api):
            if statement.except_resources:
                found.update(dict.fromkeys(node.graph.nodes(kind)))
            for resource in () if statement.except_resources else statement.resources:
                found.update(dict.fromkeys(_meant(resource, kind)))
    return list(found)


def last_name(text: str) -> str:
    """Return the name at the end of an ARN, or a name as it is."""
    return text.rsplit(":", 1)[-1].rsplit("/", 1)[-1] if text.startswith("arn:") else text


def _meant(resource: Value, kind: str) -> list[Node]:
    """Return the machines or pipelines that a resource of a statement names."""
    node = started_of(resource)
    if node is not None:
        return [node] if node.type == kind else []
    pattern = last_name(resource.text or "")
    if "*" not in pattern:
        return []
    return [
        each
        for each in resource.node.graph.nodes(kind)
        if pattern == "*" or fnmatchcase(str(each[PHYSICAL_NAMES[kind]].literal or ""), pattern)
    ]


def _behind(node: Node) -> Node | None:
    """Return the function or machine behind an alias or a version, or the node itself if it can be started."""
    if node.type in STARTED:
        return node
    if node.type in _STAND_INS:
        return started_of(node[_STAND_INS[node.type]])
    if node.type == _MACHINE_ALIAS:
        routes = node["RoutingConfiguration"].elements
        return started_of(routes[0]["StateMachineVersionArn"]) if routes else None
    return None


def _own_name(node: Node) -> Iterator[tuple[object, Node]]:
    name = node[PHYSICAL_NAMES.get(node.type, "Name")]
    if name and name.identity is not None:
        yield name.identity, node
