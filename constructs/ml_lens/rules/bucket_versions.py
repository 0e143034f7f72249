"""Which versions of its objects a bucket keeps, and which of them it forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import PASS, Verdict, all_of, any_of, fails, must_equal, must_satisfy

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

_FILTERS: Final = ("TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan")


def must_keep_versions(bucket: Node) -> Verdict:
    """Demand versioning, which Object Lock brings with it."""
    enabled = must_equal(bucket["VersioningConfiguration"]["Status"], "Enabled")
    return any_of(enabled, must_equal(bucket["ObjectLockEnabled"], True))


def lifecycle_rules(bucket: Node) -> list[Value]:
    """Return the lifecycle rules of a bucket, those that are switched off included."""
    return bucket["LifecycleConfiguration"]["Rules"].elements


def must_cover(rule: Value, prefix: str) -> Verdict:
    """Demand that an enabled lifecycle rule holds for every object below ``prefix``."""
    for name in _FILTERS:
        if rule[name]:
            return fails(rule.node, f"{rule[name].path} leaves objects out", path=rule[name].path)
    whole = f"must cover {prefix}" if prefix else "must be absent, to cover the whole bucket"
    covered = must_satisfy(
        rule["Prefix"], lambda given: prefix.startswith(str(given)), whole, when_absent=PASS
    )
    return all_of(must_equal(rule["Status"], "Enabled"), covered)


def must_spare(rule: Value, prefix: str) -> Verdict:
    """Demand that a lifecycle rule is switched off, or holds for no object below ``prefix``."""
    off = must_equal(rule["Status"], "Disabled")
    if not prefix:
        return off
    apart = must_satisfy(
        rule["Prefix"],
        lambda given: not prefix.startswith(str(given)) and not str(given).startswith(prefix),
        f"must be outside {prefix}",
    )
    return any_of(off, apart)


def noncurrent_days(rule: Value) -> Value:
    """Return the days after which a lifecycle rule forgets replaced versions."""
    days = rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
    return days if days else rule["NoncurrentVersionExpirationInDays"]
