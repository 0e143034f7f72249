"""What a transform job leaves out of its records, and how it joins them with their answers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[([^\]]+)\]")
_RANGE = re.compile(r"(-?\d*):(-?\d*)")


class NotJoined(Exception):  # noqa: N818 - it reads as what happened
    """Records and answers do not fit together, or a filter does not fit them."""


class Processing:
    """The data processing of a job; without any, records and answers pass as they are."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        """Read the request for a job."""
        asked = request.get("DataProcessing") or {}
        self._given = asked.get("InputFilter") or "$"
        self._kept = asked.get("OutputFilter") or "$"
        self._joined = asked.get("JoinSource") == "Input"
        kind = str(request["TransformInput"].get("ContentType", "text/csv")).partition(";")[0]
        self._columns = kind == "text/csv"
        self.works_on_records = self._joined or self._kept != "$"

    def given(self, record: bytes) -> bytes:
        """Return what the model gets of a record.

        Raises:
            NotJoined: The filter does not fit the record.
        """
        return record if self._given == "$" else self._written(chosen(self._read(record), self._given))

    def told(self, records: Sequence[bytes], answer: bytes) -> list[bytes]:
        """Return what is stored of the answer to records.

        Raises:
            NotJoined: There is not one line of answer for each record.
        """
        if not self.works_on_records:
            return [answer.rstrip(b"\n")]
        lines = [answer] if len(records) == 1 else answer.strip(b"\n").split(b"\n")
        if len(lines) != len(records):
            raise NotJoined(f"{len(records)} records have {len(lines)} answers")
        return [self._stored(record, line) for record, line in zip(records, lines, strict=True)]

    def _stored(self, record: bytes, answer: bytes) -> bytes:
        told = self._read(answer)
        if self._joined:
            told = self._both(self._read(record), told)
        return self._written(chosen(told, self._kept))

    def _both(self, given: Any, told: Any) -> Any:
        if self._columns:
            return [*given, *told]
        if isinstance(given, dict):
            return {**given, "SageMakerOutput": told}
        return {"SageMakerInput": given, "SageMakerOutput": told}

    def _read(self, text: bytes) -> Any:
        try:
            if self._columns:
                return next(csv.reader(io.StringIO(text.decode())), [])
            return json.loads(text)
        except ValueError as wrong:
            raise NotJoined(f"{text[:80]!r} cannot be read: {wrong}") from wrong

    def _written(self, value: Any) -> bytes:
        if not self._columns:
            return json.dumps(value).encode()
        made = io.StringIO()
        csv.writer(made, lineterminator="").writerow(value if isinstance(value, list) else [value])
        return made.getvalue().encode()


def chosen(value: Any, path: str) -> Any:
    """Return the part of a value that a path names, of the few kinds of path that SageMaker takes.

    Raises:
        NotJoined: There is no such part.
    """
    rest = path.removeprefix("$")
    while rest:
        step = _STEP.match(rest)
        if step is None:
            raise NotJoined(f"{path} is no path")
        try:
            value = value[step[1]] if step[1] else _picked(value, step[2])
        except (KeyError, IndexError, TypeError, ValueError) as wrong:
            raise NotJoined(f"there is no {path} in the record") from wrong
        rest = rest[step.end() :]
    return value


def _picked(value: Any, inside: str) -> Any:
    within = _RANGE.fullmatch(inside.strip())
    if within:
        return value[int(within[1]) if within[1] else None : int(within[2]) if within[2] else None]
    parts = [part.strip() for part in inside.split(",")]
    if parts[0][0] in "'\"":
        names = [part.strip("'\"") for part in parts]
        return value[names[0]] if len(names) == 1 else {name: value[name] for name in names}
    places = [int(part) for part in parts]
    return value[places[0]] if len(places) == 1 else [value[place] for place in places]
