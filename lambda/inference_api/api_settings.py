"""What the stack tells the function, read from its environment."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from request_schema import Check, compiled


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of the function."""

    endpoint_name: str
    model_versions: Mapping[str, str]
    """What the template deploys, by variant, for answers that do not say their version themselves."""
    check: Check
    largest_body: int
    answer_seconds: int
    outcomes_table: str | None
    outcomes_days: int
    experiment_table: str | None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; a missing or unreadable one fails every request, loudly."""
    return Settings(
        endpoint_name=environment["ENDPOINT_NAME"],
        model_versions=json.loads(environment["MODEL_VERSIONS"]),
        check=_check_of(environment["REQUEST_SCHEMA"]),
        largest_body=int(environment["LARGEST_BODY"]),
        answer_seconds=int(environment["ANSWER_SECONDS"]),
        outcomes_table=environment.get("OUTCOMES_TABLE"),
        outcomes_days=int(environment.get("OUTCOMES_DAYS", "30")),
        experiment_table=environment.get("EXPERIMENT_TABLE"),
    )


@cache
def _check_of(packed: str) -> Check:
    return compiled(unpacked(packed))


def unpacked(packed: str) -> dict[str, Any]:
    """Return the schema that the stack has packed into a variable, of which Lambda takes 4 KB in all."""
    schema: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return schema
