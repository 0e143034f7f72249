"""What the stack tells the function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a level has to hold."""

    slo_ms: float
    """The 99th percentile that is promised."""
    error_budget_percent: float
    """Failures up to which a level holds."""
    stop_percent: float
    """Failures above which the test ends."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of the function."""

    bucket: str
    prefix: str
    endpoint_name: str
    headroom_percent: float
    limits: Limits


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; a missing name fails every call, loudly."""
    return Settings(
        bucket=environment["RESULTS_BUCKET"],
        prefix=environment["PREFIX"],
        endpoint_name=environment["ENDPOINT_NAME"],
        headroom_percent=float(environment["HEADROOM_PERCENT"]),
        limits=Limits(
            slo_ms=float(environment["SLO_MS"]),
            error_budget_percent=float(environment["ERROR_BUDGET_PERCENT"]),
            stop_percent=float(environment["STOP_PERCENT"]),
        ),
    )
