"""Second copies of a bucket: replication, and the selections of AWS Backup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.buckets import location_of, object_pattern
from ml_lens.rules.policies import matches
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import (
    PASS,
    Verdict,
    all_of,
    fails,
    must_equal,
    must_exist,
    must_satisfy,
    passes,
    unknown,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

_SELECTION: Final = "AWS::Backup::BackupSelection"
_TAG: Final = "aws:ResourceTag/"


def replications_of(bucket: Node) -> Iterator[Verdict]:
    """Yield for each replication rule whether it copies every object to another bucket."""
    for rule in bucket["ReplicationConfiguration"]["Rules"].elements:
        yield all_of(
            must_equal(rule["Status"], "Enabled"),
            _replicates_everything(rule),
            _leads_elsewhere(rule, bucket),
        )


def _replicates_everything(rule: Value) -> Verdict:
    given = rule["Filter"]
    for tags in (given["TagFilter"], given["And"]["TagFilters"]):
        if tags:
            return fails(rule.node, f"{tags.path} leaves objects out", path=tags.path)
    prefix = rule.node.declared_prefix or ""
    whole = f"must cover {prefix}" if prefix else "must be absent, to cover the whole bucket"
    starts = (rule["Prefix"], given["Prefix"], given["And"]["Prefix"])
    return all_of(
        *(
            must_satisfy(start, lambda at: prefix.startswith(str(at)), whole, when_absent=PASS)
            for start in starts
        )
    )


def _leads_elsewhere(rule: Value, bucket: Node) -> Verdict:
    target = rule["Destination"]["Bucket"]
    if location_of(target).bucket is bucket:
        return fails(bucket, f"{target.path} is the bucket itself", path=target.path)
    return must_exist(target)


def backups_of(bucket: Node) -> Iterator[Verdict]:
    """Yield for each selection of AWS Backup that may mean ``bucket`` whether it does."""
    graph = bucket.graph
    for chosen in graph.once(
        "backup selections", lambda: [_Selection.of(node) for node in graph.nodes(_SELECTION)]
    ):
        if chosen.excepted.name(bucket):
            continue
        body = chosen.node["BackupSelection"]
        if any(
            _has_tag(bucket, tag["ConditionKey"], tag["ConditionValue"])
            for tag in body["ListOfTags"].elements
        ):
            yield passes(bucket)
        elif chosen.named.name(bucket):
            yield _meets(body["Conditions"], bucket)
        elif chosen.named.doubt is not None:
            arn = chosen.named.doubt
            told = f"{arn.path} is {arn.shown}, which the template leaves open; may be {bucket.logical_id}"
            yield unknown(chosen.node, told, path=arn.path)


@dataclass
class _Resources:
    """The buckets that a list of ARNs names: known ones, patterns, and an ARN that is open."""

    buckets: set[Node]
    patterns: list[str]
    doubt: Value | None

    @classmethod
    def of(cls, arns: Value) -> _Resources:
        """Read the list once, for all buckets."""
        found = cls(set(), [], None)
        for arn in arns.elements:
            location = location_of(arn)
            if location.bucket is not None:
                found.buckets.add(location.bucket)
            elif location.is_open:
                found.doubt = found.doubt or arn
            elif "*" in (arn.text or ""):
                found.patterns.append(object_pattern(arn, arn.node))
        return found

    def name(self, bucket: Node) -> bool:
        name = bucket["BucketName"].literal
        return bucket in self.buckets or any(
            matches(pattern, str(name)) if name else pattern.strip("*") == "" for pattern in self.patterns
        )


@dataclass
class _Selection:
    """One selection: what it names, and what it excepts."""

    node: Node
    named: _Resources
    excepted: _Resources

    @classmethod
    def of(cls, node: Node) -> _Selection:
        """Read a selection."""
        body = node["BackupSelection"]
        return cls(node, _Resources.of(body["Resources"]), _Resources.of(body["NotResources"]))


def _meets(conditions: Value, bucket: Node) -> Verdict:
    """Whether the bucket has the tags that a selection asks for; other comparisons are left open."""
    for operator, tags in conditions.members:
        if operator != "StringEquals" and tags:
            told = f"{tags.path} cannot be compared here"
            return unknown(conditions.node, told, path=tags.path)
        for tag in tags.elements:
            if not _has_tag(bucket, tag["ConditionKey"], tag["ConditionValue"]):
                return fails(
                    bucket, f"lacks the tag {tag['ConditionKey'].shown} of a backup selection", path="Tags"
                )
    return passes(bucket)


def _has_tag(bucket: Node, key: Value, value: Value) -> bool:
    found = bucket.tags.get(str(key.literal).removeprefix(_TAG))
    return found is not None and found.identity is not None and found.identity == value.identity
