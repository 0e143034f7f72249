"""Quotas of AI services, Spark clusters, tags and budgets, retired services."""

from typing import Any

from tests.rules.fixtures import GONE, OPEN_PARAMETER, Case, Change

QUOTA = "PER02-AiServiceQuotaAlarms"


def allowed(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = {"PolicyName": "own", "PolicyDocument": {"Statement": [statement]}}
    return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}


def watches(namespace: str, name: str, dimension: str, value: str) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [{"Name": dimension, "Value": value}],
        },
    }


ACTION = "Policies.0.PolicyDocument.Statement.0.Action"
FUNCTION = {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::GetAtt": ["May", "Arn"]}}}
THROTTLED = Case(
    rule=QUOTA,
    name="throttled",
    compliant={
        "May": allowed("rekognition:DetectFaces"),
        "Describes": FUNCTION,
        "Refused": watches("AWS/Rekognition", "ThrottledCount", "Operation", "DetectFaces"),
    },
    violations=(
        Change("Refused", "", GONE, level="warning", on="Describes"),
        Change("Refused", "Namespace", "AWS/Lambda", level="warning", on="Describes"),
        Change("Refused", "MetricName", "SuccessfulRequestCount", level="warning", on="Describes"),
        Change("May", ACTION, "textract:AnalyzeDocument", level="warning", on="Describes"),
        Change("May", ACTION, "*", level="warning", on="Describes"),
    ),
    unresolved=(
        Change("Refused", "MetricName", OPEN_PARAMETER, "unresolved:MetricName", "warning"),
        Change("Refused", "Namespace", OPEN_PARAMETER, "unresolved:Namespace", "warning"),
    ),
)

USED = Case(
    rule=QUOTA,
    name="usage",
    compliant={
        "May": allowed("comprehend:*"),
        "Reads": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"RoleArn": {"Fn::GetAtt": ["May", "Arn"]}},
        },
        "Used": watches("AWS/Usage", "CallCount", "Service", "Comprehend"),
    },
    violations=(
        Change("Used", "Dimensions.0.Value", "Textract", level="warning", on="Reads"),
        Change("Used", "Namespace", "AWS/Comprehend", level="warning", on="Reads"),
    ),
    unresolved=(
        Change("Used", "Dimensions.0.Value", OPEN_PARAMETER, "unresolved:Dimensions.Value", "warning"),
    ),
)

SPARK = Case(
    rule="COST03-EmrTransient",
    name="groups",
    compliant={
        "Spark": {
            "Type": "AWS::EMR::Cluster",
            "Properties": {
                "AutoTerminationPolicy": {"IdleTimeout": 3600},
                "Instances": {"TaskInstanceGroups": [{"InstanceCount": 2, "Market": "SPOT"}]},
            },
        }
    },
    violations=(
        Change("Spark", "AutoTerminationPolicy", GONE, level="warning"),
        Change("Spark", "Instances.TaskInstanceGroups", GONE, level="warning"),
        Change("Spark", "Instances.TaskInstanceGroups.0.Market", "ON_DEMAND", level="warning"),
        Change("Spark", "Instances.TaskInstanceGroups.0.Market", GONE, level="warning"),
    ),
    unresolved=(
        Change(
            "Spark",
            "Instances.TaskInstanceGroups.0.Market",
            OPEN_PARAMETER,
            "unresolved:Instances.TaskInstanceGroups.Market",
            "warning",
        ),
    ),
)

FLEETS = Case(
    rule="COST03-EmrTransient",
    name="fleets",
    compliant={
        "Spark": {
            "Type": "AWS::EMR::Cluster",
            "Properties": {
                "ManagedScalingPolicy": {"ComputeLimits": {"UnitType": "InstanceFleetUnits"}},
                "Instances": {"TaskInstanceFleets": [{"TargetSpotCapacity": 4}]},
            },
        }
    },
    violations=(
        Change("Spark", "ManagedScalingPolicy", GONE, level="warning"),
        Change("Spark", "Instances.TaskInstanceFleets.0.TargetSpotCapacity", 0, level="warning"),
    ),
    unresolved=(
        Change(
            "Spark",
            "Instances.TaskInstanceFleets.0.TargetSpotCapacity",
            {"Ref": "NobodyKnowsNumber"},
            "unresolved:Instances.TaskInstanceFleets.TargetSpotCapacity",
            "warning",
        ),
    ),
)

TAGS = [{"Key": key, "Value": "churn"} for key in ("project", "Environment", "owner")]
TAGGED = Case(
    rule="COST04-TagsAndBudget",
    compliant={
        "Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"Tags": TAGS}},
        "Version": {"Type": "AWS::SageMaker::ImageVersion", "Properties": {}},
        "Budget": {"Type": "AWS::Budgets::Budget", "Properties": {}},
    },
    violations=(
        Change("Group", "Tags", GONE, "tags", "warning"),
        Change("Group", "Tags.1", GONE, "tags", "warning"),
        Change("Group", "Tags.1.Key", "stage", "tags", "warning"),
        Change("Group", "Tags.2.Value", "", "tags", "warning"),
        Change("Budget", "", GONE, "budget", "warning", on="Group"),
    ),
    unresolved=(
        Change("Group", "Tags", OPEN_PARAMETER, "unresolved:Tags", "warning"),
        Change("Group", "Tags.0.Key", OPEN_PARAMETER, "unresolved:Tags.Key", "warning"),
        Change("Group", "Tags.0.Value", {"Ref": "MaybeEmpty"}, "unresolved:Tags.Value", "warning"),
    ),
)

RETIRED = Case(
    rule="GEN-RetiredService",
    compliant={
        "Component": {"Type": "AWS::GreengrassV2::ComponentVersion", "Properties": {}},
        "Phone": {"Type": "AWS::SMSVOICE::PhoneNumber", "Properties": {}},
    },
    violations=tuple(
        Change("Component", "@Type", kind, level="warning")
        for kind in (
            "AWS::Pinpoint::App",
            "AWS::Greengrass::CoreDefinition",
            "AWS::Forecast::Dataset",
            "AWS::SageMaker::MonitoringSchedule",
            "AWS::SageMaker::DataQualityJobDefinition",
            "AWS::SageMaker::ModelQualityJobDefinition",
            "AWS::SageMaker::ModelBiasJobDefinition",
            "AWS::SageMaker::ModelExplainabilityJobDefinition",
            "AWS::SageMaker::DeviceFleet",
        )
    ),
    unresolved=(),  # a type is never open
)

CASES = (THROTTLED, USED, SPARK, FLEETS, TAGGED, RETIRED)
