"""The rule on who puts models into production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.policies import ROLE, Role, Statement, role, role_of
from ml_lens.rules.role_uses import is_workplace, runs_pipeline, runs_sagemaker_pipeline
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.verdicts import Verdict, fails, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_DEPLOYMENTS: Final = (
    "sagemaker:CreateEndpoint",
    "sagemaker:UpdateEndpoint",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
    "sagemaker:DeleteEndpoint",
)
# Services that act by what a pipeline, a template or a schedule says; nobody types into them.
_AUTOMATIC: Final = frozenset(
    {
        "codepipeline",
        "codebuild",
        "codedeploy",
        "cloudformation",
        "states",
        "lambda",
        "events",
        "scheduler",
        "pipes",
    }
)
_DECLARED: Final = ("break-glass", "deployment")
# What signs in the jobs of GitHub, GitLab, Bitbucket, CircleCI and Buildkite.
_CI: Final = re.compile(
    r"token\.actions\.githubusercontent\.com|gitlab\.com|api\.bitbucket\.org|oidc\.circleci\.com|agent\.buildkite\.com"
)


@rule(
    "REL02-OnlyPipelineDeploys",
    number=38,
    weight=WARNING,
    on=ROLE,
    title="Only the pipeline creates, changes and deletes endpoints.",
    why="A change that somebody makes by hand is in no repository, has passed no gate, and nobody can roll it back.",
    fix="Let only services of the pipeline take the role, or say that people take it in an emergency: "
    "Metadata.MLLens.Role break-glass.",
    cloudformation="""
Type: AWS::IAM::Role
Properties:
  AssumeRolePolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Action: sts:AssumeRole
        Principal: {Service: codepipeline.amazonaws.com}
""",
    lens2020="MLREL 02",
    lens2025="MLREL04-BP01",
    settled=(
        "Services of the pipeline are CodePipeline, CodeBuild, CodeDeploy, CloudFormation, Step Functions, Lambda, "
        "EventBridge with its scheduler and pipes, and SageMaker for the role of one of its pipelines.",
        "SageMaker is none for other roles: people work with them in notebooks and in Studio.",
        "A role that takes the role is judged by who may take it; the role of an action of CodePipeline counts as "
        "the pipeline.",
        "The build services GitHub, GitLab, Bitbucket, CircleCI and Buildkite count by their OIDC provider.",
        "A role that declares deployment or break-glass is believed.",
        "A wildcard action that covers the calls counts; users are not judged here.",
    ),
)
def only_the_pipeline_deploys(node: Node) -> Iterator[Verdict]:
    """Compare who may take a role that deploys with what a pipeline is made of."""
    held_by = role(node)
    if not held_by.allowing(*_DEPLOYMENTS) or node.declared_role in _DECLARED:
        return
    for others, what in _others(held_by, ()):
        told = f"lets {what.shown} create, change or delete endpoints"
        if others:
            yield fails(node, told, path=what.path)
        else:
            yield unknown(
                node, f"may let somebody else than the pipeline deploy: {what.path} is open", path=what.path
            )


def _others(held_by: Role, asked: tuple[Node, ...]) -> Iterator[tuple[bool, Value]]:
    """Yield who may take a role and is no pipeline, with whether that is sure."""
    for statement in held_by.trust:
        if statement.allows:
            yield from _trusted_services(held_by, statement)
            yield from _trusted_others(held_by, statement, asked)


def _trusted_services(held_by: Role, statement: Statement) -> Iterator[tuple[bool, Value]]:
    principal = statement.principal
    if principal.literal is not None or statement.body["NotPrincipal"]:
        yield True, principal if principal else statement.body["NotPrincipal"]
    elif principal.is_open:
        yield False, principal
    for service in principal["Service"].elements:
        name = (service.text or "").split(".")[0]
        if name in _AUTOMATIC:
            continue
        if name == "sagemaker" and runs_sagemaker_pipeline(held_by.node) and not is_workplace(held_by.node):
            continue
        yield "$" not in name, service


def _trusted_others(
    held_by: Role, statement: Statement, asked: tuple[Node, ...]
) -> Iterator[tuple[bool, Value]]:
    principal = statement.principal
    for provider in principal["Federated"].elements:
        if not _CI.search(provider.text or "") and not _is_ci(provider):
            yield _is_sure(provider), provider
    if runs_pipeline(held_by.node) and not is_workplace(held_by.node):
        return
    for trusted in principal["AWS"].elements:
        other = role_of(trusted)
        if other is None:
            yield _is_sure(trusted), trusted
        elif other.node not in asked and _is_taken_by_others(other, (*asked, held_by.node)):
            yield True, trusted


def _is_taken_by_others(held_by: Role, asked: tuple[Node, ...]) -> bool:
    return held_by.node.declared_role not in _DECLARED and any(True for _ in _others(held_by, asked))


def _is_ci(provider: Value) -> bool:
    node = provider.reference
    return node is not None and _CI.search(node["Url"].text or "") is not None


def _is_sure(value: Value) -> bool:
    """Whether a principal tells what it is: an ARN, of whatever account, or a resource of the app."""
    return not value.is_open or value.reference is not None or "iam::" in (value.text or "")


RULES = (only_the_pipeline_deploys,)
