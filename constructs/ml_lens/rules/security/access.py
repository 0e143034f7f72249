"""Rules on what roles may do with SageMaker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.functions import INVOCATIONS
from ml_lens.rules.policies import (
    IDENTITY_POLICIES,
    PRINCIPALS,
    Condition,
    Role,
    Statement,
    holders,
    is_only_boundary,
    role,
    statements_of,
)
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.statements import doubt, objection
from ml_lens.rules.verdicts import Verdict, fails

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_TOO_WIDE_IN_SCOPE: Final = ("AdministratorAccess", "PowerUserAccess")
_TOO_WIDE: Final = ("AmazonSageMakerFullAccess", *_TOO_WIDE_IN_SCOPE)
BOUNDARIES: Final = (
    "A managed policy that is only a permissions boundary gives nobody anything, and is not judged."
)
WHOLESALE: Final = (
    "Every action of every service on everything is told by SEC01-LeastPrivilege, and not again here."
)
_COMPARES: Final = ("stringequals", "stringequalsignorecase", "stringlike")


@rule(
    "SEC01-LeastPrivilege",
    number=1,
    weight=ERROR,
    on=IDENTITY_POLICIES,
    title="Roles of machine learning have the rights of one phase, each named.",
    why="A role with every right of SageMaker can read any data, change any model and pass any role.",
    fix="Replace AWS managed policies by statements with named actions and resources, and give iam:PassRole one "
    "role and a condition on iam:PassedToService.",
    cloudformation="""
Type: AWS::IAM::Policy
Properties:
  PolicyName: starts-training
  Roles: [!Ref TrainingWorkflowRole]
  PolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Action: [sagemaker:CreateTrainingJob, sagemaker:StopTrainingJob]
        Resource: !Sub arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:training-job/churn-*
      - Effect: Allow
        Action: iam:PassRole
        Resource: !GetAtt TrainingRole.Arn
        Condition:
          StringEquals:
            iam:PassedToService: sagemaker.amazonaws.com
""",
    findings={
        "managedPolicy": "The role has a managed policy of AWS that allows far more than a phase needs.",
        "wildcardAction": "A statement allows every action, or every one that creates, on everything.",
        "passRole": "A statement lets any role be passed, or passes a role to any service.",
    },
    lens2020="MLSEC 01",
    lens2025="MLSEC03-BP01",
    same_as=(
        "SecurityHub:IAM.21",
        "cdk-nag:AwsSolutions-IAM4",
        "cdk-nag:AwsSolutions-IAM5",
        "checkov:CKV2_AWS_68",
    ),
    settled=(
        "A role is one of machine learning when SageMaker trusts it or a statement allows it an action of SageMaker; "
        "users, groups and permission sets are judged like roles.",
        "AmazonSageMakerFullAccess is reported on any role; AdministratorAccess and PowerUserAccess on roles of "
        "machine learning.",
        "A condition does not make a wildcard action narrow.",
        "NotAction counts as every action, unless it leaves out what creates; NotResource counts as everything.",
        "iam:PassRole on role/* is as broad as on everything; a path or a name before the wildcard is narrow.",
        "A wildcard for everything is told once, and not again as iam:PassRole.",
        "A managed policy that is given by a reference to something outside the run is not judged.",
        BOUNDARIES,
    ),
)
def privilege_is_least(node: Node) -> Iterator[Verdict]:
    """Look at the managed policies of a role, and at each statement of a policy."""
    if node.type in PRINCIPALS:
        yield from _managed_policies_are_narrow(role(node))
    held = statements_of(node)
    if not held or is_only_boundary(node):
        return
    learns = any(_names_sagemaker(statement) for statement in held)
    if learns or any(_is_of_machine_learning(holder) for holder in holders(node)):
        for statement in held:
            if statement.allows:
                yield from _is_narrow(statement)


def _managed_policies_are_narrow(held_by: Role) -> Iterator[Verdict]:
    for name, arn in held_by.policies_of_aws.items():
        if name in _TOO_WIDE and (name not in _TOO_WIDE_IN_SCOPE or _is_of_machine_learning(held_by)):
            told = f"has {name}, which allows far more than one phase needs"
            yield fails(held_by.node, told, path=arn.path).named("managedPolicy")


def _is_of_machine_learning(held_by: Role) -> bool:
    return (
        held_by.trusts("sagemaker")
        or any(_names_sagemaker(statement) for statement in held_by.statements)
        or "AmazonSageMakerFullAccess" in held_by.policies_of_aws
    )


def _names_sagemaker(statement: Statement) -> bool:
    return statement.allows and statement.names_service("sagemaker")


def _is_narrow(statement: Statement) -> Iterator[Verdict]:
    everything = statement.unlimited_resources
    if everything and statement.covers_all("sagemaker:Create"):
        told = f"allows {_actions(statement)} on {_where(statement, everything)}"
        yield objection(statement, told, at=statement.actions_path).named("wildcardAction")
    elif everything and statement.open_action is not None:
        yield doubt(
            statement, f"may allow every action on {_where(statement, everything)}", statement.open_action
        )
    if not statement.except_actions and statement.covers_apart("iam:PassRole"):
        yield from _passes_one_role(statement)


def _passes_one_role(statement: Statement) -> Iterator[Verdict]:
    broad = statement.broad_resources("role")
    if broad:
        told = f"allows iam:PassRole on {_where(statement, broad)}"
        yield objection(statement, told, at=broad[0].path).named("passRole")
    if not any(_names_a_service(condition) for condition in statement.condition("iam:PassedToService")):
        told = "allows iam:PassRole without a condition on iam:PassedToService"
        yield objection(statement, told, at=f"{statement.body.path}.Condition").named("passRole")


def _names_a_service(condition: Condition) -> bool:
    return condition.comparison in _COMPARES and not any(value.text == "*" for value in condition.values)


def _where(statement: Statement, broad: list[Value]) -> str:
    return "everything except what NotResource names" if statement.except_resources else broad[0].shown


def _actions(statement: Statement) -> str:
    if statement.except_actions:
        return "everything except what NotAction names"
    wide = [action.text or "" for action in statement.body["Action"].elements]
    return next((action for action in wide if action.endswith("*")), ", ".join(wide))


@rule(
    "SEC01-InvokeEndpointScoped",
    number=2,
    weight=ERROR,
    on=IDENTITY_POLICIES,
    title="Whoever may invoke an endpoint may invoke named endpoints only.",
    why="A right to invoke every endpoint opens each new model to callers that were never meant to have it.",
    fix="Name the endpoints in Resource: the Ref of an endpoint is its ARN; or give a name before the wildcard.",
    cloudformation="""
Type: AWS::IAM::Policy
Properties:
  PolicyName: invokes-churn
  Roles: [!Ref FrontRole]
  PolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Action: sagemaker:InvokeEndpoint
        Resource: !Ref ChurnEndpoint
""",
    lens2020=("MLSEC 01", "MLSEC 03"),
    lens2025="MLSEC06-BP01",
    settled=(
        "A wildcard action that covers invocations counts, sagemaker:* included.",
        WHOLESALE,
        "endpoint/churn-* is narrow, endpoint/* is not; a reference to anything counts as named.",
        "A condition on aws:ResourceTag narrows a wildcard, as it names the endpoints by their tags.",
        "NotResource counts as everything.",
        BOUNDARIES,
    ),
)
def invocations_are_scoped(node: Node) -> Iterator[Verdict]:
    """Look for invocations of every endpoint."""
    if is_only_boundary(node):
        return
    for statement in statements_of(node):
        broad = statement.broad_resources("endpoint") if statement.allows else []
        if not broad or statement.is_wholesale or _is_limited_by_tag(statement):
            continue
        if statement.covers(*INVOCATIONS):
            yield objection(
                statement, f"allows sagemaker:InvokeEndpoint on {_where(statement, broad)}", at=broad[0].path
            )
        elif statement.open_action is not None:
            told = f"may allow sagemaker:InvokeEndpoint on {_where(statement, broad)}"
            yield doubt(statement, told, statement.open_action)


def _is_limited_by_tag(statement: Statement) -> bool:
    return any(
        condition.comparison in _COMPARES and not condition.holds_without_key
        for condition in statement.condition("aws:ResourceTag/")
    )


RULES = (privilege_is_least, invocations_are_scoped)
