"""How input is refused, and the limits beyond which it is."""

from pathlib import Path

MAX_BYTES = 50_000_000
MAX_DEPTH = 200
MAX_NODES = 2_000_000
LONGEST_NUMBER = 64

TOO_DEEP = f"nests deeper than {MAX_DEPTH} levels; no template needs that"
TOO_MANY = f"holds more than {MAX_NODES:,} values, repeated ones counted; split the template"


class UnusableInput(Exception):  # noqa: N818 - it names what happened, as callers say it
    """A path that was given cannot be read as CloudFormation templates.

    Attributes:
        path: The file or folder.
        problem: What is wrong with it and what to do, in one line.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = _one_line(problem)

    def __str__(self) -> str:
        """Return ``path: problem`` in one line that any terminal can print."""
        return _one_line(f"{self.path}: {self.problem}")


class MalformedError(ValueError):
    """A text is not the template, or the manifest, that it should be; whoever read the file knows its path."""


def quoted(name: object) -> str:
    """Show a name from a file so that it stays short and on one line."""
    text = str(name)
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _one_line(text: str) -> str:
    printable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join(printable.split())
