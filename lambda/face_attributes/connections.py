"""The clients of the function, made once, when the first batch needs them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# An attempt is over long before the function's 120 s are.
_CONNECT_SECONDS = 3
_READ_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Connections:
    """What the function talks to."""

    s3: S3Client
    rekognition: RekognitionClient
    sqs: SQSClient


@cache
def connect(parallel_calls: int) -> Connections:
    """Make the clients; each keeps a connection for every parallel call (Lens: QTA-02)."""
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    def config(attempts: int) -> Config:
        return Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=max(10, parallel_calls),
            retries={"mode": "standard", "total_max_attempts": attempts},
        )

    return Connections(
        s3=boto3.client("s3", config=config(attempts=5)),
        rekognition=boto3.client("rekognition", config=config(attempts=4)),
        sqs=boto3.client("sqs", config=config(attempts=5)),
    )
