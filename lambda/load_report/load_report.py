"""Lambda function: sum up what workers measured at one level of load, and in the end write the report.

The state machine calls it after every level, to learn whether to go on, and once more with all levels.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from levels import level_of
from report_settings import read_settings
from report_text import markdown
from verdicts import report_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_s3 import S3Client

logger = Logger()


@logger.inject_lambda_context(log_event=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return one level summed up, or write the report of all of them.

    Lens: SCL-02, SCL-03, SCL-11.
    """
    settings = read_settings(os.environ)
    if event["phase"] == "level":
        level = level_of(event, settings.limits)
        logger.info("level measured", concurrency=level["concurrency"], rate=level["rate"])
        return level
    report = report_of(event, settings)
    folder = f"{settings.prefix}{event['name']}/"
    for name, kind, text in (
        ("report.json", "application/json", json.dumps(report, indent=2)),
        ("report.md", "text/markdown; charset=utf-8", markdown(report)),
    ):
        _connect().put_object(Bucket=settings.bucket, Key=folder + name, Body=text.encode(), ContentType=kind)
    logger.info("report written", suggested=report["suggested_calls_per_minute"])
    told = {name: report[name] for name in ("peak", "knee", "suggested_calls_per_minute", "stopped")}
    return {**told, "report": f"s3://{settings.bucket}/{folder}report.json"}


@cache
def _connect() -> S3Client:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5})
    s3: S3Client = boto3.client("s3", config=config)
    return s3
