"""What the roles of the app are used for: work in notebooks, jobs, pipelines, deployments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.attachments import ROLE, named
from ml_lens.rules.functions import FUNCTION
from ml_lens.rules.startable import CODE_PIPELINE, started_of
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, training_tasks

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

# Where each resource in which people work names the role that it gives them.
_WORKPLACES: Final = {
    "AWS::SageMaker::NotebookInstance": ("RoleArn",),
    "AWS::SageMaker::Domain": ("DefaultUserSettings.ExecutionRole", "DefaultSpaceSettings.ExecutionRole"),
    "AWS::SageMaker::UserProfile": ("UserSettings.ExecutionRole",),
    "AWS::SageMaker::Space": ("SpaceSettings.ExecutionRole",),
}
_BUILD: Final = "AWS::CodeBuild::Project"
_PIPELINES: Final = (CODE_PIPELINE, _BUILD, PIPELINE, STATE_MACHINE)
# A function of the CDK that calls the handler of a custom resource names it in its environment.
_HANDLERS: Final = ("USER_ON_EVENT_FUNCTION_ARN", "USER_IS_COMPLETE_FUNCTION_ARN")
_CUSTOM_RESOURCE: Final = "AWS::CloudFormation::CustomResource"


def is_workplace(role: Node) -> bool:
    """Whether people work with a role, in a notebook or in Studio."""
    return _has(role, "workplaces", _WORKPLACES, _workplaces)


def runs_jobs(role: Node) -> bool:
    """Whether a training task of the app gives a role to its job."""
    return _has(role, "roles of training jobs", (STATE_MACHINE, PIPELINE), _jobs)


def runs_pipeline(role: Node) -> bool:
    """Whether a role is that of a pipeline, a build, or a state machine that trains."""
    return _has(role, "roles of pipelines", _PIPELINES, _pipelines)


def runs_sagemaker_pipeline(role: Node) -> bool:
    """Whether a role is that of a pipeline of SageMaker."""
    return _has(role, "roles of SageMaker pipelines", (PIPELINE,), lambda node: [node["RoleArn"]])


def deploys_with_the_stack(role: Node) -> bool:
    """Whether a role is that of a function which answers for a custom resource, as part of a deployment."""
    types = (kind for kind in role.graph.types if kind == _CUSTOM_RESOURCE or kind.startswith("Custom::"))
    return _has(role, "roles of custom resources", types, _handlers)


def _has(
    role: Node, question: str, types: Iterable[str], named_by: Callable[[Node], Iterable[Value]]
) -> bool:
    """Whether a resource of one of ``types`` names the role where ``named_by`` looks."""

    def pairs(node: Node) -> Iterator[tuple[Node | None, bool]]:
        return ((named(value, ROLE), True) for value in named_by(node))

    return role.graph.joined(question, types, pairs).has(role)


def _workplaces(node: Node) -> Iterator[Value]:
    for path in _WORKPLACES[node.type]:
        value = node.properties
        for name in path.split("."):
            value = value[name]
        yield value


def _jobs(node: Node) -> Iterator[Value]:
    for task in training_tasks(node):
        for job in task.jobs:
            yield job["RoleArn"]


def _pipelines(node: Node) -> Iterator[Value]:
    if node.type == _BUILD:
        yield node["ServiceRole"]
    elif node.type != STATE_MACHINE or training_tasks(node):
        yield node["RoleArn"]
    for stage in node["Stages"].elements if node.type == CODE_PIPELINE else ():
        for action in stage["Actions"].elements:
            yield action["RoleArn"]


def _handlers(custom_resource: Node) -> Iterator[Value]:
    waiting = [custom_resource["ServiceToken"]]
    known: set[Node] = set()
    while waiting:
        function = started_of(waiting.pop())
        if function is None or function.type != FUNCTION or function in known:
            continue
        known.add(function)
        yield function["Role"]
        waiting += [function["Environment"]["Variables"][name] for name in _HANDLERS]
