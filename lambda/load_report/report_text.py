"""The report for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BROKEN = {"errors": "too many errors", "latency": "too slow"}


def markdown(report: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    limits = report["limits"]
    rows = "\n".join(_row(level) for level in report["levels"])
    return f"""# Load test of {report["endpoint"]}

Begun {report["started"]} by {report["run"]}. A level holds when 99 of 100 answers take {limits["p99_ms"]:g} ms or less
and {limits["failed_percent"]:g} % of the calls fail at the most.

{_summary(report)}

| at once | instances | answers a second | p50 ms | p90 ms | p99 ms | slowest ms | failed % | |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
{rows}
"""


def _summary(report: Mapping[str, Any]) -> str:
    peak, knee = report["peak"], report["knee"]
    lines = []
    if peak:
        lines.append(
            f"- One instance answers **{peak['rate_per_instance']:g} calls a second** within the limits, with "
            f"{peak['concurrency']} at once on {peak['instances']} instances."
        )
        lines.append(
            f"- Scale by `Instances(calls_per_minute={report['suggested_calls_per_minute']})`, which leaves "
            f"{report['headroom_percent']:g} % for the time that a new instance takes to start."
        )
    else:
        lines.append(
            "- No level held: the endpoint is too small, or the limits are too narrow for this model."
        )
    if knee:
        reasons = " and ".join(_BROKEN[each] for each in knee["broken"])
        lines.append(f"- It breaks with {knee['concurrency']} at once: {reasons}.")
    elif report["levels"]:
        lines.append("- It never broke: raise the most concurrency of the plan to find the limit.")
    if report["stopped"]:
        lines.append(f"- The test ended early: {report['stopped']}.")
    return "\n".join(lines)


def _row(level: Mapping[str, Any]) -> str:
    times = [_shown(level[name]) for name in ("p50_ms", "p90_ms", "p99_ms", "slowest_ms")]
    broken = ", ".join(_BROKEN[each] for each in level["broken"])
    cells = [level["concurrency"], level["instances"], f"{level['rate']:g}", *times]
    return f"| {' | '.join(map(str, cells))} | {level['failed_percent']:g} | {broken or 'holds'} |"


def _shown(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:g}"
