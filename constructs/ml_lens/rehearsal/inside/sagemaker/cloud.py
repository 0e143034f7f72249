"""What SageMaker needs of the rest of the sandbox."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

_PLACES = (
    re.compile(r"s3://([^/]+)/?(.*)"),
    re.compile(r"https://s3[.-][a-z0-9-]+\.amazonaws\.com/([^/]+)/?(.*)"),
    re.compile(r"https://([^/]+)\.s3[.-][a-z0-9-]+\.amazonaws\.com/(.*)"),
)


@dataclass(frozen=True)
class StoredObject:
    """An object, and the key that encrypts it when it is written."""

    bucket: str
    key: str
    kms_key: str | None = None


def place_of(url: str) -> StoredObject | None:
    """Return the place in S3 that a URL names, in any of the spellings that SageMaker takes."""
    for pattern in _PLACES:
        found = pattern.fullmatch(url)
        if found:
            return StoredObject(found[1], found[2])
    return None


class Cloud(Protocol):
    """Reads, writes and measures, with the rights of a role where one is named."""

    def place(self) -> tuple[str, str]:
        """Return account and Region of the request under way."""

    def session(self, role_arn: str) -> str:
        """Return an access key with the rights of ``role_arn``."""

    def may_be_assumed(self, role_arn: str) -> bool:
        """Return whether the trust policy of the role lets SageMaker in."""

    def refusal(
        self, caller: str, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> str | None:
        """Return why ``caller`` may not do this, in AWS's wording, or ``None``."""

    def objects(self, caller: str, bucket: str, prefix: str) -> tuple[list[str], str]:
        """Return the keys below a prefix, and why they cannot be had if so."""

    def read(self, caller: str, bucket: str, key: str) -> tuple[bytes | None, str]:
        """Return an object's bytes, or ``None`` and why not."""

    def write(self, caller: str, target: StoredObject, content: bytes) -> str | None:
        """Store an object, and return why that is refused, if it is."""

    def measure(
        self, dimensions: Mapping[str, str], values: Mapping[str, float], *, of_instances: bool = False
    ) -> None:
        """Record one value of each metric, now; those of instances are in a namespace of their own."""

    def log(self, caller: str, group: str, stream: str, lines: list[str]) -> None:
        """Write lines to a log, where the caller may."""

    def sounding(self, alarms: Sequence[str], since: float, scale: float) -> list[str]:
        """Return which of ``alarms`` went off since a time, where ``scale`` seconds count as one."""

    def announce(self, kind: str, resource: str, detail: Mapping[str, Any]) -> None:
        """Send an event of SageMaker to the default bus."""
