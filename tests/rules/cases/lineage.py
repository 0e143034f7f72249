"""What a model tells of its origin, and whose role it has."""

from typing import Any

from tests.rules.cases.jobs import AT, AUTOML, STEP, TRAINING, TUNING, app, machine, pipeline, steps_app
from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Case, Change

RULE, APART = "OPS03-ModelPackageMetadata", "GEN-DecoupledTrainingHosting"
PACKAGE: dict[str, Any] = {
    "ModelPackageGroupName": "churn",
    "ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": "s3://models/statistics.json"}}},
    "MetadataProperties": {"CommitId": "4f1c2d9"},
    "CustomerMetadataProperties": {"dataset-version": "7"},
}


def warned(resource: str, path: str, value: Any) -> Change:
    return Change(resource, path, value, None, "warning")


def opened(resource: str, path: str, value: Any, told: str | None = None) -> Change:
    return Change(resource, path, value, f"unresolved:{told or path}", "warning")


def of_package(resource: str, compliant: dict[str, Any], at: str, name: str, unknown: Any) -> Case:
    told = at.replace(".0.", ".")
    return Case(
        RULE,
        compliant,
        (
            warned(resource, f"{at}ModelMetrics", GONE),
            warned(resource, f"{at}MetadataProperties", GONE),
            warned(resource, f"{at}MetadataProperties.CommitId", GONE),
            warned(resource, f"{at}CustomerMetadataProperties", GONE),
            warned(resource, f"{at}CustomerMetadataProperties.dataset-version", GONE),
        ),
        (opened(resource, f"{at}ModelMetrics", unknown, f"{told}ModelMetrics"),),
        name=name,
    )


def tagged(compliant: dict[str, Any], resource: str, at: str, name: str) -> Case:
    told = at.replace(".0.", ".")
    return Case(
        RULE,
        compliant,
        (
            warned(resource, f"{at}Tags", GONE),
            warned(resource, f"{at}Tags.0.Key", "owner"),
            warned(resource, f"{at}Tags.1.Key", "project"),
        ),
        (opened(resource, f"{at}Tags.0.Key", OPEN_PARAMETER, f"{told}Tags.Key"),),
        name=name,
    )


REGISTER = {"Pipeline": pipeline({"Name": "Register", "Type": "RegisterModel", "Arguments": PACKAGE})}
_ORIGIN = (
    of_package(
        "Package",
        {"Package": {"Type": "AWS::SageMaker::ModelPackage", "Properties": PACKAGE}},
        "",
        "package",
        MAYBE_EMPTY,
    ),
    of_package("Pipeline", REGISTER, f"{STEP}.", "register-step", MAYBE_EMPTY),
    of_package(
        "Machine", {"Machine": machine("createModelPackage", PACKAGE)}, f"{AT}.", "state", "{% $metrics %}"
    ),
    tagged(app("createTrainingJob", TRAINING), "Machine", f"{AT}.", "training"),
    tagged(app("createHyperParameterTuningJob", TUNING), "Machine", f"{AT}.", "tuning"),
    tagged(app("createAutoMLJobV2", AUTOML), "Machine", f"{AT}.", "automl"),
    tagged(steps_app("Training", TRAINING), "Pipeline", f"{STEP}.", "training-step"),
)

HOSTING = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "hosting"}}


def hosted(api: str, request: dict[str, Any]) -> dict[str, Any]:
    model = {
        "Type": "AWS::SageMaker::Model",
        "Properties": {"ExecutionRoleArn": {"Fn::GetAtt": ["Hosting", "Arn"]}},
    }
    return {"Model": model, "Hosting": HOSTING, **app(api, request)}


_APART = (
    Case(
        APART,
        hosted("createTrainingJob", TRAINING),
        (
            warned("Model", "ExecutionRoleArn", {"Fn::GetAtt": ["Role", "Arn"]}),
            Change(
                "Machine", f"{AT}.RoleArn", {"Fn::GetAtt": ["Hosting", "Arn"]}, None, "warning", on="Model"
            ),
            Change(
                "Machine",
                f"{AT}.RoleArn",
                "arn:aws:iam::111122223333:role/hosting",
                None,
                "warning",
                on="Model",
            ),
        ),
        (
            opened("Model", "ExecutionRoleArn", OPEN_PARAMETER),
            Change(
                "Machine",
                f"{AT}.RoleArn",
                "{% $role %}",
                "unresolved:ExecutionRoleArn",
                "warning",
                on="Model",
            ),
        ),
    ),
    Case(
        APART,
        hosted("createHyperParameterTuningJob", TUNING),
        (warned("Model", "ExecutionRoleArn", {"Fn::GetAtt": ["Role", "Arn"]}),),
        (opened("Model", "ExecutionRoleArn", OPEN_PARAMETER),),
        name="tuning",
    ),
)

CASES = (*_ORIGIN, *_APART)
