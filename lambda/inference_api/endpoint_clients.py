"""The clients of the function, made once, when the first request needs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_calls import Runtime

_CONNECT_SECONDS = 1
_SPARE_SECONDS = 3


def clients_within(answer_seconds: int) -> Callable[[float], Runtime]:
    """Return what finds the client that is over within so many seconds.

    botocore fixes its patience when a client is made, so there is one for the first attempt and up to three less
    patient ones for what is tried again with little time left.

    Args:
        answer_seconds: Time the function has for one answer.
    """
    most = max(1, answer_seconds - _SPARE_SECONDS)
    patience = sorted({most, max(1, most // 2), max(1, most // 4), 1}, reverse=True)

    def within(seconds: float) -> Runtime:
        return _runtime(next((each for each in patience if each <= seconds), 1))

    return within


@cache
def _runtime(read_seconds: int) -> Runtime:
    runtime: Runtime = _client("sagemaker-runtime", read_seconds, attempts=1)
    return runtime


@cache
def dynamodb() -> Any:
    """Return the client for what is kept about predictions; it never holds an answer up for long."""
    return _client("dynamodb", read_seconds=1, attempts=2)


def _client(service: str, read_seconds: int, *, attempts: int) -> Any:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=read_seconds,
            tcp_keepalive=True,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )
