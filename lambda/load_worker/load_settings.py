"""What the stack tells the function, and the requests that it sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class NoPayloadsError(ValueError):
    """The object with the payloads is empty."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of the function."""

    endpoint_name: str
    payload_bucket: str
    payload_key: str
    content_type: str
    seconds: float
    warm_up_seconds: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; a missing name fails every call, loudly."""
    return Settings(
        endpoint_name=environment["ENDPOINT_NAME"],
        payload_bucket=environment["PAYLOAD_BUCKET"],
        payload_key=environment["PAYLOAD_KEY"],
        content_type=environment["CONTENT_TYPE"],
        seconds=float(environment["SECONDS"]),
        warm_up_seconds=float(environment["WARM_UP_SECONDS"]),
    )


def payloads_in(body: bytes) -> tuple[bytes, ...]:
    """Return the requests, one in a line.

    Raises:
        NoPayloadsError: There are none.
    """
    found = tuple(line for piece in body.split(b"\n") if (line := piece.strip()))
    if not found:
        raise NoPayloadsError("the object with the payloads holds no line")
    return found
