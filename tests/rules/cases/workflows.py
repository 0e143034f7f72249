"""Endpoints that exist for one run of a workflow."""

from typing import Any

from tests.rules.fixtures import GONE, OPEN_PARAMETER, Body, Case, Change

RULE = "COST04-OnDemandEndpointDeleted"
STATES = "DefinitionString.States"


def catch() -> list[dict[str, Any]]:
    return [{"ErrorEquals": ["States.ALL"], "Next": "Delete"}]


def task(api: str, **more: Any) -> dict[str, Any]:
    arguments = {"Parameters": {"EndpointName": "nightly"}}
    return {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:{api}", **arguments, **more}


def machine(states: dict[str, Any], start: str, **beside: Any) -> dict[str, Any]:
    body = Body(StartAt=start, States=states)
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": "arn:aws:iam::111122223333:role/runs", "DefinitionString": body},
        **beside,
    }


CREATE = task("sagemaker:createEndpoint", Next="Describe")
DELETE = task("sagemaker:deleteEndpoint", End=True)
POLLED = {
    "Create": {**CREATE, "Catch": catch()},
    "Describe": task("sagemaker:describeEndpoint", Next="Ready", Catch=catch()),
    "Ready": {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.Status", "StringEquals": "InService", "Next": "Predict"},
            {"Variable": "$.Status", "StringEquals": "Failed", "Next": "Delete"},
        ],
        "Default": "Wait",
    },
    "Wait": {"Type": "Wait", "Seconds": 30, "Next": "Describe"},
    "Predict": task("sagemakerruntime:invokeEndpoint", Next="Delete", Catch=catch()),
    "Delete": DELETE,
    "Broken": {"Type": "Fail"},
    "Spin": {"Type": "Wait", "Seconds": 30, "Next": "Turn"},
    "Turn": {"Type": "Pass", "Next": "Spin"},
}

IN_A_ROW = Case(
    rule=RULE,
    name="polled",
    compliant={"Runs": machine(POLLED, "Create")},
    violations=(
        Change("Runs", f"{STATES}.Describe.Catch", GONE),
        Change("Runs", f"{STATES}.Predict.Catch", GONE),
        Change("Runs", f"{STATES}.Predict.Catch.0.ErrorEquals.0", "States.Timeout"),
        Change("Runs", f"{STATES}.Predict.Catch.0.Next", "Broken"),
        Change("Runs", f"{STATES}.Predict.Next", "Broken"),
        Change("Runs", f"{STATES}.Predict.Next", "Spin"),
        Change("Runs", f"{STATES}.Ready.Choices.1.Next", "Broken"),
        Change("Runs", f"{STATES}.Ready.Default", GONE),
        Change("Runs", f"{STATES}.Ready.Default", "Spin"),
        Change("Runs", f"{STATES}.Delete.Resource", "arn:aws:states:::aws-sdk:sagemaker:deleteModel"),
        Change("Runs", f"{STATES}.Delete.Parameters.EndpointName", "weekly"),
        Change("Runs", f"{STATES}.Create.Catch.0.Next", "Broken"),
    ),
    unresolved=(
        Change(
            "Runs",
            f"{STATES}.Delete.Resource",
            OPEN_PARAMETER,
            f"unresolved:{STATES}.Delete.Resource",
            "warning",
        ),
    ),
)

DECLARED = Case(
    rule=RULE,
    name="declared",
    compliant={
        "Runs": machine(
            {
                "Create": CREATE,
                "Describe": {
                    "Type": "Parallel",
                    "Branches": [
                        {
                            "StartAt": "Predict",
                            "States": {
                                "Predict": {
                                    "Type": "Task",
                                    "Resource": "arn:aws:states:::lambda:invoke",
                                    "End": True,
                                }
                            },
                        },
                        {"StartAt": "Note", "States": {"Note": {"Type": "Pass", "End": True}}},
                    ],
                    "Catch": catch(),
                    "Next": "Each",
                },
                "Each": {
                    "Type": "Map",
                    "ItemProcessor": {"StartAt": "Keep", "States": {"Keep": {"Type": "Succeed"}}},
                    "Catch": catch(),
                    "Next": "Delete",
                },
                "Delete": DELETE,
                "Done": {"Type": "Succeed"},
            },
            "Create",
            Metadata={"MLLens": {"Role": "on-demand"}},
        ),
    },
    violations=(
        Change("Runs", f"{STATES}.Describe.Catch", GONE),
        Change("Runs", f"{STATES}.Describe.Next", "Done"),
        Change("Runs", f"{STATES}.Each.Next", "Done"),
        Change("Runs", f"{STATES}.Create.Next", "Done"),
    ),
    unresolved=(
        Change(
            "Runs",
            f"{STATES}.Delete.Resource",
            OPEN_PARAMETER,
            f"unresolved:{STATES}.Delete.Resource",
            "warning",
        ),
        Change(
            "Runs",
            "DefinitionString",
            OPEN_PARAMETER,
            "unresolved:DefinitionString",
            "warning",
        ),
    ),
)

MODEL = {
    "Type": "AWS::SageMaker::Model",
    "Properties": {"PrimaryContainer": {"Image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:1"}},
}


def endpoint(number: int) -> dict[str, Any]:
    return {
        f"Model{number}": MODEL,
        f"Config{number}": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {
                "ProductionVariants": [
                    {"VariantName": "main", "ModelName": {"Fn::GetAtt": [f"Model{number}", "ModelName"]}}
                ]
            },
        },
        f"Endpoint{number}": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointConfigName": {"Fn::GetAtt": [f"Config{number}", "EndpointConfigName"]}},
        },
    }


OTHER = {"Image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/other:1"}
SHARED = Case(
    rule="COST04-ConsolidateModels",
    name="images",
    compliant={
        **endpoint(1),
        **endpoint(2),
        **endpoint(3),
        **endpoint(4),
        "Model4": {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": OTHER}},
    },
    violations=(
        Change(
            "Model4",
            "PrimaryContainer.Image",
            MODEL["Properties"]["PrimaryContainer"]["Image"],
            "mme",
            "warning",
            on="Endpoint1",
        ),
    ),
    unresolved=(
        Change(
            "Model4",
            "PrimaryContainer.Image",
            OPEN_PARAMETER,
            "unresolved:PrimaryContainer.Image",
            "warning",
        ),
    ),
)

FIRST = task("sagemakerruntime:invokeEndpoint", Next="Shape")
SEQUENCE = Case(
    rule="COST04-ConsolidateModels",
    name="sequence",
    compliant={
        "Scores": machine(
            {
                "Clean": {**FIRST, "Parameters": {"EndpointName": "clean"}},
                "Shape": {"Type": "Pass", "Next": "Which"},
                "Which": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$.ok", "BooleanEquals": True, "Next": "Score"}],
                    "Default": "Stop",
                },
                "Score": {**FIRST, "Parameters": {"EndpointName": "score"}, "Next": "Stop"},
                "Stop": {"Type": "Succeed"},
            },
            "Clean",
        ),
    },
    violations=(
        Change("Scores", f"{STATES}.Shape.Next", "Score", "pipeline", "warning"),
        Change("Scores", f"{STATES}.Clean.Next", "Score", "pipeline", "warning"),
    ),
    unresolved=(),
)

CASES = (IN_A_ROW, DECLARED, SHARED, SEQUENCE)
