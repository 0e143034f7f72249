"""What all levels together say: how much one instance takes, where it breaks, and when to scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from report_settings import Settings

Level = Mapping[str, Any]


def report_of(event: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the report."""
    levels: Sequence[Level] = event["levels"]
    sound = sustainable(levels)
    peak = max(sound, key=rate_per_instance, default=None)
    return {
        "endpoint": settings.endpoint_name,
        "run": event["run"],
        "started": event["started"],
        "limits": {
            "p99_ms": settings.limits.slo_ms,
            "failed_percent": settings.limits.error_budget_percent,
        },
        "levels": list(levels),
        "peak": None if peak is None else _peak(peak),
        "knee": knee(levels),
        "suggested_calls_per_minute": None if peak is None else suggested(peak, settings.headroom_percent),
        "headroom_percent": settings.headroom_percent,
        "stopped": event["stopped"],
    }


def sustainable(levels: Sequence[Level]) -> list[Level]:
    """Return the levels before the first that broke something."""
    found: list[Level] = []
    for level in levels:
        if level["broken"]:
            break
        found.append(level)
    return found


def knee(levels: Sequence[Level]) -> dict[str, Any] | None:
    """Return where the endpoint breaks first; ``None`` when it never did."""
    return next(
        (
            {"concurrency": level["concurrency"], "rate": level["rate"], "broken": level["broken"]}
            for level in levels
            if level["broken"]
        ),
        None,
    )


def rate_per_instance(level: Level) -> float:
    """Return the answers a second of one instance; of serverless inference, which has none, all of them."""
    return float(level["rate"] / max(1, level["instances"]))


def suggested(level: Level, headroom_percent: float) -> int:
    """Return the calls a minute of one instance at which to add another, while there is room to start it."""
    return max(1, int(60 * rate_per_instance(level) * (1 - headroom_percent / 100)))


def _peak(level: Level) -> dict[str, Any]:
    return {
        "concurrency": level["concurrency"],
        "instances": level["instances"],
        "rate": level["rate"],
        "rate_per_instance": round(rate_per_instance(level), 3),
        "p99_ms": level["p99_ms"],
    }
