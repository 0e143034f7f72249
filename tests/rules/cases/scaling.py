"""Cases for the rules on endpoints that scale, are updated and give capacity back."""

import copy
from typing import Any

from tests.rules.cases.hosting import CONFIG, HOSTED, MODEL, VARIANT
from tests.rules.fixtures import GONE, OPEN_PARAMETER, Case, Change

OPEN_NUMBER = {"Ref": "NobodyKnowsNumber"}
NAME = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}
COUNT = "sagemaker:variant:DesiredInstanceCount"
TRACKING = "TargetTrackingScalingPolicyConfiguration"

REAL_TIME: dict[str, Any] = copy.deepcopy(CONFIG)
del REAL_TIME["Properties"]["AsyncInferenceConfig"]
SCALED: dict[str, Any] = {
    **HOSTED,
    "Config": REAL_TIME,
    "Endpoint": {
        "Type": "AWS::SageMaker::Endpoint",
        "Properties": {
            "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            "RetainAllVariantProperties": True,
            "DeploymentConfig": {
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": {"Ref": "Errors"}}]},
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"},
                    "TerminationWaitInSeconds": 300,
                },
            },
        },
    },
    "Errors": {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocation5XXErrors",
            "Dimensions": [
                {"Name": "EndpointName", "Value": NAME},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
        },
    },
    "Target": {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": COUNT,
            "ResourceId": {"Fn::Join": ["", ["endpoint/", NAME, "/variant/AllTraffic"]]},
            "MinCapacity": 2,
            "MaxCapacity": 8,
        },
    },
    "Policy": {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": "requests",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": {"Ref": "Target"},
            TRACKING: {
                "TargetValue": 500,
                "ScaleInCooldown": 600,
                "ScaleOutCooldown": 60,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            },
        },
    },
}
SECOND: dict[str, Any] = {**VARIANT, "VariantName": "Challenger"}
PREDEFINED = f"{TRACKING}.PredefinedMetricSpecification"
ROLLBACK = "DeploymentConfig.AutoRollbackConfiguration.Alarms"
ALARM = f"{ROLLBACK}.0.AlarmName"
BLUE_GREEN = "DeploymentConfig.BlueGreenUpdatePolicy"
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"

COPIES: dict[str, Any] = {
    **SCALED,
    "Component": {
        "Type": "AWS::SageMaker::InferenceComponent",
        "Properties": {
            "EndpointName": NAME,
            "VariantName": "AllTraffic",
            "Specification": {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}},
            "RuntimeConfig": {"CopyCount": 2},
        },
    },
    "Target": {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": COMPONENT,
            "ResourceId": {"Fn::Sub": "inference-component/${Component.InferenceComponentName}"},
            "MinCapacity": 1,
            "MaxCapacity": 8,
        },
    },
}
MANAGED: dict[str, Any] = {
    "Config": {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {
            "ProductionVariants": [
                {
                    **VARIANT,
                    "ModelName": "churn",
                    "ManagedInstanceScaling": {
                        "Status": "ENABLED",
                        "MinInstanceCount": 2,
                        "MaxInstanceCount": 4,
                    },
                }
            ]
        },
    },
    "Endpoint": {
        "Type": "AWS::SageMaker::Endpoint",
        "Properties": {"EndpointConfigName": {"Ref": "Config"}},
    },
}
POLICY_BY_NAME: dict[str, Any] = {
    **SCALED,
    "Policy": {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": "requests",
            "PolicyType": "TargetTrackingScaling",
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": COUNT,
            "ResourceId": {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/AllTraffic"},
        },
    },
}
ARTIFACTS: dict[str, Any] = {
    "Artifacts": {
        "Type": "AWS::S3::Bucket",
        "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
    },
    "Registry": {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {"ModelPackageGroupName": "churn"},
    },
    "Model": {
        "Type": "AWS::SageMaker::Model",
        "Properties": {
            "PrimaryContainer": {
                "Image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:7",
                "ModelDataUrl": {"Fn::Sub": "s3://${Artifacts}/churn/7/model.tar.gz"},
            }
        },
    },
}
ZONES = "VpcConfig.Subnets"
WARNED = (None, "warning")

CASES = [
    Case(
        rule="REL01-RollbackAlarms",
        compliant=SCALED,
        violations=(
            Change("Endpoint", "DeploymentConfig", GONE),
            Change("Endpoint", "DeploymentConfig.AutoRollbackConfiguration", GONE),
            Change("Endpoint", ROLLBACK, []),
            Change("Errors", "Dimensions.0.Value", "another-endpoint", on="Endpoint"),
            Change("Endpoint", BLUE_GREEN, GONE),
            Change("Endpoint", f"{BLUE_GREEN}.TerminationWaitInSeconds", GONE),
            Change("Endpoint", f"{BLUE_GREEN}.TerminationWaitInSeconds", 59),
        ),
        unresolved=(
            Change(
                "Endpoint",
                f"{ROLLBACK}.0.AlarmName",
                "made-by-hand",
                f"unresolved:{ROLLBACK}.AlarmName",
                "warning",
            ),
            Change(
                "Endpoint",
                f"{ROLLBACK}.0.AlarmName",
                OPEN_PARAMETER,
                f"unresolved:{ROLLBACK}.AlarmName",
                "warning",
            ),
            Change("Endpoint", ROLLBACK, OPEN_PARAMETER, f"unresolved:{ROLLBACK}", "warning"),
            Change(
                "Endpoint",
                f"{BLUE_GREEN}.TerminationWaitInSeconds",
                OPEN_NUMBER,
                f"unresolved:{BLUE_GREEN}.TerminationWaitInSeconds",
                "warning",
            ),
            Change(
                "Errors",
                "Dimensions.0.Value",
                OPEN_PARAMETER,
                f"unresolved:{ROLLBACK}.AlarmName",
                "warning",
                on="Endpoint",
            ),
        ),
    ),
    Case(
        rule="REL01-RollbackAlarms",
        name="outside-production",
        options={"environment": "dev"},
        compliant=SCALED,
        violations=(Change("Endpoint", "DeploymentConfig", GONE, None, "warning"),),
        unresolved=(),
    ),
    Case(
        rule="REL01-NoHardcodedNames",
        compliant=SCALED,
        violations=(
            Change("Model", "ModelName", "churn", *WARNED),
            Change("Config", "EndpointConfigName", "churn-config", *WARNED),
            Change("Model", "ModelName", {"Fn::Sub": "churn-${AWS::StackName}-${AWS::Region}"}, *WARNED),
        ),
        unresolved=(
            Change("Model", "ModelName", OPEN_PARAMETER, "unresolved:ModelName", "warning"),
            Change(
                "Config",
                "EndpointConfigName",
                {"Fn::Sub": "churn-${NobodyKnows}"},
                "unresolved:EndpointConfigName",
                "warning",
            ),
        ),
    ),
    Case(
        rule="REL01-ModelFromRegistry",
        compliant=ARTIFACTS,
        violations=(
            Change("Registry", "", GONE, *WARNED, on="Model"),
            Change("Model", "PrimaryContainer.ModelDataUrl", GONE, *WARNED),
            Change("Artifacts", "VersioningConfiguration", GONE, *WARNED, on="Model"),
            Change("Artifacts", "VersioningConfiguration.Status", "Suspended", *WARNED, on="Model"),
            Change("Artifacts", "@Metadata", {"MLLens": {"Role": "logs"}}, *WARNED, on="Model"),
        ),
        unresolved=(
            Change(
                "Model",
                "PrimaryContainer.ModelDataUrl",
                "s3://elsewhere/model.tar.gz",
                "unresolved:PrimaryContainer.ModelDataUrl",
                "warning",
            ),
            Change(
                "Artifacts",
                "VersioningConfiguration.Status",
                OPEN_PARAMETER,
                "unresolved:VersioningConfiguration.Status",
                "warning",
            ),
        ),
    ),
    Case(
        rule="REL01-ModelFromRegistry",
        name="package",
        compliant={"Model": MODEL},
        violations=(Change("Model", "PrimaryContainer.ModelPackageName", GONE, *WARNED),),
        unresolved=(
            Change(
                "Model",
                "PrimaryContainer.ModelPackageName",
                {"Ref": "MaybeEmpty"},
                "unresolved:PrimaryContainer.ModelPackageName",
                "warning",
            ),
        ),
    ),
    Case(
        rule="REL03-EndpointAutoScaling",
        compliant=SCALED,
        violations=(
            Change("Target", "ServiceNamespace", "ecs", on="Endpoint"),
            Change(
                "Target",
                "ScalableDimension",
                "sagemaker:variant:DesiredProvisionedConcurrency",
                on="Endpoint",
            ),
            Change("Target", "ResourceId", "endpoint/another/variant/AllTraffic", on="Endpoint"),
            Change("Target", "ResourceId", {"Fn::Sub": "endpoint/${Endpoint}/variant/Other"}, on="Endpoint"),
            Change("Config", "ProductionVariants.1", SECOND, on="Endpoint"),
        ),
        unresolved=(
            Change("Target", "ResourceId", OPEN_PARAMETER, "unresolved:ResourceId", "warning"),
            Change(
                "Target",
                "ResourceId",
                {"Fn::Sub": "endpoint/${NobodyKnows}/variant/AllTraffic"},
                "unresolved:ResourceId",
                "warning",
            ),
            Change(
                "Target",
                "ResourceId",
                {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/${NobodyKnows}"},
                "unresolved:ResourceId",
                "warning",
            ),
            Change("Target", "ScalableDimension", OPEN_PARAMETER, "unresolved:ScalableDimension", "warning"),
            Change("Policy", "ScalingTargetId", OPEN_PARAMETER, "unresolved:ScalingTargetId", "warning"),
            Change(
                "Endpoint", "EndpointConfigName", "made-by-hand", "unresolved:EndpointConfigName", "warning"
            ),
            Change(
                "Endpoint", "EndpointConfigName", OPEN_PARAMETER, "unresolved:EndpointConfigName", "warning"
            ),
        ),
    ),
    Case(
        rule="REL03-EndpointAutoScaling",
        name="policy-by-name",
        compliant=POLICY_BY_NAME,
        violations=(
            Change("Policy", "", GONE, on="Endpoint"),
            Change("Policy", "ResourceId", "endpoint/another/variant/AllTraffic", on="Endpoint"),
            Change("Policy", "ScalableDimension", COMPONENT, on="Endpoint"),
            Change("Policy", "ServiceNamespace", "ecs", on="Endpoint"),
            Change("Target", "", GONE, on="Endpoint"),
        ),
        unresolved=(Change("Policy", "ResourceId", OPEN_PARAMETER, "unresolved:ResourceId", "warning"),),
    ),
    Case(
        rule="REL03-EndpointAutoScaling",
        name="copies",
        compliant=COPIES,
        violations=(
            Change("Component", "EndpointName", "another", on="Endpoint"),
            Change("Component", "VariantName", "Other", on="Endpoint"),
            Change("Target", "ScalableDimension", COUNT, on="Endpoint"),
            Change("Target", "ResourceId", "inference-component/another", on="Endpoint"),
            Change("Policy", "ScalingTargetId", {"Ref": "Endpoint"}, on="Endpoint"),
        ),
        unresolved=(
            Change("Target", "ScalableDimension", OPEN_PARAMETER, "unresolved:ScalableDimension", "warning"),
        ),
    ),
    Case(
        rule="REL03-EndpointAutoScaling",
        name="managed",
        options={"environment": "dev"},
        compliant=MANAGED,
        violations=(
            Change("Config", "ProductionVariants.0.ManagedInstanceScaling", GONE, *WARNED, on="Endpoint"),
            Change(
                "Config",
                "ProductionVariants.0.ManagedInstanceScaling.Status",
                "DISABLED",
                *WARNED,
                on="Endpoint",
            ),
        ),
        unresolved=(
            Change(
                "Config",
                "ProductionVariants.0.ManagedInstanceScaling.Status",
                OPEN_PARAMETER,
                "unresolved:ProductionVariants.ManagedInstanceScaling.Status",
                "warning",
            ),
        ),
    ),
    Case(
        rule="REL03-EndpointMultiAz",
        compliant=SCALED,
        violations=(
            Change("Config", "ProductionVariants.0.InitialInstanceCount", 1, "count"),
            Change("Config", "ProductionVariants.0.InitialInstanceCount", "1", "count"),
            Change("Config", "ProductionVariants.0.InitialInstanceCount", GONE, "count"),
            Change("Target", "MinCapacity", 1, "min"),
            Change("Target", "MinCapacity", 0, "min"),
            Change("Model", ZONES, [{"Ref": "SubnetA"}], "az"),
            Change("Model", ZONES, ["subnet-1"], "az"),
            Change("Model", ZONES, ["subnet-1", "subnet-1"], "az"),
            Change(
                "SubnetB",
                "AvailabilityZone",
                {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
                "az",
                on="Model",
            ),
        ),
        unresolved=(
            Change(
                "Config",
                "ProductionVariants.0.InitialInstanceCount",
                OPEN_NUMBER,
                "unresolved:ProductionVariants.InitialInstanceCount",
                "warning",
            ),
            Change("Target", "MinCapacity", OPEN_NUMBER, "unresolved:MinCapacity", "warning"),
            Change("Model", ZONES, {"Ref": "NobodyKnowsList"}, f"unresolved:{ZONES}", "warning"),
            Change("SubnetB", "AvailabilityZone", GONE, f"unresolved:{ZONES}", "warning", on="Model"),
        ),
    ),
    Case(
        rule="REL03-EndpointMultiAz",
        name="managed",
        options={"environment": "dev"},
        compliant=MANAGED,
        violations=(
            Change(
                "Config", "ProductionVariants.0.ManagedInstanceScaling.MinInstanceCount", 1, "min", "warning"
            ),
        ),
        unresolved=(),
    ),
    Case(
        rule="REL03-RetainVariantProperties",
        compliant=SCALED,
        violations=(
            Change("Endpoint", "RetainAllVariantProperties", GONE, *WARNED),
            Change("Endpoint", "RetainAllVariantProperties", False, *WARNED),
            Change(
                "Endpoint",
                "ExcludeRetainedVariantProperties",
                [{"VariantPropertyType": "DesiredInstanceCount"}],
                *WARNED,
            ),
        ),
        unresolved=(
            Change(
                "Endpoint",
                "RetainAllVariantProperties",
                OPEN_PARAMETER,
                "unresolved:RetainAllVariantProperties",
                "warning",
            ),
        ),
    ),
    Case(
        rule="PER02-ScalingMetricFit",
        compliant=SCALED,
        violations=(
            Change("Policy", "PolicyType", "StepScaling", *WARNED),
            Change("Policy", "PolicyType", GONE, *WARNED),
            Change(
                "Policy", f"{PREDEFINED}.PredefinedMetricType", "ECSServiceAverageCPUUtilization", *WARNED
            ),
            Change("Policy", PREDEFINED, GONE, *WARNED),
            Change("Policy", f"{TRACKING}.CustomizedMetricSpecification", {"MetricName": "Load"}, *WARNED),
            Change("Policy", f"{TRACKING}.CustomizedMetricSpecification", {"Namespace": "Churn"}, *WARNED),
            Change("Policy", f"{TRACKING}.ScaleInCooldown", GONE, *WARNED),
            Change("Policy", f"{TRACKING}.ScaleOutCooldown", GONE, *WARNED),
            Change("Policy", f"{TRACKING}.TargetValue", 0, *WARNED),
            Change("Policy", f"{TRACKING}.TargetValue", GONE, *WARNED),
        ),
        unresolved=(
            Change(
                "Policy",
                f"{TRACKING}.TargetValue",
                OPEN_NUMBER,
                f"unresolved:{TRACKING}.TargetValue",
                "warning",
            ),
            Change(
                "Policy",
                f"{PREDEFINED}.PredefinedMetricType",
                OPEN_PARAMETER,
                f"unresolved:{PREDEFINED}.PredefinedMetricType",
                "warning",
            ),
            Change("Policy", "PolicyType", OPEN_PARAMETER, "unresolved:PolicyType", "warning"),
        ),
    ),
    Case(
        rule="COST04-EndpointCanScaleIn",
        compliant=SCALED,
        violations=(
            Change("Target", "MaxCapacity", 2, *WARNED),
            Change("Target", "MaxCapacity", "1", *WARNED),
            Change("Target", "MaxCapacity", GONE, *WARNED),
            Change("Target", "MinCapacity", 8, *WARNED),
            Change("Policy", f"{TRACKING}.DisableScaleIn", True, *WARNED),
        ),
        unresolved=(
            Change("Target", "MaxCapacity", OPEN_NUMBER, "unresolved:MaxCapacity", "warning"),
            Change("Target", "MinCapacity", OPEN_NUMBER, "unresolved:MinCapacity", "warning"),
            Change(
                "Policy",
                f"{TRACKING}.DisableScaleIn",
                OPEN_PARAMETER,
                f"unresolved:{TRACKING}.DisableScaleIn",
                "warning",
            ),
        ),
    ),
    Case(
        rule="COST04-EndpointCanScaleIn",
        name="outside-production",
        options={"environment": "dev"},
        compliant={
            **SCALED,
            "Target": {
                **SCALED["Target"],
                "Properties": {**SCALED["Target"]["Properties"], "MinCapacity": 0},
            },
        },
        violations=(Change("Target", "MinCapacity", 1, *WARNED, on="Endpoint"),),
        unresolved=(Change("Target", "ResourceId", OPEN_PARAMETER, "unresolved:ResourceId", "warning"),),
    ),
]
