"""Lambda function: ask an endpoint without pause, from several threads, and tell how fast it answers.

Every thread sends its next request when the last one is answered, so as many are under way as there are threads.
Nothing is tried again: a refused call is part of the result.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from driving import Load, drive
from load_settings import Settings, payloads_in, read_settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

_CONNECT_SECONDS = 3
# SageMaker gives a container a minute to answer.
_READ_SECONDS = 62


# Said outright, so that no environment variable can bring payloads into the log.
@logger.inject_lambda_context(log_event=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Drive the endpoint with ``threads`` requests at a time, and return counts and latencies.

    Lens: SCL-03, SCL-11.
    """
    settings = read_settings(os.environ)
    threads = int(event["threads"])
    runtime = _runtime(threads)

    def call(payload: bytes) -> None:
        answer = runtime.invoke_endpoint(
            EndpointName=settings.endpoint_name, ContentType=settings.content_type, Body=payload
        )
        answer["Body"].read()

    measured = drive(
        call,
        _payloads(settings),
        Load(threads=threads, warm_up=settings.warm_up_seconds, seconds=settings.seconds),
    )
    logger.info("endpoint driven", threads=threads, calls=measured.calls, failures=measured.failures)
    return measured.to_json()


@cache
def _payloads(settings: Settings) -> tuple[bytes, ...]:
    import boto3

    answer = boto3.client("s3").get_object(Bucket=settings.payload_bucket, Key=settings.payload_key)
    return payloads_in(answer["Body"].read())


@cache
def _runtime(threads: int) -> Any:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=max(10, threads),
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    return boto3.client("sagemaker-runtime", config=config)
