"""Lambda function: count what a transform job read and what it wrote, and record where it is.

It reads the objects line by line and keeps none of them. When time runs out it tells places and sizes, and no counts
of records.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from counting import Deadline, count, summary_of
from places import Places, Run, read_places, read_run

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_s3 import S3Client

logger = Logger()

_SAFETY_MARGIN_MS = 30_000


# Said outright, so that no environment variable can bring keys of objects into the log.
@logger.inject_lambda_context(log_event=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the summary of one run, and keep it beside the results.

    Lens: BTR-01, BTR-02.
    """
    places, run = read_places(os.environ), read_run(event)
    s3 = _connect()
    deadline: Deadline = lambda: context.get_remaining_time_in_millis() < _SAFETY_MARGIN_MS  # noqa: E731
    output = f"{places.predictions}{run.request}/"
    read = count(s3, places.source_bucket, _inputs(s3, places, run), by_line=places.by_line, is_late=deadline)
    written = count(
        s3,
        places.results_bucket,
        _keys(s3, places.results_bucket, output),
        by_line=places.by_line,
        is_late=deadline,
    )
    summary = {
        "job": run.job,
        "run": run.run,
        "model_version": places.model_version,
        "started": run.started,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": f"s3://{places.results_bucket}/{output}",
        **summary_of(read, written),
    }
    key = f"{places.runs}{run.request}.json"
    s3.put_object(
        Bucket=places.results_bucket,
        Key=key,
        Body=json.dumps(summary, indent=2).encode(),
        ContentType="application/json",
    )
    logger.info("run summed up", job=run.job, read=asdict(read), written=asdict(written))
    return {**summary, "record": f"s3://{places.results_bucket}/{key}"}


def _inputs(s3: S3Client, places: Places, run: Run) -> list[str]:
    if not run.manifest:
        return _keys(s3, places.source_bucket, run.prefix)
    body = s3.get_object(Bucket=places.source_bucket, Key=run.manifest)["Body"].read()
    return places.named_in(body)


def _keys(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    # A key that ends in a slash is a folder that a console has drawn.
    return [
        each["Key"] for page in pages for each in page.get("Contents", []) if not each["Key"].endswith("/")
    ]


@cache
def _connect() -> S3Client:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
    s3: S3Client = boto3.client("s3", config=config)
    return s3
