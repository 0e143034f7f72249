"""One row per face: what Rekognition infers, and how sure it is of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

from cell_text import percent_encoded, readable

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import FaceDetailTypeDef
    from uploads import Upload


class Certainty(StrEnum):
    """Whether a row may be used (Lens: AIS-02, F2-29)."""

    CONFIDENT = "confident"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Least confidence, in percent, from which an attribute of every face may be used.

    Emotions have thresholds of their own. They hide a cell and not a row, so the view applies them.
    """

    age_range: float
    gender: float


@dataclass(frozen=True, slots=True)
class FaceRow:
    """The columns of the table ``faces``, in its order. None is a value Rekognition did not give."""

    face_id: str
    image_id: str
    upload_id: str
    image_key: str
    uploaded_at: datetime
    analysed_at: datetime
    analysis_id: str
    face_index: int
    faces_in_image: int
    face_confidence: float | None
    age_low: int | None
    age_high: int | None
    age_confidence: float | None
    gender: str | None
    gender_confidence: float | None
    angry_confidence: float | None
    calm_confidence: float | None
    confused_confidence: float | None
    disgusted_confidence: float | None
    fear_confidence: float | None
    happy_confidence: float | None
    sad_confidence: float | None
    surprised_confidence: float | None


FACE_COLUMNS = tuple(field.name for field in fields(FaceRow))
EMOTIONS = ("ANGRY", "CALM", "CONFUSED", "DISGUSTED", "FEAR", "HAPPY", "SAD", "SURPRISED")
_cells = attrgetter(*FACE_COLUMNS)


def face_rows(
    upload: Upload,
    details: Sequence[FaceDetailTypeDef],
    *,
    image_id: str,
    analysis_id: str,
    analysed_at: datetime,
) -> tuple[FaceRow, ...]:
    """Turn the answer of DetectFaces into rows; the largest face has index 0 (Lens: F2-15)."""
    upload_id, image_key = upload.upload_id, percent_encoded(upload.key)
    return tuple(
        FaceRow(
            f"{image_id}-{index:02d}",
            image_id,
            upload_id,
            image_key,
            upload.uploaded_at,
            analysed_at,
            analysis_id,
            index,
            len(details),
            detail.get("Confidence"),
            *_age(detail),
            *_gender(detail),
            *_emotions(detail),
        )
        for index, detail in enumerate(details)
    )


def certainty(row: FaceRow, thresholds: Thresholds) -> Certainty:
    """Compare a row with the thresholds; a row with an empty cell is uncertain."""
    age, gender = row.age_confidence, row.gender_confidence
    if age is None or gender is None or None in _cells(row):
        return Certainty.UNCERTAIN
    reached = age >= thresholds.age_range and gender >= thresholds.gender
    return Certainty.CONFIDENT if reached else Certainty.UNCERTAIN


def _age(detail: FaceDetailTypeDef) -> tuple[int | None, int | None, float | None]:
    ages = detail.get("AgeRange") or {}
    low, high = ages.get("Low"), ages.get("High")
    if low is None or high is None:
        return None, None, None
    # Rekognition gives an age range no confidence of its own: it is as sure as the face.
    return low, high, detail.get("Confidence")


def _gender(detail: FaceDetailTypeDef) -> tuple[str | None, float | None]:
    gender = detail.get("Gender") or {}
    value, confidence = gender.get("Value"), gender.get("Confidence")
    if value is None or confidence is None:
        return None, None
    return readable(value), confidence


def _emotions(detail: FaceDetailTypeDef) -> tuple[float | None, ...]:
    emotions = detail.get("Emotions") or ()
    found: dict[str | None, float | None] = {
        emotion.get("Type"): emotion.get("Confidence") for emotion in emotions
    }
    return tuple(found.get(name) for name in EMOTIONS)
