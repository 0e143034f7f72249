"""What the stack tells the function, read from its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from faces import Thresholds


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of the function."""

    results_bucket: str
    image_queue_url: str
    erase_queue_url: str
    thresholds: Thresholds
    parallel_calls: int


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; a missing or unreadable one fails every batch, loudly."""
    thresholds = json.loads(environment["THRESHOLDS"])
    return Settings(
        results_bucket=environment["RESULTS_BUCKET"],
        image_queue_url=environment["IMAGE_QUEUE_URL"],
        erase_queue_url=environment["ERASE_QUEUE_URL"],
        thresholds=Thresholds(float(thresholds["age_range"]), float(thresholds["gender"])),
        parallel_calls=int(environment["PARALLEL_CALLS"]),
    )
