"""The rule on what people may start from a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.policies import (
    IDENTITY_POLICIES,
    ROLE,
    Condition,
    Role,
    Statement,
    holders,
    is_only_boundary,
    statements_of,
)
from ml_lens.rules.role_uses import is_workplace
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.security.access import BOUNDARIES, WHOLESALE
from ml_lens.rules.statements import doubt, objection
from ml_lens.rules.verdicts import Verdict

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_KINDS: Final = {
    "sagemaker:CreateTrainingJob": "training-job",
    "sagemaker:CreateHyperParameterTuningJob": "hyper-parameter-tuning-job",
    "sagemaker:CreateProcessingJob": "processing-job",
    "sagemaker:CreateTransformJob": "transform-job",
    "sagemaker:CreateAutoMLJob": "automl-job",
    "sagemaker:CreateAutoMLJobV2": "automl-job",
    "sagemaker:CreateModel": "model",
}
_TRANSFORM: Final = "sagemaker:CreateTransformJob"
_MODEL: Final = "sagemaker:CreateModel"


@dataclass(frozen=True)
class _Guard:
    """What a request has to say, and how conditions demand it.

    Attributes:
        part: The aspect of the rule.
        key: The condition key, in lower case.
        not_for: The calls that have no such property.
        allows: Whether a condition of an Allow demands it.
        denies: Whether a condition of a Deny refuses what lacks it.
        problem: What is wrong without it.
    """

    part: str
    key: str
    not_for: tuple[str, ...]
    allows: Callable[[Condition], bool]
    denies: Callable[[Condition], bool]
    problem: str


def _demands_key(condition: Condition) -> bool:
    if condition.comparison == "null":
        return condition.says("false")
    return not condition.holds_without_key and not condition.is_negated


def _refuses_absence(condition: Condition) -> bool:
    return condition.holds_without_key and (condition.comparison == "null" or condition.is_negated)


def _demands_true(condition: Condition) -> bool:
    return not condition.holds_without_key and _equals(condition) and condition.says("true")


def _refuses_false(condition: Condition) -> bool:
    if condition.is_negated:
        return condition.says("true")
    return _equals(condition) and condition.says("false")


def _equals(condition: Condition) -> bool:
    return condition.comparison in ("bool", "stringequals", "stringequalsignorecase", "stringlike")


_GUARDS: Final = (
    _Guard(
        "vpc",
        "sagemaker:vpcsubnets",
        (_TRANSFORM,),
        _demands_key,
        _refuses_absence,
        "outside a network of yours",
    ),
    _Guard(
        "kms",
        "sagemaker:volumekmskey",
        (_MODEL,),
        _demands_key,
        _refuses_absence,
        "on a volume without a key of yours",
    ),
    _Guard(
        "interContainer",
        "sagemaker:intercontainertrafficencryption",
        (_TRANSFORM, _MODEL),
        _demands_true,
        _refuses_false,
        "without encryption between its instances",
    ),
)


@rule(
    "SEC02-JobCreationGuardrails",
    number=16,
    weight=ERROR,
    on=IDENTITY_POLICIES,
    title="What people start from a notebook runs in the network and is encrypted, or is refused.",
    why="Code in a notebook starts jobs that no template describes; only IAM can hold them to the same bar.",
    fix="Condition the statement on sagemaker:VpcSubnets and sagemaker:VolumeKmsKey (Null false) and on "
    "sagemaker:InterContainerTrafficEncryption (Bool true), or deny what lacks them.",
    cloudformation="""
Type: AWS::IAM::Policy
Properties:
  PolicyName: experiments
  Roles: [!Ref NotebookRole]
  PolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Action: sagemaker:CreateTrainingJob
        Resource: !Sub arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:training-job/lab-*
        Condition:
          "Null":
            sagemaker:VpcSubnets: "false"
            sagemaker:VolumeKmsKey: "false"
          Bool:
            sagemaker:InterContainerTrafficEncryption: "true"
""",
    findings={
        "vpc": "Jobs or models may be created outside a network of yours.",
        "kms": "Jobs may be created on volumes without a key of yours.",
        "interContainer": "Jobs may be created that do not encrypt between their instances.",
    },
    lens2020=("MLSEC 01", "MLSEC 02"),
    lens2025=("MLSEC03-BP01", "MLSEC04-BP01"),
    settled=(
        "People work with a role that accounts, SAML or OIDC may take, or that a notebook, a domain, a user profile "
        "or a space gives them; users, groups and permission sets are people. A role of another account, named by its "
        "ARN, is a machine, unless single sign-on made it.",
        "Only what the call has is asked for: transform jobs have a volume key and no network, models have a network "
        "and no key; neither encrypts between instances.",
        "A condition of an Allow counts when it fails for a request without the key: IfExists and ForAllValues do "
        "not count, and Null has to be false.",
        "A Deny counts, also in a permissions boundary, when it covers the call on the same resources or on all and "
        "has no other condition; every role that has the statement needs it.",
        "A policy that nobody of the app has is not judged.",
        "A wildcard action that covers the calls counts, sagemaker:* included.",
        WHOLESALE,
        BOUNDARIES,
    ),
)
def jobs_of_people_are_guarded(node: Node) -> Iterator[Verdict]:
    """Hold each statement that lets people start jobs against each guard."""
    if is_only_boundary(node):
        return
    people = [held_by for held_by in holders(node) if _is_of_people(held_by)]
    for statement in statements_of(node) if people else ():
        if not statement.allows or statement.is_wholesale:
            continue
        for guard in _GUARDS:
            yield from _guarded(statement, guard, people)


def _is_of_people(held_by: Role) -> bool:
    return held_by.node.type != ROLE or held_by.trusts_people or is_workplace(held_by.node)


def _guarded(statement: Statement, guard: _Guard, people: list[Role]) -> Iterator[Verdict]:
    conditions = statement.condition(guard.key)
    if any(guard.allows(condition) for condition in conditions):
        return
    apis = [api for api in _KINDS if api not in guard.not_for]
    open_calls = [api for api in apis if _is_open(statement, api, guard, people)]
    covered = [api for api in open_calls if statement.covers(api)]
    told = f"lets people run {', '.join(api.split(':')[1] for api in covered)} {guard.problem}"
    hidden = _open_value(statement, guard, people)
    if covered and hidden is not None:
        yield doubt(statement, told, hidden)
    elif covered:
        yield objection(statement, told, at=f"{statement.body.path}.Condition").named(guard.part)
    elif open_calls and statement.open_action is not None and statement.unlimited_resources:
        yield doubt(statement, f"may let people start jobs {guard.problem}", statement.open_action)


def _is_open(statement: Statement, api: str, guard: _Guard, people: list[Role]) -> bool:
    """Whether some holder of a statement is not kept from an unguarded request."""
    if not statement.may_name(_KINDS[api]):
        return False
    return any(
        not held_by.refuses(api)
        and not any(_holds_back(each, statement, api, guard) for each in held_by.denying(api))
        for held_by in people
    )


def _holds_back(denial: Statement, statement: Statement, api: str, guard: _Guard) -> bool:
    if denial.except_resources or len(denial.conditions) != 1:
        return False
    condition = denial.conditions[0]
    return (
        condition.key == guard.key and guard.denies(condition) and _covers_resources(denial, statement, api)
    )


def _covers_resources(denial: Statement, statement: Statement, api: str) -> bool:
    if denial.broad_resources(_KINDS[api]):
        return True
    named = {resource.identity for resource in denial.resources}
    return not statement.except_resources and {each.identity for each in statement.resources} <= named


def _open_value(statement: Statement, guard: _Guard, people: list[Role]) -> Value | None:
    """Return the value of a condition that would decide, where only a deployment knows it."""
    denials = [denial for held_by in people for denial in held_by.denying(*_KINDS)]
    for each in (statement, *denials):
        for condition in each.condition(guard.key):
            if condition.comparison in ("null", "bool") and condition.open_value is not None:
                return condition.open_value
    return None


RULES = (jobs_of_people_are_guarded,)
