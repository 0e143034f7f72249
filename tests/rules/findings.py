"""Findings and rules to report on, made by hand."""

from pathlib import Path
from typing import Any

from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.rule import ERROR, PRODUCTION_ERROR, WARNING, Rule, rule


def finding(name: str = "SEC02-NotebookNoRoot", aspect: str | None = None, **fields: Any) -> Finding:
    values: dict[str, Any] = {
        "rule": f"MLLens-{name}",
        "finding": aspect,
        "level": Level.ERROR,
        "resource": "Notebook",
        "template": "Lab.template.json",
        "message": "RootAccess is Enabled",
        "fix": "RootAccess: Disabled",
        "references": ("lens2020:MLSEC 02", "lens2025:MLSEC04-BP01", "SecurityHub:SageMaker.3"),
        "path": "RootAccess",
        "construct_path": "Lab/Notebook/Resource",
        "source": Path("cdk.out") / str(fields.get("template", "Lab.template.json")),
    }
    return Finding(**(values | fields))


def _silent(_: Any) -> None:
    return None


NO_ROOT: Rule = rule(
    "SEC02-NotebookNoRoot",
    number=1,
    weight=ERROR,
    on="AWS::SageMaker::NotebookInstance",
    title="Users of a notebook have no root.",
    why="A notebook user with root controls the instance and its credentials, and sagemaker:* with it.",
    fix="RootAccess: Disabled",
    cloudformation="Type: AWS::SageMaker::NotebookInstance\nProperties:\n  RootAccess: Disabled",
    construct="SecureNotebook",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    same_as=("SecurityHub:SageMaker.3", "checkov:CKV_AWS_307"),
)(_silent)
SCALES: Rule = rule(
    "REL03-EndpointAutoScaling",
    number=2,
    weight=PRODUCTION_ERROR,
    on=("AWS::SageMaker::Endpoint", "AWS::SageMaker::EndpointConfig"),
    title="Every variant scales.",
    why="Load changes.",
    fix="A ScalableTarget and a ScalingPolicy.",
    cloudformation="Type: AWS::ApplicationAutoScaling::ScalableTarget",
    findings={"target": "no ScalableTarget | nothing to scale", "policy": "no ScalingPolicy"},
    lens2020=("MLREL 03", "MLPER 02"),
    settled=("Serverless variants scale by themselves.",),
)(_silent)
BUDGET: Rule = rule(
    "COST04-TagsAndBudget",
    number=3,
    weight=WARNING,
    on="the whole app",
    title="Costs have an owner and a budget.",
    why="Who does not see costs cannot lower them.",
    fix="Tags, and a Budget.",
    cloudformation="Type: AWS::Budgets::Budget",
    findings={"tags": "a tag is missing", "budget": "there is no budget"},
)(_silent)
RULES = (NO_ROOT, SCALES, BUDGET)
