"""Every action on named resources: that is no wildcard for everything, and counts where those resources matter."""

from typing import Any

from tests.rules.fixtures import OPEN_PARAMETER, Case, Change

ENDPOINT = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/churn"
ROLE_STAR = "arn:aws:iam::123456789012:role/*"
FIRST, SECOND = "PolicyDocument.Statement.0", "PolicyDocument.Statement.1"
ACTION_OPEN = "unresolved:PolicyDocument.Statement.Action"


def allowing(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def objects(bucket: str) -> dict[str, Any]:
    return {"Fn::Sub": f"${{{bucket}.Arn}}/*"}


def bucket(role: str) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Metadata": {"MLLens": {"Role": role}}}


def role(service: str) -> dict[str, Any]:
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{service}.amazonaws.com"},
    }
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [trust]}}}


def rights(holder: str, *statements: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": f"{holder}-rights",
            "Roles": [{"Ref": holder}],
            "PolicyDocument": {"Statement": list(statements)},
        },
    }


UPLOADER = Case(
    "SEC02-WriteOnlyUploader",
    {
        "Raw": bucket("temporary-raw"),
        "Camera": role("lambda"),
        "CameraRights": rights("Camera", allowing("s3:PutObject", objects("Raw"))),
    },
    violations=(
        Change("CameraRights", f"{FIRST}.Action", "*"),
        Change(
            "CameraRights",
            FIRST,
            {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": objects("Raw")},
        ),
    ),
    unresolved=(Change("CameraRights", f"{FIRST}.Action", OPEN_PARAMETER, ACTION_OPEN, "warning"),),
    name="every action on the bucket",
)

PHASES = Case(
    "SEC01-PhaseSeparation",
    {
        "Training": bucket("training-data"),
        "Models": bucket("model-artifacts"),
        "Deploy": role("codebuild"),
        "DeployRights": rights(
            "Deploy",
            allowing("sagemaker:CreateEndpoint", ENDPOINT),
            allowing("s3:GetObject", objects("Models")),
        ),
    },
    violations=(
        Change("DeployRights", SECOND, allowing("*", objects("Models")), "modelWrite"),
        Change("DeployRights", SECOND, allowing("*", objects("Training")), "trainingData"),
    ),
    unresolved=(
        Change("DeployRights", SECOND, allowing(OPEN_PARAMETER, objects("Training")), ACTION_OPEN, "warning"),
    ),
    name="every action on the objects",
)

PASSING = Case(
    "SEC01-LeastPrivilege",
    {
        "Job": role("sagemaker"),
        "JobRights": rights("Job", allowing("iam:GetRole", ROLE_STAR)),
    },
    violations=(Change("JobRights", f"{FIRST}.Action", "*", "passRole"),),
    unresolved=(Change("JobRights", FIRST, allowing(OPEN_PARAMETER, "*"), ACTION_OPEN, "warning"),),
    name="every action on the roles",
)

CASES = (UPLOADER, PHASES, PASSING)
