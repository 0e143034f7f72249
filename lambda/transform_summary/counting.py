"""Counting objects, bytes and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Deadline = Callable[[], bool]
"""Says whether there is no time left."""
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in some objects; ``records`` is ``None`` when nobody had the time to count."""

    objects: int
    bytes: int
    records: int | None


def count(s3: S3Client, bucket: str, keys: Iterable[str], *, by_line: bool, is_late: Deadline) -> Found:
    """Count the objects, and the lines in them if every line is a record."""
    objects = size = 0
    records: int | None = 0
    for key in keys:
        answer = s3.get_object(Bucket=bucket, Key=key)
        objects += 1
        size += answer["ContentLength"]
        if not by_line:
            records = objects
        elif records is not None:
            counted = lines(answer["Body"].iter_chunks(_CHUNK), is_late)
            records = None if counted is None else records + counted
        answer["Body"].close()
    return Found(objects, size, records)


def lines(chunks: Iterable[bytes], is_late: Deadline = lambda: False) -> int | None:
    """Count the lines of a text that comes in chunks; an empty one is none, and the last needs no end."""
    found = 0
    is_empty = True
    for chunk in chunks:
        if is_late():
            return None
        for number, piece in enumerate(chunk.split(b"\n")):
            if number:
                found += not is_empty
                is_empty = True
            is_empty = is_empty and not piece.strip(b"\r")
    return found + (not is_empty)


def summary_of(read: Found, written: Found) -> dict[str, Any]:
    """Return the counts, and whether every record has an answer; ``None`` where that is not known."""
    known = read.records is not None and written.records is not None
    complete = written.objects >= read.objects
    if known:
        complete = complete and (written.records or 0) >= (read.records or 0)
    return {
        "objects": {"input": read.objects, "results": written.objects},
        "bytes": {"input": read.bytes, "results": written.bytes},
        "records": {"input": read.records, "results": written.records},
        "complete": complete if known or not complete else None,
    }
