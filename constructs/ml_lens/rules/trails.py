"""Which accesses to which objects a trail records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ml_lens.rules.buckets import location_of, object_pattern
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import Verdict, fails, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

TRAIL: Final = "AWS::CloudTrail::Trail"
_S3_OBJECT: Final = "AWS::S3::Object"
_EVERY_BUCKET: Final = re.compile(r"arn:(?:\$\{[^}]*\}|[^:])*:s3:{0,3}")
_ACCESSES: Final = {
    "All": frozenset({"reads", "writes"}),
    "ReadOnly": frozenset({"reads"}),
    "WriteOnly": frozenset({"writes"}),
}
_OF_READ_ONLY: Final = {"true": "ReadOnly", "false": "WriteOnly"}
_KNOWN_FIELDS: Final = frozenset({"eventCategory", "resources.type", "readOnly", "resources.ARN"})
_NARROWING: Final = ("NotEquals", "EndsWith", "NotEndsWith")


@dataclass
class _Objects:
    """The objects that a list of ARN prefixes stands for, by bucket, so that each bucket is found at once."""

    everything: bool = False
    keys: dict[Node, list[str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    doubt: Value | None = None

    def cover(self, bucket: Node, prefix: str) -> bool:
        if self.everything or any(prefix.startswith(key) for key in self.keys.get(bucket, [])):
            return True
        whole = f"{bucket['BucketName'].text}/{prefix}"
        return any(whole.startswith(name) for name in self.names)

    def touch(self, bucket: Node) -> bool:
        whole = f"{bucket['BucketName'].text}/"
        return self.everything or bucket in self.keys or any(whole.startswith(name) for name in self.names)


@dataclass
class _Selector:
    """One selector: the accesses it records to ``objects``, those in ``spared`` apart."""

    accesses: frozenset[str]
    objects: _Objects
    spared: _Objects
    doubt: Value | None = None

    def records(self, bucket: Node, prefix: str) -> bool:
        return self.objects.cover(bucket, prefix) and not self.spared.touch(bucket)

    def what_is_open(self, bucket: Node, prefix: str) -> Value | None:
        """Return what has to be known to say whether the selector records the objects of ``bucket``."""
        if self.spared.touch(bucket):
            return None
        if self.objects.cover(bucket, prefix):
            return self.doubt or self.spared.doubt
        return self.objects.doubt


def must_record_objects(trail: Node, bucket: Node) -> Verdict:
    """Demand that a trail records reads and writes of every object of ``bucket``, or of its declared prefix."""
    selectors = trail.graph.once(("selectors", trail.key), lambda: _selectors(trail))
    prefix = bucket.declared_prefix or ""
    seen: set[str] = set()
    doubt: Value | None = None
    for selector in selectors:
        open_value = selector.what_is_open(bucket, prefix)
        doubt = doubt or open_value
        if open_value is None and selector.records(bucket, prefix):
            seen |= selector.accesses
    missing = sorted(_ACCESSES["All"] - seen)
    if not missing:
        return passes(trail)
    if doubt is not None:
        told = f"{doubt.path} is {doubt.shown}, which the template leaves open"
        return unknown(trail, f"{told}; must record reads and writes of {bucket.logical_id}", path=doubt.path)
    of = f"every object below {prefix}" if prefix else "every object"
    return fails(bucket, f"no trail of the app records {' and '.join(missing)} of {of}")


def _selectors(trail: Node) -> list[_Selector]:
    plain = (found for selector in trail["EventSelectors"].elements for found in _plain(selector))
    advanced = (_advanced(selector) for selector in trail["AdvancedEventSelectors"].elements)
    return [*plain, *(selector for selector in advanced if selector is not None)]


def _plain(selector: Value) -> Iterator[_Selector]:
    access = selector["ReadWriteType"]
    for resource in selector["DataResources"].elements:
        kind = resource["Type"]
        if kind.is_literal and kind.literal != _S3_OBJECT:
            continue
        yield _Selector(
            accesses=_ACCESSES["All"] if not access else _ACCESSES.get(str(access.literal), frozenset()),
            objects=_objects(value for value in resource["Values"].elements if _names_objects(value)),
            spared=_Objects(),
            doubt=next((value for value in (kind, access) if value.is_open), None),
        )


def _names_objects(value: Value) -> bool:
    """Whether an event selector takes it for objects: the ARN of a bucket without a slash names none."""
    location, text = location_of(value), value.text or ""
    return location.is_open or bool(location.key) or text.endswith(("/", ":", ":s3"))


def _advanced(selector: Value) -> _Selector | None:
    """Return what an advanced selector records of objects, or ``None`` when it leaves some out."""
    listed = selector["FieldSelectors"].elements
    unnamed = next((each["Field"] for each in listed if each["Field"].is_open), None)
    if unnamed is not None:
        return _Selector(_ACCESSES["All"], _Objects(everything=True), _Objects(), doubt=unnamed)
    fields = {str(each["Field"].literal): each for each in listed}
    kind = fields.get("resources.type")
    category = fields.get("eventCategory")
    if not set(fields) <= _KNOWN_FIELDS or kind is None or category is None:
        return None
    wanted = ((category["Equals"], "Data"), (kind["Equals"], _S3_OBJECT))
    if not all(_may_be(value, expected) for value, expected in wanted):
        return None
    arn = fields.get("resources.ARN")
    if arn is not None and (arn["Equals"] or any(arn[operator] for operator in _NARROWING)):
        return None
    access = fields["readOnly"]["Equals"] if "readOnly" in fields else None
    only = _OF_READ_ONLY.get(str(access.elements[0].text).lower(), "All") if access else "All"
    open_values = [value for value, _ in wanted if _is_open(value)]
    return _Selector(
        accesses=_ACCESSES[only],
        objects=_objects(arn["StartsWith"].elements)
        if arn and arn["StartsWith"]
        else _Objects(everything=True),
        spared=_objects(arn["NotStartsWith"].elements) if arn else _Objects(),
        doubt=next(iter([*open_values, *([access] if access and _is_open(access) else [])]), None),
    )


def _may_be(value: Value, expected: str) -> bool:
    return any(each.literal == expected or each.is_open for each in value.elements)


def _is_open(value: Value) -> bool:
    return value.is_open or any(each.is_open for each in value.elements)


def _objects(values: Iterable[Value]) -> _Objects:
    found = _Objects()
    for value in values:
        location = location_of(value)
        if _EVERY_BUCKET.fullmatch(value.text or ""):
            found.everything = True
        elif location.bucket is not None:
            found.keys.setdefault(location.bucket, []).append(location.key)
        elif location.is_open:
            found.doubt = found.doubt or value
        else:
            found.names.append(object_pattern(value, value.node))
    return found
