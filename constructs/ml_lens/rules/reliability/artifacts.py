"""Models, data and code that have to be found again: versions, protection against deletion, a second copy."""

from __future__ import annotations

from collections.abc import Iterator

from ml_lens.rules.bucket_versions import lifecycle_rules, must_keep_versions, must_spare, noncurrent_days
from ml_lens.rules.buckets import (
    BUCKET,
    DATA_LAKE,
    MODEL_ARTIFACTS,
    TRAINING_DATA,
    bucket_of,
    policy_statements,
    roles_of,
)
from ml_lens.rules.copies import backups_of, replications_of
from ml_lens.rules.deletion import must_refuse_deletion
from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.rule import ERROR, WARNING, rule
from ml_lens.rules.verdicts import (
    Verdict,
    all_of,
    any_of,
    fails,
    must_be_at_least,
    must_be_one_of,
    must_equal,
    must_exist,
)

_KINDS = {MODEL_ARTIFACTS: "model", TRAINING_DATA: "data", DATA_LAKE: "data"}


@rule(
    "REL04-ArtifactsVersioned",
    number=42,
    weight=ERROR,
    on=BUCKET,
    title="Models, data and code are kept in every version.",
    why="A model can be rebuilt, explained or rolled back only with the exact data and code it was made of.",
    fix="Enable versioning, and let no lifecycle rule forget replaced versions early.",
    cloudformation="""
Type: AWS::S3::Bucket
Properties:
  VersioningConfiguration: {Status: Enabled}
  LifecycleConfiguration:
    Rules:
      - Status: Enabled
        NoncurrentVersionExpiration: {NoncurrentDays: 90}
""",
    findings={
        "model": "A bucket of model artifacts does not keep their versions.",
        "data": "A bucket of training data or of the data lake does not keep versions.",
        "code": "A bucket from which a pipeline takes its source does not keep versions.",
    },
    lens2020=("MLREL 01", "MLREL 04", "MLREL 05", "MLOPS 06"),
    lens2025=("MLREL05-BP02", "MLREL02-BP03"),
    same_as=("SecurityHub:S3.14", "cdk-nag:NIST.800.53.R5-S3BucketVersioningEnabled"),
    settled=(
        "Replaced versions have to be kept for min_noncurrent_days, 30 by default; keeping a number of newer "
        "versions does not replace the days.",
        "A lifecycle rule that is switched off does not count, nor one outside the prefix in Metadata.MLLens.Prefix.",
        "Object Lock brings versioning with it.",
        "Code is what a CodePipeline takes from S3 in an action of the category Source, whatever role the bucket "
        "declares.",
    ),
)
def artifacts_are_versioned(bucket: Node) -> Iterator[Verdict]:
    """Demand versioning and patience with replaced versions."""
    parts = {_KINDS[role] for role in roles_of(bucket) if role in _KINDS}
    if bucket in bucket.graph.once("source buckets", lambda: _source_buckets(bucket.graph)):
        parts.add("code")
    for part in sorted(parts):
        yield must_keep_versions(bucket).named(part)
        yield from (verdict.named(part) for verdict in _forgets_late(bucket))


def _forgets_late(bucket: Node) -> Iterator[Verdict]:
    least = bucket.options.min_noncurrent_days
    for lifecycle_rule in lifecycle_rules(bucket):
        days = noncurrent_days(lifecycle_rule)
        if days:
            spared = must_spare(lifecycle_rule, bucket.declared_prefix or "")
            yield any_of(must_be_at_least(days, least), spared)


def _source_buckets(graph: Graph) -> set[Node]:
    found = set()
    for pipeline in graph.nodes("AWS::CodePipeline::Pipeline"):
        for stage in pipeline["Stages"].elements:
            for action in stage["Actions"].elements:
                kind = action["ActionTypeId"]
                if kind["Category"].literal == "Source" and kind["Provider"].literal == "S3":
                    found.add(bucket_of(action["Configuration"]["S3Bucket"]))
    return {bucket for bucket in found if bucket is not None}


@rule(
    "REL04-ModelBucketDeleteProtected",
    number=43,
    weight=ERROR,
    on=BUCKET,
    title="Nobody deletes models by accident.",
    why="Without the artifact an endpoint can be neither restored nor rolled back.",
    fix="Set DeletionPolicy and UpdateReplacePolicy to Retain, and lock objects by Object Lock with a default "
    "retention or refuse s3:DeleteObject* without MFA in the bucket policy.",
    cloudformation="""
ModelBucket:
  Type: AWS::S3::Bucket
  DeletionPolicy: Retain
  UpdateReplacePolicy: Retain
ModelBucketPolicy:
  Type: AWS::S3::BucketPolicy
  Properties:
    Bucket: !Ref ModelBucket
    PolicyDocument:
      Version: "2012-10-17"
      Statement:
        - Effect: Deny
          Principal: "*"
          Action: s3:DeleteObject*
          Resource: !Sub "${ModelBucket.Arn}/*"
          Condition:
            BoolIfExists: {aws:MultiFactorAuthPresent: "false"}
""",
    findings={
        "retain": "The bucket goes when its stack goes.",
        "mfa": "Objects can be deleted without MFA.",
    },
    lens2020="MLREL 04",
    lens2025="MLREL05-BP02",
    same_as=("SecurityHub:S3.15", "SecurityHub:S3.20", "cdk-nag:NIST.800.53.R4-S3BucketDefaultLockEnabled"),
    settled=(
        "RetainExceptOnCreate retains as well: it removes only a bucket whose creation failed.",
        "The refusal has to hold for everybody, for every object and for versions too, s3:DeleteObject and "
        "s3:DeleteObjectVersion.",
        "Bool on aws:MultiFactorAuthPresent leaves requests with long-term keys alone, which carry no such key: "
        "BoolIfExists refuses them, or a second statement with Null does. Null on aws:MultiFactorAuthAge refuses "
        "both.",
        "A refusal without any condition is stronger and complies; named principals may be excepted by "
        "aws:PrincipalArn or NotPrincipal, a star may not. Any other condition weakens it.",
        "Both modes of Object Lock count, governance and compliance. MFA delete itself cannot be set by "
        "CloudFormation.",
    ),
)
def models_are_not_deleted(bucket: Node) -> Iterator[Verdict]:
    """Demand a bucket that stays, and objects that stay."""
    if MODEL_ARTIFACTS not in roles_of(bucket):
        return
    stays = ("Retain", "RetainExceptOnCreate")
    yield must_be_one_of(bucket.attribute("DeletionPolicy"), stays).named("retain")
    yield must_equal(bucket.attribute("UpdateReplacePolicy"), "Retain").named("retain")
    refused = must_refuse_deletion(bucket, policy_statements(bucket))
    yield any_of(refused, _is_locked(bucket)).named("mfa")


def _is_locked(bucket: Node) -> Verdict:
    lock = bucket["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    period = any_of(must_exist(retention["Days"]), must_exist(retention["Years"]))
    return all_of(must_equal(lock["ObjectLockEnabled"], "Enabled"), must_exist(retention["Mode"]), period)


@rule(
    "REL04-ModelSecondCopy",
    number=44,
    weight=WARNING,
    on=BUCKET,
    title="Models have a second copy.",
    why="A lost bucket, Region or account must not take every model with it.",
    fix="Replicate the bucket to another bucket, or select it in an AWS Backup plan.",
    cloudformation="""
Type: AWS::S3::Bucket
Properties:
  VersioningConfiguration: {Status: Enabled}
  ReplicationConfiguration:
    Role: !GetAtt ReplicationRole.Arn
    Rules:
      - Status: Enabled
        Priority: 1
        Filter: {Prefix: ""}
        DeleteMarkerReplication: {Status: Disabled}
        Destination: {Bucket: "arn:aws:s3:::models-copy"}
""",
    lens2020="MLREL 04",
    lens2025="MLREL05-BP02",
    same_as=("SecurityHub:S3.7", "cdk-nag:NIST.800.53.R5-S3BucketReplicationEnabled"),
    settled=(
        "The copy has to cover the whole bucket, or the prefix in Metadata.MLLens.Prefix; a replication by tag "
        "leaves objects out, and one to the bucket itself is no copy.",
        "A selection of AWS Backup counts by ARN, with wildcards, and by tags of the bucket; one that "
        "excepts the bucket or asks for tags it does not have does not count.",
        "Where the copy lies, in which Region or account, is left to the plan for disasters.",
    ),
)
def models_have_a_second_copy(bucket: Node) -> Verdict | None:
    """Demand a replication or a backup."""
    if MODEL_ARTIFACTS not in roles_of(bucket):
        return None
    nowhere = fails(bucket, "is neither replicated to another bucket nor selected by AWS Backup")
    return any_of(*replications_of(bucket), *backups_of(bucket), nowhere)


RULES = (artifacts_are_versioned, models_are_not_deleted, models_have_a_second_copy)
