"""Which objects are whose, and how far each has come."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the function."""

    source_bucket: str
    source_prefix: str
    results_bucket: str
    predictions: str
    content_type: str
    accept: str
    by_line: bool
    parallel_calls: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done so far."""

    after: str = ""
    """The last key that is done."""
    objects: int = 0
    records: int = 0
    refused: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """The numbers."""
        return {"objects": self.objects, "records": self.records, "refused": self.refused}

    def past(self, key: str, *, records: int, refused: int) -> Progress:
        """Return the progress after one more object."""
        return Progress(key, self.objects + 1, self.records + records, self.refused + refused)


@dataclass(frozen=True, slots=True)
class Share:
    """One of several functions that share the objects out among them."""

    endpoint: str
    prefix: str
    request: str
    number: int
    of: int
    progress: Progress

    def holds(self, key: str) -> bool:
        """Whether an object is of this share: every object is of exactly one, whoever asks. Folders are of none."""
        return not key.endswith("/") and zlib.crc32(key.encode()) % self.of == self.number

    def going_on(self, progress: Progress, *, done: bool) -> dict[str, Any]:
        """Return the event that goes on from here."""
        return {
            "endpoint": self.endpoint,
            "prefix": self.prefix,
            "request": self.request,
            "number": self.number,
            "of": self.of,
            "done": done,
            "after": progress.after,
            **progress.counts,
        }


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; a missing name fails every run, loudly."""
    return Settings(
        source_bucket=environment["SOURCE_BUCKET"],
        source_prefix=environment["SOURCE_PREFIX"],
        results_bucket=environment["RESULTS_BUCKET"],
        predictions=environment["PREDICTIONS"],
        content_type=environment["CONTENT_TYPE"],
        accept=environment.get("ACCEPT", ""),
        by_line=environment["BY_LINE"] == "true",
        parallel_calls=int(environment["PARALLEL_CALLS"]),
    )


def read_share(event: Mapping[str, Any]) -> Share:
    """Read what the state machine sends: a fresh share, or one that goes on."""
    return Share(
        endpoint=str(event["endpoint"]),
        prefix=str(event["prefix"]),
        request=str(event["request"]),
        number=int(event["number"]),
        of=int(event["of"]),
        progress=Progress(
            after=str(event.get("after", "")),
            objects=int(event.get("objects", 0)),
            records=int(event.get("records", 0)),
            refused=int(event.get("refused", 0)),
        ),
    )
