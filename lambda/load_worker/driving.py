"""Requests without pause from several threads, and what came of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from latency_buckets import bucket_of, to_json

_THROTTLED = frozenset({"ThrottlingException", "TooManyRequestsException", "ServiceUnavailable"})
_REFUSED = range(400, 500)


@dataclass(frozen=True, slots=True)
class Load:
    """How hard and how long."""

    threads: int
    warm_up: float
    """Seconds at the beginning that do not count: connections are made, and code is loaded."""
    seconds: float
    """Seconds that count."""


@dataclass(slots=True)
class Measured:
    """What came of the requests that were begun while it counted."""

    seconds: float
    latencies: Counter[int] = field(default_factory=Counter)
    """Answers by the bucket of their latency; failures are in none."""
    failures: Counter[str] = field(default_factory=Counter)
    """Failures by kind."""
    slowest_ms: float = 0

    @property
    def calls(self) -> int:
        """All requests."""
        return self.latencies.total() + self.failures.total()

    def add(self, milliseconds: float, failure: str | None) -> None:
        """Count one request."""
        if failure:
            self.failures[failure] += 1
            return
        self.latencies[bucket_of(milliseconds)] += 1
        self.slowest_ms = max(self.slowest_ms, milliseconds)

    def merge(self, other: Measured) -> None:
        """Count what another thread counted in the same time."""
        self.latencies += other.latencies
        self.failures += other.failures
        self.slowest_ms = max(self.slowest_ms, other.slowest_ms)

    def to_json(self) -> dict[str, Any]:
        """Return it in the form in which workers report."""
        return {
            "seconds": self.seconds,
            "calls": self.calls,
            "failures": dict(self.failures),
            "latencies": to_json(self.latencies),
            "slowest_ms": round(self.slowest_ms, 3),
        }


def drive(
    call: Callable[[bytes], None],
    payloads: Sequence[bytes],
    load: Load,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Call from all threads until the time is over; each begins at another payload."""
    begin = clock() + load.warm_up
    end = begin + load.seconds
    results = [Measured(load.seconds) for _ in range(load.threads)]

    def work(number: int) -> None:
        sent = number
        while (started := clock()) < end:
            failure = _failure_of(call, payloads[sent % len(payloads)])
            if started >= begin:
                results[number].add(1000 * (clock() - started), failure)
            sent += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(load.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Measured(load.seconds)
    for result in results:
        total.merge(result)
    return total


def _failure_of(call: Callable[[bytes], None], payload: bytes) -> str | None:
    try:
        call(payload)
    except Exception as error:
        return kind_of(error)
    return None


def kind_of(error: Exception) -> str:
    """Return what kind of failure it is: throttled, refused, model, late, or the name of the error."""
    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    if code in _THROTTLED:
        return "throttled"
    if code == "ModelError":
        return "refused" if response.get("OriginalStatusCode", 500) in _REFUSED else "model"
    if not code and "Timeout" in type(error).__name__:
        return "late"
    return code or type(error).__name__
