"""Repositories that hold the containers of training and inference."""

from __future__ import annotations

from collections.abc import Iterator

from ml_lens.rules.graph import Node
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.verdicts import PASS, Verdict, must_be_one_of, must_have_key


@rule(
    "SEC02-EcrKms",
    number=24,
    weight=ERROR,
    on="AWS::ECR::Repository",
    title="Container repositories are encrypted with a KMS key of yours.",
    why="Containers hold the code of models, and sometimes the models; their key has to be yours to withhold.",
    fix="Set EncryptionConfiguration to EncryptionType: KMS with a KmsKey of yours when the repository is created; "
    "it cannot be changed later.",
    cloudformation="""
Type: AWS::ECR::Repository
Properties:
  EncryptionConfiguration:
    EncryptionType: KMS
    KmsKey: !GetAtt ContainerKey.Arn
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC02-BP01",
    same_as=("SecurityHub:ECR.5",),
    settled=(
        "Every repository of the app is held to it, as a template does not tell which containers a job will use.",
        "KMS without KmsKey uses the key that AWS manages for ECR, which fails.",
        "The repository of the CDK bootstrap is not part of a template and is not judged.",
    ),
)
def repository_has_a_key(repository: Node) -> Iterator[Verdict]:
    """Demand KMS encryption under a key of the customer's."""
    encryption = repository["EncryptionConfiguration"]
    kind = must_be_one_of(encryption["EncryptionType"], ("KMS", "KMS_DSSE"))
    yield kind
    if kind.answer is PASS:
        yield must_have_key(encryption["KmsKey"])


RULES = (repository_has_a_key,)
