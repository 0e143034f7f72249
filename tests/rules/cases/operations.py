"""Manifest, pipelines, registries, alarms, measures of quality, dashboards and retraining."""

from typing import Any

from tests.rules.fixtures import GONE, OPEN_PARAMETER, Body, Case, Change

OPEN = "unresolved:"
KMS = {"SSEEnabled": True, "SSEType": "KMS"}
ENDPOINT = {
    "Type": "AWS::SageMaker::Endpoint",
    "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
}
NAME = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}


def manifest(kind: str, properties: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return {
        "Type": kind,
        "Metadata": {"MLLens": {"Role": "manifest"}},
        "Properties": properties,
        **beside,
    }


TABLE = Case(
    rule="REL05-ManifestStoreDurable",
    name="table",
    compliant={
        "Endpoint": ENDPOINT,
        "Manifest": manifest(
            "AWS::DynamoDB::Table",
            {
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "DeletionProtectionEnabled": True,
                "SSESpecification": KMS,
            },
        ),
        "Sessions": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
    },
    violations=(
        Change("Manifest", "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", False),
        Change("Manifest", "PointInTimeRecoverySpecification", GONE),
        Change("Manifest", "DeletionProtectionEnabled", GONE),
        Change("Manifest", "SSESpecification", GONE),
        Change("Manifest", "SSESpecification.SSEEnabled", False),
        Change("Manifest", "", GONE, level="warning", on="Endpoint"),
    ),
    unresolved=(
        Change(
            "Manifest",
            "DeletionProtectionEnabled",
            OPEN_PARAMETER,
            OPEN + "DeletionProtectionEnabled",
            "warning",
        ),
        Change(
            "Manifest", "SSESpecification", OPEN_PARAMETER, OPEN + "SSESpecification.SSEEnabled", "warning"
        ),
    ),
)

BUCKET = Case(
    rule="REL05-ManifestStoreDurable",
    name="bucket",
    compliant={
        "Manifest": manifest(
            "AWS::S3::Bucket",
            {"VersioningConfiguration": {"Status": "Enabled"}},
            DeletionPolicy="Retain",
            UpdateReplacePolicy="Retain",
        ),
    },
    violations=(
        Change("Manifest", "VersioningConfiguration.Status", "Suspended"),
        Change("Manifest", "VersioningConfiguration", GONE),
        Change("Manifest", "@DeletionPolicy", "Delete"),
        Change("Manifest", "@UpdateReplacePolicy", "Snapshot"),
    ),
    unresolved=(
        Change(
            "Manifest",
            "VersioningConfiguration.Status",
            OPEN_PARAMETER,
            OPEN + "VersioningConfiguration.Status",
            "warning",
        ),
    ),
)

GLOBAL_TABLE = Case(
    rule="REL05-ManifestStoreDurable",
    name="global-table",
    compliant={
        "Manifest": manifest(
            "AWS::DynamoDB::GlobalTable",
            {
                "Replicas": [
                    {
                        "Region": region,
                        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                        "DeletionProtectionEnabled": True,
                    }
                    for region in ("eu-west-1", "eu-central-1")
                ],
                "SSESpecification": KMS,
            },
        ),
    },
    violations=(
        Change("Manifest", "Replicas.1.DeletionProtectionEnabled", False),
        Change("Manifest", "SSESpecification", GONE),
    ),
    unresolved=(
        Change(
            "Manifest",
            "Replicas.0.DeletionProtectionEnabled",
            OPEN_PARAMETER,
            OPEN + "Replicas.DeletionProtectionEnabled",
            "warning",
        ),
    ),
)


def action(name: str, category: str, provider: str, **more: Any) -> dict[str, Any]:
    kind = {"Category": category, "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": name, "ActionTypeId": kind, **more}


STACK = {"ActionMode": "CREATE_UPDATE"}
PIPELINE = Case(
    rule="OPS04-PipelineQualityGates",
    name="stages",
    compliant={
        "Release": {
            "Type": "AWS::CodePipeline::Pipeline",
            "Properties": {
                "Stages": [
                    {"Name": "Source", "Actions": [action("Code", "Source", "S3")]},
                    {
                        "Name": "Dev",
                        "Actions": [action("Deploy", "Deploy", "CloudFormation", Configuration=STACK)],
                    },
                    {"Name": "Quality", "Actions": [action("Evaluate", "Build", "CodeBuild")]},
                    {"Name": "Approve", "Actions": [action("Approve", "Approval", "Manual")]},
                    {
                        "Name": "Prod",
                        "Actions": [action("Deploy", "Deploy", "CloudFormation", Configuration=STACK)],
                    },
                ]
            },
        },
    },
    violations=(
        Change(
            "Release",
            "Stages.2",
            {"Name": "Compile", "Actions": [action("Make", "Build", "CodeBuild")]},
            "metricGate",
        ),
        Change("Release", "Stages.3.Actions.0", action("Notify", "Invoke", "Lambda"), "approval"),
        Change("Release", "Stages.0.Actions.0.ActionTypeId.Category", "Test", "source"),
    ),
    unresolved=(
        Change("Release", "Stages", OPEN_PARAMETER, OPEN + "Stages", "warning"),
        Change(
            "Release",
            "Stages.3.Actions.0.ActionTypeId.Category",
            OPEN_PARAMETER,
            OPEN + "Stages.Actions.ActionTypeId.Category",
            "warning",
        ),
    ),
)

ONE_STAGE = Case(
    rule="OPS04-PipelineQualityGates",
    name="run-order",
    compliant={
        "Release": {
            "Type": "AWS::CodePipeline::Pipeline",
            "Properties": {
                "Stages": [
                    {"Name": "Source", "Actions": [action("Code", "Source", "S3")]},
                    {
                        "Name": "Production",
                        "OnFailure": {"Result": "ROLLBACK"},
                        "Actions": [
                            action("Measure", "Test", "CodeBuild", RunOrder=1),
                            action(
                                "Prepare",
                                "Deploy",
                                "CloudFormation",
                                Configuration={"ActionMode": "CHANGE_SET_REPLACE"},
                            ),
                            action("PromoteModel", "Invoke", "StepFunctions", RunOrder=2),
                        ],
                    },
                ]
            },
        },
    },
    violations=(
        Change("Release", "Stages.1.Actions.0.RunOrder", 2, "metricGate"),
        Change("Release", "Stages.1.Actions.0.ActionTypeId.Category", "Build", "metricGate"),
        Change("Release", "Stages.1.Actions.1.Configuration.ActionMode", "CHANGE_SET_EXECUTE", "metricGate"),
        Change("Release", "Stages.1.OnFailure", GONE, "approval"),
        Change("Release", "Stages.1.OnFailure.Result", "RETRY", "approval"),
    ),
    unresolved=(
        Change(
            "Release",
            "Stages.1.Actions.0.ActionTypeId.Category",
            OPEN_PARAMETER,
            OPEN + "Stages.Actions.ActionTypeId.Category",
            "warning",
        ),
    ),
)

SCANNED = Case(
    rule="OPS04-EcrScanOnPush",
    name="repository",
    compliant={
        "Images": {
            "Type": "AWS::ECR::Repository",
            "Properties": {"ImageScanningConfiguration": {"ScanOnPush": True}},
        }
    },
    violations=(
        Change("Images", "ImageScanningConfiguration.ScanOnPush", False),
        Change("Images", "ImageScanningConfiguration", GONE),
    ),
    unresolved=(
        Change(
            "Images",
            "ImageScanningConfiguration.ScanOnPush",
            OPEN_PARAMETER,
            OPEN + "ImageScanningConfiguration.ScanOnPush",
            "warning",
        ),
    ),
)

REGISTRY_RULE = "Rules.0.RepositoryFilters.0.Filter"
REGISTRY = Case(
    rule="OPS04-EcrScanOnPush",
    name="registry",
    compliant={
        "Images": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "ml/churn-serving"}},
        "Registry": {
            "Type": "AWS::ECR::RegistryScanningConfiguration",
            "Properties": {
                "ScanType": "ENHANCED",
                "Rules": [
                    {
                        "ScanFrequency": "CONTINUOUS_SCAN",
                        "RepositoryFilters": [{"Filter": "ml/*", "FilterType": "WILDCARD"}],
                    }
                ],
            },
        },
    },
    violations=(
        Change("Registry", REGISTRY_RULE, "web/*", on="Images"),
        Change("Registry", REGISTRY_RULE, "serving-old", on="Images"),
        Change("Registry", "Rules.0.ScanFrequency", "MANUAL", on="Images"),
        Change("Registry", "", GONE, on="Images"),
        Change("Images", "RepositoryName", GONE),
    ),
    unresolved=(
        Change("Registry", REGISTRY_RULE, OPEN_PARAMETER, OPEN + "Rules.RepositoryFilters.Filter", "warning"),
        Change("Registry", "Rules.0.ScanFrequency", OPEN_PARAMETER, OPEN + "Rules.ScanFrequency", "warning"),
    ),
)


def alarm(namespace: str, name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [
                {"Name": "EndpointName", "Value": NAME},
                {"Name": "VariantName", "Value": "main"},
            ],
            "AlarmActions": [{"Ref": "OnCall"}],
        },
    }


ALARMS = Case(
    rule="OPS05-EndpointAlarms",
    name="alarms",
    compliant={
        "OnCall": {"Type": "AWS::SNS::Topic"},
        "Endpoint": ENDPOINT,
        "Errors": alarm("AWS/SageMaker", "Invocation5XXErrors"),
        "Slow": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmActions": [{"Ref": "OnCall"}],
                "Metrics": [
                    {"Id": "ms", "Expression": "us / 1000"},
                    {
                        "Id": "us",
                        "ReturnData": False,
                        "MetricStat": {
                            "Stat": "p99",
                            "Period": 60,
                            "Metric": {
                                "Namespace": "AWS/SageMaker",
                                "MetricName": "ModelLatency",
                                "Dimensions": [{"Name": "EndpointName", "Value": NAME}],
                            },
                        },
                    },
                ],
            },
        },
        "Busy": alarm("/aws/sagemaker/Endpoints", "CPUUtilization"),
    },
    violations=(
        Change("Errors", "", GONE, "errors", on="Endpoint"),
        Change("Errors", "MetricName", "Invocation4XXErrors", "errors", on="Endpoint"),
        Change("Errors", "Dimensions.0.Value", "another-endpoint", "errors", on="Endpoint"),
        Change("Errors", "Dimensions", GONE, "errors", on="Endpoint"),
        Change("Slow", "", GONE, "latency", on="Endpoint"),
        Change("Slow", "Metrics.1.MetricStat.Metric.MetricName", "Invocations", "latency", on="Endpoint"),
        Change("Busy", "", GONE, "resource", "warning", on="Endpoint"),
        Change("Busy", "AlarmActions", GONE, "action", "warning"),
        Change("Errors", "AlarmActions", GONE, "action"),
        Change("Errors", "AlarmActions", [], "action"),
        Change("Errors", "ActionsEnabled", False, "action"),
    ),
    unresolved=(
        Change("Errors", "Dimensions.0.Value", OPEN_PARAMETER, OPEN + "Dimensions.Value", "warning"),
        Change("Errors", "MetricName", OPEN_PARAMETER, OPEN + "MetricName", "warning"),
        Change("Errors", "AlarmActions", {"Ref": "NobodyKnowsList"}, OPEN + "AlarmActions", "warning"),
        Change("Errors", "ActionsEnabled", OPEN_PARAMETER, OPEN + "ActionsEnabled", "warning"),
    ),
)

CAPTURE = {
    "Type": "AWS::SageMaker::EndpointConfig",
    "Properties": {
        "ProductionVariants": [{"VariantName": "main", "InstanceType": "ml.m5.large"}],
        "DataCaptureConfig": {
            "EnableCapture": True,
            "DestinationS3Uri": {"Fn::Sub": "s3://${Captured}/churn"},
        },
    },
}
DRIFT = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "Namespace": "Churn/Quality",
        "MetricName": "PopulationStability",
        "AlarmActions": [{"Ref": "OnCall"}],
    },
}


def may(*actions: str, on: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    policy = {"PolicyName": "own", "PolicyDocument": {"Statement": [statement]}}
    return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}


MEASURED = Case(
    rule="OPS05-ModelQualityMonitored",
    name="own-job",
    compliant={
        "OnCall": {"Type": "AWS::SNS::Topic"},
        "Captured": {"Type": "AWS::S3::Bucket"},
        "Endpoint": ENDPOINT,
        "Config": CAPTURE,
        "Reads": may("s3:GetObject", on={"Fn::Sub": "${Captured.Arn}/*"}),
        "Measures": {
            "Type": "AWS::Lambda::Function",
            "Properties": {"Role": {"Fn::GetAtt": ["Reads", "Arn"]}},
        },
        "Daily": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "ScheduleExpression": "rate(1 day)",
                "Target": {"Arn": {"Fn::GetAtt": ["Measures", "Arn"]}},
            },
        },
        "Drift": DRIFT,
    },
    violations=(
        Change("Daily", "", GONE, on="Endpoint"),
        Change("Daily", "State", "DISABLED", on="Endpoint"),
        Change("Reads", "Policies.0.PolicyDocument.Statement.0.Action.0", "s3:PutObject", on="Endpoint"),
        Change(
            "Reads", "Policies.0.PolicyDocument.Statement.0.Resource", "arn:aws:s3:::other/*", on="Endpoint"
        ),
        Change("Config", "DataCaptureConfig", GONE, on="Endpoint"),
        Change("Drift", "", GONE, on="Endpoint"),
        Change("Drift", "AlarmActions", GONE, on="Endpoint"),
        Change("Drift", "Namespace", "AWS/Lambda", on="Endpoint"),
        Change("Drift", "Namespace", "/aws/sagemaker/Endpoints", on="Endpoint"),
    ),
    unresolved=(
        Change(
            "Config",
            "DataCaptureConfig.DestinationS3Uri",
            OPEN_PARAMETER,
            OPEN + "DataCaptureConfig.DestinationS3Uri",
            "warning",
        ),
        Change("Endpoint", "EndpointConfigName", OPEN_PARAMETER, OPEN + "EndpointConfigName", "warning"),
        Change(
            "Drift",
            "AlarmActions",
            {"Ref": "NobodyKnowsList"},
            OPEN + "AlarmActions",
            "warning",
            on="Endpoint",
        ),
    ),
)

MONITORED = Case(
    rule="OPS05-ModelQualityMonitored",
    name="model-monitor",
    compliant={
        "OnCall": {"Type": "AWS::SNS::Topic"},
        "Endpoint": ENDPOINT,
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": CAPTURE["Properties"]},
        "Captured": {"Type": "AWS::S3::Bucket"},
        "Job": {
            "Type": "AWS::SageMaker::DataQualityJobDefinition",
            "Properties": {"DataQualityJobInput": {"EndpointInput": {"EndpointName": NAME}}},
        },
        "Monitor": {
            "Type": "AWS::SageMaker::MonitoringSchedule",
            "Properties": {
                "MonitoringScheduleConfig": {
                    "MonitoringJobDefinitionName": {"Fn::GetAtt": ["Job", "JobDefinitionName"]}
                }
            },
        },
        "Drift": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {**DRIFT["Properties"], "Namespace": "aws/sagemaker/Endpoints/data-metrics"},
        },
    },
    violations=(
        Change("Monitor", "", GONE, on="Endpoint"),
        Change("Job", "DataQualityJobInput.EndpointInput.EndpointName", "another", on="Endpoint"),
        Change("Drift", "Namespace", "aws/sagemaker/Endpoints", on="Endpoint"),
    ),
    unresolved=(),
)

DASHBOARD = Case(
    rule="OPS05-CentralDashboard",
    name="dashboard",
    compliant={
        "Endpoint": ENDPOINT,
        "Board": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {
                "DashboardBody": Body(
                    widgets=[{"metrics": [["AWS/SageMaker", "Invocations", "EndpointName", NAME]]}]
                )
            },
        },
    },
    violations=(
        Change("Board", "", GONE, level="warning", on="Endpoint"),
        Change("Board", "DashboardBody.widgets.0.metrics.0.3", "another", level="warning", on="Endpoint"),
        Change("Board", "DashboardBody", '{"widgets": []}', level="warning", on="Endpoint"),
    ),
    unresolved=(Change("Board", "DashboardBody", OPEN_PARAMETER, OPEN + "DashboardBody", "warning"),),
)

STREAM = Case(
    rule="OPS05-CentralDashboard",
    name="stream",
    compliant={
        "Endpoint": ENDPOINT,
        "Metrics": {
            "Type": "AWS::CloudWatch::MetricStream",
            "Properties": {
                "FirehoseArn": {"Fn::GetAtt": ["Delivery", "Arn"]},
                "IncludeFilters": [{"Namespace": "AWS/SageMaker"}],
            },
        },
        "Delivery": {
            "Type": "AWS::KinesisFirehose::DeliveryStream",
            "Properties": {"AmazonopensearchserviceDestinationConfiguration": {"IndexName": "metrics"}},
        },
    },
    violations=(
        Change("Metrics", "IncludeFilters.0.Namespace", "AWS/EC2", level="warning", on="Endpoint"),
        Change(
            "Metrics",
            "FirehoseArn",
            "arn:aws:firehose:eu-west-1:1:deliverystream/x",
            level="warning",
            on="Endpoint",
        ),
        Change(
            "Delivery",
            "AmazonopensearchserviceDestinationConfiguration",
            GONE,
            level="warning",
            on="Endpoint",
        ),
    ),
    unresolved=(),
)


def job(**more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": {},
        "End": True,
        **more,
    }


RETRAINED = Case(
    rule="OPS06-RetrainTrigger",
    name="schedule",
    compliant={
        "Unstarted": {"Type": "AWS::SQS::Queue"},
        "Training": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"DefinitionString": Body(StartAt="Train", States={"Train": job()})},
        },
        "Weekly": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "ScheduleExpression": "rate(7 days)",
                "Target": {
                    "Arn": {"Ref": "Training"},
                    "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Unstarted", "Arn"]}},
                },
            },
        },
    },
    violations=(
        Change("Weekly", "", GONE, on="Training"),
        Change("Weekly", "State", "DISABLED", on="Training"),
        Change(
            "Weekly", "Target.Arn", "arn:aws:states:eu-west-1:111122223333:stateMachine:other", on="Training"
        ),
        Change("Weekly", "Target.DeadLetterConfig", GONE, level="warning"),
    ),
    unresolved=(
        Change("Weekly", "Target.Arn", OPEN_PARAMETER, OPEN + "Target.Arn", "warning"),
        Change("Weekly", "State", OPEN_PARAMETER, OPEN + "State", "warning"),
    ),
)

PIPELINE_RETRAINED = Case(
    rule="OPS06-RetrainTrigger",
    name="drift",
    compliant={
        "Training": {
            "Type": "AWS::SageMaker::Pipeline",
            "Properties": {
                "PipelineName": "churn",
                "PipelineDefinition": {
                    "PipelineDefinitionBody": Body(
                        Steps=[{"Name": "Train", "Type": "Training", "Arguments": {}}]
                    )
                },
            },
        },
        "Alerts": {"Type": "AWS::SNS::Topic"},
        "Drift": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {"AlarmActions": [{"Ref": "Alerts"}]},
        },
        "Heard": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Alerts"},
                "Protocol": "lambda",
                "Endpoint": {"Fn::GetAtt": ["Starter", "Arn"]},
            },
        },
        "Starts": may(
            "sagemaker:StartPipelineExecution",
            on={"Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:pipeline/churn"},
        ),
        "Starter": {
            "Type": "AWS::Lambda::Function",
            "Properties": {"Role": {"Fn::GetAtt": ["Starts", "Arn"]}},
        },
    },
    violations=(
        Change("Heard", "", GONE, on="Training"),
        Change("Drift", "AlarmActions", GONE, on="Training"),
        Change("Drift", "ActionsEnabled", False, on="Training"),
        Change(
            "Starts",
            "Policies.0.PolicyDocument.Statement.0.Action.0",
            "sagemaker:ListPipelines",
            on="Training",
        ),
    ),
    unresolved=(Change("Drift", "ActionsEnabled", OPEN_PARAMETER, OPEN + "ActionsEnabled", "warning"),),
)

CASES = (
    TABLE,
    BUCKET,
    GLOBAL_TABLE,
    PIPELINE,
    ONE_STAGE,
    SCANNED,
    REGISTRY,
    ALARMS,
    MEASURED,
    MONITORED,
    DASHBOARD,
    STREAM,
    RETRAINED,
    PIPELINE_RETRAINED,
)
