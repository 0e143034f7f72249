"""The summary that a person reads at the end of a rehearsal."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from ml_lens.rehearsal.place import Check


@dataclass
class ScenarioReport:
    """What one scenario's rehearsal showed."""

    scenario: str
    deployed: Counter[str] = field(default_factory=Counter)
    checks: list[Check] = field(default_factory=list)
    declared_only: list[tuple[str, str]] = field(default_factory=list)
    removed: bool = False


@dataclass
class Report:
    """What a whole rehearsal showed, and how long each step took."""

    steps: list[tuple[str, float]] = field(default_factory=list)
    scenarios: list[ScenarioReport] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the summary, line by line."""
        for scenario in self.scenarios:
            yield ""
            yield scenario.scenario
            yield from _deployed(scenario)
            yield f"  checked      {len(scenario.checks)} statements hold"
            yield from (f"               {check.statement}" for check in scenario.checks)
            yield f"  left over    {'nothing' if scenario.removed else 'everything: it is still deployed'}"
        yield ""
        total = sum(seconds for _, seconds in self.steps)
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.steps)
        yield f"seconds        {total:.1f}: {parts}"


def _deployed(scenario: ScenarioReport) -> Iterator[str]:
    yield f"  deployed     {scenario.deployed.total()} resources of {len(scenario.deployed)} types"
    for kind, count in sorted(scenario.deployed.items()):
        yield f"               {count:3} {kind}"
    if not scenario.declared_only:
        yield "  declared     nothing: every type was emulated"
        return
    yield f"  declared     {len(scenario.declared_only)} resources were accepted but not emulated; nothing ran behind:"
    for kind, count in sorted(Counter(kind for kind, _ in scenario.declared_only).items()):
        yield f"               {count:3} {kind}"


class Progress:
    """Prints what goes on: one line per step, and on a terminal a line that moves."""

    def __init__(self, report: Report, out: TextIO | None = None) -> None:
        """Write to ``out``, by default standard output, and time the steps for ``report``."""
        self._report = report
        self._out = out or sys.stdout
        self._moving = self._out.isatty()

    def say(self, text: str) -> None:
        """Print a line."""
        self._clear()
        print(text, file=self._out, flush=True)

    def tick(self, text: str) -> None:
        """Show ``text`` until something else is shown, where that is possible."""
        if self._moving:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K  {text}"[: width + 4], end="", file=self._out, flush=True)

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Time what happens inside, under ``name``."""
        self.say(f"{name:<14} {what}")
        started = time.monotonic()
        try:
            yield
        finally:
            self._clear()
            self._report.steps.append((name, time.monotonic() - started))

    def _clear(self) -> None:
        if self._moving:
            print("\r\033[K", end="", file=self._out, flush=True)
