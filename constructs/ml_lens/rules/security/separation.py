"""Rules on which role reads and writes which data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ml_lens.rules.buckets import MODEL_ARTIFACTS, TEMPORARY_RAW, TRAINING_DATA
from ml_lens.rules.object_rights import DELETES, READS, WRITES, grants, hidden_grants, reached_buckets
from ml_lens.rules.policies import PRINCIPALS, Role, Statement, role
from ml_lens.rules.role_uses import deploys_with_the_stack, runs_jobs, runs_pipeline
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.security.access import WHOLESALE
from ml_lens.rules.statements import doubt, objection
from ml_lens.rules.verdicts import Verdict, fails

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

DEPLOYMENTS: Final = (
    "sagemaker:CreateEndpoint",
    "sagemaker:CreateEndpointConfig",
    "sagemaker:UpdateEndpoint",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
)
_TRAINING: Final = ("sagemaker:CreateTrainingJob", "sagemaker:CreateHyperParameterTuningJob")
_JOBS: Final = (
    *_TRAINING,
    "sagemaker:CreateProcessingJob",
    "sagemaker:CreateAutoMLJob",
    "sagemaker:CreateAutoMLJobV2",
)
_BOTH_SIDES: Final = (
    "What the policy of the bucket allows a role of the app counts like what its own policies allow; a Deny without "
    "conditions takes a right away."
)
_CLEANUP: Final = "cleanup"


@rule(
    "SEC01-PhaseSeparation",
    number=3,
    weight=ERROR,
    on=PRINCIPALS,
    title="Who deploys neither trains nor touches training data, and only training writes models.",
    why="One role for every phase lets whoever holds it change data, train on it and put the result in production.",
    fix="Give training, deployment and inference a role each, and let only the training role write the bucket of the "
    "models.",
    cloudformation="""
Type: AWS::IAM::Policy
Properties:
  PolicyName: deploys
  Roles: [!Ref DeploymentRole]
  PolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Action: [sagemaker:CreateEndpointConfig, sagemaker:UpdateEndpoint]
        Resource:
          - !Ref ChurnEndpoint
          - !Sub arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint-config/churn-*
""",
    findings={
        "trainingData": "A role that deploys may read or change training data.",
        "train+deploy": "A role may both train and deploy.",
        "modelWrite": "A role that neither trains nor runs the pipeline may write model artifacts.",
    },
    lens2020=("MLSEC 01", "MLREL 01", "MLREL 04"),
    lens2025="MLSEC03-BP01",
    settled=(
        "A role deploys when it may create or update endpoints or their configurations.",
        "A role trains when it may create training, tuning, processing or AutoML jobs, or is given to one of their "
        "jobs; it runs the pipeline when a CodePipeline, a CodeBuild project, a SageMaker pipeline or a state "
        "machine with training tasks uses it.",
        "A function that answers for a custom resource works as a part of the deployment, and may write models.",
        "Where one bucket serves several purposes, a right counts where it reaches the prefix that is used.",
        "Reading and changing are s3:GetObject, s3:PutObject and s3:DeleteObject, with versions; listing is neither.",
        _BOTH_SIDES,
        WHOLESALE,
    ),
)
def phases_are_separate(node: Node) -> Iterator[Verdict]:
    """Compare what one role may do in each phase."""
    held_by = role(node)
    deploying = _allowing(held_by, DEPLOYMENTS, "endpoint", "endpoint-config")
    if deploying:
        yield from _only_deploys(held_by, deploying[0])
        yield from _touches_no_training_data(held_by)
    models = reached_buckets(held_by, MODEL_ARTIFACTS)
    if models and not _may_write_models(held_by):
        for bucket in models:
            for statement in grants(held_by, bucket, MODEL_ARTIFACTS, *WRITES, *DELETES):
                told = (
                    f"lets {node.logical_id}, which does not train, change the models in {bucket.logical_id}"
                )
                yield objection(statement, told, at=statement.actions_path).named("modelWrite")
            for statement in hidden_grants(held_by, bucket, MODEL_ARTIFACTS):
                yield _in_doubt(
                    statement, f"may let {node.logical_id} change the models in {bucket.logical_id}"
                )


def _allowing(held_by: Role, apis: Sequence[str], *kinds: str) -> list[Statement]:
    """Return what allows one of ``apis``: by name, or by every action on what may be one of ``kinds``."""
    return [
        each
        for each in held_by.allowing(*apis)
        if each.covers_by_name(*apis)
        or (each.covers_apart(*apis) and any(each.may_name(kind) for kind in kinds))
    ]


def _only_deploys(held_by: Role, deploying: Statement) -> Iterator[Verdict]:
    training = _allowing(held_by, _TRAINING, "training-job", "hyper-parameter-tuning-job")
    if training:
        told = "may both train models and deploy them"
        if any(each.body["Effect"].is_open for each in (deploying, training[0])):
            yield objection(training[0], told, at=training[0].actions_path)
        else:
            yield fails(held_by.node, told).named("train+deploy")
        return
    for statement in held_by.statements:
        if statement.allows and statement.open_action is not None and statement.unlimited_resources:
            yield _in_doubt(statement, f"may let {held_by.node.logical_id}, which deploys models, train them")


def _touches_no_training_data(held_by: Role) -> Iterator[Verdict]:
    name = held_by.node.logical_id
    for bucket in reached_buckets(held_by, TRAINING_DATA):
        told = f"lets {name}, which deploys models, read or change the training data in {bucket.logical_id}"
        for statement in grants(held_by, bucket, TRAINING_DATA, *READS, *WRITES, *DELETES):
            yield objection(statement, told, at=statement.actions_path).named("trainingData")
        for statement in hidden_grants(held_by, bucket, TRAINING_DATA):
            yield _in_doubt(
                statement, f"may let {name} read or change the training data in {bucket.logical_id}"
            )


def _may_write_models(held_by: Role) -> bool:
    node = held_by.node
    trains = held_by.may(*_JOBS) or runs_jobs(node) or runs_pipeline(node)
    return trains or deploys_with_the_stack(node) or node.declared_role == _CLEANUP


def _in_doubt(statement: Statement, told: str) -> Verdict:
    hidden = statement.open_action
    return doubt(statement, told, statement.body if hidden is None else hidden)


@rule(
    "SEC02-WriteOnlyUploader",
    number=27,
    weight=ERROR,
    on=PRINCIPALS,
    title="Who uploads raw data cannot read it, and who reads it cannot change it.",
    why="A device that uploads is easily stolen: with a right to read it gives away what all the others uploaded.",
    fix="Give uploaders s3:PutObject, readers s3:GetObject, and deletion to a role of its own with "
    "Metadata.MLLens.Role cleanup.",
    cloudformation="""
Type: AWS::IAM::Policy
Properties:
  PolicyName: uploads
  Roles: [!Ref CameraRole]
  PolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Action: s3:PutObject
        Resource: !Sub ${ImagesBucket.Arn}/*
""",
    construct="ml_lens.foundation.TemporaryInputBucket",
    lens2020="MLSEC 02",
    lens2025="MLSEC03-BP01",
    settled=(
        "The buckets are those with the role temporary-raw.",
        "A role that reads and deletes has to say Metadata.MLLens.Role cleanup; one that only deletes need not.",
        "No role may both write and read, the one that cleans up neither.",
        "A right on any part of the bucket counts, or of the prefix that its metadata names.",
        "Reported is the statement that lets a reader write or delete.",
        _BOTH_SIDES,
        WHOLESALE,
    ),
)
def uploaders_only_write(node: Node) -> Iterator[Verdict]:
    """Compare what one role may do with the objects of a bucket of raw data."""
    held_by = role(node)
    for bucket in reached_buckets(held_by, TEMPORARY_RAW):
        reading = grants(held_by, bucket, TEMPORARY_RAW, *READS)
        writing = grants(held_by, bucket, TEMPORARY_RAW, *WRITES)
        deleting = grants(held_by, bucket, TEMPORARY_RAW, *DELETES)
        if reading:
            told = f"lets {node.logical_id}, which reads {bucket.logical_id},"
            for statement in writing:
                yield objection(statement, f"{told} write there", at=statement.actions_path)
            for statement in deleting if node.declared_role != _CLEANUP else ():
                yield objection(statement, f"{told} delete there", at=statement.actions_path)
        for statement in hidden_grants(held_by, bucket, TEMPORARY_RAW):
            yield _in_doubt(statement, f"may let {node.logical_id} both read and change {bucket.logical_id}")


RULES = (phases_are_separate, uploaders_only_write)
