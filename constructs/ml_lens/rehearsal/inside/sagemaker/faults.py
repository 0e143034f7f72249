"""Errors in the words of SageMaker."""

from __future__ import annotations


class Fault(Exception):  # noqa: N818 - AWS's own word
    """An error that the service answers with."""

    def __init__(self, code: str, message: str, *, status: int = 400, **details: object) -> None:
        """Answer with ``code``, as botocore names it, and ``details`` beside the message."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details


def invalid(message: str) -> Fault:
    """Return the fault of a request that cannot be carried out."""
    return Fault("ValidationException", message)
