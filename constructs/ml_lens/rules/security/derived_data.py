"""Data that must not stay: raw files that are in S3 only until they have been processed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ml_lens.rules.bucket_versions import lifecycle_rules, must_cover, noncurrent_days
from ml_lens.rules.buckets import BUCKET, TEMPORARY_RAW, roles_of
from ml_lens.rules.graph import Node
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import (
    FAIL,
    PASS,
    Verdict,
    all_of,
    any_of,
    fails,
    must_be_at_most,
    must_not_exist,
    unknown,
)

_RULES = "LifecycleConfiguration.Rules"


@rule(
    "SEC02-TemporaryDataExpires",
    number=25,
    weight=ERROR,
    on=BUCKET,
    title="Raw files that are kept only for processing expire.",
    why="What the processing leaves behind, a face for example, has to vanish even if nothing deletes it.",
    fix="Expire objects, replaced versions and unfinished uploads of the whole bucket within a day.",
    cloudformation="""
Type: AWS::S3::Bucket
Metadata:
  MLLens: {Role: temporary-raw}
Properties:
  LifecycleConfiguration:
    Rules:
      - Status: Enabled
        ExpirationInDays: 1
        NoncurrentVersionExpiration: {NoncurrentDays: 1}
        AbortIncompleteMultipartUpload: {DaysAfterInitiation: 1}
""",
    construct="ml_lens.foundation.TemporaryInputBucket",
    lens2020="MLSEC 02",
    lens2025="MLSEC03-BP05",
    same_as=("SecurityHub:S3.13",),
    settled=(
        "The role temporary-raw has to be declared; nothing in a template tells it.",
        "The rules must cover the whole bucket, or the prefix in Metadata.MLLens.Prefix; one with a filter by tag "
        "or size leaves objects out.",
        "Replaced versions and parts of unfinished uploads hold the same data: that they never go is an error, that "
        "they stay longer than max_temporary_days, one day by default, is a warning.",
        "A bucket whose versioning is suspended still holds replaced versions.",
        "A rule that keeps the newest replaced versions whatever their age does not let them vanish, and a fixed "
        "ExpirationDate expires only what is there on that day.",
    ),
)
def temporary_data_expires(bucket: Node) -> Iterator[Verdict]:
    """Demand that nothing outlives the limit: objects, replaced versions, unfinished uploads."""
    if TEMPORARY_RAW not in roles_of(bucket):
        return
    rules = bucket["LifecycleConfiguration"]["Rules"]
    if rules.is_open:
        yield unknown(
            bucket, f"{rules.path} is {rules.shown}, which the template leaves open", path=rules.path
        )
        return
    yield _expires(bucket, "objects", lambda rule: rule["ExpirationInDays"])
    yield _remainder_expires(
        bucket,
        "unfinished uploads",
        lambda rule: rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"],
    )
    replaced = _remainder_expires(bucket, "replaced versions", noncurrent_days)
    status = bucket["VersioningConfiguration"]["Status"]
    if status.is_open and replaced.answer is not PASS:
        told = f"{status.path} is {status.shown}, which the template leaves open; {replaced.message}"
        yield unknown(bucket, told, path=status.path)
    elif status or bucket["ObjectLockEnabled"]:
        yield replaced


def _remainder_expires(bucket: Node, what: str, age_in: Callable[[Value], Value]) -> Verdict:
    """Demand that ``what`` goes, and warn where it goes late."""
    in_time = _expires(bucket, what, age_in)
    if in_time.answer is FAIL and _expires(bucket, what, age_in, limit=float("inf")).answer is PASS:
        return in_time.as_warning()
    return in_time


def _expires(
    bucket: Node, what: str, age_in: Callable[[Value], Value], *, limit: float | None = None
) -> Verdict:
    """Demand one enabled rule for the whole bucket by which ``what`` is gone in time."""
    limit = bucket.options.max_temporary_days if limit is None else limit
    prefix = bucket.declared_prefix or ""
    candidates = [
        all_of(
            must_be_at_most(age_in(rule), limit),
            must_cover(rule, prefix),
            must_not_exist(rule["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"])
            if age_in is noncurrent_days
            else must_cover(rule, prefix),
        )
        for rule in lifecycle_rules(bucket)
        if age_in(rule)
    ]
    return any_of(*candidates, fails(bucket, f"no enabled rule in {_RULES} lets {what} expire", path=_RULES))


RULES = (temporary_data_expires,)
