"""Rules on how training, tuning, processing, transform, AutoML, labeling and monitoring jobs are shielded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_lens.instance_types import has_local_disks
from ml_lens.rules.instances import instance_types, resources_of
from ml_lens.rules.rule import ERROR, TRAINING_TASK, rule
from ml_lens.rules.tasks import about, open_request
from ml_lens.rules.verdicts import (
    FAIL,
    Verdict,
    all_of,
    must_equal,
    must_exist,
    must_hold,
    passes,
    unknown,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.tasks import Task
    from ml_lens.rules.values import Value

PROCESSING_JOB = "AWS::SageMaker::ProcessingJob"
MONITORING_SCHEDULE = "AWS::SageMaker::MonitoringSchedule"
JOB_DEFINITIONS = (
    "AWS::SageMaker::DataQualityJobDefinition",
    "AWS::SageMaker::ModelQualityJobDefinition",
    "AWS::SageMaker::ModelBiasJobDefinition",
    "AWS::SageMaker::ModelExplainabilityJobDefinition",
)


@dataclass(frozen=True)
class _Shield:
    """Where a job's request keeps what shields it; ``None`` for what its API does not have."""

    network: Value | None = None
    encrypted_traffic: Value | None = None
    isolation: Value | None = None
    cluster: Value | None = None
    output: Value | None = None


@rule(
    "SEC02-TrainingJobSecure",
    number=15,
    weight=ERROR,
    on=TRAINING_TASK,
    title="Jobs that a workflow starts run in a VPC, encrypted with keys, and shut off from the network.",
    why="Jobs are no CloudFormation resources, so the workflow that starts them is where they are made secure.",
    fix=(
        "In the request of the state or step, set VpcConfig, a key for the volumes and one for the output, "
        "EnableInterContainerTrafficEncryption and EnableNetworkIsolation."
    ),
    cloudformation="""
Type: AWS::StepFunctions::StateMachine
Properties:
  RoleArn: !GetAtt WorkflowRole.Arn
  Definition:
    StartAt: Train
    States:
      Train:
        Type: Task
        End: true
        Resource: arn:aws:states:::sagemaker:createTrainingJob.sync
        Parameters:
          VpcConfig:
            Subnets: [!Ref SubnetA, !Ref SubnetB]
            SecurityGroupIds: [!Ref TrainingSecurityGroup]
          ResourceConfig: {InstanceType: ml.m5.xlarge, InstanceCount: 2, VolumeSizeInGB: 30,
                           VolumeKmsKeyId: !GetAtt Key.Arn}
          OutputDataConfig: {S3OutputPath: !Sub "s3://${Models}/churn", KmsKeyId: !GetAtt Key.Arn}
          EnableInterContainerTrafficEncryption: true
          EnableNetworkIsolation: true
""",
    findings={
        "vpc": "The job names no subnets or no security groups of yours.",
        "volumeKms": "The volumes of the job are not encrypted with a key.",
        "outputKms": "What the job writes is not encrypted with a key.",
        "interContainer": "What the containers of the job send each other is not encrypted.",
        "isolation": "The container of the job may call out.",
    },
    lens2020=("MLSEC 02", "MLSEC 03"),
    lens2025=("MLSEC02-BP01", "MLSEC04-BP01", "MLSEC04-BP02"),
    settled=(
        "Only what the API of a job has is demanded: a transform job has a volume key and an output key, an AutoML "
        "job has no network isolation, and a labeling job has a network and volumes only when it labels with a model.",
        "Instances with NVMe disks take no volume key, because their hardware encrypts the disks.",
        "Without traffic encryption, a job of one instance is a warning, and one whose number of instances is open is "
        "left open.",
        "Any KMS key will do, also one that AWS manages.",
        "A processing job without ProcessingOutputConfig writes nothing that would need a key.",
        "A serverless training job has neither instances nor volumes of yours.",
    ),
)
def training_job_is_secure(task: Task) -> Iterator[Verdict]:
    """Judge the request of every job that a workflow starts."""
    open_verdict = open_request(task)
    if open_verdict is not None:
        yield open_verdict
        return
    for job in task.jobs:
        for verdict in _shielded(_shield_of_task(task, job), one_instance_may_do=True):
            yield about(task, verdict)


@rule(
    "SEC02-ProcessingAndMonitoringJobsSecure",
    number=17,
    weight=ERROR,
    on=(PROCESSING_JOB, *JOB_DEFINITIONS, MONITORING_SCHEDULE),
    title="Processing and monitoring jobs run in a VPC, encrypted with keys, and shut off from the network.",
    why="They read the same training data and captured requests as the jobs that train.",
    fix=(
        "Set NetworkConfig with VpcConfig, EnableNetworkIsolation and EnableInterContainerTrafficEncryption, "
        "VolumeKmsKeyId of the cluster, and KmsKeyId of the output."
    ),
    cloudformation="""
Type: AWS::SageMaker::DataQualityJobDefinition
Properties:
  RoleArn: !GetAtt MonitoringRole.Arn
  NetworkConfig:
    EnableNetworkIsolation: true
    EnableInterContainerTrafficEncryption: true
    VpcConfig:
      Subnets: [!Ref SubnetA, !Ref SubnetB]
      SecurityGroupIds: [!Ref MonitoringSecurityGroup]
  JobResources:
    ClusterConfig: {InstanceType: ml.m5.xlarge, InstanceCount: 1, VolumeSizeInGB: 20,
                    VolumeKmsKeyId: !GetAtt Key.Arn}
  DataQualityJobOutputConfig:
    KmsKeyId: !GetAtt Key.Arn
    MonitoringOutputs:
      - S3Output: {S3Uri: !Sub "s3://${Reports}/quality", LocalPath: /opt/ml/processing/output}
""",
    findings={
        "vpc": "The job names no subnets or no security groups of yours.",
        "volumeKms": "The volumes of the job are not encrypted with a key.",
        "outputKms": "What the job writes is not encrypted with a key.",
        "interContainer": "What the containers of the job send each other is not encrypted.",
        "isolation": "The container of the job may call out.",
    },
    lens2020="MLSEC 02",
    lens2025=("MLSEC04-BP01", "MLSEC04-BP02"),
    same_as=(
        *(f"SecurityHub:SageMaker.{number}" for number in (9, 10, 11, 12, 13, 14, 15, 20, 22, 25)),
        "checkov:CKV_AWS_367",
        "checkov:CKV_AWS_368",
        "checkov:CKV_AWS_369",
    ),
    settled=(
        "A schedule that only names a definition is judged by the definition.",
        "Instances with NVMe disks take no volume key, because their hardware encrypts the disks.",
        "Traffic encryption is demanded with one instance too, as Security Hub does for most of these types.",
        "Any KMS key will do, also one that AWS manages.",
        "A processing job without ProcessingOutputConfig writes nothing that would need a key.",
    ),
)
def processing_and_monitoring_job_is_secure(job: Node) -> Iterator[Verdict]:
    """Judge the jobs and job definitions that are resources."""
    shield = _shield_of_resource(job)
    if shield is not None:
        yield from _shielded(shield, one_instance_may_do=False)


RULES = (training_job_is_secure, processing_and_monitoring_job_is_secure)


def _shield_of_task(task: Task, job: Value) -> _Shield:
    match task.kind:
        case "processing":
            return _of_processing(job)
        case "transform":
            return _Shield(cluster=job["TransformResources"], output=job["TransformOutput"])
        case "automl":
            security = _automl_settings(job, "SecurityConfig")
            return _Shield(
                network=security["VpcConfig"],
                encrypted_traffic=security["EnableInterContainerTrafficEncryption"],
                cluster=security,
                output=job["OutputDataConfig"],
            )
        case "labeling":
            resources = job["LabelingJobAlgorithmsConfig"]["LabelingJobResourceConfig"]
            labels_itself = bool(job["LabelingJobAlgorithmsConfig"])
            return _Shield(
                network=resources["VpcConfig"] if labels_itself else None,
                cluster=resources if labels_itself else None,
                output=job["OutputConfig"],
            )
        case _:
            serverless = bool(job["ServerlessJobConfig"])
            return _Shield(
                network=job["VpcConfig"],
                encrypted_traffic=None if serverless else job["EnableInterContainerTrafficEncryption"],
                isolation=job["EnableNetworkIsolation"],
                cluster=None if serverless else resources_of(task, job),
                output=job["OutputDataConfig"],
            )


def _automl_settings(job: Value, name: str) -> Value:
    """Return a part of an AutoML job's settings, which the second version of the API keeps at the top."""
    return job["AutoMLJobConfig"][name] if job["AutoMLJobConfig"] else job[name]


def _of_processing(job: Value) -> _Shield:
    network = job["NetworkConfig"]
    return _Shield(
        network=network["VpcConfig"],
        encrypted_traffic=network["EnableInterContainerTrafficEncryption"],
        isolation=network["EnableNetworkIsolation"],
        cluster=job["ProcessingResources"]["ClusterConfig"],
        output=job["ProcessingOutputConfig"] if job["ProcessingOutputConfig"] else None,
    )


def _shield_of_resource(node: Node) -> _Shield | None:
    if node.type == PROCESSING_JOB:
        return _of_processing(node.properties)
    job, resources, output = node.properties, "JobResources", f"{node.type.split('::')[2]}OutputConfig"
    if node.type == MONITORING_SCHEDULE:
        job = node["MonitoringScheduleConfig"]["MonitoringJobDefinition"]
        resources, output = "MonitoringResources", "MonitoringOutputConfig"
        if not job:
            return None
    network = job["NetworkConfig"]
    return _Shield(
        network=network["VpcConfig"],
        encrypted_traffic=network["EnableInterContainerTrafficEncryption"],
        isolation=network["EnableNetworkIsolation"],
        cluster=job[resources]["ClusterConfig"],
        output=job[output.replace("DefinitionOutput", "Output")],
    )


def _shielded(shield: _Shield, *, one_instance_may_do: bool) -> Iterator[Verdict]:
    if shield.network is not None:
        subnets, groups = shield.network["Subnets"], shield.network["SecurityGroupIds"]
        yield all_of(must_hold(subnets, 1), must_hold(groups, 1)).named("vpc")
    if shield.cluster is not None:
        yield _volumes_have_a_key(shield.cluster).named("volumeKms")
    if shield.output is not None:
        yield must_exist(shield.output["KmsKeyId"]).named("outputKms")
    if shield.encrypted_traffic is not None:
        verdict = must_equal(shield.encrypted_traffic, True).named("interContainer")
        yield _by_instances(verdict, shield.cluster) if one_instance_may_do and shield.cluster else verdict
    if shield.isolation is not None:
        verdict = must_equal(shield.isolation, True).named("isolation")
        yield verdict.as_warning() if one_instance_may_do else verdict


def _volumes_have_a_key(cluster: Value) -> Verdict:
    verdict = must_exist(cluster["VolumeKmsKeyId"])
    types = instance_types(cluster)
    if cluster["VolumeKmsKeyId"] or not types:
        return verdict
    known = [each.literal for each in types if each.is_literal]
    if any(not has_local_disks(str(each)) for each in known):
        return verdict
    unsure = next((each for each in types if not each.is_literal), None)
    if unsure is None:
        return passes(cluster.node)
    told = f"{verdict.message}, which is wrong unless {unsure.path}, which is open, has disks of its own"
    return unknown(cluster.node, told, path=unsure.path)


def _by_instances(verdict: Verdict, cluster: Value) -> Verdict:
    """Warn of one instance, which has nobody to talk to; leave it open where the number is."""
    groups = cluster["InstanceGroups"].elements
    count = groups[0]["InstanceCount"] if len(groups) == 1 else cluster["InstanceCount"]
    if len(groups) > 1 or verdict.answer is not FAIL:
        return verdict
    if count.is_open:
        told = f"{count.path} is {count.shown}, which the template leaves open; if it is not 1, {verdict.message}"
        return unknown(cluster.node, told, path=count.path)
    return verdict.as_warning() if count.number == 1 else verdict
