"""Command line: ``python -m ml_lens.rehearsal rehearse`` and ``… walk``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from ml_lens.rehearsal.errors import RehearsalError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ml_lens.rehearsal", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    rehearsing = commands.add_parser("rehearse", help="deploy to the embedded sandbox, walk through, remove")
    rehearsing.add_argument("--scenario", default="all", help="a scenario's name, or all")
    rehearsing.add_argument("--keep", action="store_true", help="leave the deployed sandbox running")
    walking = commands.add_parser("walk", help="walk through a scenario that is deployed in a real account")
    walking.add_argument("--scenario", required=True, help="the scenario's name")
    walking.add_argument("--images", type=Path, help="a folder of pictures to use")
    chosen = parser.parse_args(arguments)
    before = {sign: signal.signal(sign, _interrupt) for sign in _SIGNALS}
    # `stacks` is a package of the repository in the current folder, which `python -m` has put on the path.
    try:
        _run(chosen)
    except RehearsalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the sandbox is stopped and removed", file=sys.stderr)
        return 130
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
    return 0


def _run(chosen: argparse.Namespace) -> None:
    # Imported here, so that an interrupt meanwhile ends as every other does.
    try:
        from ml_lens.rehearsal.runner import rehearse, walk
    except ModuleNotFoundError as missing:
        raise RehearsalError(
            f"{missing.name} is not installed; rehearse from a checkout: make rehearse"
        ) from missing
    if chosen.command == "rehearse":
        rehearse(chosen.scenario, keep=chosen.keep)
    else:
        walk(chosen.scenario, chosen.images)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # A second signal, as make and a terminal send it, must not cut the cleaning up short.
    for sign in _SIGNALS:
        signal.signal(sign, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
