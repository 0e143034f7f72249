"""Command line: ``python -m ml_lens.rules check``, ``… list`` and ``… explain``."""

import sys

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    try:
        # Imported here, so that an interrupt meanwhile ends as every other does.
        from ml_lens.rules.command import run

        return run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
