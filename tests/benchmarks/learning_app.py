"""An app of any size, with the mix of resources that a machine-learning team has, for the benchmarks."""

import json
from typing import Any

PER_SERVICE = 25


def template(resources: int, *, stack: int = 0) -> dict[str, Any]:
    """Return a template with about as many resources; each service of it uses the key of the first stack."""
    made: dict[str, Any] = {}
    for number in range(max(1, resources // PER_SERVICE)):
        made.update(_service(f"S{number}", stack))
    parameters = {"Size": {"Type": "String", "AllowedValues": ["ml.m6g.large", "ml.c7g.xlarge"]}}
    body = {"Parameters": parameters, "Conditions": {"Prod": {"Fn::Equals": ["a", "b"]}}, "Resources": made}
    if stack == 0:
        body["Outputs"] = {"Key": {"Value": _arn("S0Key"), "Export": {"Name": "the-key"}}}
    return body


def _arn(resource: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [resource, "Arn"]}


def _policy(role: str, *statements: dict[str, Any]) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": role, "Roles": [{"Ref": role}], "PolicyDocument": document},
    }


def _role(service: str) -> dict[str, Any]:
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{service}.amazonaws.com"},
    }
    document = {"Version": "2012-10-17", "Statement": [trust]}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}


def _allow(actions: list[str], resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _alarm(endpoint: str, metric: str, topic: str) -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": {"Fn::GetAtt": [endpoint, "EndpointName"]}}]
    properties = {
        "MetricName": metric,
        "Namespace": "AWS/SageMaker",
        "Dimensions": dimensions,
        "AlarmActions": [{"Ref": topic}],
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def _workflow(name: str) -> dict[str, Any]:
    request = {
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m6i.xlarge", "VolumeKmsKeyId": "@key@"},
        "OutputDataConfig": {"S3OutputPath": "s3://@bucket@/models", "KmsKeyId": "@key@"},
        "VpcConfig": {"Subnets": ["@subnet@"], "SecurityGroupIds": ["sg-1"]},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "EnableNetworkIsolation": True,
        "EnableManagedSpotTraining": False,
    }
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": request,
    }
    text = json.dumps({"StartAt": "Train", "States": {"Train": {**task, "End": True}}})
    pieces: list[Any] = [text]
    for mark, target in (
        ("@key@", _arn(f"{name}Key")),
        ("@bucket@", {"Ref": f"{name}Data"}),
        ("@subnet@", "subnet-1"),
    ):
        split: list[Any] = []
        for piece in pieces:
            if not isinstance(piece, str):
                split.append(piece)
                continue
            for position, part in enumerate(piece.split(mark)):
                split += [target, part] if position else [part]
        pieces = split
    properties = {"RoleArn": _arn(f"{name}TrainRole"), "DefinitionString": {"Fn::Join": ["", pieces]}}
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}


def _service(name: str, stack: int) -> dict[str, Any]:
    key = _arn(f"{name}Key") if stack == 0 else {"Fn::ImportValue": "the-key"}
    variant = {
        "VariantName": "a",
        "ModelName": {"Fn::GetAtt": [f"{name}Model", "ModelName"]},
        "InitialInstanceCount": {"Fn::If": ["Prod", 2, 1]},
        "InstanceType": {"Ref": "Size"},
    }
    encryption = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    target = {
        "Fn::Join": ["", ["endpoint/", {"Fn::GetAtt": [f"{name}Endpoint", "EndpointName"]}, "/variant/a"]]
    }
    scaling = {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ResourceId": target,
    }
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn@sha256:" + "0" * 64
    return {
        f"{name}Key": {"Type": "AWS::KMS::Key", "Properties": {"EnableKeyRotation": True, "KeyPolicy": {}}},
        f"{name}Data": {
            "Type": "AWS::S3::Bucket",
            "Metadata": {"MLLens": {"Role": "training-data"}},
            "Properties": {"BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]}},
        },
        f"{name}Artifacts": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
        },
        f"{name}Role": _role("sagemaker"),
        f"{name}Policy": _policy(
            f"{name}Role", _allow(["s3:GetObject"], {"Fn::Sub": f"${{{name}Data.Arn}}/*"})
        ),
        f"{name}TrainRole": _role("states"),
        f"{name}TrainPolicy": _policy(f"{name}TrainRole", _allow(["sagemaker:CreateTrainingJob"], "*")),
        f"{name}Workflow": _workflow(name),
        f"{name}Every": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "ScheduleExpression": "rate(1 day)",
                "Targets": [{"Id": "t", "Arn": {"Ref": f"{name}Workflow"}}],
            },
        },
        f"{name}Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "ExecutionRoleArn": _arn(f"{name}Role"),
                "PrimaryContainer": {
                    "Image": image,
                    "ModelDataUrl": {"Fn::Sub": f"s3://${{{name}Artifacts}}/m.tar.gz"},
                },
                "VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
            },
        },
        f"{name}Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [variant], "KmsKeyId": key},
        },
        f"{name}Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointConfigName": {"Fn::GetAtt": [f"{name}Config", "EndpointConfigName"]}},
        },
        f"{name}Scaling": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {**scaling, "MinCapacity": 2, "MaxCapacity": 4, "RoleARN": _arn(f"{name}Role")},
        },
        f"{name}ScalingPolicy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": name,
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": {"Ref": f"{name}Scaling"},
            },
        },
        f"{name}Topic": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": key}},
        f"{name}Errors": _alarm(f"{name}Endpoint", "Invocation5XXErrors", f"{name}Topic"),
        f"{name}Latency": _alarm(f"{name}Endpoint", "ModelLatency", f"{name}Topic"),
        f"{name}FrontRole": _role("lambda"),
        f"{name}FrontPolicy": _policy(
            f"{name}FrontRole",
            _allow(["sagemaker:InvokeEndpoint", "rekognition:DetectFaces"], {"Ref": f"{name}Endpoint"}),
        ),
        f"{name}Front": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Role": _arn(f"{name}FrontRole"),
                "Runtime": "python3.13",
                "Handler": "a.b",
                "Code": {"ZipFile": "pass"},
            },
        },
        f"{name}Log": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": {"Fn::Sub": f"/aws/lambda/${{{name}Front}}"},
                "RetentionInDays": 30,
            },
        },
        f"{name}Notebook": {
            "Type": "AWS::SageMaker::NotebookInstance",
            "Properties": {
                "RoleArn": _arn(f"{name}Role"),
                "InstanceType": "ml.t3.medium",
                "SubnetId": "subnet-1",
            },
        },
        f"{name}Repository": {
            "Type": "AWS::ECR::Repository",
            "Properties": {"ImageTagMutability": "IMMUTABLE"},
        },
        f"{name}Queue": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": key}},
        f"{name}Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        },
    }
