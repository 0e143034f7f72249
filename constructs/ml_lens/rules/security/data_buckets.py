"""Buckets that hold the data of a workload: the key they are encrypted with, and whom they share it with."""

from __future__ import annotations

from collections.abc import Iterator

from ml_lens.rules.buckets import BUCKET, DATA_ROLES, DERIVED_PII, ROLES, roles_of
from ml_lens.rules.graph import Node
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import (
    PASS,
    Verdict,
    all_of,
    fails,
    must_be_one_of,
    must_equal,
    must_have_key,
    passes,
    unknown,
)

KEY = "AWS::KMS::Key"
ALIAS = "AWS::KMS::Alias"
_SHOWN = 3


@rule(
    "SEC02-DataBucketKms",
    number=18,
    weight=ERROR,
    on=BUCKET,
    title="Buckets with data of the workload are encrypted with a KMS key of yours.",
    why="Keys that S3 manages can be neither withheld nor watched: no key policy, no record of who decrypts.",
    fix="Encrypt the bucket with SSEAlgorithm aws:kms, a KMSMasterKeyID of your own and BucketKeyEnabled: true.",
    cloudformation="""
Type: AWS::S3::Bucket
Properties:
  BucketEncryption:
    ServerSideEncryptionConfiguration:
      - ServerSideEncryptionByDefault:
          SSEAlgorithm: aws:kms
          KMSMasterKeyID: !GetAtt DataKey.Arn
        BucketKeyEnabled: true
""",
    construct="ml_lens.foundation.DerivedDataBucket",
    lens2020="MLSEC 02",
    lens2025="MLSEC02-BP01",
    same_as=("SecurityHub:S3.17", "cdk-nag:NIST.800.53.R5-S3DefaultEncryptionKMS"),
    settled=(
        "A bucket is in scope when it declares a role in Metadata.MLLens.Role, or when jobs, models, endpoints or "
        "Lake Formation use it; a bucket that nothing tells of is left to general rule packs.",
        "Buckets that are only for logs or only for a web site are exempt; one that also holds data is not.",
        "A declared role that the pack does not know, a misspelt one for example, is reported as unresolved, and "
        "the role is inferred instead.",
        "A missing bucket key is a warning, as it costs money and not safety; aws:kms:dsse has no bucket key.",
        "An encryption with aws:kms and without KMSMasterKeyID uses the key that AWS manages, which fails.",
    ),
)
def data_bucket_has_a_key(bucket: Node) -> Iterator[Verdict]:
    """Demand KMS encryption under a key of the customer's."""
    if bucket.declared_role is not None and bucket.declared_role not in ROLES:
        told = f"Metadata.MLLens.Role is {bucket.declared_role}, none of {', '.join(sorted(ROLES))}"
        yield unknown(bucket, told, path="Metadata.MLLens.Role")
    if roles_of(bucket).isdisjoint(DATA_ROLES):
        return
    encryptions = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    if not encryptions:
        yield fails(bucket, "BucketEncryption is missing, must name a KMS key", path="BucketEncryption")
    for encryption in encryptions.elements:
        yield from _has_a_key(encryption)


def _has_a_key(encryption: Value) -> Iterator[Verdict]:
    default = encryption["ServerSideEncryptionByDefault"]
    algorithm = must_be_one_of(default["SSEAlgorithm"], ("aws:kms", "aws:kms:dsse"))
    yield algorithm
    if algorithm.answer is not PASS:
        return
    yield must_have_key(default["KMSMasterKeyID"])
    if default["SSEAlgorithm"].literal == "aws:kms":
        yield must_equal(encryption["BucketKeyEnabled"], True).as_warning()


@rule(
    "SEC02-DedicatedKeyForDerivedPii",
    number=26,
    weight=ERROR,
    on=BUCKET,
    title="Personal data that was derived from other data has a key of its own.",
    why="Whoever may decrypt another bucket could decrypt the personal data, if the two shared a key.",
    fix="Give the bucket a KMS key of this app that encrypts no bucket of another kind.",
    cloudformation="""
Type: AWS::S3::Bucket
Metadata:
  MLLens: {Role: derived-pii}
Properties:
  BucketEncryption:
    ServerSideEncryptionConfiguration:
      - ServerSideEncryptionByDefault:
          SSEAlgorithm: aws:kms
          KMSMasterKeyID: !GetAtt KeyOfDerivedData.Arn
        BucketKeyEnabled: true
""",
    construct="ml_lens.foundation.DerivedDataBucket",
    lens2020="MLSEC 02",
    lens2025="MLSEC02-BP01",
    settled=(
        "The role derived-pii has to be declared; nothing in a template tells it.",
        "Several buckets of derived personal data may share a key; a bucket without a role counts as another use.",
        "A key that is not part of the app fails: nobody can see what else it encrypts. An import is unresolved.",
        "Queues, log groups and tables under the same key are not counted; they have no role to compare.",
    ),
)
def derived_data_has_its_own_key(bucket: Node) -> Verdict | None:
    """Demand a key of the app that no bucket of another kind uses."""
    if DERIVED_PII not in roles_of(bucket):
        return None
    keys = _keys_given(bucket)
    if not keys:
        return fails(
            bucket, "BucketEncryption names no KMS key, must name one of its own", path="BucketEncryption"
        )
    return all_of(*(_is_its_own(key, bucket) for key in keys))


def _is_its_own(given: Value, bucket: Node) -> Verdict:
    key = _key_of(given)
    if key is None:
        told = f"{given.path} is {given.shown}, which is no key of this app"
        return (
            unknown(bucket, told, path=given.path)
            if _may_be_of_the_app(given)
            else fails(bucket, f"{told}; nobody can see what else it encrypts", path=given.path)
        )
    others = bucket.graph.joined("other uses of keys", (BUCKET,), _other_uses).at(key)
    if others:
        named = ", ".join(others if len(others) <= _SHOWN else [*others[:_SHOWN], "others"])
        return fails(bucket, f"{given.path} is {given.shown}, which also encrypts {named}", path=given.path)
    return passes(bucket)


def _may_be_of_the_app(given: Value) -> bool:
    return given.is_open and not (given.text or "").startswith(("arn:", "alias/"))


def _keys_given(bucket: Node) -> list[Value]:
    encryptions = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"].elements
    given = (encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] for encryption in encryptions)
    return [key for key in given if key]


def _other_uses(bucket: Node) -> Iterator[tuple[Node | None, str]]:
    """Yield the keys of a bucket that does not hold derived personal data, and nothing else."""
    for given in _keys_given(bucket):
        if roles_of(bucket) != {DERIVED_PII}:
            yield _key_of(given), bucket.logical_id


def _key_of(given: Value) -> Node | None:
    """Return the key of the app that ``given`` names, itself or by an alias."""
    graph = given.node.graph
    for named in given.references:
        if named.type == KEY:
            return named
        if named.type == ALIAS:
            return graph.target(named["TargetKeyId"], KEY)
    aliases = graph.joined("aliases of keys", (ALIAS,), lambda alias: [(alias["AliasName"].identity, alias)])
    name = given.literal
    plain = f"alias/{name.partition(':alias/')[2]}" if isinstance(name, str) and ":alias/" in name else name
    alias = aliases.last(given.identity if plain is None else plain)
    return None if alias is None or not alias["AliasName"] else graph.target(alias["TargetKeyId"], KEY)


RULES = (data_bucket_has_a_key, derived_data_has_its_own_key)
