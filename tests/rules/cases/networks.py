"""Networks in which machine learning runs: their flow logs, their endpoints, what the endpoints let through."""

from typing import Any

from tests.rules.fixtures import GONE, OPEN_PARAMETER, Body, Case, Change

VPC: dict[str, Any] = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}
NOTEBOOK: dict[str, Any] = {
    "Type": "AWS::SageMaker::NotebookInstance",
    "Properties": {"SubnetId": {"Ref": "SubnetA"}, "SecurityGroupIds": ["sg-1"]},
}


def subnet(vpc: Any = None) -> dict[str, Any]:
    return {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": vpc or {"Ref": "Vpc"}}}


def flow_log(of: Any, traffic: str = "ALL") -> dict[str, Any]:
    kind = "VPC" if of == {"Ref": "Vpc"} else "Subnet"
    properties = {"ResourceType": kind, "ResourceId": of, "TrafficType": traffic}
    return {"Type": "AWS::EC2::FlowLog", "Properties": properties}


def gateway(vpc: Any = None, **properties: Any) -> dict[str, Any]:
    """The endpoint to S3, as the CDK writes it."""
    return {
        "Type": "AWS::EC2::VPCEndpoint",
        "Properties": {
            "ServiceName": {"Fn::Join": ["", ["com.amazonaws.", {"Ref": "AWS::Region"}, ".s3"]]},
            "VpcEndpointType": "Gateway",
            "VpcId": vpc or {"Ref": "Vpc"},
            **properties,
        },
    }


def interface(
    service: str, vpc: Any = None, prefix: str = "com.amazonaws", **properties: Any
) -> dict[str, Any]:
    return {
        "Type": "AWS::EC2::VPCEndpoint",
        "Properties": {
            "PrivateDnsEnabled": True,
            "ServiceName": {"Fn::Join": ["", [f"{prefix}.", {"Ref": "AWS::Region"}, f".{service}"]]},
            "VpcEndpointType": "Interface",
            "VpcId": vpc or {"Ref": "Vpc"},
            **properties,
        },
    }


def endpoints(vpc: Any = None) -> dict[str, Any]:
    """The six endpoints that every network needs, and those for notebooks and Studio."""
    return {
        "S3": gateway(vpc),
        "SageMaker": interface("sagemaker.api", vpc),
        "Runtime": interface("sagemaker.runtime", vpc),
        "Logs": interface("logs", vpc),
        "Kms": interface("kms", vpc),
        "Sts": interface("sts", vpc),
        "Notebooks": interface("notebook", vpc, "aws.sagemaker"),
        "Studio": interface("studio", vpc, "aws.sagemaker"),
    }


def flow_logs(user: dict[str, Any], name: str) -> Case:
    """A network that is judged because of one user."""
    app = {
        "User": user,
        "SubnetA": subnet(),
        "SubnetB": subnet(),
        "Vpc": VPC,
        "Log": flow_log({"Ref": "Vpc"}),
    }
    return Case("SEC02-MlVpcFlowLogs", app, (Change("Log", "", GONE, on="Vpc"),), (), name=name)


def machine(api: str, request: dict[str, Any]) -> dict[str, Any]:
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:{api}.sync",
        "End": True,
        "Parameters": request,
    }
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": Body(StartAt="Work", States={"Work": state})},
    }


def pipeline(request: dict[str, Any]) -> dict[str, Any]:
    body = Body(Version="2020-12-01", Steps=[{"Name": "Work", "Type": "Training", "Arguments": request}])
    definition = {"PipelineDefinitionBody": body}
    return {"Type": "AWS::SageMaker::Pipeline", "Properties": {"PipelineDefinition": definition}}


SUBNETS = [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}]
NETWORK = {"VpcConfig": {"Subnets": SUBNETS, "SecurityGroupIds": ["sg-1"]}}
IN_NETWORK = {"NetworkConfig": NETWORK}
SCHEDULED = {"MonitoringScheduleConfig": {"MonitoringJobDefinition": IN_NETWORK}}
LABELING = {"LabelingJobAlgorithmsConfig": {"LabelingJobResourceConfig": NETWORK}}
USERS: dict[str, dict[str, Any]] = {
    "domain": {"Type": "AWS::SageMaker::Domain", "Properties": {"SubnetIds": SUBNETS}},
    "model": {"Type": "AWS::SageMaker::Model", "Properties": NETWORK},
    "endpoint": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": NETWORK},
    "cluster": {"Type": "AWS::SageMaker::Cluster", "Properties": NETWORK},
    "job": {"Type": "AWS::SageMaker::ProcessingJob", "Properties": IN_NETWORK},
    "data quality": {"Type": "AWS::SageMaker::DataQualityJobDefinition", "Properties": IN_NETWORK},
    "model quality": {"Type": "AWS::SageMaker::ModelQualityJobDefinition", "Properties": IN_NETWORK},
    "bias": {"Type": "AWS::SageMaker::ModelBiasJobDefinition", "Properties": IN_NETWORK},
    "explainability": {"Type": "AWS::SageMaker::ModelExplainabilityJobDefinition", "Properties": IN_NETWORK},
    "monitoring": {"Type": "AWS::SageMaker::MonitoringSchedule", "Properties": SCHEDULED},
    "emr": {"Type": "AWS::EMR::Cluster", "Properties": {"Instances": {"Ec2SubnetId": {"Ref": "SubnetA"}}}},
    "emr fleet": {"Type": "AWS::EMR::Cluster", "Properties": {"Instances": {"Ec2SubnetIds": SUBNETS}}},
    "training": machine("createTrainingJob", NETWORK),
    "tuning": machine("createHyperParameterTuningJob", {"TrainingJobDefinition": NETWORK}),
    "processing": machine("createProcessingJob", IN_NETWORK),
    "automl": machine("createAutoMLJobV2", {"SecurityConfig": NETWORK}),
    "first automl": machine("createAutoMLJob", {"AutoMLJobConfig": {"SecurityConfig": NETWORK}}),
    "labeling": machine("createLabelingJob", LABELING),
    "pipeline": pipeline(NETWORK),
}
FLOW_LOGS = Case(
    "SEC02-MlVpcFlowLogs",
    {"Notebook": NOTEBOOK, "SubnetA": subnet(), "Vpc": VPC, "Log": flow_log({"Ref": "Vpc"})},
    (
        Change("Log", "", GONE, on="Vpc"),
        Change("Log", "ResourceId", "vpc-of-others", on="Vpc"),
        Change("Log", "TrafficType", "REJECT"),
        Change("Log", "TrafficType", GONE),
    ),
    (
        Change("Log", "TrafficType", OPEN_PARAMETER, "unresolved:TrafficType", "warning"),
        Change("Log", "ResourceId", OPEN_PARAMETER, "unresolved:ResourceId", "warning"),
        Change("Notebook", "SubnetId", "subnet-1", "unresolved:SubnetId", "warning"),
        Change("Notebook", "SubnetId", OPEN_PARAMETER, "unresolved:SubnetId", "warning"),
    ),
)
FLOW_LOGS_OF_SUBNETS = Case(
    "SEC02-MlVpcFlowLogs",
    {
        "Notebook": NOTEBOOK,
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": NETWORK},
        "SubnetA": subnet(),
        "SubnetB": subnet(),
        "Vpc": VPC,
        "LogA": flow_log({"Ref": "SubnetA"}),
        "LogB": flow_log({"Fn::GetAtt": ["SubnetB", "SubnetId"]}),
    },
    (
        Change("LogA", "", GONE, on="Vpc"),
        Change("LogB", "", GONE, on="Vpc"),
        Change("LogA", "TrafficType", "ACCEPT"),
    ),
    (Change("LogB", "TrafficType", OPEN_PARAMETER, "unresolved:TrafficType", "warning"),),
    name="subnets",
)
ENDPOINTS = Case(
    "SEC02-MlVpcEndpoints",
    {
        "Notebook": NOTEBOOK,
        "Domain": {
            "Type": "AWS::SageMaker::Domain",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "SubnetIds": [{"Ref": "SubnetA"}]},
        },
        "SubnetA": subnet(),
        "Vpc": VPC,
        **endpoints(),
    },
    (
        *(Change(name, "", GONE, on="Vpc") for name in endpoints()),
        *(Change(name, "PrivateDnsEnabled", value) for name in ("Kms", "Studio") for value in (GONE, False)),
        Change("Sts", "VpcId", "vpc-of-others", on="Vpc"),
        Change("Sts", "ServiceName", "com.amazonaws.eu-west-1.sqs", on="Vpc"),
        Change("S3", "VpcEndpointType", "Interface"),
    ),
    (
        Change("Sts", "VpcId", OPEN_PARAMETER, "unresolved:VpcId", "warning"),
        Change("Sts", "ServiceName", OPEN_PARAMETER, "unresolved:ServiceName", "warning"),
        Change("Sts", "PrivateDnsEnabled", OPEN_PARAMETER, "unresolved:PrivateDnsEnabled", "warning"),
        Change("S3", "VpcEndpointType", OPEN_PARAMETER, "unresolved:VpcEndpointType", "warning"),
        Change("Notebook", "SubnetId", "subnet-1", "unresolved:SubnetId", "warning"),
    ),
)
OWN_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:7"
PRIVATE_IMAGES = Case(
    "SEC02-MlVpcEndpoints",
    {
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {**NETWORK, "PrimaryContainer": {"Image": "public.ecr.aws/churn:7"}},
        },
        "Job": {
            "Type": "AWS::SageMaker::ProcessingJob",
            "Properties": {**IN_NETWORK, "AppSpecification": {"ImageUri": "public.ecr.aws/churn:7"}},
        },
        "Repository": {"Type": "AWS::ECR::Repository", "Properties": {}},
        "SubnetA": subnet(),
        "SubnetB": subnet(),
        "Vpc": VPC,
        **endpoints(),
    },
    (
        Change("Model", "PrimaryContainer.Image", OWN_IMAGE, on="Vpc"),
        Change("Model", "PrimaryContainer.Image", {"Fn::GetAtt": ["Repository", "RepositoryUri"]}, on="Vpc"),
        Change("Model", "Containers", [{"Image": OWN_IMAGE}], on="Vpc"),
        Change("Job", "AppSpecification.ImageUri", OWN_IMAGE, on="Vpc"),
    ),
    (
        Change(
            "Model",
            "PrimaryContainer.Image",
            OPEN_PARAMETER,
            "unresolved:PrimaryContainer.Image",
            "warning",
        ),
    ),
    name="images",
)
EVERYTHING: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def policy(**changes: Any) -> dict[str, Any]:
    """A policy that lets everybody do everything, with changes."""
    changed = {**EVERYTHING, **changes}
    kept = {name: value for name, value in changed.items() if value is not GONE}
    return {"Version": "2012-10-17", "Statement": [kept]}


def wide(endpoint: str, value: Any) -> Change:
    return Change(endpoint, "PolicyDocument", value, level="warning")


def open_policy(value: Any) -> Change:
    return Change("S3", "PolicyDocument", value, "unresolved:PolicyDocument", "warning")


OWN_BUCKETS = policy(Condition={"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}})
POLICIES = Case(
    "SEC02-VpcEndpointPolicyRestricted",
    {
        "Notebook": NOTEBOOK,
        "SubnetA": subnet(),
        "Vpc": VPC,
        "S3": gateway(PolicyDocument=OWN_BUCKETS),
        "SageMaker": interface("sagemaker.api", PolicyDocument=policy(Action="sagemaker:Describe*")),
        "Features": interface(
            "sagemaker.featurestore-runtime", PolicyDocument=policy(Principal={"AWS": "123"})
        ),
        "Kms": interface("kms"),
        "Notebooks": interface("notebook", prefix="aws.sagemaker"),
    },
    (
        *(wide(name, GONE) for name in ("S3", "SageMaker", "Features")),
        *(
            wide("S3", value)
            for value in (
                policy(),
                Body(policy()),
                policy(Principal={"AWS": "*"}),
                policy(Principal={"AWS": ["arn:aws:iam::111122223333:root", "*"]}),
                policy(Principal=GONE, NotPrincipal={"AWS": "arn:aws:iam::111122223333:root"}),
                policy(Action="s3:*"),
                policy(Action=["s3:GetObject", "*"]),
                policy(Action=GONE, NotAction="s3:DeleteBucket"),
                policy(Resource=["arn:aws:s3:::data", "*"]),
                policy(Resource={"Fn::Sub": "arn:${AWS::Partition}:s3:::*"}),
                policy(Resource=["arn:aws:s3:::*/*"]),
                policy(Resource=GONE, NotResource="arn:aws:s3:::data"),
                {"Statement": [*OWN_BUCKETS["Statement"], EVERYTHING]},
            )
        ),
        wide("SageMaker", policy(Action="sagemaker:*")),
    ),
    (
        open_policy(OPEN_PARAMETER),
        open_policy(policy(Principal=OPEN_PARAMETER)),
        open_policy(policy(Action=OPEN_PARAMETER)),
        open_policy(policy(Resource=OPEN_PARAMETER)),
        open_policy({"Statement": [OPEN_PARAMETER]}),
    ),
)
POLICY_OF_OPEN_NETWORK = Case(
    "SEC02-VpcEndpointPolicyRestricted",
    {"Notebook": NOTEBOOK, "SubnetA": subnet(), "Vpc": VPC, "S3": gateway("vpc-of-others")},
    (Change("S3", "VpcId", {"Ref": "Vpc"}, level="warning"),),
    (
        Change("S3", "VpcId", OPEN_PARAMETER, "unresolved:VpcId", "warning"),
        Change("Notebook", "SubnetId", "subnet-1", "unresolved:VpcId", "warning", on="S3"),
    ),
    name="elsewhere",
)


CASES = [
    FLOW_LOGS,
    FLOW_LOGS_OF_SUBNETS,
    *(flow_logs(user, name.replace(" ", "-")) for name, user in USERS.items()),
    ENDPOINTS,
    PRIVATE_IMAGES,
    POLICIES,
    POLICY_OF_OPEN_NETWORK,
]
