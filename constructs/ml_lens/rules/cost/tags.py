"""Rules on whose money is spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.graph import Graph
from ml_lens.rules.rule import APP, WARNING, rule
from ml_lens.rules.verdicts import Verdict, all_of, fails, must_exist, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

BUDGET: Final = "AWS::Budgets::Budget"
# Every type of SageMaker that takes tags.
TAGGABLE: Final = tuple(
    f"AWS::SageMaker::{name}"
    for name in (
        "AIWorkloadConfig",
        "Action",
        "Algorithm",
        "App",
        "AppImageConfig",
        "Artifact",
        "Cluster",
        "ClusterSchedulerConfig",
        "CodeRepository",
        "Context",
        "DataQualityJobDefinition",
        "Device",
        "DeviceFleet",
        "Domain",
        "Endpoint",
        "EndpointConfig",
        "Experiment",
        "ExperimentTrialComponent",
        "FeatureGroup",
        "Hub",
        "HumanTaskUi",
        "Image",
        "InferenceComponent",
        "InferenceExperiment",
        "MlflowApp",
        "MlflowTrackingServer",
        "Model",
        "ModelBiasJobDefinition",
        "ModelCard",
        "ModelExplainabilityJobDefinition",
        "ModelPackage",
        "ModelPackageGroup",
        "ModelQualityJobDefinition",
        "MonitoringSchedule",
        "NotebookInstance",
        "NotebookInstanceLifecycleConfig",
        "PartnerApp",
        "Pipeline",
        "ProcessingJob",
        "Project",
        "Space",
        "StudioLifecycleConfig",
        "TrialComponent",
        "UserProfile",
        "Workforce",
        "Workteam",
    )
)


@rule(
    "COST04-TagsAndBudget",
    number=67,
    weight=WARNING,
    on=(*TAGGABLE, APP),
    title="Machine-learning resources carry cost-allocation tags, and the app has a budget.",
    why="Cost that nobody can attribute is nobody's, and without a budget nobody hears of it in time.",
    fix="Tag the resources of SageMaker, or their whole stack, with project, environment and owner, and add a budget.",
    cloudformation="""
Type: AWS::SageMaker::Model
Properties:
  Tags:
    - {Key: project, Value: churn}
    - {Key: environment, Value: prod}
    - {Key: owner, Value: data-science}
""",
    findings={
        "tags": "A resource lacks a tag by which its cost is attributed.",
        "budget": "The app has resources of SageMaker and no budget.",
    },
    lens2020="Percepção das despesas",
    lens2025=("MLCOST04-BP12", "MLCOST06-BP01"),
    same_as=("SecurityHub:SageMaker.6", "SecurityHub:SageMaker.7"),
    settled=(
        "Every type of SageMaker that takes tags is asked for them.",
        "Tags of the whole stack count, for CloudFormation hands them on.",
        "Keys are compared without regard to case; an empty value is none.",
        "Any budget in the app counts; one that somebody keeps for the account is to be acknowledged.",
    ),
)
def cost_is_attributed(subject: Node | Graph) -> Iterator[Verdict]:
    """Look at the tags of each resource, and for a budget."""
    if isinstance(subject, Graph):
        spending = subject.nodes(*TAGGABLE)
        if spending and not subject.nodes(BUDGET):
            first = min(spending, key=lambda node: (node.scope.key, node.logical_id))
            yield fails(first, "the app has no budget").named("budget")
    else:
        yield _tagged(subject)


def _tagged(node: Node) -> Verdict:
    tags = node["Tags"]
    given = {key.lower(): value for key, value in node.tags.items()}
    of_stack = {
        key.lower() for scope in node.scope.ancestors for key, value in scope.template.tags.items() if value
    }
    missing = [
        key
        for key in node.options.cost_tags
        if key.lower() not in of_stack and (key.lower() not in given or not given[key.lower()])
    ]
    unread = [tags] if tags.is_open else [tag["Key"] for tag in tags.elements if tag["Key"].is_open]
    if missing and unread:
        told = f"{unread[0].path} is {unread[0].shown}, not known here; must have {', '.join(missing)}"
        return unknown(node, told, path=unread[0].path)
    if missing:
        return fails(node, f"carries no tag {', '.join(missing)}", path="Tags").named("tags")
    values = [given[key.lower()] for key in node.options.cost_tags if key.lower() not in of_stack]
    return all_of(passes(node), *(must_exist(value) for value in values))


RULES = (cost_is_attributed,)
