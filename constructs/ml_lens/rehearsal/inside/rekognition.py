"""A Rekognition that answers as a script tells it, in the shapes of the real service."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from ml_lens.rehearsal.inside.journal import REKOGNITION_CALLS, REKOGNITION_SCRIPT, Journal

INLINE_LIMIT = 5 * 1024 * 1024
OBJECT_LIMIT = 15 * 1024 * 1024
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_SERVER_FAULTS = frozenset({"InternalServerError", "ServiceUnavailableException"})

_DEFAULT_ATTRIBUTES = frozenset({"BoundingBox", "Confidence", "Pose", "Quality", "Landmarks"})
_NAMED_ATTRIBUTES = {
    "AGE_RANGE": "AgeRange",
    "BEARD": "Beard",
    "EMOTIONS": "Emotions",
    "EYE_DIRECTION": "EyeDirection",
    "EYEGLASSES": "Eyeglasses",
    "EYES_OPEN": "EyesOpen",
    "FACE_OCCLUDED": "FaceOccluded",
    "GENDER": "Gender",
    "MOUTH_OPEN": "MouthOpen",
    "MUSTACHE": "Mustache",
    "SMILE": "Smile",
    "SUNGLASSES": "Sunglasses",
}


class Fault(Exception):  # noqa: N818 - AWS's own word
    """An error that the service answers with."""

    def __init__(self, code: str, message: str) -> None:
        """Answer with ``code``, as botocore names it."""
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return 500 if self.code in _SERVER_FAULTS else 400


class ObjectReader(Protocol):
    """Reads objects with the permissions of whoever called Rekognition."""

    def read_as(self, caller: str, bucket: str, key: str, version: str | None) -> bytes | None:
        """Return the bytes, or ``None`` where the caller may not read them or there are none."""


class ScriptedRekognition:
    """``DetectFaces`` from a script: image digest → outcomes, used in order, the last one repeating.

    A script that is written again starts from the beginning.
    """

    def __init__(self, journal: Journal, objects: ObjectReader) -> None:
        """Read the script from, and count calls in, ``journal``."""
        self._journal = journal
        self._objects = objects
        self._stamp: tuple[int, int] = (-1, -1)
        self._script: dict[str, list[dict[str, Any]]] = {}
        self._used: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def answer(self, operation: str, payload: Mapping[str, Any], caller: str) -> dict[str, Any]:
        """Answer one call.

        Raises:
            Fault: The scripted error, or the error of the real service for such an image.
        """
        if operation != "DetectFaces":
            raise Fault("UnknownOperationException", f"The sandbox does not script {operation}.")
        digest = ""
        try:
            image = self._image(payload.get("Image") or {}, caller)
            digest = hashlib.sha256(image).hexdigest()
            faces = self._next_outcome(digest)
        except Fault as fault:
            self._errors[fault.code] += 1
            raise
        finally:
            self._count(digest)
        wanted = _wanted(payload.get("Attributes") or ["DEFAULT"])
        return {
            "FaceDetails": [
                {k: v for k, v in face.items() if wanted is None or k in wanted} for face in faces
            ],
            "OrientationCorrection": "ROTATE_0",
        }

    def _image(self, image: Mapping[str, Any], caller: str) -> bytes:
        if "S3Object" in image:
            content = self._stored(image["S3Object"], caller)
            limit = OBJECT_LIMIT
        elif "Bytes" in image:
            content = _inline(image["Bytes"])
            limit = INLINE_LIMIT
        else:
            raise Fault("InvalidParameterException", "Request has Invalid Parameters")
        if not content:
            raise Fault("InvalidParameterException", "Request has Invalid Parameters")
        if len(content) > limit:
            raise Fault(
                "ImageTooLargeException", f"Image size is too large: {len(content)}. Maximum: {limit}"
            )
        if not content.startswith(_MAGIC):
            raise Fault("InvalidImageFormatException", "Request has invalid image format")
        return content

    def _stored(self, place: Mapping[str, Any], caller: str) -> bytes:
        bucket, key = str(place.get("Bucket", "")), str(place.get("Name", ""))
        content = self._objects.read_as(caller, bucket, key, place.get("Version"))
        if content is None:
            raise Fault(
                "InvalidS3ObjectException",
                "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
            )
        return content

    def _next_outcome(self, digest: str) -> list[dict[str, Any]]:
        self._reload()
        outcomes = self._script.get(digest)
        if not outcomes:
            return []
        outcome = outcomes[min(self._used[digest], len(outcomes) - 1)]
        self._used[digest] += 1
        if "error" in outcome:
            raise Fault(outcome["error"], outcome.get("message", "scripted by the walkthrough"))
        return list(outcome.get("faces", []))

    def _reload(self) -> None:
        stamp = self._journal.stamp(REKOGNITION_SCRIPT)
        if stamp == self._stamp:
            return
        self._script, self._stamp = self._journal.read(REKOGNITION_SCRIPT, {}), stamp
        self._used.clear()

    def _count(self, digest: str) -> None:
        self._calls[digest] += 1
        self._journal.write(
            REKOGNITION_CALLS,
            {"total": self._calls.total(), "by_image": self._calls, "by_error": self._errors},
        )


def _inline(encoded: Any) -> bytes:
    try:
        return base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Fault("InvalidParameterException", "Request has Invalid Parameters") from error


def _wanted(asked: list[str]) -> frozenset[str] | None:
    if "ALL" in asked:
        return None
    return _DEFAULT_ATTRIBUTES | {_NAMED_ATTRIBUTES[name] for name in asked if name in _NAMED_ATTRIBUTES}
