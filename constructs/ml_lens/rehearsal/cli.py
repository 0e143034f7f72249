"""The real CDK command line, each call with a time limit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ml_lens.rehearsal.errors import RehearsalError, StepFailed
from ml_lens.rehearsal.sandbox import ACCOUNT, REGION

LIMITS: dict[str, float] = {"synth": 120, "bootstrap": 120, "deploy": 300, "destroy": 180}
_KEPT_LINES = 60


def cdk_command() -> list[str]:
    """Return how to start the pinned CDK command line.

    Raises:
        RehearsalError: It is not installed.
    """
    named = os.environ.get("CDK")
    found = Path(named) if named else Path("node_modules/.bin/cdk")
    if found.exists():
        return [str(found.absolute())]
    on_path = shutil.which(named) if named else None
    if on_path:
        return [on_path]
    raise RehearsalError(f"the CDK command line is not installed: {found} does not exist; run `npm ci`")


class Cdk:
    """Synthesizes once, and deploys and destroys from that assembly.

    Args:
        environment: What the command line sees; it must point at the sandbox.
        assembly: Where the synthesized assembly goes.
        context: Settings for the application, as ``-c name=value``.
        on_line: Is told every line that the command line prints.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        assembly: Path,
        context: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> None:
        """Find the command line; nothing runs yet."""
        self._command = cdk_command()
        self._environment = dict(environment) | {"CDK_DISABLE_CLI_TELEMETRY": "true", "FORCE_COLOR": "0"}
        self._assembly = assembly
        self._context = [part for name, value in context.items() for part in ("-c", f"{name}={value}")]
        self._on_line = on_line

    def synth(self) -> None:
        """Synthesize the application, its checks included."""
        self._run("synth", ["synth", "--quiet", "--output", str(self._assembly), *self._context])

    def bootstrap(self) -> None:
        """Prepare the sandbox's account for deployments."""
        arguments = ["bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", str(self._assembly)]
        self._run("bootstrap", [*arguments, *_PROGRESS])

    def deploy(self, stacks: Sequence[str]) -> None:
        """Deploy the stacks."""
        arguments = ["deploy", *stacks, "--app", str(self._assembly), "--require-approval", "never"]
        self._run("deploy", [*arguments, *_PROGRESS, "--method", "direct"])

    def destroy(self, stacks: Sequence[str]) -> None:
        """Destroy the stacks."""
        self._run("destroy", ["destroy", *stacks, "--app", str(self._assembly), "--force", *_PROGRESS])

    def _run(self, step: str, arguments: list[str]) -> None:
        common = ["--ci", "--no-notices", "--no-version-reporting"]
        lines: list[str] = []
        process = subprocess.Popen(  # noqa: S603 - the pinned command line
            [*self._command, *arguments, *common],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        reader = threading.Thread(target=self._read, args=(process, lines), daemon=True)
        reader.start()
        limit = LIMITS[step]
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired as late:
            raise StepFailed(f"cdk {step} did not end within {limit:g} s", _tail(lines)) from late
        finally:
            _end_group(process)
            reader.join(5)
        if process.returncode != 0:
            raise StepFailed(f"cdk {step} failed: {_reason(lines)}", _tail(lines))

    def _read(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        for line in process.stdout or ():
            text = line.rstrip()
            if text:
                lines.append(text)
                self._on_line(text)


_PROGRESS = ("--progress", "events")


def _end_group(process: subprocess.Popen[str]) -> None:
    """End the command line and what it started; it may have left the application's process behind."""
    for sign, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        time.sleep(0.02)


def _tail(lines: list[str]) -> str:
    return "\n".join(lines[-_KEPT_LINES:])


def _reason(lines: list[str]) -> str:
    failures = [one for one in lines if ("_FAILED" in one or ": fail: " in one) and "cancelled" not in one]
    errors = [line for line in lines if "rror" in line or "❌" in line]
    chosen = (failures or errors or lines or ["it printed nothing"])[0 if failures else -1]
    return " ".join(chosen.split())[:300]
