"""What a rehearsal fails with; each message is one line that a person can act on."""

from __future__ import annotations


class RehearsalError(Exception):
    """The rehearsal cannot start or go on."""


class WalkthroughFailed(RehearsalError):  # noqa: N818 - reads as what happened
    """Something that the walkthrough claims does not hold."""


class StepFailed(RehearsalError):  # noqa: N818 - reads as what happened
    """A step of the deployment failed or took too long; ``details`` is what it printed."""

    def __init__(self, message: str, details: str = "") -> None:
        """Keep ``details`` for the report."""
        super().__init__(message)
        self.details = details


class QueryFailed(WalkthroughFailed):
    """An Athena query ended without a result; the message is Athena's reason."""
