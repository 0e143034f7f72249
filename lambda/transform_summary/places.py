"""Where things are, and which run is summed up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class UnreadableManifestError(ValueError):
    """The manifest names no objects of the bucket; the text says why, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Places:
    """What the stack tells the function."""

    source_bucket: str
    results_bucket: str
    predictions: str
    runs: str
    by_line: bool
    model_version: str

    def named_in(self, manifest: bytes) -> list[str]:
        """Return the keys that a manifest of SageMaker names: a prefix first, and what is behind it.

        Raises:
            UnreadableManifestError: It is no such manifest, or it names another bucket.
        """
        try:
            entries = json.loads(manifest)
        except (ValueError, RecursionError):
            raise UnreadableManifestError("the manifest is not JSON") from None
        if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
            raise UnreadableManifestError("the manifest is no list that begins with a prefix")
        prefix, names = entries[0].get("prefix"), entries[1:]
        if not isinstance(prefix, str) or not all(isinstance(name, str) for name in names):
            raise UnreadableManifestError("the manifest holds something else than a prefix and names")
        bucket = f"s3://{self.source_bucket}/"
        if not prefix.startswith(bucket):
            raise UnreadableManifestError("the manifest names another bucket")
        return [prefix.removeprefix(bucket) + name for name in names]


@dataclass(frozen=True, slots=True)
class Run:
    """What the state machine tells the function."""

    job: str
    run: str
    started: str
    prefix: str
    manifest: str
    request: str


def read_places(environment: Mapping[str, str]) -> Places:
    """Read the environment; a missing name fails every run, loudly."""
    return Places(
        source_bucket=environment["SOURCE_BUCKET"],
        results_bucket=environment["RESULTS_BUCKET"],
        predictions=environment["PREDICTIONS"],
        runs=environment["RUNS"],
        by_line=environment["BY_LINE"] == "true",
        model_version=environment["MODEL_VERSION"],
    )


def read_run(event: Mapping[str, Any]) -> Run:
    """Read what the state machine sends."""
    return Run(**{name: str(event[name]) for name in Run.__slots__})
