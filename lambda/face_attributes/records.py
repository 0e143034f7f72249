"""The CSV objects of one batch: few and large, one for each class and upload date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from cell_text import timestamp
from faces import FACE_COLUMNS, FaceRow, Thresholds, certainty
from rejections import REJECTED_COLUMNS, RejectedRow

_UNSAFE = ('"', "\r", "\\")


@dataclass(frozen=True, slots=True)
class ResultObject:
    """One object of the results bucket, not yet written out."""

    key: str
    columns: tuple[str, ...]
    rows: Sequence[FaceRow | RejectedRow]

    @property
    def upload_ids(self) -> set[str]:
        """The uploads that have a row in this object."""
        return {row.upload_id for row in self.rows}

    def body(self) -> bytes:
        """Write the rows as CSV (Lens: F2-16)."""
        return csv_body(self.columns, self.rows)


def result_objects(
    analysis_id: str,
    faces: Iterable[FaceRow],
    rejections: Iterable[RejectedRow],
    thresholds: Thresholds,
) -> list[ResultObject]:
    """Sort rows into objects by class and by the day of the upload, which no redelivery changes."""
    face_folders: defaultdict[str, list[FaceRow]] = defaultdict(list)
    for face in faces:
        face_folders[f"faces/certainty={certainty(face, thresholds)}/{_day(face)}"].append(face)
    rejected_folders: defaultdict[str, list[RejectedRow]] = defaultdict(list)
    for rejection in rejections:
        rejected_folders[f"rejected/{_day(rejection)}"].append(rejection)
    return [
        *(ResultObject(f"{at}/{analysis_id}.csv", FACE_COLUMNS, rows) for at, rows in face_folders.items()),
        *(
            ResultObject(f"{at}/{analysis_id}.csv", REJECTED_COLUMNS, rows)
            for at, rows in rejected_folders.items()
        ),
    ]


def csv_body(columns: Sequence[str], rows: Sequence[object]) -> bytes:
    r"""Write a header line and one line per row: comma, ``\n``, no quotes, UTF-8.

    Raises:
        ValueError: A cell holds a character that would end it; it should have been encoded.
    """
    cells = attrgetter(*columns)
    lines = [",".join(columns)]
    lines += [",".join([_cell(value) for value in cells(row)]) for row in rows]
    text = "\n".join(lines) + "\n"
    commas = len(lines) * (len(columns) - 1)
    whole = text.isascii() and text.count(",") == commas and text.count("\n") == len(lines)
    if not whole or any(character in text for character in _UNSAFE):
        raise ValueError("a cell was not encoded: it holds a comma, a quote, a backslash or a line break")
    return text.encode("ascii")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timestamp(value)
    return str(value)


def _day(row: FaceRow | RejectedRow) -> str:
    return f"upload_date={row.uploaded_at.date().isoformat()}"
