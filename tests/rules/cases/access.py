"""Rules on what roles may do, and on who reaches an endpoint."""

from typing import Any

from tests.rules.fixtures import GONE, OPEN_PARAMETER, Case, Change

ACTION_OPEN = "unresolved:PolicyDocument.Statement.Action"
ACCOUNT = "arn:aws:iam::123456789012"
SAGEMAKER = "arn:aws:sagemaker:eu-west-1:123456789012"


def trusting(principal: Any, **properties: Any) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document, **properties}}


def service(name: str, **properties: Any) -> dict[str, Any]:
    return trusting({"Service": f"{name}.amazonaws.com"}, **properties)


def policy(role: str, *statements: dict[str, Any]) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": f"{role}-policy", "Roles": [{"Ref": role}], "PolicyDocument": document},
    }


def allow(action: Any, resource: Any, **others: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **others}


def objects(bucket: str, prefix: str = "*") -> dict[str, Any]:
    return {"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, f"/{prefix}"]]}


def bucket(role: str) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Metadata": {"MLLens": {"Role": role}}}


def of_aws(name: str) -> dict[str, Any]:
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, f":iam::aws:policy/{name}"]]}


def function(role: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Role": {"Fn::GetAtt": [role, "Arn"]},
            "Runtime": "python3.13",
            "Handler": "index.handler",
        },
    }


ENDPOINT = {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": "churn"}}


def passes_job() -> dict[str, Any]:
    to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    return allow("iam:PassRole", {"Fn::GetAtt": ["Job", "Arn"]}, Condition=to_sagemaker)


LEAST_PRIVILEGE = Case(
    "SEC01-LeastPrivilege",
    compliant={
        "Job": service("sagemaker", ManagedPolicyArns=[f"{ACCOUNT}:policy/own"]),
        "Start": service("states"),
        "Rights": policy(
            "Start",
            allow("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/churn-*"),
            passes_job(),
            allow(["sagemaker:ListModels", "sagemaker:Describe*"], "*"),
        ),
        "JobRights": policy("Job", passes_job(), allow("s3:GetObject", "*")),
    },
    violations=(
        *(
            Change("Job", "ManagedPolicyArns.0", arn, "managedPolicy")
            for arn in (
                "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess",
                "arn:aws-cn:iam::aws:policy/AdministratorAccess",
                "arn:aws:iam::aws:policy/service-role/PowerUserAccess",
                of_aws("AmazonSageMakerFullAccess"),
            )
        ),
        *(
            Change("Rights", "PolicyDocument.Statement.2.Action", action, "wildcardAction")
            for action in ("*", "sagemaker:*", "SageMaker:create*", ["s3:GetObject", "sagemaker:C*"])
        ),
        Change(
            "Rights",
            "PolicyDocument.Statement.2",
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            "wildcardAction",
        ),
        Change(
            "Rights",
            "PolicyDocument.Statement.0",
            {"Effect": "Allow", "Action": "sagemaker:*", "NotResource": f"{SAGEMAKER}:model/churn"},
            "wildcardAction",
        ),
        Change("JobRights", "PolicyDocument.Statement.1.Action", "*", "wildcardAction"),
        *(
            Change("Rights", "PolicyDocument.Statement.1.Resource", resource, "passRole")
            for resource in ("*", f"{ACCOUNT}:role/*", ["arn:aws:iam::*:role/*"])
        ),
        Change("Rights", "PolicyDocument.Statement.1.Condition", GONE, "passRole"),
        Change("JobRights", "PolicyDocument.Statement.0.Condition", GONE, "passRole"),
        Change("JobRights", "PolicyDocument.Statement.0.Resource", "*", "passRole"),
        Change(
            "Rights",
            "PolicyDocument.Statement.1.Condition",
            {"StringLike": {"iam:PassedToService": "*"}},
            "passRole",
        ),
        Change(
            "Rights",
            "PolicyDocument.Statement.1.Condition",
            {"StringNotEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            "passRole",
        ),
    ),
    unresolved=(
        Change("Rights", "PolicyDocument.Statement.2.Action", OPEN_PARAMETER, ACTION_OPEN, "warning"),
        Change(
            "Rights",
            "PolicyDocument.Statement.2.Action",
            ["sagemaker:ListModels", {"Fn::Sub": "sagemaker:${NobodyKnows}"}],
            ACTION_OPEN,
            "warning",
        ),
        Change(
            "Rights",
            "PolicyDocument.Statement.1",
            {"Effect": OPEN_PARAMETER, "Action": "sagemaker:*", "Resource": "*"},
            "unresolved:PolicyDocument.Statement.Effect",
            "warning",
        ),
    ),
)

INVOKE_SCOPED = Case(
    "SEC01-InvokeEndpointScoped",
    compliant={
        "Churn": ENDPOINT,
        "Front": service("lambda"),
        "Rights": policy(
            "Front",
            allow("sagemaker:InvokeEndpoint", [{"Ref": "Churn"}, f"{SAGEMAKER}:endpoint/churn-*"]),
            allow("sagemaker:ListEndpoints", "*"),
        ),
    },
    violations=(
        *(
            Change("Rights", "PolicyDocument.Statement.0.Resource", resource)
            for resource in (
                "*",
                f"{SAGEMAKER}:endpoint/*",
                "arn:aws:sagemaker:*:*:endpoint*",
                "arn:aws:sagemaker:*",
                {"Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/*"},
                {"Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:*"},
                [{"Ref": "Churn"}, "*"],
            )
        ),
        *(
            Change("Rights", "PolicyDocument.Statement.1.Action", action)
            for action in (
                "sagemaker:*",
                "sagemaker:Invoke*",
                "SAGEMAKER:INVOKEENDPOINTASYNC",
                "sagemaker:InvokeEndpoint?ithResponseStream",
            )
        ),
    ),
    unresolved=(
        Change("Rights", "PolicyDocument.Statement.1.Action", OPEN_PARAMETER, ACTION_OPEN, "warning"),
        Change(
            "Rights",
            "PolicyDocument.Statement.0",
            {"Effect": OPEN_PARAMETER, "Action": "sagemaker:InvokeEndpoint", "Resource": "*"},
            "unresolved:PolicyDocument.Statement.Effect",
            "warning",
        ),
    ),
)

PHASE_SEPARATION = Case(
    "SEC01-PhaseSeparation",
    compliant={
        "Churn": ENDPOINT,
        "Data": bucket("training-data"),
        "Models": bucket("model-artifacts"),
        "Train": service("states"),
        "TrainRights": policy(
            "Train",
            allow("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/churn-*"),
            allow(["s3:GetObject", "s3:PutObject"], [objects("Data"), objects("Models")]),
        ),
        "Deploy": service("states"),
        "DeployRights": policy(
            "Deploy",
            allow("sagemaker:UpdateEndpoint", {"Ref": "Churn"}),
            allow("s3:GetObject", objects("Models")),
        ),
        "Front": service("lambda"),
        "FrontRights": policy("Front", allow("s3:GetObject", [objects("Data"), objects("Models")])),
    },
    violations=(
        *(
            Change("DeployRights", "PolicyDocument.Statement.1", allow(action, resource), "trainingData")
            for action, resource in (
                ("s3:GetObject", objects("Data")),
                ("s3:PutObject", objects("Data", "train/*")),
                ("s3:DeleteObjectVersion", objects("Data")),
                ("s3:Get*", "*"),
            )
        ),
        *(
            Change(
                "DeployRights",
                "PolicyDocument.Statement.0.Action",
                ["sagemaker:CreateEndpoint", f"sagemaker:{training}"],
                "train+deploy",
                on="Deploy",
            )
            for training in ("CreateTrainingJob", "CreateHyperParameterTuningJob", "Create*")
        ),
        Change("FrontRights", "PolicyDocument.Statement.0.Action", "s3:PutObject", "modelWrite"),
        Change("FrontRights", "PolicyDocument.Statement.0.Action", "s3:*", "modelWrite"),
        Change("DeployRights", "PolicyDocument.Statement.1.Action", "s3:DeleteObject", "modelWrite"),
    ),
    unresolved=(
        Change(
            "DeployRights",
            "PolicyDocument.Statement.1",
            allow(OPEN_PARAMETER, objects("Data")),
            ACTION_OPEN,
            "warning",
        ),
        Change("FrontRights", "PolicyDocument.Statement.0.Action", OPEN_PARAMETER, ACTION_OPEN, "warning"),
        Change(
            "DeployRights", "PolicyDocument.Statement.1", allow(OPEN_PARAMETER, "*"), ACTION_OPEN, "warning"
        ),
    ),
)

INVOKES = policy("FrontRole", allow("sagemaker:InvokeEndpoint", {"Ref": "Churn"}))
INVOCATION_URI = {
    "Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/"
    "${Front.Arn}/invocations"
}
API_AUTHORIZED = Case(
    "SEC01-InferenceApiAuthorized",
    compliant={
        "Churn": ENDPOINT,
        "FrontRole": service("lambda"),
        "Rights": INVOKES,
        "Front": function("FrontRole"),
        "Other": function("OtherRole"),
        "OtherRole": service("lambda"),
        "Post": {
            "Type": "AWS::ApiGateway::Method",
            "Properties": {
                "HttpMethod": "POST",
                "AuthorizationType": "COGNITO_USER_POOLS",
                "Integration": {"Type": "AWS_PROXY", "Uri": INVOCATION_URI},
            },
        },
        "Direct": {
            "Type": "AWS::ApiGateway::Method",
            "Properties": {
                "HttpMethod": "POST",
                "AuthorizationType": "AWS_IAM",
                "Integration": {
                    "Type": "AWS",
                    "Uri": {
                        "Fn::Sub": "arn:aws:apigateway:${AWS::Region}:runtime.sagemaker:path/endpoints/x/invocations"
                    },
                },
            },
        },
        "Http": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"ProtocolType": "HTTP", "Name": "http"}},
        "Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {"ApiId": {"Ref": "Http"}, "IntegrationUri": {"Fn::GetAtt": ["Front", "Arn"]}},
        },
        "Route": {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {
                "ApiId": {"Ref": "Http"},
                "RouteKey": "POST /predictions",
                "AuthorizationType": "JWT",
                "Target": {"Fn::Join": ["", ["integrations/", {"Ref": "Integration"}]]},
            },
        },
        "Url": {
            "Type": "AWS::Lambda::Url",
            "Properties": {"AuthType": "AWS_IAM", "TargetFunctionArn": {"Fn::GetAtt": ["Front", "Arn"]}},
        },
        "OpenUrl": {
            "Type": "AWS::Lambda::Url",
            "Properties": {"AuthType": "NONE", "TargetFunctionArn": {"Fn::GetAtt": ["Other", "Arn"]}},
        },
    },
    violations=(
        *(Change(api, "AuthorizationType", "NONE") for api in ("Post", "Direct", "Route")),
        *(Change(api, "AuthorizationType", GONE) for api in ("Post", "Direct", "Route")),
        Change("Url", "AuthType", "NONE"),
        Change("Http", "Target", {"Fn::GetAtt": ["Front", "Arn"]}),
        Change("OpenUrl", "TargetFunctionArn", {"Fn::GetAtt": ["Front", "Arn"]}),
        Change("Other", "Role", {"Fn::GetAtt": ["FrontRole", "Arn"]}, on="OpenUrl"),
    ),
    unresolved=(
        *(
            Change(api, "AuthorizationType", OPEN_PARAMETER, "unresolved:AuthorizationType", "warning")
            for api in ("Post", "Direct", "Route")
        ),
        Change("Url", "AuthType", OPEN_PARAMETER, "unresolved:AuthType", "warning"),
    ),
)

URL = "PolicyDocument.Statement.0.Condition"
URL_FROM_VPC = Case(
    "SEC01-NotebookUrlFromVpcOnly",
    compliant={
        "People": trusting({"AWS": f"{ACCOUNT}:root"}),
        "Rights": policy(
            "People",
            allow(
                ["sagemaker:CreatePresignedNotebookInstanceUrl", "sagemaker:CreatePresignedDomainUrl"],
                f"{SAGEMAKER}:notebook-instance/lab",
                Condition={"StringEquals": {"aws:sourceVpce": "vpce-1"}},
            ),
            allow("sagemaker:ListModels", "*"),
        ),
    },
    violations=(
        Change("Rights", URL, GONE, level="warning"),
        *(
            Change("Rights", URL, condition, level="warning")
            for condition in (
                {"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}},
                {"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-1"}},
                {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
                {"StringEquals": {"aws:PrincipalTag/team": "learning"}},
                {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}},
                {"Null": {"aws:SourceVpce": "true"}},
            )
        ),
        *(
            Change("Rights", "PolicyDocument.Statement.1.Action", action, level="warning")
            for action in (
                "sagemaker:*",
                "sagemaker:CreatePresignedDomainUrl",
                "sagemaker:CreatePresignedNotebook*",
            )
        ),
    ),
    unresolved=(
        Change("Rights", "PolicyDocument.Statement.1.Action", OPEN_PARAMETER, ACTION_OPEN, "warning"),
        Change(
            "Rights",
            "PolicyDocument.Statement.1",
            {"Effect": OPEN_PARAMETER, "Action": "sagemaker:CreatePresignedDomainUrl", "Resource": "*"},
            "unresolved:PolicyDocument.Statement.Effect",
            "warning",
        ),
    ),
)

GUARDED = "PolicyDocument.Statement.0.Condition"
GUARDS = {
    "Null": {"sagemaker:VpcSubnets": "false", "sagemaker:VolumeKmsKey": "false"},
    "Bool": {"sagemaker:InterContainerTrafficEncryption": "true"},
}
JOB_GUARDRAILS = Case(
    "SEC02-JobCreationGuardrails",
    compliant={
        "Lab": service("sagemaker"),
        "Notebook": {
            "Type": "AWS::SageMaker::NotebookInstance",
            "Properties": {"InstanceType": "ml.t3.medium", "RoleArn": {"Fn::GetAtt": ["Lab", "Arn"]}},
        },
        "Rights": policy(
            "Lab",
            allow(
                ["sagemaker:CreateTrainingJob", "sagemaker:CreateProcessingJob"],
                f"{SAGEMAKER}:*/lab-*",
                Condition=GUARDS,
            ),
            allow("sagemaker:ListModels", "*"),
        ),
        "People": trusting({"AWS": f"{ACCOUNT}:root"}),
        "PeopleRights": policy(
            "People",
            allow(
                "sagemaker:CreateTransformJob",
                "*",
                Condition={"StringLike": {"sagemaker:VolumeKmsKey": "arn:*"}},
            ),
            allow("sagemaker:CreateModel", "*", Condition={"Null": {"sagemaker:VpcSubnets": "false"}}),
        ),
    },
    violations=(
        Change("Rights", f"{GUARDED}.Null.sagemaker:VpcSubnets", GONE, "vpc"),
        Change("Rights", f"{GUARDED}.Null.sagemaker:VpcSubnets", "true", "vpc"),
        Change("Rights", f"{GUARDED}.Null.sagemaker:VolumeKmsKey", GONE, "kms"),
        Change("Rights", f"{GUARDED}.Null.sagemaker:VolumeKmsKey", "true", "kms"),
        Change(
            "Rights", f"{GUARDED}.Bool.sagemaker:InterContainerTrafficEncryption", "false", "interContainer"
        ),
        Change("Rights", f"{GUARDED}.Bool", GONE, "interContainer"),
        Change("PeopleRights", GUARDED, GONE, "kms"),
        Change("PeopleRights", "PolicyDocument.Statement.1.Condition", GONE, "vpc"),
        *(
            Change("PeopleRights", "PolicyDocument.Statement.1.Condition", {operator: values}, "vpc")
            for operator, values in (
                ("StringEqualsIfExists", {"sagemaker:VpcSubnets": "subnet-1"}),
                ("ForAllValues:StringEquals", {"sagemaker:VpcSubnets": "subnet-1"}),
                ("StringNotEquals", {"sagemaker:VpcSubnets": "subnet-1"}),
                ("Null", {"sagemaker:VolumeKmsKey": "false"}),
            )
        ),
        *(
            Change(
                "Rights",
                "PolicyDocument.Statement.1",
                allow(f"sagemaker:{api}", "*", Condition=GUARDS | {"Bool": {}}),
                "interContainer",
            )
            for api in (
                "CreateTrainingJob",
                "CreateHyperParameterTuningJob",
                "CreateProcessingJob",
                "CreateAutoMLJob*",
            )
        ),
    ),
    unresolved=(
        Change("Rights", "PolicyDocument.Statement.1.Action", OPEN_PARAMETER, ACTION_OPEN, "warning"),
        Change(
            "Rights",
            f"{GUARDED}.Null.sagemaker:VpcSubnets",
            OPEN_PARAMETER,
            "unresolved:PolicyDocument.Statement.Condition.Null.sagemaker:VpcSubnets",
            "warning",
        ),
        Change(
            "Rights",
            f"{GUARDED}.Bool.sagemaker:InterContainerTrafficEncryption",
            OPEN_PARAMETER,
            "unresolved:PolicyDocument.Statement.Condition.Bool.sagemaker:InterContainerTrafficEncryption",
            "warning",
        ),
    ),
)

CAN = "PolicyDocument.Statement.0.Action"
WRITE_ONLY = Case(
    "SEC02-WriteOnlyUploader",
    compliant={
        "Raw": bucket("temporary-raw"),
        "Camera": trusting({"AWS": f"{ACCOUNT}:root"}),
        "CameraRights": policy("Camera", allow("s3:PutObject", objects("Raw"))),
        "Reader": service("lambda"),
        "ReaderRights": policy(
            "Reader",
            allow(["s3:GetObject", "s3:ListBucket"], [{"Fn::GetAtt": ["Raw", "Arn"]}, objects("Raw")]),
        ),
        "Eraser": {**service("lambda"), "Metadata": {"MLLens": {"Role": "cleanup"}}},
        "EraserRights": policy("Eraser", allow(["s3:GetObject", "s3:DeleteObject"], objects("Raw"))),
    },
    violations=(
        Change("CameraRights", CAN, ["s3:PutObject", "s3:GetObject"]),
        Change("CameraRights", CAN, "s3:*"),
        Change("CameraRights", CAN, ["s3:PutObject", "s3:GetObjectVersion"]),
        Change("ReaderRights", CAN, ["s3:GetObject", "s3:PutObject"]),
        Change("ReaderRights", CAN, ["s3:GetObject*", "s3:DeleteObject"]),
        Change("ReaderRights", CAN, ["s3:GetObject", "s3:DeleteObjectVersion"]),
        Change("EraserRights", CAN, ["s3:GetObject", "s3:DeleteObject", "s3:PutObject"]),
        Change("Eraser", "@Metadata.MLLens.Role", GONE, on="EraserRights"),
        Change("ReaderRights", "Roles", [{"Ref": "Camera"}], on="CameraRights"),
    ),
    unresolved=(
        Change("ReaderRights", CAN, OPEN_PARAMETER, ACTION_OPEN, "warning"),
        Change("CameraRights", CAN, ["s3:PutObject", OPEN_PARAMETER], ACTION_OPEN, "warning"),
    ),
)

LAMBDA_IN_VPC = Case(
    "SEC03-InferenceLambdaInVpc",
    compliant={
        "Churn": ENDPOINT,
        "FrontRole": service("lambda"),
        "Rights": INVOKES,
        "Front": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                **function("FrontRole")["Properties"],
                "VpcConfig": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
            },
        },
        "OtherRole": service("lambda"),
        "Other": function("OtherRole"),
    },
    violations=(
        Change("Front", "VpcConfig", GONE),
        Change("Front", "VpcConfig.SubnetIds", ["subnet-1"]),
        Change("Front", "VpcConfig.SubnetIds", GONE),
        Change("Front", "VpcConfig.SecurityGroupIds", []),
        Change("Other", "Role", {"Fn::GetAtt": ["FrontRole", "Arn"]}),
        Change("OtherRole", "ManagedPolicyArns", [of_aws("AmazonSageMakerFullAccess")], on="Other"),
    ),
    unresolved=(
        Change(
            "Front",
            "VpcConfig.SubnetIds",
            {"Ref": "NobodyKnowsList"},
            "unresolved:VpcConfig.SubnetIds",
            "warning",
        ),
        Change(
            "Front",
            "VpcConfig.SecurityGroupIds",
            {"Ref": "NobodyKnowsList"},
            "unresolved:VpcConfig.SecurityGroupIds",
            "warning",
        ),
    ),
)

TRUSTED = "AssumeRolePolicyDocument.Statement.0.Principal"
TRUST_OPEN = "unresolved:AssumeRolePolicyDocument.Statement.Principal"
ONLY_PIPELINE = Case(
    "REL02-OnlyPipelineDeploys",
    compliant={
        "Churn": ENDPOINT,
        "Deploy": service("states"),
        "Rights": policy("Deploy", allow("sagemaker:UpdateEndpoint", {"Ref": "Churn"})),
        "People": trusting({"AWS": f"{ACCOUNT}:root"}),
        "PeopleRights": policy("People", allow("sagemaker:DescribeEndpoint", {"Ref": "Churn"})),
        "Emergency": {
            **trusting({"AWS": f"{ACCOUNT}:root"}),
            "Metadata": {"MLLens": {"Role": "break-glass"}},
        },
        "EmergencyRights": policy("Emergency", allow("sagemaker:*", {"Ref": "Churn"})),
    },
    violations=(
        *(
            Change("Deploy", TRUSTED, principal, level="warning")
            for principal in (
                {"AWS": f"{ACCOUNT}:root"},
                {"AWS": [f"{ACCOUNT}:user/ada"]},
                {"Federated": f"{ACCOUNT}:saml-provider/company"},
                {"Service": ["states.amazonaws.com", "ec2.amazonaws.com"]},
                {"Service": "sagemaker.amazonaws.com"},
                "*",
                {"AWS": {"Fn::GetAtt": ["People", "Arn"]}},
            )
        ),
        *(
            Change("PeopleRights", CAN, f"sagemaker:{action}", level="warning", on="People")
            for action in (
                "CreateEndpoint",
                "UpdateEndpoint",
                "UpdateEndpointWeightsAndCapacities",
                "DeleteEndpoint",
                "*",
            )
        ),
        Change("Emergency", "@Metadata.MLLens.Role", GONE, level="warning"),
    ),
    unresolved=(
        Change("Deploy", f"{TRUSTED}.Service", OPEN_PARAMETER, f"{TRUST_OPEN}.Service", "warning"),
        Change("Deploy", TRUSTED, {"AWS": OPEN_PARAMETER}, f"{TRUST_OPEN}.AWS", "warning"),
        Change("Deploy", TRUSTED, {"Federated": OPEN_PARAMETER}, f"{TRUST_OPEN}.Federated", "warning"),
    ),
)

CASES = (
    LEAST_PRIVILEGE,
    INVOKE_SCOPED,
    PHASE_SEPARATION,
    API_AUTHORIZED,
    URL_FROM_VPC,
    JOB_GUARDRAILS,
    WRITE_ONLY,
    LAMBDA_IN_VPC,
    ONLY_PIPELINE,
)
