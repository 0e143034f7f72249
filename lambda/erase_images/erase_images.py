"""Lambda function: erase exactly the image versions whose results are stored.

It can delete and nothing else. Erasing a version twice does no harm, so a message may come again.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ErrorTypeDef

logger = Logger()

MOST_KEYS = 1000
"""What one DeleteObjects call takes."""

_DONE = {"NoSuchKey", "NoSuchVersion"}

# DeleteObjects names keys in XML, which cannot hold these: one would make S3 refuse the whole call.
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


class NotAnErasureError(ValueError):
    """The message names no version to erase; the text says why, and quotes nothing of the message."""


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """One version of one object; never the current one by default."""

    bucket: str
    key: str
    version_id: str


# Said outright, so that no environment variable can bring the messages, and with them keys, into the log.
@logger.inject_lambda_context(log_event=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Erase the versions an SQS batch names; the answer names the messages to deliver again.

    Lens: F2-09, F2-10.
    """
    messages: defaultdict[ImageVersion, list[str]] = defaultdict(list)
    malformed: dict[str, str] = {}
    for record in event["Records"]:
        try:
            messages[version_from_message(record["body"])].append(record["messageId"])
        except NotAnErasureError as error:
            malformed[record["messageId"]] = str(error)
    kept = erase(_connect(), messages) if messages else {}

    for message_id, cause in malformed.items():
        logger.error("message names no version", message_id=message_id, cause=cause)
    for version, cause in kept.items():
        logger.error("image not erased", message_ids=messages[version], cause=cause)
    again = [*malformed, *(message_id for version in kept for message_id in messages[version])]
    logger.info("batch done", erased=len(messages) - len(kept), failed=len(again))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def version_from_message(body: str) -> ImageVersion:
    """Read a message of the erase queue.

    Raises:
        NotAnErasureError: The text is no such message, or it names no version: then S3 would hide the
            current version behind a delete marker and erase nothing.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAnErasureError("the body is not JSON") from None
    if not isinstance(message, dict):
        raise NotAnErasureError("the body is not a JSON object")
    version = ImageVersion(_text(message, "bucket"), _text(message, "key"), _text(message, "version_id"))
    if version.version_id == "null":
        raise NotAnErasureError("version_id is null: the bucket is not versioned")
    return version


def erase(s3: S3Client, versions: Iterable[ImageVersion]) -> dict[ImageVersion, str]:
    """Delete the versions and return those that are still there, each with the cause."""
    kept: dict[ImageVersion, str] = {}
    together: defaultdict[str, list[ImageVersion]] = defaultdict(list)
    for version in versions:
        if _NOT_IN_XML.search(version.key):
            kept |= _erase_one(s3, version)
        else:
            together[version.bucket].append(version)
    for bucket, wanted in together.items():
        for some in _portions(wanted):
            kept |= _erase_together(s3, bucket, some)
    return kept


@cache
def _connect() -> S3Client:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
    s3: S3Client = boto3.client("s3", config=config)
    return s3


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise NotAnErasureError(f"{name} is missing")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotAnErasureError(f"{name} is not Unicode text") from None
    return value


def _portions(versions: list[ImageVersion]) -> Iterator[list[ImageVersion]]:
    for start in range(0, len(versions), MOST_KEYS):
        yield versions[start : start + MOST_KEYS]


def _erase_one(s3: S3Client, version: ImageVersion) -> dict[ImageVersion, str]:
    try:
        s3.delete_object(Bucket=version.bucket, Key=version.key, VersionId=version.version_id)
    except Exception as error:
        cause = _cause_of(error)
        return {} if cause in _DONE else {version: cause}
    return {}


def _erase_together(s3: S3Client, bucket: str, versions: list[ImageVersion]) -> dict[ImageVersion, str]:
    try:
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={
                "Objects": [{"Key": version.key, "VersionId": version.version_id} for version in versions],
                "Quiet": True,
            },
        )
    except Exception as error:
        return dict.fromkeys(versions, _cause_of(error))
    return _kept(versions, answer.get("Errors", ()))


def _kept(versions: list[ImageVersion], errors: Iterable[ErrorTypeDef]) -> dict[ImageVersion, str]:
    by_name: Mapping[tuple[str | None, str | None], ImageVersion] = {
        (version.key, version.version_id): version for version in versions
    }
    kept: dict[ImageVersion, str] = {}
    for error in errors:
        code = error.get("Code", "unknown")
        if code in _DONE:
            continue
        version = by_name.get((error.get("Key"), error.get("VersionId")))
        if version is None:
            # An error nobody can be named for: rather erase all of them again than keep one silently.
            return dict.fromkeys(versions, code)
        kept[version] = code
    return kept


def _cause_of(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)
