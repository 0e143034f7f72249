"""One level of load: what its workers measured, and whether the test goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from latencies import together
from report_settings import Limits

PERCENTILES = (50, 90, 99)
"""The percentiles of a report."""


def level_of(event: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Sum up a level, in the form in which the state machine keeps it."""
    workers = event["workers"]
    failures: Counter[str] = Counter()
    for worker in workers:
        failures.update(worker["failures"])
    calls = sum(worker["calls"] for worker in workers)
    failed = failures.total()
    percent = 100 * failed / calls if calls else 100.0
    latencies = together(worker["latencies"] for worker in workers)
    level = {
        "concurrency": event["concurrency"],
        "instances": event["instances"],
        "calls": calls,
        "failed": failed,
        "failures": dict(sorted(failures.items())),
        "failed_percent": round(percent, 3),
        # Workers begin when their function does; each counts its own time.
        "rate": round(sum((worker["calls"] - _failed(worker)) / worker["seconds"] for worker in workers), 3),
        "slowest_ms": max((worker["slowest_ms"] for worker in workers), default=0),
        **{f"p{percent}_ms": _rounded(latencies.percentile(percent)) for percent in PERCENTILES},
    }
    broken = [*_broken(level, limits)]
    stop = percent > limits.stop_percent
    return {
        **level,
        "broken": broken,
        "stop": stop,
        "why": f"{level['failed_percent']:g} % failed" if stop else "",
    }


def _broken(level: Mapping[str, Any], limits: Limits) -> list[str]:
    found = []
    if level["failed_percent"] > limits.error_budget_percent:
        found.append("errors")
    if level["p99_ms"] is None or level["p99_ms"] > limits.slo_ms:
        found.append("latency")
    return found


def _failed(worker: Mapping[str, Any]) -> int:
    return sum(worker["failures"].values())


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
