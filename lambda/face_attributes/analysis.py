"""From an upload to its outcome: read the image, ask Rekognition, name what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

from faces import FaceRow, face_rows
from faults import cause_of, error_code, error_message
from rejections import Reason

if TYPE_CHECKING:
    from connections import Connections
    from mypy_boto3_rekognition.type_defs import FaceDetailTypeDef, ImageTypeDef
    from uploads import Arrival, Upload

LARGEST_INLINE_IMAGE = 5 * 1024 * 1024
LARGEST_IMAGE = 15 * 1024 * 1024

START_MARGIN_SECONDS = 20
"""With less than this left of the invocation no further image is begun."""
FINISH_MARGIN_SECONDS = 10
"""With less than this left no image is waited for: the rest is for storing what there is."""

_NO_TIME = "too little time was left"

# AccessDenied is no reason: it is the answer to a missing permission, and then no image may be erased.
_REASONS = {
    ("GetObject", "NoSuchVersion"): Reason.GONE,
    ("GetObject", "NoSuchKey"): Reason.GONE,
    ("GetObject", "MethodNotAllowed"): Reason.GONE,  # the version is a delete marker
    ("GetObject", "InvalidObjectState"): Reason.UNREADABLE,  # archived
    ("DetectFaces", "InvalidImageFormatException"): Reason.NOT_AN_IMAGE,
    ("DetectFaces", "ImageTooLargeException"): Reason.TOO_LARGE,
    ("DetectFaces", "InvalidParameterException"): Reason.UNREADABLE,
}
_THROTTLES = {
    ("DetectFaces", "ThrottlingException"),
    ("DetectFaces", "ProvisionedThroughputExceededException"),
    ("DetectFaces", "LimitExceededException"),
    ("GetObject", "SlowDown"),
    ("GetObject", "ThrottlingException"),
    ("GetObject", "KMS.ThrottlingException"),
}


@dataclass(frozen=True, slots=True)
class Faces:
    """The image shows faces."""

    rows: tuple[FaceRow, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The image gives no rows, and never will."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """The service had no capacity left; later it will."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that should not happen; ``cause`` may be logged."""

    cause: str


Outcome = Faces | Rejected | Throttled | Fault


def analyse(upload: Upload, connections: Connections, analysis_id: str) -> Outcome:
    """Analyse one image; raises nothing (Lens: F2-13)."""
    if upload.size == 0:
        return Rejected(Reason.EMPTY)
    if upload.size > LARGEST_IMAGE:
        return Rejected(Reason.TOO_LARGE)
    try:
        image = _read(upload, connections)
        details = _detect(upload, image, connections)
        if not details:
            return Rejected(Reason.NO_FACE)
        image_id = hashlib.sha256(image).hexdigest()
        now = datetime.now(UTC)
        return Faces(face_rows(upload, details, image_id=image_id, analysis_id=analysis_id, analysed_at=now))
    except Exception as error:
        return _outcome_of(error)


def analyse_all(
    arrivals: Mapping[str, Arrival],
    analyse_one: Callable[[Upload], Outcome],
    *,
    parallel_calls: int,
    seconds_left: Callable[[], float],
) -> dict[str, Outcome]:
    """Analyse a batch in parallel; the outcomes are by upload id.

    Once an image is throttled, those not yet begun are not tried: they would only add to the load
    (Lens: QTA-02). Images that the invocation has no time left for are faults, so that they come again.
    """
    throttled = Event()

    def analyse_if_possible(upload: Upload) -> Outcome:
        if throttled.is_set():
            return Throttled()
        if seconds_left() < START_MARGIN_SECONDS:
            return Fault(_NO_TIME)
        outcome = analyse_one(upload)
        if isinstance(outcome, Throttled):
            throttled.set()
        return outcome

    pool = ThreadPoolExecutor(parallel_calls)
    try:
        futures = {
            upload_id: pool.submit(analyse_if_possible, arrival.upload)
            for upload_id, arrival in arrivals.items()
        }
        wait(futures.values(), timeout=max(0.0, seconds_left() - FINISH_MARGIN_SECONDS))
        return {
            upload_id: future.result() if future.done() else Fault(_NO_TIME)
            for upload_id, future in futures.items()
        }
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(upload: Upload, connections: Connections) -> bytes:
    answer = connections.s3.get_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version_id)
    image: bytes = answer["Body"].read()
    return image


def _detect(upload: Upload, image: bytes, connections: Connections) -> list[FaceDetailTypeDef]:
    subject: ImageTypeDef = {"Bytes": image}
    if len(image) > LARGEST_INLINE_IMAGE:
        subject = {
            "S3Object": {"Bucket": upload.bucket, "Name": upload.key, "Version": upload.version_id},
        }
    return connections.rekognition.detect_faces(Image=subject, Attributes=["ALL"])["FaceDetails"]


def _outcome_of(error: Exception) -> Outcome:
    code = error_code(error)
    if code in _THROTTLES:
        return Throttled()
    if code in _REASONS:
        return Rejected(_REASONS[code], error_message(error))
    return Fault(cause_of(error))
