"""Rules on the gates between a change and production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.verdicts import Verdict, fails, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

# Environments that come before production, as teams name stages.
_BEFORE: Final = re.compile(
    r"(?:^|[^a-z])(?:dev(?![^a-z]?ops)|develop(?:ment)?|test(?:ing)?|qa|uat|stag(?:e|ing)|pre-?prod(?:uction)?|non-?prod|beta|gamma"
    r"|sandbox|integ(?:ration)?)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_DEPLOYS: Final = re.compile(r"deploy|release|promot|roll-?out|endpoint", re.IGNORECASE)
# "latest" and "aggregate" evaluate nothing.
_EVALUATES: Final = re.compile(
    r"eval|(?<!la)test|valid|quality|metric|score|check|(?<!re)gate|bench", re.IGNORECASE
)
_LOOKS: Final = re.compile(r"^(?:get|wait|describe|poll)|status", re.IGNORECASE)
_NEW_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_YET: Final = ("CHANGE_SET_REPLACE", "DELETE_ONLY")
_INVOKED: Final = ("Lambda", "StepFunctions")


@dataclass(frozen=True, eq=False)
class _Action:
    """One action of a pipeline, with its place in time."""

    stage: Value
    body: Value
    place: tuple[int, float]

    @property
    def category(self) -> Value:
        return self.body["ActionTypeId"]["Category"]

    @property
    def provider(self) -> str:
        return self.body["ActionTypeId"]["Provider"].text or ""

    @property
    def name(self) -> str:
        return self.body["Name"].text or ""

    @property
    def deploys(self) -> bool:
        """Whether it brings something into an environment that is not one before production."""
        if any(_BEFORE.search(_apart(name)) for name in (self.stage["Name"].text or "", self.name)):
            return False
        if self.category.literal == "Invoke" and self.provider in _INVOKED:
            only_looks = _EVALUATES.search(self.name) or _LOOKS.search(self.name)
            return bool(_DEPLOYS.search(self.name)) and not only_looks
        mode = self.body["Configuration"]["ActionMode"].literal
        return bool(self.category.literal == "Deploy" and mode not in _NOT_YET)

    @property
    def evaluates(self) -> bool:
        """Whether it measures what is to be deployed."""
        if self.category.literal == "Test":
            return True
        named = f"{self.stage['Name'].text} {self.name}"
        return self.category.literal in ("Build", "Invoke") and bool(_EVALUATES.search(named))


@rule(
    "OPS04-PipelineQualityGates",
    number=49,
    weight=ERROR,
    on="AWS::CodePipeline::Pipeline",
    title="Nothing is deployed to production without an evaluation and an approval.",
    why="A model that nobody has measured and nobody has approved is a guess in production.",
    fix=(
        "Put a Test action, or a Build or Invoke action that evaluates, before the deployment, and an Approval action "
        "or a stage condition with OnFailure."
    ),
    cloudformation="""
Type: AWS::CodePipeline::Pipeline
Properties:
  Stages:
    - Name: Evaluate
      Actions:
        - Name: MeasureModel
          ActionTypeId: {Category: Test, Owner: AWS, Provider: CodeBuild, Version: '1'}
    - Name: Approve
      Actions:
        - Name: Approve
          ActionTypeId: {Category: Approval, Owner: AWS, Provider: Manual, Version: '1'}
    - Name: Production
      Actions:
        - Name: Deploy
          ActionTypeId: {Category: Deploy, Owner: AWS, Provider: CloudFormation, Version: '1'}
""",
    findings={
        "metricGate": "A deployment to production is not preceded by an evaluation.",
        "approval": "A deployment to production is preceded neither by an approval nor by an automated gate.",
        "source": "The pipeline has no source.",
    },
    lens2020=("MLOPS 04", "MLREL 02"),
    lens2025=("MLREL03-BP03", "MLREL04-BP02"),
    settled=(
        "A deployment is one to production unless its stage or its action has the name of an environment before it, "
        "such as dev, test, qa, uat, staging or preprod.",
        "Making a change set is not a deployment yet; executing it is.",
        "A function or a state machine deploys when the name of the action says so, and not when it says that it "
        "only looks: get, wait, describe, poll or status.",
        "A Build or Invoke action evaluates when its name, or that of its stage, says so: evaluate, test, validate, "
        "quality, metric, score, check or gate.",
        "An automated gate is an OnFailure that rolls back or fails, or a condition before or after a stage.",
        "In one stage, the actions with a lower RunOrder come first.",
    ),
)
def pipeline_has_gates(pipeline: Node) -> Iterator[Verdict]:
    """Look at each deployment to production, and at what comes before it."""
    stages = pipeline["Stages"]
    if not stages.is_list:
        yield unknown(
            pipeline, f"{stages.path} is {stages.shown}, so its gates are not known", path=stages.path
        )
        return
    actions = list(_actions(stages))
    if not any(action.category.literal == "Source" for action in actions):
        yield _unless_open(fails(pipeline, "no action is a source", path="Stages").named("source"), actions)
    for action in actions:
        if action.deploys:
            before = [earlier for earlier in actions if earlier.place < action.place]
            yield _evaluated(action, before)
            yield _approved(action, before, stages.elements)


def _actions(stages: Value) -> Iterator[_Action]:
    for number, stage in enumerate(stages.elements):
        for body in stage["Actions"].elements:
            order = body["RunOrder"].number
            yield _Action(stage, body, (number, 1 if order is None else order))


def _evaluated(action: _Action, before: list[_Action]) -> Verdict:
    if any(earlier.evaluates for earlier in before):
        return passes(action.body.node)
    told = f"no evaluation comes before {_place(action)}"
    return _unless_open(fails(action.body.node, told, path="Stages").named("metricGate"), before)


def _approved(action: _Action, before: list[_Action], stages: list[Value]) -> Verdict:
    gates = [_opens(stage) for stage in stages[: action.place[0]]]
    if any(earlier.category.literal == "Approval" for earlier in before):
        return passes(action.body.node)
    if any(gates) or _opens(action.stage) or action.stage["BeforeEntry"]["Conditions"]:
        return passes(action.body.node)
    told = f"neither an approval nor an automated gate comes before {_place(action)}"
    return _unless_open(fails(action.body.node, told, path="Stages").named("approval"), before)


def _opens(stage: Value) -> bool:
    """Whether a stage opens the way only when it went well."""
    failing = stage["OnFailure"]
    return bool(
        failing["Conditions"]
        or failing["Result"].literal in ("ROLLBACK", "FAIL")
        or stage["OnSuccess"]["Conditions"]
        or stage["BeforeEntry"]["Conditions"]
    )


def _unless_open(failure: Verdict, actions: list[_Action]) -> Verdict:
    """Leave the answer open when an action may be what is missed."""
    for action in actions:
        if action.category.is_open:
            told = (
                f"{failure.message}, unless {action.name} is one, whose category is {action.category.shown}"
            )
            return unknown(failure.node, told, path=action.category.path)
    return failure


def _apart(name: str) -> str:
    """Return ``Deploy-Staging`` for ``DeployStaging``, as CodePipeline's names are mostly written."""
    return _NEW_WORD.sub("-", name)


def _place(action: _Action) -> str:
    return f"{action.name} in the stage {action.stage['Name'].shown}"


RULES = (pipeline_has_gates,)
