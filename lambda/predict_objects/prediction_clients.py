"""The clients of the function, made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECT_SECONDS = 3
# SageMaker gives a container a minute to answer.
_READ_SECONDS = 65


@dataclass(frozen=True, slots=True)
class Connections:
    """What the function talks to."""

    s3: S3Client
    runtime: Any


@cache
def connect(parallel_calls: int) -> Connections:
    """Make the clients; the endpoint's keeps a connection for every parallel call."""
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=max(10, parallel_calls),
        retries={"mode": "standard", "total_max_attempts": 4},
    )
    return Connections(
        s3=boto3.client("s3", config=config), runtime=boto3.client("sagemaker-runtime", config=config)
    )
