"""Which endpoints nobody needs any more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_DIGITS = 16
# The list of runs lags behind; an endpoint this young is not judged by it.
_GRACE = timedelta(minutes=10)
_OVER = frozenset({"ABORTED", "FAILED", "TIMED_OUT"})
_LEAVING = "Deleting"


class NotOurRunError(ValueError):
    """The event tells of no run that ended without deleting its endpoint."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stack tells the function."""

    prefix: str
    machine_arn: str
    max_age: timedelta
    log_prefix: str
    logs_kept: timedelta


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, as it was listed."""

    name: str
    created: datetime
    status: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; a missing name fails every call, loudly."""
    return Settings(
        prefix=environment["PREFIX"],
        machine_arn=environment["STATE_MACHINE_ARN"],
        max_age=timedelta(seconds=int(environment["MAX_AGE_SECONDS"])),
        log_prefix=environment["LOG_PREFIX"],
        logs_kept=timedelta(days=int(environment["LOGS_KEPT_DAYS"])),
    )


def name_of(run: str, settings: Settings) -> str:
    """Return the name of the endpoint of a run, as the state machine makes it from the ARN of the execution."""
    return f"{settings.prefix}-{hashlib.sha256(run.encode()).hexdigest()[:_DIGITS]}"


def ended_run(event: Mapping[str, Any], settings: Settings) -> str | None:
    """Return the run whose end the event tells; ``None`` for a call by schedule.

    Raises:
        NotOurRunError: It is a run of another state machine, or one that goes on or succeeded.
    """
    if event.get("source") != "aws.states":
        return None
    detail = event["detail"]
    if detail["stateMachineArn"] != settings.machine_arn or detail["status"] not in _OVER:
        raise NotOurRunError("the event tells of no run of this state machine that ended without success")
    return str(detail["executionArn"])


def orphans(
    endpoints: Iterable[Endpoint], running: Iterable[str], now: datetime, settings: Settings
) -> list[str]:
    """Return the names of endpoints that are too old, or whose run is over."""
    needed = {name_of(run, settings) for run in running}
    return [
        each.name
        for each in endpoints
        if each.name.startswith(f"{settings.prefix}-")
        and each.status != _LEAVING
        and (
            now - each.created > settings.max_age or (each.name not in needed and now - each.created > _GRACE)
        )
    ]


def is_empty_for_good(created_ms: int, now: datetime, settings: Settings) -> bool:
    """Whether a log group is so old that the last event of its run has expired."""
    created = datetime.fromtimestamp(created_ms / 1000, UTC)
    return now - created > settings.max_age + settings.logs_kept + timedelta(days=1)
