"""Processes for containers: forked from one that has loaded the libraries of models, so that they start at once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ml_lens.rehearsal.inside.sagemaker.nursery import LARGEST_COMMAND

_ROOT = Path(__file__).resolve().parents[4]
_START = (
    "import sys; sys.path.append({root!r}); "
    "from ml_lens.rehearsal.inside.sagemaker.nursery import main; main()"
)
# All that a container learns of the machine it runs on.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


class Processes:
    """Starts and ends the processes of containers, in the sandbox's own process group."""

    def __init__(self) -> None:
        """Start nothing yet: most scenarios serve no model."""
        self._lock = threading.Lock()
        self._nursery: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def prepare(self) -> None:
        """Load the libraries now, while nobody waits for them."""
        with self._lock:
            self._nurse()

    def start(self, folder: Path, environment: Mapping[str, str]) -> tuple[int, IO[str]]:
        """Start a process that serves ``folder``; return its id, and what it prints."""
        reading, writing = os.pipe()
        command = {"folder": str(folder), "environment": {**_basics(), **environment}}
        try:
            answer = self._ask(command, writing)
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return int(answer["process"]), os.fdopen(reading, encoding="utf-8", errors="replace")

    def stop(self, process: int) -> None:
        """End a process."""
        self._ask({"stop": process})

    def _ask(self, command: Mapping[str, Any], *descriptors: int) -> dict[str, Any]:
        message = json.dumps(command).encode() + b"\n"
        with self._lock:
            control = self._nurse()
            sent = socket.send_fds(control, [message], list(descriptors))
            control.sendall(message[sent:])
            answer: dict[str, Any] = json.loads(control.recv(LARGEST_COMMAND))
            return answer

    def _nurse(self) -> socket.socket:
        if self._control is not None and self._nursery is not None and self._nursery.poll() is None:
            return self._control
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._nursery = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _START.format(root=str(_ROOT)), str(theirs.fileno())],
            env={**_basics(), "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._control = ours
        return ours


def _basics() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _ONE_THREAD
