"""A process that has loaded what models need, and becomes the process of a container by forking.

It reads commands, one JSON document a line, from the socket that its argument names, and answers each.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

_LOADED = ("numpy", "xgboost", "json", "csv", "http.server")
LARGEST_COMMAND = 1 << 20


def main() -> None:
    """Serve until whoever started this process is gone, and end every container then."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in _LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    living: set[int] = set()
    while True:
        if select.select([control], [], [], 0.5)[0]:
            message, descriptors = _received(control)
            if not message:
                break
            command: dict[str, Any] = json.loads(message)
            if "stop" in command:
                _end(command["stop"], living)
                control.sendall(b"{}\n")
            else:
                started = _start(command, descriptors[0], control)
                living.add(started)
                control.sendall(json.dumps({"process": started}).encode() + b"\n")
        _bury(living)
    for each in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _received(control: socket.socket) -> tuple[bytes, list[int]]:
    """Return a line and the descriptors that came with it; nothing when there is nobody to send any more."""
    message, descriptors, _, _ = socket.recv_fds(control, LARGEST_COMMAND, 1)
    while message and not message.endswith(b"\n"):
        message += control.recv(LARGEST_COMMAND)
    return message, descriptors


def _start(command: dict[str, Any], output: int, control: socket.socket) -> int:
    process = os.fork()
    if process:
        os.close(output)
        return process
    try:
        control.close()
        _become_container(command, output)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


def _become_container(command: dict[str, Any], output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    from ml_lens.rehearsal.inside.sagemaker import serving

    serving.serve(Path(command["folder"]))


def _end(process: int, living: set[int]) -> None:
    """End a container, unless it has ended and its number may be somebody else's by now."""
    _bury(living)
    if process in living:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        living.discard(process)


def _bury(living: set[int]) -> None:
    for each in list(living):
        ended, _ = os.waitpid(each, os.WNOHANG)
        if ended:
            living.discard(each)
