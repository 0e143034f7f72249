"""The CSV that Athena reads: it knows no quotes."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

import pytest
from cell_text import percent_encoded, readable, timestamp
from faces import EMOTIONS, FACE_COLUMNS, FaceRow, Thresholds, face_rows
from hypothesis import given
from hypothesis import strategies as st
from records import csv_body, result_objects
from rejections import REJECTED_COLUMNS, Reason, RejectedRow, rejected_row
from uploads import Upload

MOMENT = datetime(2026, 11, 20, 23, 59, 59, 987654, tzinfo=UTC)
THRESHOLDS = Thresholds(90.0, 90.0)
# Everything that could end a cell or a line, often enough to be met.
KEYS = st.text(min_size=1) | st.text("ab,\"\n\r\t\\+% /%2C\x00\x1f\x85\u2028'😀é", min_size=1)
PERCENT = st.floats(0.0, 100.0) | st.just(1.5e-7)


def detail(confidence: float = 99.0, gender: str = "Male") -> dict[str, Any]:
    return {
        "Confidence": confidence,
        "AgeRange": {"Low": 20, "High": 30},
        "Gender": {"Value": gender, "Confidence": confidence},
        "Emotions": [{"Type": name, "Confidence": confidence / 8} for name in EMOTIONS],
    }


def upload(key: str = "1.jpg", day: int = 20) -> Upload:
    return Upload("images", key, "v1", 1024, MOMENT.replace(day=day))


def faces_of(image: Upload, *details: dict[str, Any]) -> tuple[FaceRow, ...]:
    return face_rows(image, details, image_id="ab" * 32, analysis_id="batch", analysed_at=MOMENT)


def rejection(key: str = "1.jpg", said: str = "", day: int = 20) -> RejectedRow:
    reason = Reason.UNREADABLE
    return rejected_row(upload(key, day), reason, said, analysis_id="batch", rejected_at=MOMENT)


def strictly(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))


def naively(body: bytes) -> list[list[str]]:
    """As LazySimpleSerDe does: a line break ends a line, a comma ends a cell, a quote is a quote."""
    text = body.decode()
    assert text.endswith("\n")
    return [line.split(",") for line in text[:-1].split("\n")]


@pytest.mark.lens("F2-16")
@given(keys=st.lists(KEYS, min_size=1, max_size=5), confidence=PERCENT, gender=KEYS)
def test_rows_of_faces_read_back_as_written_with_and_without_quoting(
    keys: list[str], confidence: float, gender: str
) -> None:
    rows = [row for key in keys for row in faces_of(upload(key), detail(confidence, gender), {})]
    body = csv_body(FACE_COLUMNS, rows)
    header, *lines = strictly(body)
    assert [header, *lines] == naively(body)
    assert header == list(FACE_COLUMNS)
    assert len(lines) == len(rows)
    for line in lines:
        cells = dict(zip(header, line, strict=True))
        assert cells["happy_confidence"] == "" or float(cells["happy_confidence"]) == confidence / 8
        assert cells["gender"] == "" or unquote(cells["gender"]) == gender
    assert [unquote(line[header.index("image_key")]) for line in lines[::2]] == keys


@pytest.mark.lens("F2-16")
@given(key=KEYS, said=st.text(max_size=300))
def test_rows_of_rejections_read_back_as_written_with_and_without_quoting(key: str, said: str) -> None:
    body = csv_body(REJECTED_COLUMNS, [rejection(key, said)])
    header, line = strictly(body)
    assert [header, line] == naively(body)
    cells = dict(zip(header, line, strict=True))
    assert unquote(cells["image_key"]) == key
    assert unquote(cells["detail"]) == said


def test_the_columns_of_rejections_are_those_of_the_table_and_in_its_order() -> None:
    assert ",".join(REJECTED_COLUMNS) == (
        "upload_id,image_key,uploaded_at,rejected_at,analysis_id,size_bytes,reason,detail"
    )


def test_a_row_looks_like_this() -> None:
    [row] = faces_of(upload("front door/a+b.jpg"), detail(80.0))
    face = "ab" * 32
    assert csv_body(FACE_COLUMNS, [row]).decode().split("\n")[1] == (
        f"{face}-00,{face},{row.upload_id},front%20door/a%2Bb.jpg,"
        "2026-11-20 23:59:59.987,2026-11-20 23:59:59.987,batch,0,1,80.0,20,30,80.0,Male,80.0,"
        "10.0,10.0,10.0,10.0,10.0,10.0,10.0,10.0"
    )


def test_what_is_missing_is_an_empty_cell() -> None:
    [row] = faces_of(upload(), {})
    assert csv_body(FACE_COLUMNS, [row]).decode().split("\n")[1].endswith(",0,1" + "," * 14)


@pytest.mark.parametrize("cell", ["a,b", 'a"b', "a\nb", "a\rb", "\\N", "é"])
def test_a_cell_that_was_not_encoded_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="not encoded"):
        csv_body(REJECTED_COLUMNS, [replace(rejection(), detail=cell)])


def test_two_bad_cells_do_not_hide_each_other() -> None:
    """A line too many and a comma too few could make the sums right for one count, not for both."""
    rows = [replace(rejection(), detail="a\nb"), replace(rejection(), detail=",,,,,,,")]
    with pytest.raises(ValueError, match="not encoded"):
        csv_body(REJECTED_COLUMNS, rows)


def test_a_key_keeps_its_slashes_and_loses_its_plus_signs() -> None:
    assert percent_encoded("a/b+c d%,'\"\n.jpg") == "a/b%2Bc%20d%25%2C%27%22%0A.jpg"


def test_a_message_stays_readable_and_loses_only_what_would_end_its_cell() -> None:
    said = 'Request has invalid image: 60 x 60, not "80"+\\N'
    assert readable(said) == "Request has invalid image: 60 x 60%2C not %2280%22%2B%5CN"


def test_a_very_long_message_is_cut() -> None:
    assert len(rejection(said="x" * 10_000).detail) == 300


def test_a_timestamp_is_in_utc_and_to_the_millisecond() -> None:
    berlin = timezone(timedelta(hours=1))
    assert timestamp(datetime(2026, 1, 1, 0, 30, tzinfo=berlin)) == "2025-12-31 23:30:00.000"


@pytest.mark.lens("F2-16", "F2-29")
def test_rows_are_sorted_into_one_object_for_each_class_and_upload_date() -> None:
    faces = [
        *faces_of(upload("1.jpg", day=19), detail(99.0), detail(50.0)),
        *faces_of(upload("2.jpg", day=20), detail(99.0)),
        *faces_of(upload("3.jpg", day=20), detail(99.0)),
    ]
    objects = result_objects("batch", faces, [rejection(day=18), rejection(day=20)], THRESHOLDS)
    assert {one.key: len(one.rows) for one in objects} == {
        "faces/certainty=confident/upload_date=2026-11-19/batch.csv": 1,
        "faces/certainty=uncertain/upload_date=2026-11-19/batch.csv": 1,
        "faces/certainty=confident/upload_date=2026-11-20/batch.csv": 2,
        "rejected/upload_date=2026-11-18/batch.csv": 1,
        "rejected/upload_date=2026-11-20/batch.csv": 1,
    }


def test_an_object_knows_the_uploads_it_holds() -> None:
    one, two = faces_of(upload("1.jpg"), detail()), faces_of(upload("2.jpg"), detail(), detail())
    [stored] = result_objects("batch", [*one, *two], [], THRESHOLDS)
    assert stored.upload_ids == {one[0].upload_id, two[0].upload_id}


def test_no_rows_make_no_object() -> None:
    assert result_objects("batch", [], [], THRESHOLDS) == []


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_exactly(value: float) -> None:
    row = replace(faces_of(upload(), detail())[0], face_confidence=value)
    cell = naively(csv_body(FACE_COLUMNS, [row]))[1][FACE_COLUMNS.index("face_confidence")]
    assert float(cell) == value
    assert math.copysign(1, float(cell)) == math.copysign(1, value)


def test_a_row_is_its_values_in_the_order_of_its_columns() -> None:
    row = rejection()
    assert astuple(row) == tuple(getattr(row, name) for name in REJECTED_COLUMNS)
