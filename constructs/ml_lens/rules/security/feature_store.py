"""Rules on feature groups, inference experiments and model cards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.instance_types import has_local_disks
from ml_lens.rules.endpoints import EXPERIMENT
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.verdicts import Verdict, any_of, must_equal, must_have_key, must_satisfy

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

FEATURE_GROUP = "AWS::SageMaker::FeatureGroup"
MODEL_CARD = "AWS::SageMaker::ModelCard"


@rule(
    "SEC03-FeatureAndExperimentKms",
    number=34,
    weight=ERROR,
    on=(FEATURE_GROUP, EXPERIMENT, MODEL_CARD),
    title="Feature groups, inference experiments and model cards are encrypted with a key of yours.",
    why="Features are data about people, experiments record requests, and cards describe what a model may do.",
    fix=(
        "Give a KMS key: KmsKeyId of the offline and the online store, KmsKey and DataStorageConfig.KmsKey of an "
        "experiment, SecurityConfig.KmsKeyId of a card."
    ),
    cloudformation="""
Type: AWS::SageMaker::FeatureGroup
Properties:
  OfflineStoreConfig:
    S3StorageConfig:
      S3Uri: !Sub s3://${FeatureBucket}/offline
      KmsKeyId: !GetAtt Key.Arn
  OnlineStoreConfig:
    EnableOnlineStore: true
    SecurityConfig:
      KmsKeyId: !GetAtt Key.Arn
""",
    lens2020=("MLSEC 02", "MLSEC 03"),
    lens2025="MLSEC02-BP01",
    same_as=(
        "SecurityHub:SageMaker.17",
        "SecurityHub:SageMaker.18",
        "SecurityHub:SageMaker.23",
        "SecurityHub:SageMaker.24",
        "Config:sagemaker-featuregroup-encryption-at-rest",
        "Config:sagemaker-featuregroup-online-store-encryption",
        "Config:sagemaker-inf-experiment-instance-storage-kms-encrypted",
        "Config:sagemaker-inf-experiment-data-storage-kms-encrypted",
    ),
    settled=(
        "An online store counts when it is given and EnableOnlineStore is not false; one with StorageType InMemory "
        "is left out.",
        "An experiment whose instances have NVMe disks needs no key for volumes.",
    ),
)
def features_and_experiments_are_encrypted(resource: Node) -> Iterator[Verdict]:
    """Demand a key for each store that is there."""
    match resource.type:
        case "AWS::SageMaker::FeatureGroup":
            yield from _of_feature_group(resource)
        case "AWS::SageMaker::ModelCard":
            yield must_have_key(resource["SecurityConfig"]["KmsKeyId"])
        case _:
            yield from _of_experiment(resource)


def _of_feature_group(group: Node) -> Iterator[Verdict]:
    offline, online = group["OfflineStoreConfig"], group["OnlineStoreConfig"]
    if offline:
        yield must_have_key(offline["S3StorageConfig"]["KmsKeyId"])
    if online:
        switch = online["EnableOnlineStore"]
        off = must_equal(switch, False).saying(
            f"{switch.path} is {switch.shown}, must be false where the store has no KmsKeyId"
        )
        in_memory = must_equal(online["StorageType"], "InMemory")
        yield any_of(must_have_key(online["SecurityConfig"]["KmsKeyId"]), off, in_memory)


def _of_experiment(experiment: Node) -> Iterator[Verdict]:
    disks = [
        must_satisfy(
            variant["InfrastructureConfig"]["RealTimeInferenceConfig"]["InstanceType"],
            lambda found: has_local_disks(str(found)),
            "must have disks of its own where KmsKey is missing",
        )
        for variant in experiment["ModelVariants"].elements
    ]
    yield any_of(must_have_key(experiment["KmsKey"]), *disks)
    if experiment["DataStorageConfig"]:
        yield must_have_key(experiment["DataStorageConfig"]["KmsKey"])


RULES = (features_and_experiments_are_encrypted,)
