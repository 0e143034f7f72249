"""Objects taken apart into records, and answers put together into an object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one record."""

    body: bytes
    is_refused: bool = False


def split(body: bytes, *, by_line: bool) -> list[bytes]:
    """Return the records: the lines that are not empty, or the whole object."""
    if not by_line:
        return [body]
    return [line for piece in body.split(b"\n") if (line := piece.rstrip(b"\r"))]


def joined(answers: Iterable[Answer]) -> bytes:
    """Return the answers line by line, in the order of the records; a line break inside of one becomes a space."""
    return b"".join(
        b" ".join(answer.body.replace(b"\r", b"\n").strip(b"\n").split(b"\n")) + b"\n" for answer in answers
    )
