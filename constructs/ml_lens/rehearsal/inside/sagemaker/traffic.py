"""Where the calls of an endpoint go while it changes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.fleets import Fleet


@dataclass(frozen=True)
class Traffic:
    """The fleet in service, and the one that is to replace it with its share of the calls."""

    fleet: Fleet | None = None
    coming: Fleet | None = None
    share: float = 0

    def choose(self) -> Fleet | None:
        """Return the fleet of the next call."""
        if self.coming is not None and random.random() < self.share:  # noqa: S311 - traffic, not secrets
            return self.coming
        return self.fleet


@dataclass
class Endpoint:
    """An endpoint, and the fleets that answer for it."""

    name: str
    arn: str
    status: str = "Creating"
    failure: str | None = None
    traffic: Traffic = field(default_factory=Traffic)
    config: str = ""
    pending: str | None = None
    deployment: dict[str, Any] | None = None
    began: float = field(default_factory=time.time)
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    settled: threading.Event = field(default_factory=threading.Event)

    @property
    def fleet(self) -> Fleet | None:
        """The fleet in service."""
        return self.traffic.fleet

    @contextmanager
    def answering(self) -> Iterator[Fleet | None]:
        """Yield the fleet of a call, which does not end before the call does; ``None`` if nobody answers."""
        fleet = self.traffic.choose()
        while fleet is not None and not fleet.enter():
            time.sleep(0.001)  # it was replaced between two lines
            fleet = self.traffic.choose()
        try:
            yield fleet
        finally:
            if fleet is not None:
                fleet.leave()

    def begin(self, status: str = "Updating", pending: str | None = None) -> None:
        """Be in the middle of a change."""
        self.status, self.pending, self.began, self.failure = status, pending, time.time(), None
        self.changed = time.time()
        self.settled.clear()

    def end(self, status: str, failure: str | None = None) -> None:
        """Have changed, or not."""
        self.status, self.pending, self.failure = status, None, failure
        self.changed = time.time()
        self.settled.set()


def watched(seconds: float, trouble: Callable[[], str | None]) -> str | None:
    """Wait, and return what goes wrong meanwhile."""
    until = time.monotonic() + seconds
    while True:
        found = trouble()
        if found or time.monotonic() >= until:
            return found
        time.sleep(min(0.05, max(0, until - time.monotonic())))
