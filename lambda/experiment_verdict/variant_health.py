"""Whether a variant answers, and in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PERIOD_SECONDS = 60
_FEWEST_ERRORS = 5
_FEWEST_LATE = 20
_METRICS = {
    "calls": ("Invocations", "Sum"),
    "errors": ("Invocation5XXErrors", "Sum"),
    "latency": ("ModelLatency", "p99"),
}


@dataclass(frozen=True, slots=True)
class Promise:
    """What a variant must not fall short of."""

    errors_percent: float
    """Share of the calls that may fail on the side of the endpoint."""
    latency_ms: float
    """Time within which 99 of 100 calls are answered."""


@dataclass(frozen=True, slots=True)
class Minute:
    """The calls of one variant in one minute."""

    calls: float
    errors: float
    latency_ms: float


def queries(endpoint: str, variants: Sequence[str]) -> list[dict[str, Any]]:
    """Return the queries for ``GetMetricData``; the id of each tells number of the variant and metric."""
    return [
        {
            "Id": f"{name}{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": endpoint},
                        {"Name": "VariantName", "Value": variant},
                    ],
                },
                "Period": PERIOD_SECONDS,
                "Stat": statistic,
            },
        }
        for number, variant in enumerate(variants)
        for name, (metric, statistic) in _METRICS.items()
    ]


def minutes(pages: Iterable[Mapping[str, Any]], number: int) -> list[Minute]:
    """Return the minutes of the variant ``number`` that the answers tell of."""
    found: dict[str, dict[datetime, float]] = {name: {} for name in _METRICS}
    for page in pages:
        for result in page["MetricDataResults"]:
            for name in _METRICS:
                if result["Id"] == f"{name}{number}":
                    found[name].update(zip(result["Timestamps"], result["Values"], strict=True))
    return [
        Minute(
            calls=calls,
            errors=found["errors"].get(at, 0.0),
            # SageMaker counts in microseconds.
            latency_ms=found["latency"].get(at, 0.0) / 1000,
        )
        for at, calls in sorted(found["calls"].items())
    ]


def complaint(told: Sequence[Minute], promise: Promise) -> str | None:
    """Return what is wrong with a variant, or ``None``.

    A few calls prove nothing: it takes five that failed, and a share of them that is beyond the promise; or most calls
    in minutes whose 99th percentile was late, and twenty calls in those.
    """
    calls = sum(minute.calls for minute in told)
    errors = sum(minute.errors for minute in told)
    if errors >= _FEWEST_ERRORS and 100 * errors > promise.errors_percent * calls:
        return f"{errors:.0f} of {calls:.0f} calls failed"
    late = sum(minute.calls for minute in told if minute.latency_ms > promise.latency_ms)
    if late >= _FEWEST_LATE and 2 * late > calls:
        return f"{late:.0f} of {calls:.0f} calls fell into minutes with answers later than {promise.latency_ms:g} ms"
    return None
