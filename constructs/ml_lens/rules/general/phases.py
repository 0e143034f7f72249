"""Rules on keeping the phases of machine learning apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.policies import ROLE
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, Task, training_tasks
from ml_lens.rules.verdicts import Verdict, fails, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

_NAME_IN_ARN = re.compile(r"^arn:.*:role/(?:[^$]*/)?([^/$]+)$")


@rule(
    "GEN-DecoupledTrainingHosting",
    number=69,
    weight=WARNING,
    on="AWS::SageMaker::Model",
    title="Models are hosted with another role than the one they are trained with.",
    why="A hosted model that has the role of training can read the training data and overwrite its own artifacts.",
    fix="Give the model an ExecutionRoleArn of its own, which may read its artifacts and its image and nothing else.",
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  ExecutionRoleArn: !GetAtt HostingRole.Arn
""",
    lens2025="MLREL01-BP02",
    settled=(
        "Training, tuning, processing, AutoML and labeling jobs count; a transform job has no role of its own.",
        "Roles are the same when they are one resource, one name or one reference; where a job's role is open, so is "
        "the answer, unless another job has the model's role for sure.",
        "A model without ExecutionRoleArn is not judged.",
    ),
)
def model_has_a_role_of_its_own(model: Node) -> Iterator[Verdict]:
    """Compare the model's role with the role of every job."""
    own = model["ExecutionRoleArn"]
    if not own:
        return
    mine = _role(own)
    unsure: Value | None = None
    for task, role in _roles_of_jobs(model.graph):
        same = _is_same(own, mine, role, _role(role))
        if same:
            told = (
                f"{own.path} is {own.shown}, the role with which {task.name} of {task.node.logical_id} works"
            )
            yield fails(model, told, path=own.path)
            return
        if same is None and unsure is None:
            unsure = role
    if unsure is not None:
        told = f"{own.path} is {own.shown}, which may be the role of a job in {unsure.node.logical_id}, {unsure.shown}"
        yield unknown(model, told, path=own.path)


RULES = (model_has_a_role_of_its_own,)


def _roles_of_jobs(graph: Graph) -> list[tuple[Task, Value]]:
    """Return each role of a job once, with the first task that has it."""
    found: dict[object, tuple[Task, Value]] = {}
    for task, role in graph.joined("roles of jobs", (STATE_MACHINE, PIPELINE), _roles_of).at(None):
        found.setdefault(role.identity or id(role), (task, role))
    return list(found.values())


def _roles_of(owner: Node) -> Iterator[tuple[None, tuple[Task, Value]]]:
    for task in training_tasks(owner):
        for job in task.jobs:
            if job["RoleArn"]:
                yield None, (task, job["RoleArn"])


def _role(value: Value) -> Node | None:
    return value.node.graph.target(value, ROLE)


def _is_same(own: Value, mine: Node | None, other: Value, others: Node | None) -> bool | None:
    """Tell whether two roles are one; ``None`` where nobody can tell."""
    if mine is not None or others is not None:
        if mine is not None and others is not None:
            return mine is others
        outside = other if mine is not None else own
        return None if outside.is_open and _named(outside) is None else False
    if own.identity is not None and own.identity == other.identity:
        return True
    if not own.is_open and not other.is_open:
        return False
    names = _named(own), _named(other)
    return False if None not in names and names[0] != names[1] else None


def _named(role: Value) -> str | None:
    """Return the name at the end of an ARN, where it is written out."""
    found = _NAME_IN_ARN.match(role.text or "")
    return found[1] if found else None
