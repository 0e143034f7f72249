"""Empties a bucket before CloudFormation deletes it, and says so to CloudFormation whatever happens."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

logger = Logger()

_SAFETY_MARGIN_MS = 20_000
_SPACE = 0x20
_REFUSAL = "NoMoreWrites"
_LONGEST_REASON = 1_000  # CloudFormation refuses an answer of more than 4096 bytes.


class NotEmptyYetError(Exception):
    """There was more in the bucket than one call can delete."""


def handler(event: dict[str, Any], context: Any) -> None:
    """Answer one custom resource request; only a deletion does anything."""
    bucket = event["ResourceProperties"]["BucketName"]
    outcome = {"Status": "SUCCESS", "Reason": "nothing to do"}
    if event["RequestType"] == "Delete":
        outcome = _emptied(bucket, event["ResourceProperties"]["BucketArn"], context)
    _answer(event, {**outcome, "PhysicalResourceId": f"emptied-{bucket}"})


def _emptied(bucket: str, arn: str, context: Any) -> dict[str, str]:
    # Any failure has to reach CloudFormation: a request without an answer blocks the stack for an hour.
    try:
        deleted = empty(_s3(), bucket, arn, context)
    except Exception as failure:
        logger.exception("bucket not emptied", extra={"bucket": bucket})
        return {"Status": "FAILED", "Reason": f"{bucket} was not emptied: {failure}"[:_LONGEST_REASON]}
    logger.info("bucket emptied", extra={"bucket": bucket, "versions": deleted})
    return {"Status": "SUCCESS", "Reason": f"{deleted} versions deleted"}


def empty(s3: S3Client, bucket: str, arn: str, context: Any) -> int:
    """Refuse further writes, delete every version and delete marker, and return how many there were.

    A bucket that no longer exists is empty.

    Raises:
        NotEmptyYetError: Time ran out, or S3 refused to delete something.
    """
    try:
        _refuse_writes(s3, bucket, arn)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return 0
        raise
    deleted = 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions: list[ObjectIdentifierTypeDef] = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if versions and context.get_remaining_time_in_millis() < _SAFETY_MARGIN_MS:
            raise NotEmptyYetError(
                f"{deleted} versions are deleted and there are more; delete the stack again"
            )
        _delete(s3, bucket, versions)
        deleted += len(versions)
    return deleted


def _delete(s3: S3Client, bucket: str, versions: list[ObjectIdentifierTypeDef]) -> None:
    # A key with a control character cannot stand in the XML that names many keys at once.
    alone = [version for version in versions if any(ord(sign) < _SPACE for sign in version["Key"])]
    for version in alone:
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    together = [version for version in versions if version not in alone]
    if not together:
        return
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": together, "Quiet": True})
    for refused in answer.get("Errors", []):
        raise NotEmptyYetError(f"S3 refused to delete {refused.get('Key')}: {refused.get('Message')}")


def _refuse_writes(s3: S3Client, bucket: str, arn: str) -> None:
    """Keep services that still deliver from filling the bucket again."""
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    refusal = {
        "Sid": _REFUSAL,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{arn}/*",
    }
    others = [statement for statement in policy["Statement"] if statement.get("Sid") != _REFUSAL]
    policy["Statement"] = [*others, refusal]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def _answer(event: dict[str, Any], outcome: dict[str, str]) -> None:
    body = json.dumps(
        {**outcome, **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}}
    ).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT")  # noqa: S310  (CloudFormation's own URL)
    request.add_header("Content-Type", "")
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass


def _s3() -> S3Client:
    import boto3
    from botocore.config import Config

    client: S3Client = boto3.client(
        "s3", config=Config(retries={"mode": "standard", "total_max_attempts": 5})
    )
    return client
