"""Which bucket, and which of its objects, a name, an ARN, a URI or a domain name stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.policies import Statement
from ml_lens.rules.resolved import Opaque, Reference, identity, joined, shown
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

BUCKET: Final = "AWS::S3::Bucket"
# What stands before the name of a bucket; a hole, one character, may stand for the partition.
_SCHEME: Final = re.compile(r"s3[an]?://|https?://|arn:[^:]*:s3:[^:]*:[^:]*:")
_ARN: Final = re.compile(r"arn:(?:\$\{[^}]*\}|[^:])*:s3:[^:]*:[^:]*:")  # ${AWS::Partition} holds colons
_FIRST_HOLE: Final = 0xE100
# The CDK writes ${AWS::URLSuffix}, a hole, for amazonaws.com.
_SUFFIX: Final = r"(?:amazonaws\.com(?:\.cn)?|[\ue100-\ue1ff])"
# example.s3.eu-west-1.amazonaws.com, and s3.eu-west-1.amazonaws.com/example
_DOMAIN: Final = re.compile(rf"(?P<name>.+?)\.s3(?:-website)?[.-][^/]*{_SUFFIX}$")
_PATH_STYLE: Final = re.compile(rf"s3[.-][^/]*{_SUFFIX}/")
_NAMELESS: Final = "\ue0ff"


@dataclass(frozen=True)
class Location:
    """A place in S3.

    Attributes:
        bucket: The bucket of the app, if it is one.
        key: What follows the name of the bucket, without the slash before it.
        is_open: Whether only a deployment knows the bucket.
    """

    bucket: Node | None
    key: str
    is_open: bool


def bucket_of(value: Value) -> Node | None:
    """Return the bucket of the app that ``value`` names: by reference, ARN, URI, domain name or literal name.

    ``None`` stands both for a bucket outside the run and for an unknown one: ``location_of`` tells them apart.
    """
    return location_of(value).bucket


def location_of(value: Value) -> Location:
    """Return the bucket and the key that ``value`` names."""
    text, held = _with_holes(value)
    text = _SCHEME.sub("", text, count=1) if _SCHEME.match(text) else text
    text = _PATH_STYLE.sub("", text, count=1) if _PATH_STYLE.match(text) else text
    name, _, key = text.partition("/")
    domain = _DOMAIN.fullmatch(name)
    parts = _filled(domain["name"] if domain else name, held)
    if not parts:
        return Location(None, "", is_open=False)
    key = "".join(shown(part) for part in _filled(key, held))
    if parts and isinstance(parts[0], Reference) and parts[0].node.type == BUCKET:
        rest = "".join(shown(part) for part in parts[1:])  # ${Bucket.Arn}* names the objects too
        return Location(parts[0].node, f"{rest}/{key}" if rest and key else rest or key, is_open=False)
    graph, same = value.node.graph, identity(joined(parts))
    named = graph.joined("buckets by name", (BUCKET,), _own_name)
    found = None if same is None else named.last(same)
    return Location(found, key, found is None and any(not isinstance(part, str) for part in parts))


def covers_objects(of: Statement | Iterable[Value], bucket: Node, prefix: str = "") -> bool:
    """Whether the resources cover EVERY object of ``bucket`` below ``prefix``; for refusals and selectors.

    Of a grant that is limited to a narrower prefix this says no: ask ``reaches_objects`` what a grant allows.
    """
    if isinstance(of, Statement):
        if of.except_resources:
            return not reaches_objects(of.resources, bucket, prefix)
        of = of.resources
    start = f"{_name(bucket)}/{prefix}"
    return any(_covers(object_pattern(value, bucket), start) for value in of)


def reaches_objects(of: Statement | Iterable[Value], bucket: Node, prefix: str = "") -> bool:
    """Whether the resources cover SOME object of ``bucket`` below ``prefix``; for what a grant allows."""
    if isinstance(of, Statement):
        if of.except_resources:
            return not covers_objects(of.resources, bucket, prefix)
        of = of.resources
    start = f"{_name(bucket)}/{prefix}"
    return any(_places_after(object_pattern(value, bucket), start) for value in of)


def object_pattern(resource: Value, bucket: Node) -> str:
    """Return the objects that an ARN stands for as ``name/key``, with ``bucket`` by its name."""
    written = []
    for part in resource.parts:
        if isinstance(part, Reference) and part.node is bucket:
            written.append(_name(bucket))
        else:
            written.append(shown(part))
    return _ARN.sub("", "".join(written), count=1)


def _with_holes(value: Value) -> tuple[str, list[Reference | Opaque]]:
    """Return the text with one character for each part that is not known."""
    held: list[Reference | Opaque] = []
    text: list[str] = []
    for part in value.parts:
        if isinstance(part, str):
            text.append(part)
        else:
            text.append(chr(_FIRST_HOLE + len(held)))
            held.append(part)
    return "".join(text), held


def _filled(text: str, held: list[Reference | Opaque]) -> list[str | Reference | Opaque]:
    parts: list[str | Reference | Opaque] = []
    for piece in re.split(f"([{chr(_FIRST_HOLE)}-{chr(_FIRST_HOLE + 0xFF)}])", text):
        which = ord(piece) - _FIRST_HOLE if len(piece) == 1 else -1
        if piece:
            parts.append(held[which] if 0 <= which < len(held) else piece)
    return parts


def _own_name(bucket: Node) -> Iterator[tuple[object, Node]]:
    if bucket["BucketName"]:
        yield bucket["BucketName"].identity, bucket


def _name(bucket: Node) -> str:
    """Return the name of a bucket, or something that no other bucket is called."""
    return bucket["BucketName"].text or f"{_NAMELESS}{bucket.scope.key}{_NAMELESS}{bucket.logical_id}"


def _covers(pattern: str, start: str) -> bool:
    """Whether everything that begins with ``start`` matches ``pattern``."""
    return pattern.endswith("*") and len(pattern) in _places_after(pattern, start)


def _places_after(pattern: str, start: str) -> set[int]:
    """Return the places at which a reader of ``pattern`` may stand after ``start``, none if it does not fit."""
    places = _past_stars(pattern, {0})
    for letter in start:
        moved = set()
        for place in places:
            if place < len(pattern) and pattern[place] == "*":
                moved.add(place)
            elif place < len(pattern) and pattern[place] in ("?", letter):
                moved.add(place + 1)
        places = _past_stars(pattern, moved)
        if not places:
            break
    return places


def _past_stars(pattern: str, places: set[int]) -> set[int]:
    for place in list(places):
        while place < len(pattern) and pattern[place] == "*":
            place += 1
            places.add(place)
    return places
