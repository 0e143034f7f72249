"""One row per image that has no faces to tell of, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from cell_text import percent_encoded, readable

if TYPE_CHECKING:
    from uploads import Upload

_LONGEST_DETAIL = 300


class Reason(StrEnum):
    """Why an image gave no rows."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_AN_IMAGE = "not_an_image"
    NO_FACE = "no_face"
    UNREADABLE = "unreadable"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """The columns of the table ``rejected``, in its order."""

    upload_id: str
    image_key: str
    uploaded_at: datetime
    rejected_at: datetime
    analysis_id: str
    size_bytes: int
    reason: str
    detail: str


REJECTED_COLUMNS = tuple(field.name for field in fields(RejectedRow))


def rejected_row(
    upload: Upload, reason: Reason, detail: str, *, analysis_id: str, rejected_at: datetime
) -> RejectedRow:
    """Record why ``upload`` was rejected; ``detail`` is what the service said, if it said anything."""
    return RejectedRow(
        upload_id=upload.upload_id,
        image_key=percent_encoded(upload.key),
        uploaded_at=upload.uploaded_at,
        rejected_at=rejected_at,
        analysis_id=analysis_id,
        size_bytes=upload.size,
        reason=reason.value,
        detail=readable(detail[:_LONGEST_DETAIL]),
    )
