"""From Rekognition's answer to rows, and how certain they are."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from faces import EMOTIONS, FACE_COLUMNS, Certainty, FaceRow, Thresholds, certainty, face_rows
from hypothesis import given
from hypothesis import strategies as st
from uploads import Upload

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
UPLOAD = Upload("images", "front door/a+b,c.jpg", "v1", 1024, MOMENT)
IMAGE_ID = "ab" * 32
THRESHOLDS = Thresholds(age_range=90.0, gender=95.0)
DETAIL = {
    "BoundingBox": {"Width": 0.1, "Height": 0.1, "Left": 0.2, "Top": 0.3},
    "AgeRange": {"Low": 22, "High": 30},
    "Gender": {"Value": "Female", "Confidence": 99.5},
    "Emotions": [{"Type": name, "Confidence": 10.0 + place} for place, name in enumerate(EMOTIONS)],
    "Confidence": 99.25,
}


def rows(*details: dict[str, Any]) -> tuple[FaceRow, ...]:
    return face_rows(UPLOAD, details, image_id=IMAGE_ID, analysis_id="batch", analysed_at=MOMENT)


def without(*path: str) -> dict[str, Any]:
    detail: dict[str, Any] = copy.deepcopy(DETAIL)
    owner = detail
    for name in path[:-1]:
        owner = owner[name]
    del owner[path[-1]]
    return detail


@pytest.mark.lens("F2-15")
def test_a_row_holds_every_attribute_with_its_confidence_beside_it() -> None:
    [row] = rows(DETAIL)
    assert (row.age_low, row.age_high, row.age_confidence) == (22, 30, 99.25)
    assert (row.gender, row.gender_confidence) == ("Female", 99.5)
    assert row.face_confidence == 99.25
    emotions = [getattr(row, f"{name.lower()}_confidence") for name in EMOTIONS]
    assert emotions == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]


def test_the_columns_are_those_of_the_table_and_in_its_order() -> None:
    assert ",".join(FACE_COLUMNS) == (
        "face_id,image_id,upload_id,image_key,uploaded_at,analysed_at,analysis_id,face_index,faces_in_image,"
        "face_confidence,age_low,age_high,age_confidence,gender,gender_confidence,angry_confidence,"
        "calm_confidence,confused_confidence,disgusted_confidence,fear_confidence,happy_confidence,"
        "sad_confidence,surprised_confidence"
    )


def test_twenty_faces_in_one_image_are_twenty_rows_with_ids_of_their_own() -> None:
    found = rows(*[DETAIL] * 20)
    assert [row.face_id for row in found] == [f"{IMAGE_ID}-{index:02d}" for index in range(20)]
    assert [row.face_index for row in found] == list(range(20))
    assert {row.faces_in_image for row in found} == {20}


def test_a_hundred_faces_which_is_the_most_keep_ids_of_one_length() -> None:
    assert {len(row.face_id) for row in rows(*[DETAIL] * 100)} == {len(IMAGE_ID) + 3}


def test_the_key_stands_in_the_row_percent_encoded() -> None:
    assert rows(DETAIL)[0].image_key == "front%20door/a%2Bb%2Cc.jpg"


@pytest.mark.lens("AIS-02", "F2-29")
@pytest.mark.parametrize(
    ("face", "gender", "expected"),
    [
        (90.0, 95.0, Certainty.CONFIDENT),
        (99.9, 99.9, Certainty.CONFIDENT),
        (89.99, 99.9, Certainty.UNCERTAIN),
        (99.9, 94.99, Certainty.UNCERTAIN),
        (0.0, 0.0, Certainty.UNCERTAIN),
    ],
)
def test_a_row_is_confident_from_its_thresholds_on(face: float, gender: float, expected: Certainty) -> None:
    detail = DETAIL | {"Confidence": face, "Gender": {"Value": "Male", "Confidence": gender}}
    assert certainty(rows(detail)[0], THRESHOLDS) == expected


@pytest.mark.lens("AIS-03", "F2-29")
def test_age_and_gender_each_have_a_threshold_of_their_own() -> None:
    detail = DETAIL | {"Confidence": 80.0, "Gender": {"Value": "Male", "Confidence": 60.0}}
    [row] = rows(detail)
    assert certainty(row, Thresholds(age_range=80.0, gender=60.0)) == Certainty.CONFIDENT
    assert certainty(row, Thresholds(age_range=60.0, gender=80.0)) == Certainty.UNCERTAIN


@pytest.mark.lens("F2-29")
@pytest.mark.parametrize(
    ("path", "empty"),
    [
        (("AgeRange",), {"age_low", "age_high", "age_confidence"}),
        (("AgeRange", "Low"), {"age_low", "age_high", "age_confidence"}),
        (("AgeRange", "High"), {"age_low", "age_high", "age_confidence"}),
        (("Gender",), {"gender", "gender_confidence"}),
        (("Gender", "Value"), {"gender", "gender_confidence"}),
        (("Gender", "Confidence"), {"gender", "gender_confidence"}),
        (("Confidence",), {"face_confidence", "age_confidence"}),
        (("Emotions",), {f"{name.lower()}_confidence" for name in EMOTIONS}),
    ],
)
def test_what_rekognition_leaves_out_is_an_empty_cell_in_an_uncertain_row(
    path: tuple[str, ...], empty: set[str]
) -> None:
    [row] = rows(without(*path))
    assert {name for name in FACE_COLUMNS if getattr(row, name) is None} == empty
    assert certainty(row, Thresholds(0.0, 0.0)) == Certainty.UNCERTAIN


def test_an_unknown_emotion_in_the_place_of_one_leaves_its_cell_empty() -> None:
    emotions = [{"Type": "UNKNOWN", "Confidence": 99.0}, *DETAIL["Emotions"][1:]]  # type: ignore[index]
    [row] = rows(DETAIL | {"Emotions": emotions})
    assert row.angry_confidence is None
    assert row.calm_confidence == 11.0
    assert certainty(row, Thresholds(0.0, 0.0)) == Certainty.UNCERTAIN


def test_an_unknown_emotion_beside_all_others_changes_nothing() -> None:
    emotions = [*DETAIL["Emotions"], {"Type": "UNKNOWN", "Confidence": 1.0}]  # type: ignore[misc]
    assert rows(DETAIL | {"Emotions": emotions}) == rows(DETAIL)


def test_a_bare_face_is_a_row_and_uncertain() -> None:
    [row] = rows({})
    assert certainty(row, Thresholds(0.0, 0.0)) == Certainty.UNCERTAIN


PERCENT = st.floats(0.0, 100.0)


@pytest.mark.lens("AIS-02", "F2-29")
@given(face=PERCENT, gender=PERCENT, age_threshold=PERCENT, gender_threshold=PERCENT)
def test_no_row_under_a_threshold_is_ever_confident(
    face: float, gender: float, age_threshold: float, gender_threshold: float
) -> None:
    [row] = rows(DETAIL | {"Confidence": face, "Gender": {"Value": "Male", "Confidence": gender}})
    reached = face >= age_threshold and gender >= gender_threshold
    assert (certainty(row, Thresholds(age_threshold, gender_threshold)) == Certainty.CONFIDENT) == reached
