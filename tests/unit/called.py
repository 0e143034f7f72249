"""Functions for the tests: called as Lambda calls them, with clients whose answers a test gives."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.response import StreamingBody
from botocore.stub import Stubber


def client(service: str) -> tuple[Any, Stubber]:
    """A real client that sends nothing."""
    made: Any = boto3.client(service, aws_access_key_id="test", aws_secret_access_key="test")
    stub = Stubber(made)
    stub.activate()
    return made, stub


def body(content: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(content), len(content))


def context(*remaining_ms: int) -> Any:
    """A call's context; each question for the time that is left gets the next answer, and the last one for ever."""
    left = list(remaining_ms or (900_000,))
    return SimpleNamespace(
        function_name="function",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:function",
        aws_request_id="request",
        get_remaining_time_in_millis=lambda: left.pop(0) if len(left) > 1 else left[0],
    )
