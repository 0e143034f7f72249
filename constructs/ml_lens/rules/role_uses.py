"""What the roles of the app are used for: work in notebooks, jobs, pipelines, deployments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.functions import FUNCTION
from ml_lens.rules.policies import role_of
from ml_lens.rules.startable import CODE_PIPELINE, started_of
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, all_training_tasks, training_tasks

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

# Where each resource in which people work names the role that it gives them.
_WORKPLACES: Final = {
    "AWS::SageMaker::NotebookInstance": ("RoleArn",),
    "AWS::SageMaker::Domain": ("DefaultUserSettings.ExecutionRole", "DefaultSpaceSettings.ExecutionRole"),
    "AWS::SageMaker::UserProfile": ("UserSettings.ExecutionRole",),
    "AWS::SageMaker::Space": ("SpaceSettings.ExecutionRole",),
}
# A function of the CDK that calls the handler of a custom resource names it in its environment.
_HANDLERS: Final = ("USER_ON_EVENT_FUNCTION_ARN", "USER_IS_COMPLETE_FUNCTION_ARN")
_CUSTOM_RESOURCE: Final = "AWS::CloudFormation::CustomResource"


def is_workplace(role: Node) -> bool:
    """Whether people work with a role, in a notebook or in Studio."""
    return role in _of(role.graph, "workplaces", _workplaces)


def runs_jobs(role: Node) -> bool:
    """Whether a training task of the app gives a role to its job."""
    return role in _of(role.graph, "roles of training jobs", _jobs)


def runs_pipeline(role: Node) -> bool:
    """Whether a role is that of a pipeline, a build, or a state machine that trains."""
    return role in _of(role.graph, "roles of pipelines", _pipelines)


def runs_sagemaker_pipeline(role: Node) -> bool:
    """Whether a role is that of a pipeline of SageMaker."""
    return role in _of(
        role.graph,
        "roles of SageMaker pipelines",
        lambda graph: (node["RoleArn"] for node in graph.nodes(PIPELINE)),
    )


def deploys_with_the_stack(role: Node) -> bool:
    """Whether a role is that of a function which answers for a custom resource, as part of a deployment."""
    return role in _of(role.graph, "roles of custom resources", _custom_resources)


def _of(graph: Graph, question: str, named: Callable[[Graph], Iterable[Value]]) -> set[Node]:
    return graph.once(
        question,
        lambda: {role.node for role in (role_of(value) for value in named(graph)) if role is not None},
    )


def _workplaces(graph: Graph) -> Iterator[Value]:
    for kind, paths in _WORKPLACES.items():
        for node in graph.nodes(kind):
            for path in paths:
                value = node.properties
                for name in path.split("."):
                    value = value[name]
                yield value


def _jobs(graph: Graph) -> Iterator[Value]:
    for task in all_training_tasks(graph):
        for job in task.jobs:
            yield job["RoleArn"]


def _pipelines(graph: Graph) -> Iterator[Value]:
    for pipeline in graph.nodes(CODE_PIPELINE):
        yield pipeline["RoleArn"]
        for stage in pipeline["Stages"].elements:
            for action in stage["Actions"].elements:
                yield action["RoleArn"]
    for build in graph.nodes("AWS::CodeBuild::Project"):
        yield build["ServiceRole"]
    for node in graph.nodes(PIPELINE):
        yield node["RoleArn"]
    for machine in graph.nodes(STATE_MACHINE):
        if training_tasks(machine):
            yield machine["RoleArn"]


def _custom_resources(graph: Graph) -> Iterator[Value]:
    waiting = [node["ServiceToken"] for node in graph.all_nodes if _is_custom(node)]
    known: set[Node] = set()
    while waiting:
        function = started_of(waiting.pop())
        if function is None or function.type != FUNCTION or function in known:
            continue
        known.add(function)
        yield function["Role"]
        waiting += [function["Environment"]["Variables"][name] for name in _HANDLERS]


def _is_custom(node: Node) -> bool:
    return node.type == _CUSTOM_RESOURCE or node.type.startswith("Custom::")
