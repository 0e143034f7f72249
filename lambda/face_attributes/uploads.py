"""What EventBridge says about one image that a camera has put into the image bucket."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

DEFERRALS_ATTRIBUTE = "deferrals"
_DEFERRALS = re.compile(r"[0-9]{1,6}", re.ASCII)


class NotAnUploadError(ValueError):
    """The message announces no upload; the text says why, and quotes nothing of the message."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One version of one object in the image bucket."""

    bucket: str
    key: str
    version_id: str
    size: int
    uploaded_at: datetime

    @property
    def upload_id(self) -> str:
        """Names this version wherever its key must not appear; the same on every delivery."""
        name = f"{self.bucket}\n{self.key}\n{self.version_id}"
        return hashlib.sha256(name.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One upload and every message of a batch that announces it."""

    upload: Upload
    body: str
    deferrals: int
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that announces no upload."""

    message_id: str
    cause: str


def read_batch(records: Iterable[dict[str, Any]]) -> tuple[dict[str, Arrival], list[Malformed]]:
    """Sort the records of an SQS batch into uploads, by upload id, and messages that announce none."""
    arrivals: dict[str, Arrival] = {}
    malformed: list[Malformed] = []
    for record in records:
        try:
            arrival = _arrival(record)
        except NotAnUploadError as error:
            malformed.append(Malformed(record["messageId"], str(error)))
            continue
        upload_id = arrival.upload.upload_id
        known = arrivals.get(upload_id)
        arrivals[upload_id] = _joined(known, arrival) if known else arrival
    return arrivals, malformed


def upload_from_event(body: str) -> Upload:
    """Read an "Object Created" event of Amazon S3.

    Raises:
        NotAnUploadError: The text is no such event, or it names no version that could be read and erased.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAnUploadError("the body is not JSON") from None
    if not isinstance(event, dict):
        raise NotAnUploadError("the body is not a JSON object")
    if (event.get("source"), event.get("detail-type")) != ("aws.s3", "Object Created"):
        raise NotAnUploadError("the event is not an Object Created of aws.s3")
    return Upload(
        bucket=_text(event, "detail", "bucket", "name"),
        key=_text(event, "detail", "object", "key"),
        version_id=_version_id(event),
        size=_size(event),
        uploaded_at=_moment(event, "time"),
    )


def _arrival(record: dict[str, Any]) -> Arrival:
    body = record["body"]
    return Arrival(upload_from_event(body), body, _deferrals(record), (record["messageId"],))


def _joined(first: Arrival, again: Arrival) -> Arrival:
    return replace(
        first,
        deferrals=max(first.deferrals, again.deferrals),
        message_ids=first.message_ids + again.message_ids,
    )


def _deferrals(record: dict[str, Any]) -> int:
    attribute = (record.get("messageAttributes") or {}).get(DEFERRALS_ATTRIBUTE)
    if attribute is None:
        return 0
    value = attribute.get("stringValue") or ""
    if not _DEFERRALS.fullmatch(value):
        raise NotAnUploadError(f"the attribute {DEFERRALS_ATTRIBUTE} is not a whole number")
    return int(value)


def _member(event: object, *path: str) -> object:
    value = event
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(event: object, *path: str) -> str:
    value = _member(event, *path)
    if not isinstance(value, str) or not value:
        raise NotAnUploadError(f"{'.'.join(path)} is missing")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotAnUploadError(f"{'.'.join(path)} is not Unicode text") from None
    return value


def _version_id(event: object) -> str:
    version_id = _text(event, "detail", "object", "version-id")
    if version_id == "null":
        raise NotAnUploadError("detail.object.version-id is null: the bucket is not versioned")
    return version_id


def _size(event: object) -> int:
    size = _member(event, "detail", "object", "size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise NotAnUploadError("detail.object.size is not a whole number")
    return size


def _moment(event: object, name: str) -> datetime:
    text = _text(event, name)
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAnUploadError(f"{name} is not a moment") from None
    if moment.tzinfo is None:
        raise NotAnUploadError(f"{name} has no time zone")
    return in_utc
