"""The views, run on CSV that the function itself wrote: only what is certain enough comes out, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from faces import FaceRow, Thresholds
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from records import result_objects
from rejections import RejectedRow

from ml_lens.ai_services import FaceThresholds
from ml_lens.ai_services.face_views import SAVED_QUERIES, confident_faces, rejected_uploads
from ml_lens.ai_services.thresholds import EMOTIONS
from ml_lens.rehearsal.inside.athena_engine import execute
from tests.stacks.synthesis import scenario
from tests.stacks.template import text

DAY = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
THRESHOLDS = FaceThresholds(age_range=90, gender=80, emotions={"HAPPY": 70, "SAD": 60})
NO_EMOTION = dict.fromkeys((f"{emotion.lower()}_confidence" for emotion in EMOTIONS), 0.0)
Row = Mapping[str, str | None]


@dataclass
class Lake:
    """The tables and views of the template, and objects written by the function."""

    database: str
    tables: dict[str, dict[str, Any]]
    objects: dict[str, bytes]

    def get_table(self, database: str, name: str) -> dict[str, Any] | None:
        assert database == self.database
        return self.tables.get(name)

    def list(self, bucket: str, prefix: str) -> list[str]:
        return [key for key in self.objects if key.startswith(prefix)]

    def read(self, bucket: str, key: str) -> bytes:
        return self.objects[key]

    def write(
        self,
        analysis_id: str,
        faces: Iterable[FaceRow] = (),
        rejections: Iterable[RejectedRow] = (),
        thresholds: FaceThresholds = THRESHOLDS,
    ) -> None:
        limits = Thresholds(thresholds.age_range, thresholds.gender)
        rows = [replace(row, analysis_id=analysis_id) for row in faces]
        refused = [replace(row, analysis_id=analysis_id) for row in rejections]
        for each in result_objects(analysis_id, rows, refused, limits):
            self.objects[each.key] = each.body()

    def ask(self, sql: str) -> list[Row]:
        result = execute(sql, self.database, self, self)
        assert result.failure is None, result.failure
        names = [name for name, _ in result.columns]
        return [dict(zip(names, row, strict=True)) for row in result.rows]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, dict[str, Any]]]:
    template = scenario(
        tmp_path_factory.mktemp("views"),
        age_range_threshold=THRESHOLDS.age_range,
        gender_threshold=THRESHOLDS.gender,
        emotion_thresholds=dict(THRESHOLDS.emotions),
    )
    found = [plain(table["TableInput"]) for table in template.resources("AWS::Glue::Table").values()]
    return template.only("AWS::Glue::Database")["DatabaseInput"]["Name"], {t["Name"]: t for t in found}


def plain(value: Any) -> Any:
    """Return part of a template with ``Results`` for the bucket that it refers to."""
    if isinstance(value, dict) and value.keys() & {"Ref", "Fn::Join"}:
        return text(value).replace("<", "").replace(">", "").lower()
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list) else value


@pytest.fixture
def lake(catalogue: tuple[str, dict[str, dict[str, Any]]]) -> Lake:
    database, tables = catalogue
    return Lake(database, tables, {})


def face(index: int = 0, *, image: str = "ab", uploaded: datetime = DAY, **cells: Any) -> FaceRow:
    certain: dict[str, Any] = {
        "face_id": f"{image}-{index:02d}",
        "image_id": image,
        "upload_id": f"upload-of-{image}",
        "image_key": "entrance/a%2Bb.jpg",
        "uploaded_at": uploaded,
        "analysed_at": uploaded,
        "analysis_id": "",
        "face_index": index,
        "faces_in_image": 1,
        "face_confidence": 99.0,
        "age_low": 20,
        "age_high": 30,
        "age_confidence": 99.0,
        "gender": "Female",
        "gender_confidence": 99.0,
        **NO_EMOTION,
    }
    return FaceRow(**{**certain, **cells})


def rejection(name: str, reason: str, uploaded: datetime = DAY, detail: str = "") -> RejectedRow:
    return RejectedRow(f"upload-of-{name}", f"{name}.jpg", uploaded, uploaded, "", 10, reason, detail)


def confident(lake: Lake) -> list[Row]:
    return lake.ask("SELECT * FROM confident_faces")


@pytest.mark.lens("F2-23", "AIS-02")
@pytest.mark.parametrize(
    ("age", "gender", "visible"),
    [
        (90.0, 80.0, True),
        (89.99, 80.0, False),
        (90.0, 79.99, False),
        (100.0, 100.0, True),
        (50.0, 50.0, False),
    ],
)
def test_a_face_is_seen_when_age_and_gender_each_reach_their_threshold(
    lake: Lake, age: float, gender: float, visible: bool
) -> None:
    lake.write("1", [face(age_confidence=age, gender_confidence=gender)])
    assert len(confident(lake)) == visible


@pytest.mark.lens("F2-29", "AIS-02")
def test_rows_written_under_lower_thresholds_are_held_back_by_the_view(lake: Lake) -> None:
    lax = FaceThresholds(age_range=50, gender=50)
    lake.write("1", [face(age_confidence=60.0), face(image="cd")], thresholds=lax)
    assert all("certainty=confident" in key for key in lake.objects)
    assert [row["face_id"] for row in confident(lake)] == ["cd-00"]


@pytest.mark.lens("F2-29")
def test_uncertain_rows_are_not_read_at_all(lake: Lake) -> None:
    lake.write("1", [face(age_confidence=60.0)])
    (key,) = lake.objects
    lake.objects[key] = lake.objects[key].replace(b"60.0", b"99.0")
    assert "certainty=uncertain" in key
    assert confident(lake) == []


@pytest.mark.lens("AIS-03", "F2-23")
@pytest.mark.parametrize(
    ("confidences", "emotion", "confidence"),
    [
        ({"happy": 70.0}, "HAPPY", "70.0"),
        ({"happy": 69.99}, None, None),
        ({"sad": 60.0}, "SAD", "60.0"),
        ({"calm": 89.9}, None, None),
        ({"calm": 90.0}, "CALM", "90.0"),
        ({"calm": 89.9, "sad": 61.0}, "SAD", "61.0"),
        ({"happy": 75.0, "sad": 80.0}, "SAD", "80.0"),
        ({}, None, None),
    ],
)
def test_the_emotion_is_the_strongest_that_reaches_its_own_threshold(
    lake: Lake, confidences: dict[str, float], emotion: str | None, confidence: str | None
) -> None:
    lake.write("1", [face(**{f"{name}_confidence": value for name, value in confidences.items()})])
    (row,) = confident(lake)
    assert (row["emotion"], row["emotion_confidence"]) == (emotion, confidence)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_every_emotion_comes_out_under_its_own_name(lake: Lake, emotion: str) -> None:
    lake.write("1", [face(**{f"{emotion.lower()}_confidence": 99.5})])
    assert [row["emotion"] for row in confident(lake)] == [emotion]


@pytest.mark.lens("F2-23")
def test_a_face_is_counted_once_and_the_newest_analysis_wins(lake: Lake) -> None:
    for analysis_id, age in (("20261120T1", 31), ("20261120T3", 33), ("20261120T2", 32)):
        lake.write(analysis_id, [face(age_high=age), face(1, age_high=age)])
    rows = confident(lake)
    assert sorted(str(row["face_id"]) for row in rows) == ["ab-00", "ab-01"]
    assert {row["age_high"] for row in rows} == {"33"}


def test_the_same_picture_on_another_day_counts_again(lake: Lake) -> None:
    lake.write("1", [face()])
    lake.write("2", [face(uploaded=NEXT_DAY)])
    assert sorted(str(row["upload_date"]) for row in confident(lake)) == ["2026-11-20", "2026-11-21"]


def test_keys_come_out_as_they_were_uploaded(lake: Lake) -> None:
    lake.write("1", [face()])
    assert [row["image_key"] for row in confident(lake)] == ["entrance/a+b.jpg"]


@pytest.mark.lens("F2-23")
def test_the_views_have_the_columns_that_they_declare(lake: Lake) -> None:
    for view in (confident_faces(THRESHOLDS), rejected_uploads()):
        result = execute(f"SELECT * FROM {view.name}", lake.database, lake, lake)  # noqa: S608
        assert result.columns == [(column.name, column.presto_type) for column in view.columns]


def rejected(lake: Lake) -> dict[str, str]:
    rows = lake.ask("SELECT upload_id, reason FROM rejected_uploads")
    found = {str(row["upload_id"]): str(row["reason"]) for row in rows}
    assert len(found) == len(rows), "an upload is named twice"
    return found


def test_an_upload_that_was_lost_is_told_of_and_one_that_was_analysed_before_is_not(lake: Lake) -> None:
    lake.write("1", [face(image="ab")], [rejection("empty", "empty")])
    lake.write("2", (), [rejection(name, "gone") for name in ("ab", "lost", "empty")])
    assert rejected(lake) == {"upload-of-lost": "gone", "upload-of-empty": "empty"}


def test_an_upload_whose_faces_are_all_uncertain_was_not_lost(lake: Lake) -> None:
    lake.write("1", [face(image="ab", age_confidence=51.0)])
    lake.write("2", (), [rejection("ab", "gone")])
    assert rejected(lake) == {}


def test_a_rejection_is_told_once_with_the_newest_reason_and_its_detail(lake: Lake) -> None:
    lake.write("1", (), [rejection("a", "unreadable", detail="first%2C try")])
    lake.write("2", (), [rejection("a", "no_face", detail="then%2C none")])
    (row,) = lake.ask("SELECT reason, detail, size_bytes FROM rejected_uploads")
    assert row == {"reason": "no_face", "detail": "then, none", "size_bytes": "10"}


@pytest.mark.parametrize("title", SAVED_QUERIES)
def test_saved_queries_run(lake: Lake, title: str) -> None:
    lake.write("1", [face(happy_confidence=99.0)], [rejection("a", "empty")])
    (row,) = lake.ask(SAVED_QUERIES[title])
    assert "1" in row.values()


percent = st.floats(0, 100) | st.sampled_from([59.99, 60.0, 69.99, 70.0, 79.99, 80.0, 89.99, 90.0])
cells = st.fixed_dictionaries(
    {"age_confidence": percent, "gender_confidence": percent}
    | {f"{emotion.lower()}_confidence": percent for emotion in EMOTIONS}
)
thresholds = st.builds(
    FaceThresholds,
    age_range=st.floats(50, 100),
    gender=st.floats(50, 100),
    emotions=st.dictionaries(st.sampled_from(EMOTIONS), st.floats(50, 100)),
)


@pytest.mark.lens("F2-29", "AIS-02", "AIS-03")
# A smaller example would take minutes to find, as every attempt is a query.
@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(rows=st.lists(cells, min_size=1, max_size=8), wanted=thresholds)
def test_nothing_under_a_threshold_is_ever_visible(
    catalogue: tuple[str, dict[str, dict[str, Any]]],
    rows: Sequence[dict[str, float]],
    wanted: FaceThresholds,
) -> None:
    lake = Lake(*catalogue, {})
    lax = FaceThresholds(age_range=50, gender=50)
    lake.write("1", [face(index, **row) for index, row in enumerate(rows)], thresholds=lax)
    seen = {int(str(row["face_id"])[-2:]): row for row in lake.ask(confident_faces(wanted).sql)}
    for index, row in enumerate(rows):
        sure = row["age_confidence"] >= wanted.age_range and row["gender_confidence"] >= wanted.gender
        assert (index in seen) == sure
        if sure:
            strong = {
                e: row[f"{e.lower()}_confidence"]
                for e, least in wanted.emotions.items()
                if row[f"{e.lower()}_confidence"] >= least
            }
            told = seen[index]["emotion"]
            assert (told is None) == (not strong)
            assert told is None or strong[told] == max(strong.values())
