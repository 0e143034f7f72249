"""What SageMaker needs of the rest of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StoredObject:
    """An object, and the key that encrypts it when it is written."""

    bucket: str
    key: str
    kms_key: str | None = None


class Cloud(Protocol):
    """Reads, writes and measures, with the rights of a role where one is named."""

    def place(self) -> tuple[str, str]:
        """Return account and Region of the request under way."""

    def session(self, role_arn: str) -> str:
        """Return an access key with the rights of ``role_arn``."""

    def may_be_assumed(self, role_arn: str) -> bool:
        """Return whether the trust policy of the role lets SageMaker in."""

    def read(self, caller: str, bucket: str, key: str) -> tuple[bytes | None, str]:
        """Return an object's bytes, or ``None`` and why not."""

    def write(self, caller: str, target: StoredObject, content: bytes) -> str | None:
        """Store an object, and return why that is refused, if it is."""

    def measure(self, dimensions: Mapping[str, str], values: Mapping[str, float]) -> None:
        """Record one value of each metric, now."""

    def log(self, caller: str, group: str, stream: str, lines: list[str]) -> None:
        """Write lines to a log, where the caller may."""
