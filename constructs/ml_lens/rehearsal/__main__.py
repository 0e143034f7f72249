"""Command line: ``python -m ml_lens.rehearsal rehearse`` and ``… walk``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from ml_lens.rehearsal.errors import RehearsalError
from ml_lens.rehearsal.runner import rehearse, walk
from ml_lens.rehearsal.scenarios import ALL


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ml_lens.rehearsal", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    rehearsing = commands.add_parser("rehearse", help="deploy to the embedded sandbox, walk through, remove")
    rehearsing.add_argument("--scenario", default=ALL, help="a scenario's name, or all")
    rehearsing.add_argument("--keep", action="store_true", help="leave the deployed sandbox running")
    walking = commands.add_parser("walk", help="walk through a scenario that is deployed in a real account")
    walking.add_argument("--scenario", required=True, help="the scenario's name")
    walking.add_argument("--images", type=Path, help="a folder of pictures to use")
    chosen = parser.parse_args(arguments)
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) != signal.SIG_IGN:  # nohup has it ignored
            signal.signal(sign, _interrupt)
    try:
        if chosen.command == "rehearse":
            rehearse(chosen.scenario, keep=chosen.keep)
        else:
            walk(chosen.scenario, chosen.images)
    except RehearsalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the sandbox is stopped and removed", file=sys.stderr)
        return 130
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
