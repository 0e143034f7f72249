"""Cases for the rules on models, endpoint configurations and feature groups."""

from typing import Any

from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Case, Change

KEY = {"Fn::GetAtt": ["Key", "Arn"]}
OPEN_LIST = {"Ref": "NobodyKnowsList"}
OPEN_NUMBER = {"Ref": "NobodyKnowsNumber"}
AWS_KEY = "alias/aws/sagemaker"

MODEL: dict[str, Any] = {
    "Type": "AWS::SageMaker::Model",
    "Properties": {
        "EnableNetworkIsolation": True,
        "PrimaryContainer": {
            "ModelPackageName": "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/7"
        },
        "VpcConfig": {
            "Subnets": [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}],
            "SecurityGroupIds": [{"Fn::GetAtt": ["Group", "GroupId"]}],
        },
    },
}
NETWORK: dict[str, Any] = {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
    "SubnetA": {
        "Type": "AWS::EC2::Subnet",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "AvailabilityZone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]}},
    },
    "SubnetB": {
        "Type": "AWS::EC2::Subnet",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "AvailabilityZone": {"Fn::Select": [1, {"Fn::GetAZs": ""}]}},
    },
    "Group": {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {"GroupDescription": "model", "VpcId": {"Ref": "Vpc"}},
    },
}
VARIANT: dict[str, Any] = {
    "VariantName": "AllTraffic",
    "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 2,
    "InitialVariantWeight": 1,
}
CONFIG: dict[str, Any] = {
    "Type": "AWS::SageMaker::EndpointConfig",
    "Properties": {
        "KmsKeyId": KEY,
        "ProductionVariants": [VARIANT],
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": 20,
            "DestinationS3Uri": "s3://capture/churn",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "KmsKeyId": KEY,
        },
        "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://answers/churn", "KmsKeyId": KEY}},
    },
}
SERVERLESS: dict[str, Any] = {
    "VariantName": "OnDemand",
    "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
    "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
}
HOSTED: dict[str, Any] = {"Key": {"Type": "AWS::KMS::Key"}, "Model": MODEL, "Config": CONFIG, **NETWORK}
FEATURES: dict[str, Any] = {
    "Key": {"Type": "AWS::KMS::Key"},
    "Features": {
        "Type": "AWS::SageMaker::FeatureGroup",
        "Properties": {
            "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://features/offline", "KmsKeyId": KEY}},
            "OnlineStoreConfig": {
                "EnableOnlineStore": True,
                "StorageType": "Standard",
                "SecurityConfig": {"KmsKeyId": KEY},
            },
        },
    },
    "Experiment": {
        "Type": "AWS::SageMaker::InferenceExperiment",
        "Properties": {
            "KmsKey": KEY,
            "DataStorageConfig": {"Destination": "s3://experiments/shadow", "KmsKey": KEY},
            "ModelVariants": [
                {
                    "VariantName": "Candidate",
                    "ModelName": "candidate",
                    "InfrastructureConfig": {
                        "InfrastructureType": "RealTimeInference",
                        "RealTimeInferenceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
                    },
                }
            ],
        },
    },
    "Card": {"Type": "AWS::SageMaker::ModelCard", "Properties": {"SecurityConfig": {"KmsKeyId": KEY}}},
}

CASES = [
    Case(
        rule="SEC03-ModelInVpc",
        compliant=HOSTED,
        violations=(
            Change("Model", "VpcConfig", GONE),
            Change("Model", "VpcConfig.Subnets", []),
            Change("Model", "VpcConfig.SecurityGroupIds", []),
            Change("Model", "VpcConfig.SecurityGroupIds", GONE),
        ),
        unresolved=(
            Change("Model", "VpcConfig.Subnets", OPEN_LIST, "unresolved:VpcConfig.Subnets", "warning"),
            Change(
                "Model",
                "VpcConfig.SecurityGroupIds",
                OPEN_LIST,
                "unresolved:VpcConfig.SecurityGroupIds",
                "warning",
            ),
        ),
    ),
    Case(
        rule="SEC03-ModelNetworkIsolation",
        compliant=HOSTED,
        violations=(
            Change("Model", "EnableNetworkIsolation", False),
            Change("Model", "EnableNetworkIsolation", "false"),
            Change("Model", "EnableNetworkIsolation", GONE),
        ),
        unresolved=(
            Change(
                "Model",
                "EnableNetworkIsolation",
                OPEN_PARAMETER,
                "unresolved:EnableNetworkIsolation",
                "warning",
            ),
        ),
    ),
    Case(
        rule="SEC03-EndpointEncrypted",
        compliant=HOSTED,
        violations=(
            Change("Config", "KmsKeyId", GONE, "volume"),
            Change("Config", "KmsKeyId", AWS_KEY, "volume"),
            Change("Config", "DataCaptureConfig.KmsKeyId", GONE, "capture"),
            Change("Config", "DataCaptureConfig.KmsKeyId", AWS_KEY, "capture"),
            Change("Config", "AsyncInferenceConfig.OutputConfig.KmsKeyId", GONE, "async"),
            Change("Config", "AsyncInferenceConfig.OutputConfig.KmsKeyId", AWS_KEY, "async"),
        ),
        unresolved=(
            Change("Config", "KmsKeyId", MAYBE_EMPTY, "unresolved:KmsKeyId", "warning"),
            Change(
                "Config",
                "DataCaptureConfig.KmsKeyId",
                MAYBE_EMPTY,
                "unresolved:DataCaptureConfig.KmsKeyId",
                "warning",
            ),
            Change(
                "Config",
                "AsyncInferenceConfig.OutputConfig.KmsKeyId",
                MAYBE_EMPTY,
                "unresolved:AsyncInferenceConfig.OutputConfig.KmsKeyId",
                "warning",
            ),
        ),
    ),
    Case(
        rule="SEC03-EndpointEncrypted",
        name="shadow",
        compliant={
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {
                    "ProductionVariants": [SERVERLESS],
                    "ShadowProductionVariants": [{**VARIANT, "InstanceType": "ml.g5.xlarge"}],
                    "DataCaptureConfig": {"EnableCapture": False, "InitialSamplingPercentage": 5},
                },
            }
        },
        violations=(
            Change("Config", "ShadowProductionVariants.0.InstanceType", "ml.m5.large", "volume"),
            Change("Config", "DataCaptureConfig.EnableCapture", True, "capture"),
            Change("Config", "DataCaptureConfig.EnableCapture", GONE, "capture"),
        ),
        unresolved=(
            Change(
                "Config",
                "ShadowProductionVariants.0.InstanceType",
                OPEN_PARAMETER,
                "unresolved:ShadowProductionVariants.InstanceType",
                "warning",
            ),
            Change(
                "Config",
                "DataCaptureConfig.EnableCapture",
                OPEN_PARAMETER,
                "unresolved:DataCaptureConfig.EnableCapture",
                "warning",
            ),
        ),
    ),
    Case(
        rule="SEC03-ServerlessLimits",
        compliant=HOSTED,
        violations=(
            Change("Config", "ProductionVariants.0.ServerlessConfig", {"MaxConcurrency": 5}, None, "warning"),
            Change("Config", "ProductionVariants", [SERVERLESS], None, "warning"),
            Change("Config", "ProductionVariants", [SERVERLESS, SERVERLESS], None, "warning"),
        ),
        unresolved=(
            Change(
                "Config", "ProductionVariants", OPEN_PARAMETER, "unresolved:ProductionVariants", "warning"
            ),
        ),
    ),
    Case(
        rule="SEC03-FeatureAndExperimentKms",
        compliant=FEATURES,
        violations=(
            Change("Features", "OfflineStoreConfig.S3StorageConfig.KmsKeyId", GONE),
            Change("Features", "OfflineStoreConfig.S3StorageConfig.KmsKeyId", AWS_KEY),
            Change("Features", "OnlineStoreConfig.SecurityConfig", GONE),
            Change("Features", "OnlineStoreConfig.SecurityConfig.KmsKeyId", AWS_KEY),
            Change("Experiment", "KmsKey", GONE),
            Change("Experiment", "DataStorageConfig.KmsKey", GONE),
            Change("Card", "SecurityConfig", GONE),
            Change("Card", "SecurityConfig.KmsKeyId", AWS_KEY),
        ),
        unresolved=(
            Change(
                "Card",
                "SecurityConfig.KmsKeyId",
                MAYBE_EMPTY,
                "unresolved:SecurityConfig.KmsKeyId",
                "warning",
            ),
            Change("Experiment", "KmsKey", MAYBE_EMPTY, "unresolved:KmsKey", "warning"),
        ),
    ),
    Case(
        rule="SEC03-FeatureAndExperimentKms",
        name="stores",
        compliant={
            "Features": {
                "Type": "AWS::SageMaker::FeatureGroup",
                "Properties": {"OnlineStoreConfig": {"EnableOnlineStore": False, "StorageType": "Standard"}},
            }
        },
        violations=(Change("Features", "OnlineStoreConfig.EnableOnlineStore", True),),
        unresolved=(
            Change(
                "Features",
                "OnlineStoreConfig.EnableOnlineStore",
                OPEN_PARAMETER,
                "unresolved:OnlineStoreConfig.EnableOnlineStore",
                "warning",
            ),
        ),
    ),
    Case(
        rule="OPS05-DataCaptureEnabled",
        compliant=HOSTED,
        violations=(
            Change("Config", "DataCaptureConfig", GONE),
            Change("Config", "DataCaptureConfig.EnableCapture", False),
            Change("Config", "DataCaptureConfig.EnableCapture", GONE),
            Change("Config", "DataCaptureConfig.InitialSamplingPercentage", 0),
            Change("Config", "DataCaptureConfig.InitialSamplingPercentage", GONE),
            Change("Config", "DataCaptureConfig.CaptureOptions", GONE),
            Change("Config", "DataCaptureConfig.CaptureOptions.0", GONE),
            Change("Config", "DataCaptureConfig.CaptureOptions.1", GONE),
            Change("Config", "DataCaptureConfig.CaptureOptions.1.CaptureMode", "Input"),
        ),
        unresolved=(
            Change(
                "Config",
                "DataCaptureConfig.EnableCapture",
                OPEN_PARAMETER,
                "unresolved:DataCaptureConfig.EnableCapture",
                "warning",
            ),
            Change(
                "Config",
                "DataCaptureConfig.InitialSamplingPercentage",
                OPEN_NUMBER,
                "unresolved:DataCaptureConfig.InitialSamplingPercentage",
                "warning",
            ),
            Change(
                "Config",
                "DataCaptureConfig.CaptureOptions.1.CaptureMode",
                OPEN_PARAMETER,
                "unresolved:DataCaptureConfig.CaptureOptions.CaptureMode",
                "warning",
            ),
        ),
    ),
    Case(
        rule="OPS05-DataCaptureEnabled",
        name="outside-production",
        options={"environment": "dev"},
        compliant=HOSTED,
        violations=(Change("Config", "DataCaptureConfig.EnableCapture", False, None, "warning"),),
        unresolved=(),
    ),
]
