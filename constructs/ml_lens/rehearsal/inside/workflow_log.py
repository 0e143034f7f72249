"""What a state machine writes to its log group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DELIVERY_RIGHTS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
"""What the role of a state machine that logs needs, on everything."""

_ERRORS = ("Failed", "TimedOut", "Aborted")
_DATA = ("input", "output", "cause")


class LogSettings:
    """How a state machine logs, as a template or the API says it."""

    def __init__(self, configuration: Mapping[str, Any] | None) -> None:
        """Read a logging configuration."""
        said = _lower(configuration or {})
        self.level = str(said.get("level", "OFF"))
        self.has_data = str(said.get("includeexecutiondata", False)).lower() == "true"
        self.group = ""
        for destination in said.get("destinations") or []:
            arn = str((destination.get("cloudwatchlogsloggroup") or {}).get("loggrouparn", ""))
            self.group = arn.removesuffix(":*").partition(":log-group:")[2]

    @property
    def is_on(self) -> bool:
        """Whether anything is logged."""
        return self.level != "OFF" and bool(self.group)

    def entry(self, execution: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what is written for an event of an execution, or ``None``."""
        kind = str(event["type"])
        is_error = kind.endswith(_ERRORS)
        if self.level == "FATAL" and not (is_error and kind.startswith("Execution")):
            return None
        if self.level == "ERROR" and not is_error:
            return None
        told: dict[str, Any] = {}
        for key, value in event.items():
            if key.endswith("EventDetails") and isinstance(value, Mapping):
                told |= {name: each for name, each in value.items() if self.has_data or name not in _DATA}
        return {
            "id": str(event["id"]),
            "type": kind,
            "details": told,
            "previous_event_id": str(max(int(event["id"]) - 1, 0)),
            "execution_arn": execution["executionArn"],
        }


def _lower(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key).lower(): _lower(each) for key, each in value.items()}
    return [_lower(each) for each in value] if isinstance(value, list) else value
