"""Notebook instances and Studio domains: where they run, how they are encrypted, when they stop."""

import base64
from typing import Any

from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Body, Case, Change

KEY: dict[str, Any] = {"Type": "AWS::KMS::Key", "Properties": {}}
NOTEBOOK: dict[str, Any] = {
    "Type": "AWS::SageMaker::NotebookInstance",
    "Properties": {
        "InstanceType": "ml.t3.medium",
        "RoleArn": "arn:aws:iam::111122223333:role/notebook",
        "SubnetId": {"Ref": "Subnet"},
        "SecurityGroupIds": ["sg-1"],
        "DirectInternetAccess": "Disabled",
        "RootAccess": "Disabled",
        "KmsKeyId": {"Ref": "Key"},
        "PlatformIdentifier": "notebook-al2023-v1",
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
        "DefaultCodeRepository": {"Fn::GetAtt": ["Code", "CodeRepositoryName"]},
        "LifecycleConfigName": {"Fn::GetAtt": ["Lifecycle", "NotebookInstanceLifecycleConfigName"]},
    },
}


def idle() -> dict[str, Any]:
    settings = {"LifecycleManagement": "ENABLED", "IdleTimeoutInMinutes": 60}
    return {"AppLifecycleManagement": {"IdleSettings": settings}}


DOMAIN: dict[str, Any] = {
    "Type": "AWS::SageMaker::Domain",
    "Properties": {
        "AuthMode": "IAM",
        "DomainName": "team",
        "VpcId": "vpc-1",
        "SubnetIds": ["subnet-1"],
        "AppNetworkAccessType": "VpcOnly",
        "KmsKeyId": {"Ref": "Key"},
        "DefaultUserSettings": {
            "ExecutionRole": "arn:aws:iam::111122223333:role/people",
            "JupyterLabAppSettings": idle(),
            "CodeEditorAppSettings": idle(),
        },
    },
}
SUBNET: dict[str, Any] = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": "vpc-1"}}
CODE: dict[str, Any] = {
    "Type": "AWS::SageMaker::CodeRepository",
    "Properties": {"GitConfig": {"RepositoryUrl": "https://git.example.com/churn"}},
}
AUTO_STOP = "#!/bin/bash\npython autostop.py --time 3600\n"


def encoded(script: str) -> str:
    return base64.b64encode(script.encode()).decode()


def lifecycle(content: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
        "Properties": {"OnStart": [{"Content": content}]},
    }


def schedule(name: Any) -> dict[str, Any]:
    """A schedule that stops a notebook in the evening."""
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "ScheduleExpression": "cron(0 19 * * ? *)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED",
            "Target": {
                "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:stopNotebookInstance",
                "RoleArn": "arn:aws:iam::111122223333:role/schedule",
                "Input": Body(NotebookInstanceName=name),
            },
        },
    }


APP: dict[str, Any] = {
    "Notebook": NOTEBOOK,
    "Key": KEY,
    "Subnet": SUBNET,
    "Code": CODE,
    "Lifecycle": lifecycle(encoded(AUTO_STOP)),
}
SCHEDULED: dict[str, Any] = {
    "Notebook": {
        "Type": "AWS::SageMaker::NotebookInstance",
        "Properties": {"NotebookInstanceName": "churn"},
    },
    "Evening": schedule({"Fn::GetAtt": ["Notebook", "NotebookInstanceName"]}),
}


def notebook(path: str, *values: Any, level: str = "error") -> tuple[Change, ...]:
    return tuple(Change("Notebook", path, value, level=level) for value in values)


def open_notebook(path: str, *values: Any) -> tuple[Change, ...]:
    return tuple(
        Change("Notebook", path, value, f"unresolved:{path}", "warning")
        for value in (OPEN_PARAMETER, *values)
    )


VERSION = "InstanceMetadataServiceConfiguration.MinimumInstanceMetadataServiceVersion"
JUPYTER = "DefaultUserSettings.JupyterLabAppSettings.AppLifecycleManagement.IdleSettings"
EDITOR = "DefaultUserSettings.CodeEditorAppSettings.AppLifecycleManagement.IdleSettings"
IN_VPC = Case(
    "SEC02-NotebookInVpc",
    APP,
    (
        *notebook("SubnetId", GONE, "", {"Ref": "AWS::NoValue"}),
        *notebook("SecurityGroupIds", GONE, [], [{"Ref": "AWS::NoValue"}]),
    ),
    (
        Change("Notebook", "SubnetId", MAYBE_EMPTY, "unresolved:SubnetId", "warning"),
        Change(
            "Notebook",
            "SecurityGroupIds",
            {"Ref": "NobodyKnowsList"},
            "unresolved:SecurityGroupIds",
            "warning",
        ),
    ),
)
NO_INTERNET = Case(
    "SEC02-NotebookNoDirectInternet",
    APP,
    notebook("DirectInternetAccess", GONE, "Enabled", "disabled"),
    open_notebook("DirectInternetAccess", MAYBE_EMPTY),
)
NO_ROOT = Case(
    "SEC02-NotebookNoRoot",
    APP,
    notebook("RootAccess", GONE, "Enabled", "disabled"),
    open_notebook("RootAccess"),
)
OWN_KEY = Case(
    "SEC02-NotebookKmsKey",
    APP,
    notebook("KmsKeyId", GONE, "", "alias/aws/sagemaker", "arn:aws:kms:eu-west-1:111122223333:alias/aws/ebs"),
    (Change("Notebook", "KmsKeyId", MAYBE_EMPTY, "unresolved:KmsKeyId", "warning"),),
)
PATCHED = Case(
    "SEC02-NotebookPlatformImds",
    APP,
    (
        *notebook("PlatformIdentifier", GONE, "notebook-al2-v3", level="warning"),
        *notebook(VERSION, GONE, "1", level="warning"),
        *notebook("InstanceMetadataServiceConfiguration", GONE, level="warning"),
    ),
    (*open_notebook("PlatformIdentifier"), *open_notebook(VERSION)),
)
CLOSED_DOMAIN = Case(
    "SEC02-DomainVpcOnlyKms",
    {"Domain": DOMAIN, "Key": KEY},
    (
        *(
            Change("Domain", "AppNetworkAccessType", value, "vpcOnly")
            for value in (GONE, "PublicInternetOnly", "vpconly")
        ),
        *(Change("Domain", "KmsKeyId", value, "kms") for value in (GONE, "", "alias/aws/elasticfilesystem")),
    ),
    (
        Change(
            "Domain", "AppNetworkAccessType", OPEN_PARAMETER, "unresolved:AppNetworkAccessType", "warning"
        ),
        Change("Domain", "KmsKeyId", MAYBE_EMPTY, "unresolved:KmsKeyId", "warning"),
    ),
)
REPOSITORY = Case(
    "OPS02-NotebookCodeRepository",
    APP,
    notebook("DefaultCodeRepository", GONE, "", level="warning"),
    (
        Change(
            "Notebook", "DefaultCodeRepository", MAYBE_EMPTY, "unresolved:DefaultCodeRepository", "warning"
        ),
    ),
)
LAB_REPOSITORIES = "DefaultUserSettings.JupyterLabAppSettings.CodeRepositories"
REPOSITORY_OF_DOMAIN = Case(
    "OPS02-NotebookCodeRepository",
    {
        "Notebook": {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {}},
        "Domain": {
            "Type": "AWS::SageMaker::Domain",
            "Properties": {
                "DefaultUserSettings": {
                    "JupyterLabAppSettings": {
                        "CodeRepositories": [{"RepositoryUrl": "https://git.example.com/churn"}]
                    }
                }
            },
        },
    },
    (
        Change("Domain", LAB_REPOSITORIES, GONE, level="warning", on="Notebook"),
        Change("Domain", LAB_REPOSITORIES, [], level="warning", on="Notebook"),
        Change("Domain", "", GONE, level="warning", on="Notebook"),
    ),
    (Change("Domain", LAB_REPOSITORIES, MAYBE_EMPTY, f"unresolved:{LAB_REPOSITORIES}", "warning"),),
    name="domain",
)
BY_SCRIPT = Case(
    "COST02-NotebookAutoStop",
    APP,
    (
        *notebook("LifecycleConfigName", GONE, ""),
        *(
            Change("Lifecycle", path, value, on="Notebook")
            for path, value in (
                ("OnStart", GONE),
                ("OnStart", []),
                ("OnStart.0.Content", encoded("#!/bin/bash\npip install pandas\n")),
                ("OnStart.0.Content", {"Fn::Base64": "pip install pandas"}),
                ("OnStart.0.Content", {"Fn::Base64": {"Fn::Sub": "aws s3 sync s3://${Code} ."}}),
            )
        ),
    ),
    (
        *open_notebook("LifecycleConfigName", "made-elsewhere"),
        *(
            Change("Lifecycle", "OnStart.0.Content", value, "unresolved:OnStart.Content", "warning")
            for value in (OPEN_PARAMETER, {"Fn::Base64": OPEN_PARAMETER}, "not base64!")
        ),
    ),
    name="script",
)
BY_OWN_MARKER = Case(
    "COST02-NotebookAutoStop",
    {**APP, "Lifecycle": lifecycle({"Fn::Base64": {"Fn::Sub": "/opt/Go-Home --table ${Code}"}})},
    (Change("Lifecycle", "OnStart.0.Content", encoded(AUTO_STOP), on="Notebook"),),
    (),
    {"auto_stop_markers": ["go-home"]},
    name="marker",
)
BY_SCHEDULE = Case(
    "COST02-NotebookAutoStop",
    SCHEDULED,
    (
        Change("Evening", "", GONE, on="Notebook"),
        Change("Evening", "State", "DISABLED", on="Notebook"),
        Change("Evening", "ScheduleExpression", "at(2031-01-01T19:00:00)", on="Notebook"),
        Change("Evening", "Target.Input", GONE, on="Notebook"),
        Change("Evening", "Target.Input", Body(NotebookInstanceName="other"), on="Notebook"),
        Change(
            "Evening",
            "Target.Arn",
            "arn:aws:scheduler:::aws-sdk:sagemaker:startNotebookInstance",
            on="Notebook",
        ),
    ),
    (
        Change("Evening", "State", OPEN_PARAMETER, "unresolved:State", "warning"),
        Change("Evening", "Target.Input", OPEN_PARAMETER, "unresolved:Target.Input", "warning"),
        Change(
            "Evening",
            "Target.Input",
            Body(NotebookInstanceName=OPEN_PARAMETER),
            "unresolved:Target.Input.NotebookInstanceName",
            "warning",
        ),
    ),
    name="schedule",
)
OF_DOMAIN = Case(
    "COST02-NotebookAutoStop",
    {"Domain": DOMAIN, "Key": KEY},
    (
        Change("Domain", "DefaultUserSettings.JupyterLabAppSettings", GONE),
        Change("Domain", "DefaultUserSettings.CodeEditorAppSettings", GONE),
        *(
            Change("Domain", f"{settings}.{name}", value)
            for settings in (JUPYTER, EDITOR)
            for name, value in (
                ("LifecycleManagement", GONE),
                ("LifecycleManagement", "DISABLED"),
                ("IdleTimeoutInMinutes", GONE),
                ("IdleTimeoutInMinutes", 61),
            )
        ),
    ),
    (
        Change(
            "Domain",
            f"{JUPYTER}.LifecycleManagement",
            OPEN_PARAMETER,
            f"unresolved:{JUPYTER}.LifecycleManagement",
            "warning",
        ),
        Change(
            "Domain",
            f"{EDITOR}.IdleTimeoutInMinutes",
            {"Ref": "NobodyKnowsNumber"},
            f"unresolved:{EDITOR}.IdleTimeoutInMinutes",
            "warning",
        ),
    ),
    name="domain",
)

CASES = [
    IN_VPC,
    NO_INTERNET,
    NO_ROOT,
    OWN_KEY,
    PATCHED,
    CLOSED_DOMAIN,
    REPOSITORY,
    REPOSITORY_OF_DOMAIN,
    BY_SCRIPT,
    BY_OWN_MARKER,
    BY_SCHEDULE,
    OF_DOMAIN,
]
