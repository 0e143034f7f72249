"""The rule on who gets the address of a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.policies import (
    IDENTITY_POLICIES,
    Condition,
    Statement,
    holders,
    is_only_boundary,
    statements_of,
)
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.security.access import BOUNDARIES, WHOLESALE
from ml_lens.rules.statements import doubt, objection
from ml_lens.rules.verdicts import Verdict

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

_URLS: Final = ("sagemaker:CreatePresignedNotebookInstanceUrl", "sagemaker:CreatePresignedDomainUrl")
_PLACES: Final = ("aws:sourcevpce", "aws:sourcevpc", "aws:vpcsourceip", "aws:sourceip")
_EVERYWHERE: Final = ("*", "0.0.0.0/0", "::/0")
_ON_BEHALF: Final = ("aws:viaawsservice", "aws:principalisawsservice")


@rule(
    "SEC01-NotebookUrlFromVpcOnly",
    number=5,
    weight=WARNING,
    on=IDENTITY_POLICIES,
    title="The address of a notebook is given only to those who ask from inside the network.",
    why="Whoever has the presigned address of a notebook is in it, with all that its role may do.",
    fix="Add a condition on aws:SourceVpce, aws:SourceVpc, aws:VpcSourceIp or aws:SourceIp to the statement, or a "
    "Deny for every other place.",
    cloudformation="""
Type: AWS::IAM::Policy
Properties:
  PolicyName: opens-notebooks
  Roles: [!Ref DataScientists]
  PolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Action: sagemaker:CreatePresignedNotebookInstanceUrl
        Resource: !Ref Notebook
        Condition:
          StringEquals:
            aws:SourceVpce: !Ref SageMakerApiEndpoint
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    settled=(
        "Wildcard actions that cover the two calls count, sagemaker:* included.",
        WHOLESALE,
        "A condition counts when it fails for a request that tells no place: IfExists and ForAllValues do not count, "
        "nor does one that lets every address pass.",
        "A Deny counts when it denies the same call to every role that has the statement, on the same resources or "
        "on all, with no other condition than on the place and on calls by AWS services.",
        BOUNDARIES,
    ),
)
def notebook_urls_stay_inside(node: Node) -> Iterator[Verdict]:
    """Look for addresses that are given to any place."""
    if is_only_boundary(node):
        return
    for statement in statements_of(node):
        if not statement.allows or statement.is_wholesale or _is_limited_to_places(statement):
            continue
        open_to = [
            api for api in _URLS if statement.covers(api) and not _is_denied_outside(node, statement, api)
        ]
        if open_to:
            told = f"allows {', '.join(open_to)} from any place"
            yield objection(statement, told, at=f"{statement.body.path}.Condition")
        elif statement.open_action is not None and statement.unlimited_resources:
            yield doubt(statement, "may give the addresses of notebooks to any place", statement.open_action)


def _is_limited_to_places(statement: Statement) -> bool:
    return any(_limits_place(condition) for condition in statement.conditions)


def _limits_place(condition: Condition) -> bool:
    if condition.key not in _PLACES or condition.holds_without_key:
        return False
    if condition.comparison == "null":
        return condition.says("false")
    return not condition.is_negated and not any(value.text in _EVERYWHERE for value in condition.values)


def _is_denied_outside(node: Node, statement: Statement, api: str) -> bool:
    denying = [held_by.denying(api) for held_by in holders(node)]
    denying = denying or [[each for each in statements_of(node) if not each.allows and each.covers(api)]]
    return all(any(_denies_outside(denial, statement) for denial in denials) for denials in denying)


def _denies_outside(denial: Statement, statement: Statement) -> bool:
    limits = [condition for condition in denial.conditions if condition.key not in _ON_BEHALF]
    if not all(condition.key in _PLACES and condition.holds_without_key for condition in limits):
        return False
    if denial.except_resources:
        return False
    named = {resource.identity for resource in denial.resources}
    wanted = {resource.identity for resource in statement.resources}
    return bool(denial.unlimited_resources) or (not statement.except_resources and wanted <= named)


RULES = (notebook_urls_stay_inside,)
