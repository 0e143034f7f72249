"""Log groups of endpoints, jobs, state machines and functions."""

from typing import Any

from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Body, Case, Change


def log_group(name: Any = None) -> dict[str, Any]:
    given = {} if name is None else {"LogGroupName": name}
    return {
        "Type": "AWS::Logs::LogGroup",
        "Properties": {**given, "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}, "RetentionInDays": 365},
    }


def role(*actions: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Statement": [trust]},
            "Policies": [{"PolicyName": "calls", "PolicyDocument": {"Statement": [statement]}}],
        },
    }


def function(role_id: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {"Role": {"Fn::GetAtt": [role_id, "Arn"]}, "Code": {}, **properties},
    }


def machine(**states: str) -> dict[str, Any]:
    """A state machine with a task for each name and API."""
    body = Body(
        States={
            name: {"Type": "Task", "Resource": f"arn:aws:states:::sagemaker:{api}.sync", "End": True}
            for name, api in states.items()
        }
    )
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": body}}


KEY = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}}


def weak(group: str, *, finding: str | None = None) -> tuple[Change, ...]:
    """Return the ways in which a log group is not good enough."""
    return (
        Change(group, "KmsKeyId", GONE, finding),
        Change(group, "KmsKeyId", "alias/aws/logs", finding),
        Change(group, "RetentionInDays", GONE, finding),
    )


FUNCTIONS = Case(
    "SEC02-MlLogGroupEncrypted",
    {
        "Key": KEY,
        "AsksEndpoints": role("sagemaker:InvokeEndpoint"),
        "SeesFaces": role("rekognition:DetectFaces"),
        "WritesRows": role("s3:PutObject"),
        "Asks": function("AsksEndpoints", LoggingConfig={"LogGroup": {"Ref": "AskLogs"}}),
        "AskLogs": log_group(),
        "Sees": function("SeesFaces"),
        "SeeLogs": log_group({"Fn::Sub": "/aws/lambda/${Sees}"}),
        "SeesMore": function("SeesFaces", FunctionName="sees-more"),
        "SeeMoreLogs": log_group("/aws/lambda/sees-more"),
        "Writes": function("WritesRows", FunctionName="writes"),
        "WriteLogs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/aws/lambda/writes"}},
    },
    violations=(
        *weak("AskLogs"),
        *weak("SeeLogs"),
        *weak("SeeMoreLogs"),
        Change("Asks", "LoggingConfig", GONE, level="warning"),
        Change("SeeLogs", "", GONE, level="warning", on="Sees"),
        Change("SeeMoreLogs", "", GONE, level="warning", on="SeesMore"),
        Change("SeeMoreLogs", "LogGroupName", "/aws/lambda/other", level="warning", on="SeesMore"),
    ),
    unresolved=(
        Change("AskLogs", "KmsKeyId", MAYBE_EMPTY, "unresolved:KmsKeyId", "warning"),
        Change("AskLogs", "RetentionInDays", MAYBE_EMPTY, "unresolved:RetentionInDays", "warning"),
        Change(
            "Asks", "LoggingConfig.LogGroup", OPEN_PARAMETER, "unresolved:LoggingConfig.LogGroup", "warning"
        ),
        Change("Asks", "LoggingConfig.LogGroup", "elsewhere", "unresolved:LoggingConfig.LogGroup", "warning"),
        Change("WriteLogs", "LogGroupName", OPEN_PARAMETER, "unresolved:LogGroupName", "warning"),
    ),
    name="functions",
)

ENDPOINTS = Case(
    "SEC02-MlLogGroupEncrypted",
    {
        "Key": KEY,
        "Named": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointName": "churn"}},
        "NamedLogs": log_group("/aws/sagemaker/Endpoints/churn"),
        "Unnamed": {"Type": "AWS::SageMaker::Endpoint", "Properties": {}},
        "UnnamedLogs": log_group({"Fn::Sub": "/aws/sagemaker/Endpoints/${Unnamed.EndpointName}"}),
    },
    violations=(
        *weak("NamedLogs"),
        *weak("UnnamedLogs"),
        Change("NamedLogs", "", GONE, on="Named"),
        Change("NamedLogs", "LogGroupName", "/aws/sagemaker/Endpoints/fraud", on="Named"),
        Change("Named", "EndpointName", "fraud"),
        Change("Named", "EndpointName", GONE, level="warning"),
        Change("UnnamedLogs", "", GONE, level="warning", on="Unnamed"),
    ),
    unresolved=(
        Change("NamedLogs", "LogGroupName", OPEN_PARAMETER, "unresolved:LogGroupName", "warning"),
        Change("Named", "EndpointName", OPEN_PARAMETER, "unresolved:EndpointName", "warning"),
        Change("NamedLogs", "KmsKeyId", MAYBE_EMPTY, "unresolved:KmsKeyId", "warning"),
    ),
    name="endpoints",
)

JOBS = Case(
    "SEC02-MlLogGroupEncrypted",
    {
        "Key": KEY,
        "Trains": machine(Prepare="createProcessingJob", Train="createTrainingJob"),
        "TrainsAgain": machine(Tune="createHyperParameterTuningJob", Score="createTransformJob"),
        "TrainingLogs": log_group("/aws/sagemaker/TrainingJobs"),
        "ProcessingLogs": log_group("/aws/sagemaker/ProcessingJobs"),
        "TransformLogs": log_group("/aws/sagemaker/TransformJobs"),
        "StateLogs": log_group("/aws/vendedlogs/states/trains"),
    },
    violations=(
        *weak("TrainingLogs"),
        *weak("StateLogs"),
        Change("TrainingLogs", "", GONE, on="Trains"),
        Change("ProcessingLogs", "", GONE, level="warning", on="Trains"),
        Change("TransformLogs", "", GONE, level="warning", on="TrainsAgain"),
        Change("TrainingLogs", "LogGroupName", "/aws/sagemaker/trainingjobs", on="Trains"),
    ),
    unresolved=(
        Change("TrainingLogs", "LogGroupName", OPEN_PARAMETER, "unresolved:LogGroupName", "warning"),
        Change(
            "TrainingLogs",
            "LogGroupName",
            {"Fn::Sub": "/aws/sagemaker/${NobodyKnows}"},
            "unresolved:LogGroupName",
            "warning",
        ),
        Change("StateLogs", "RetentionInDays", MAYBE_EMPTY, "unresolved:RetentionInDays", "warning"),
    ),
    name="jobs",
)

CASES = [FUNCTIONS, ENDPOINTS, JOBS]
