"""Jobs that state machines and pipelines start: how they are shielded, what they cost, what they tell."""

import copy
from typing import Any

from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Body, Case, Change

KEY = {"Fn::GetAtt": ["Key", "Arn"]}
NETWORK = {"Subnets": ["subnet-1", {"Ref": "Subnet"}], "SecurityGroupIds": ["sg-1"]}
SURROUNDINGS: dict[str, Any] = {
    "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
    "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {}},
    "Role": {"Type": "AWS::IAM::Role", "Properties": {}},
}


def machine(api: str, request: dict[str, Any]) -> dict[str, Any]:
    """A state machine whose state ``Work`` calls SageMaker."""
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:{api}.sync",
        "End": True,
        "Parameters": request,
    }
    body = Body({"StartAt": "Work", "States": {"Work": state}})
    return {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": "arn:aws:iam::111122223333:role/work", "DefinitionString": body},
    }


def pipeline(*steps: dict[str, Any]) -> dict[str, Any]:
    body = Body({"Version": "2020-12-01", "Parameters": [], "Steps": list(steps)})
    return {
        "Type": "AWS::SageMaker::Pipeline",
        "Properties": {
            "PipelineName": "churn",
            "RoleArn": "arn:aws:iam::111122223333:role/work",
            "PipelineDefinition": {"PipelineDefinitionBody": body},
        },
    }


TRAINING: dict[str, Any] = {
    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
    "AlgorithmSpecification": {"TrainingInputMode": "File"},
    "VpcConfig": NETWORK,
    "ResourceConfig": {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": KEY,
    },
    "OutputDataConfig": {"S3OutputPath": "s3://models/churn", "KmsKeyId": KEY},
    "EnableInterContainerTrafficEncryption": True,
    "EnableNetworkIsolation": True,
    "EnableManagedSpotTraining": True,
    "CheckpointConfig": {"S3Uri": "s3://models/checkpoints"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    "Tags": [{"Key": "data-version", "Value": "7"}, {"Key": "code-version", "Value": "4f1c2d9"}],
}
TUNING: dict[str, Any] = {
    "HyperParameterTuningJobName": "churn",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 2},
        "TrainingJobEarlyStoppingType": "Auto",
    },
    "TrainingJobDefinition": {name: value for name, value in TRAINING.items() if name != "Tags"},
    "Tags": TRAINING["Tags"],
}
PROCESSING: dict[str, Any] = {
    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
    "AppSpecification": {
        "ImageUri": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1"
    },
    "ProcessingResources": {
        "ClusterConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 2,
            "VolumeSizeInGB": 30,
            "VolumeKmsKeyId": KEY,
        }
    },
    "NetworkConfig": {
        "VpcConfig": NETWORK,
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
    },
    "ProcessingOutputConfig": {"KmsKeyId": KEY, "Outputs": [{"OutputName": "features"}]},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}
TRANSFORM: dict[str, Any] = {
    "ModelName": "churn",
    "TransformOutput": {"S3OutputPath": "s3://models/churn", "KmsKeyId": KEY},
    "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeKmsKeyId": KEY},
}
AUTOML: dict[str, Any] = {
    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
    "OutputDataConfig": {"S3OutputPath": "s3://models/churn", "KmsKeyId": KEY},
    "AutoMLProblemTypeConfig": {
        "TabularJobConfig": {
            "TargetAttributeName": "churned",
            "CompletionCriteria": {"MaxAutoMLJobRuntimeInSeconds": 7200},
        }
    },
    "SecurityConfig": {
        "VpcConfig": NETWORK,
        "VolumeKmsKeyId": KEY,
        "EnableInterContainerTrafficEncryption": True,
    },
    "Tags": TRAINING["Tags"],
}
FIRST_AUTOML: dict[str, Any] = {
    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
    "OutputDataConfig": AUTOML["OutputDataConfig"],
    "AutoMLJobConfig": {
        "CompletionCriteria": {"MaxAutoMLJobRuntimeInSeconds": 7200},
        "SecurityConfig": AUTOML["SecurityConfig"],
    },
}
LABELING: dict[str, Any] = {
    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
    "OutputConfig": {"S3OutputPath": "s3://labels/churn", "KmsKeyId": KEY},
    "LabelingJobAlgorithmsConfig": {
        "LabelingJobAlgorithmSpecificationArn": "arn:aws:sagemaker:us-east-1:111122223333:algorithm/labels",
        "LabelingJobResourceConfig": {"VolumeKmsKeyId": KEY, "VpcConfig": NETWORK},
    },
}


def app(api: str, request: dict[str, Any]) -> dict[str, Any]:
    return {"Machine": machine(api, request), **SURROUNDINGS}


def steps_app(kind: str, request: dict[str, Any]) -> dict[str, Any]:
    return {"Pipeline": pipeline({"Name": "Work", "Type": kind, "Arguments": request}), **SURROUNDINGS}


AT = "DefinitionString.States.Work.Parameters"
STEP = "PipelineDefinition.PipelineDefinitionBody.Steps.0.Arguments"


def state(path: str, value: Any, finding: str | None = None, level: str = "error") -> Change:
    return Change("Machine", f"{AT}.{path}", value, finding, level)


def computed(path: str, level: str = "warning") -> Change:
    """A change after which the workflow computes the property, so that the template leaves it open."""
    return Change("Machine", f"{AT}.{path}", "{% $asked %}", f"unresolved:{AT}.{path}", level)


def parameter(path: str) -> Change:
    return Change("Machine", f"{AT}.{path}", OPEN_PARAMETER, f"unresolved:{AT}.{path}", "warning")


def without(request: dict[str, Any], *names: str) -> dict[str, Any]:
    less = copy.deepcopy(request)
    for name in names:
        del less[name]
    return less


def shielded(
    api: str, request: dict[str, Any], name: str, changes: list[Change], opened: list[Change]
) -> Case:
    return Case("SEC02-TrainingJobSecure", app(api, request), tuple(changes), tuple(opened), name=name)


_TRAINING_CHANGES = [
    state("VpcConfig", GONE, "vpc"),
    state("VpcConfig.Subnets", GONE, "vpc"),
    state("VpcConfig.SecurityGroupIds", GONE, "vpc"),
    state("ResourceConfig.VolumeKmsKeyId", GONE, "volumeKms"),
    state("OutputDataConfig.KmsKeyId", GONE, "outputKms"),
    state("OutputDataConfig.KmsKeyId", "", "outputKms"),
    state("EnableInterContainerTrafficEncryption", GONE, "interContainer"),
    state("EnableInterContainerTrafficEncryption", False, "interContainer"),
    state("EnableNetworkIsolation", False, "isolation", "warning"),
    state("EnableNetworkIsolation", GONE, "isolation", "warning"),
]
_SHIELDED = (
    shielded(
        "createTrainingJob",
        TRAINING,
        "training",
        _TRAINING_CHANGES,
        [
            computed("VpcConfig.Subnets"),
            computed("EnableNetworkIsolation"),
            parameter("EnableInterContainerTrafficEncryption"),
            Change("Machine", AT, "{% $request %}", f"unresolved:{AT}", "warning"),
        ],
    ),
    shielded(
        "createTrainingJob",
        {**TRAINING, "ResourceConfig": {**TRAINING["ResourceConfig"], "InstanceCount": 1}},
        "one-instance",
        [state("EnableInterContainerTrafficEncryption", GONE, "interContainer", "warning")],
        [computed("EnableInterContainerTrafficEncryption")],
    ),
    shielded(
        "createHyperParameterTuningJob",
        TUNING,
        "tuning",
        [
            state("TrainingJobDefinition.VpcConfig", GONE, "vpc"),
            state("TrainingJobDefinition.ResourceConfig.VolumeKmsKeyId", GONE, "volumeKms"),
            state("TrainingJobDefinition.OutputDataConfig.KmsKeyId", GONE, "outputKms"),
            state("TrainingJobDefinition.EnableInterContainerTrafficEncryption", False, "interContainer"),
            state("TrainingJobDefinition.EnableNetworkIsolation", False, "isolation", "warning"),
        ],
        [computed("TrainingJobDefinition.EnableNetworkIsolation")],
    ),
    shielded(
        "createProcessingJob",
        PROCESSING,
        "processing",
        [
            state("NetworkConfig.VpcConfig", GONE, "vpc"),
            state("ProcessingResources.ClusterConfig.VolumeKmsKeyId", GONE, "volumeKms"),
            state("ProcessingOutputConfig.KmsKeyId", GONE, "outputKms"),
            state("NetworkConfig.EnableInterContainerTrafficEncryption", GONE, "interContainer"),
            state("NetworkConfig.EnableNetworkIsolation", GONE, "isolation", "warning"),
        ],
        [computed("NetworkConfig.EnableNetworkIsolation")],
    ),
    shielded(
        "createTransformJob",
        TRANSFORM,
        "transform",
        [
            state("TransformOutput.KmsKeyId", GONE, "outputKms"),
            state("TransformResources.VolumeKmsKeyId", GONE, "volumeKms"),
        ],
        [Change("Machine", AT, "{% $request %}", f"unresolved:{AT}", "warning")],
    ),
    shielded(
        "createAutoMLJobV2",
        AUTOML,
        "automl",
        [
            state("SecurityConfig.VpcConfig", GONE, "vpc"),
            state("SecurityConfig.VolumeKmsKeyId", GONE, "volumeKms"),
            state("OutputDataConfig.KmsKeyId", GONE, "outputKms"),
            state("SecurityConfig.EnableInterContainerTrafficEncryption", GONE, "interContainer"),
        ],
        [computed("SecurityConfig.EnableInterContainerTrafficEncryption")],
    ),
    shielded(
        "createAutoMLJob",
        FIRST_AUTOML,
        "automl-first-version",
        [
            state("AutoMLJobConfig.SecurityConfig.VpcConfig", GONE, "vpc"),
            state("AutoMLJobConfig.SecurityConfig.VolumeKmsKeyId", GONE, "volumeKms"),
        ],
        [computed("AutoMLJobConfig.SecurityConfig.EnableInterContainerTrafficEncryption")],
    ),
    shielded(
        "createLabelingJob",
        LABELING,
        "labeling",
        [
            state("OutputConfig.KmsKeyId", GONE, "outputKms"),
            state("LabelingJobAlgorithmsConfig.LabelingJobResourceConfig.VolumeKmsKeyId", GONE, "volumeKms"),
            state("LabelingJobAlgorithmsConfig.LabelingJobResourceConfig.VpcConfig", GONE, "vpc"),
        ],
        [Change("Machine", AT, "{% $request %}", f"unresolved:{AT}", "warning")],
    ),
    Case(
        "SEC02-TrainingJobSecure",
        steps_app("Training", TRAINING),
        (
            Change("Pipeline", f"{STEP}.VpcConfig", GONE, "vpc"),
            Change("Pipeline", f"{STEP}.ResourceConfig.VolumeKmsKeyId", GONE, "volumeKms"),
        ),
        (
            Change(
                "Pipeline",
                f"{STEP}.EnableNetworkIsolation",
                {"Get": "Parameters.Isolated"},
                f"unresolved:{STEP.replace('.0', '')}.EnableNetworkIsolation",
                "warning",
            ),
        ),
        name="step",
    ),
)

PROCESSING_JOB = {"Job": {"Type": "AWS::SageMaker::ProcessingJob", "Properties": PROCESSING}, **SURROUNDINGS}


def definition(kind: str) -> dict[str, Any]:
    return {
        "Job": {
            "Type": f"AWS::SageMaker::{kind}JobDefinition",
            "Properties": {
                "NetworkConfig": PROCESSING["NetworkConfig"],
                "JobResources": PROCESSING["ProcessingResources"],
                f"{kind}JobOutputConfig": {"KmsKeyId": KEY, "MonitoringOutputs": []},
            },
        },
        **SURROUNDINGS,
    }


def monitored(compliant: dict[str, Any], name: str, resources: str, output: str, before: str = "") -> Case:
    def change(path: str, value: Any, finding: str) -> Change:
        return Change("Job", f"{before}{path}", value, finding)

    isolation = f"{before}NetworkConfig.EnableNetworkIsolation"
    return Case(
        "SEC02-ProcessingAndMonitoringJobsSecure",
        compliant,
        (
            change("NetworkConfig.EnableNetworkIsolation", GONE, "isolation"),
            change("NetworkConfig.EnableNetworkIsolation", False, "isolation"),
            change("NetworkConfig.EnableInterContainerTrafficEncryption", GONE, "interContainer"),
            change("NetworkConfig.VpcConfig", GONE, "vpc"),
            change("NetworkConfig.VpcConfig.Subnets", [], "vpc"),
            change(f"{resources}.ClusterConfig.VolumeKmsKeyId", GONE, "volumeKms"),
            change(f"{output}.KmsKeyId", GONE, "outputKms"),
        ),
        (
            Change("Job", isolation, OPEN_PARAMETER, f"unresolved:{isolation}", "warning"),
            Change(
                "Job",
                f"{before}{output}.KmsKeyId",
                MAYBE_EMPTY,
                f"unresolved:{before}{output}.KmsKeyId",
                "warning",
            ),
        ),
        name=name,
    )


_MONITORED = (
    monitored(PROCESSING_JOB, "processing", "ProcessingResources", "ProcessingOutputConfig"),
    *(
        monitored(definition(kind), kind.lower(), "JobResources", f"{kind}JobOutputConfig")
        for kind in ("DataQuality", "ModelQuality", "ModelBias", "ModelExplainability")
    ),
    monitored(
        {
            "Job": {
                "Type": "AWS::SageMaker::MonitoringSchedule",
                "Properties": {
                    "MonitoringScheduleConfig": {
                        "MonitoringJobDefinition": {
                            "NetworkConfig": PROCESSING["NetworkConfig"],
                            "MonitoringResources": PROCESSING["ProcessingResources"],
                            "MonitoringOutputConfig": {"KmsKeyId": KEY, "MonitoringOutputs": []},
                        }
                    }
                },
            },
            **SURROUNDINGS,
        },
        "schedule",
        "MonitoringResources",
        "MonitoringOutputConfig",
        "MonitoringScheduleConfig.MonitoringJobDefinition.",
    ),
)

CASES = (*_SHIELDED, *_MONITORED)
