"""Jobs that no CloudFormation resource stands for: the states and steps that start them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml_lens.rules.bodies import pipeline, state_machine
from ml_lens.rules.resolved import Followed, Opaque
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import Verdict, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.options import Options

STATE_MACHINE: Final = "AWS::StepFunctions::StateMachine"
PIPELINE: Final = "AWS::SageMaker::Pipeline"
# The folder of a stage of the CDK, whose assets lie in the folder of the app.
_STAGE: Final = "assembly-"
_JOB: Final = re.compile(
    r"states:::(?:aws-sdk:)?sagemaker:create"
    r"(trainingjob|hyperparametertuningjob|processingjob|automljob(?:v2)?|transformjob|labelingjob)\b",
    re.IGNORECASE,
)
_KIND_OF_JOB: Final = {
    "trainingjob": "training",
    "hyperparametertuningjob": "tuning",
    "processingjob": "processing",
    "automljob": "automl",
    "automljobv2": "automl",
    "transformjob": "transform",
    "labelingjob": "labeling",
}
_KIND_OF_STEP: Final = {
    "Training": "training",
    "Tuning": "tuning",
    "Processing": "processing",
    "Transform": "transform",
    "AutoML": "automl",
}


@dataclass(frozen=True)
class State:
    """One state of a state machine, at any depth.

    Attributes:
        node: The state machine.
        name: The name of the state.
        body: The state.
        siblings: The ``States`` object that holds it: where its ``Next`` points.
    """

    node: Node
    name: str
    body: Value
    siblings: Value

    @property
    def resource(self) -> str:
        """What a task calls; empty for states of other types."""
        return self.body["Resource"].text or ""

    @property
    def arguments(self) -> Value:
        """What a task passes: ``Arguments`` in JSONata, ``Parameters`` in JSONPath, and without them its input."""
        for name in ("Arguments", "Parameters"):
            if self.body[name]:
                return self.body[name]
        given = Followed(Opaque("the input of the state"))
        return Value(self.node, given, self.body.scope, f"{self.body.path}.Parameters")

    def calls(self, api: str) -> bool:
        """Whether the task calls an API of SageMaker, ``createEndpoint``, in either way of integrating."""
        return re.search(rf"sagemaker:{api}(?:\.|$)", self.resource, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Task:
    """A state or a step that starts a job.

    Attributes:
        node: The state machine or the pipeline.
        name: The name of the state or step.
        kind: ``training``, ``tuning``, ``processing``, ``transform``, ``automl`` or ``labeling``.
        arguments: The request that it makes.
    """

    node: Node
    name: str
    kind: str
    arguments: Value

    def __getitem__(self, name: str) -> Value:
        """Return a member of the request."""
        return self.arguments[name]

    @property
    def graph(self) -> Graph:
        """The graph that the task is part of."""
        return self.node.graph

    @property
    def options(self) -> Options:
        """The settings of the run."""
        return self.node.options

    @property
    def jobs(self) -> list[Value]:
        """The definitions of the jobs it runs: its own request, or those inside a tuning job's."""
        if self.kind != "tuning":
            return [self.arguments]
        several = self.arguments["TrainingJobDefinitions"].elements
        return several or [self.arguments["TrainingJobDefinition"]]


def about(task: Task, verdict: Verdict) -> Verdict:
    """Return a verdict on a part of a task's request with the name of the task, which its path alone may not tell."""
    return verdict.saying(f"{task.name}: {verdict.message.replace(f'{task.arguments.path}.', '')}")


def open_request(task: Task) -> Verdict | None:
    """Return one open answer for a task whose request is open as a whole."""
    request = task.arguments
    if not request.is_open:
        return None
    told = f"{task.name}: the request is {request.shown}, which the template leaves open"
    return unknown(task.node, told, path=request.path)


def definition(machine: Node) -> Value | None:
    """Return the definition of a state machine, or ``None`` when it cannot be read."""
    return machine.graph.once(("definition", machine.key), lambda: _definition(machine))


def pipeline_definition(node: Node) -> Value | None:
    """Return the definition of a SageMaker pipeline, or ``None`` when it cannot be read."""
    return node.graph.once(("definition", node.key), lambda: _pipeline_definition(node))


def _definition(machine: Node) -> Value | None:
    substitutions = dict(machine["DefinitionSubstitutions"].members)
    for name in ("DefinitionString", "Definition"):
        if machine[name]:
            return state_machine(machine[name], substitutions)
    stored = _stored(machine["DefinitionS3Location"]["Key"], machine)
    return None if stored is None else state_machine(stored, substitutions)


def _pipeline_definition(node: Node) -> Value | None:
    body = node["PipelineDefinition"]
    for name in ("PipelineDefinitionBody", "PipelineDefinitionString"):
        if body[name]:
            return pipeline(body[name])
    if body["PipelineDefinitionS3Location"]:
        stored = _stored(body["PipelineDefinitionS3Location"]["Key"], node)
        return None if stored is None else pipeline(stored)
    return pipeline(body)


def unread_body(node: Node) -> Value | None:
    """Return the property whose body cannot be read, if that is so."""
    if node.type == STATE_MACHINE:
        if definition(node) is not None:
            return None
        names = ("DefinitionString", "Definition", "DefinitionS3Location")
        return next((node[name] for name in names if node[name]), None)
    if pipeline_definition(node) is not None:
        return None
    location = node["PipelineDefinition"]["PipelineDefinitionS3Location"]
    return location if location else node["PipelineDefinition"]


def states(machine: Node) -> list[State]:
    """Return every state of a state machine, those of maps and parallel branches included."""
    return machine.graph.once(("states", machine.key), lambda: _states(machine))


def steps(node: Node) -> list[Value]:
    """Return every step of a SageMaker pipeline, those of conditions included."""
    read = pipeline_definition(node)
    return [] if read is None else list(_steps(read["Steps"], depth=0))


def training_tasks(node: Node) -> list[Task]:
    """Return what a state machine or a pipeline starts."""
    return node.graph.once(("tasks", node.key), lambda: list(_tasks(node)))


def _tasks(node: Node) -> Iterator[Task]:
    if node.type == STATE_MACHINE:
        for state in states(node):
            job = _JOB.search(state.resource)
            if job:
                yield Task(node, state.name, _KIND_OF_JOB[job[1].lower()], state.arguments)
        return
    for step in steps(node):
        kind = _KIND_OF_STEP.get(str(step["Type"].literal))
        if kind:
            yield Task(node, str(step["Name"].text), kind, step["Arguments"])


def _states(machine: Node) -> list[State]:
    read = definition(machine)
    found: list[State] = []
    waiting = [] if read is None else [read]
    while waiting:
        siblings = waiting.pop()["States"]
        for name, body in siblings.members:
            found.append(State(machine, name, body, siblings))
            waiting += [*body["Branches"].elements, body["Iterator"], body["ItemProcessor"]]
    return found


def _steps(listed: Value, *, depth: int) -> Iterator[Value]:
    if not listed.is_list or depth > 20:
        return
    for step in listed.elements:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from _steps(step["Arguments"][branch], depth=depth + 1)


def _stored(key: Value, node: Node) -> Value | None:
    """Return a definition that is an asset of the CDK, which lies beside the template, or beside that of its app."""
    name = str(key.literal).rsplit("/", 1)[-1] if isinstance(key.literal, str) else ""
    if not name or "\\" in name:
        return None
    folder: Path = node.scope.template.path.parent
    folders = [folder]
    while folders[-1].name.startswith(_STAGE):
        folders.append(folders[-1].parent)
    for each in folders:
        try:
            asset = each / f"asset.{name}"
            if asset.is_file():
                text = asset.read_text(encoding="utf-8-sig")
                return Value(node, Followed(text), node.scope, key.path)
        except (OSError, ValueError):
            return None
    return None
