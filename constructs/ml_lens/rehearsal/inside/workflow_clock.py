"""How far an execution has come, in the time that it believes in, and whether it still runs."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable

_skipped: contextvars.ContextVar[float] = contextvars.ContextVar("skipped", default=0.0)


class WorkflowClock:
    """The clock of an execution whose waits are shortened.

    What a wait leaves out counts as passed. Branches that run side by side each leave out their own; the execution
    has come as far as the furthest of them.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start the clock."""
        self._now = now
        self._started = now()
        self._furthest = 0.0
        self._lock = threading.Lock()
        _skipped.set(0.0)

    def leave_out(self, seconds: float) -> None:
        """Count ``seconds`` that were not waited for."""
        own = _skipped.get() + seconds
        _skipped.set(own)
        with self._lock:
            self._furthest = max(self._furthest, own)

    def join(self) -> None:
        """Go on, after branches, from the furthest of them."""
        _skipped.set(self._furthest)

    @property
    def passed(self) -> float:
        """Seconds since the start, as the execution believes."""
        return self._now() - self._started + self._furthest


class Branch:
    """Something that can be told to stop: an execution, or what runs inside one."""

    def __init__(self, outer: Branch | None = None, running: Callable[[], bool] = lambda: True) -> None:
        """Run inside ``outer``, and as long as ``running``."""
        self._outer = outer
        self._running = running
        self._stopped = False

    def stop(self) -> None:
        """Tell everything inside to start nothing more."""
        self._stopped = True

    @property
    def runs(self) -> bool:
        """Whether this and everything around it still runs."""
        return not self._stopped and self._running() and (self._outer is None or self._outer.runs)
