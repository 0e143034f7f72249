"""State machines: what their role needs before they exist, and what they write to their log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cloudwatch_logs, stepfunctions
from ministack.services.cloudformation import provisioners

from ml_lens.rehearsal.inside.ministack_adapter.access import Policies
from ml_lens.rehearsal.inside.ministack_adapter.roles import session, trust_refusal
from ml_lens.rehearsal.inside.workflow_log import DELIVERY_RIGHTS, LogSettings

logger = logging.getLogger("ml_lens.sandbox")

_STATES = "states.amazonaws.com"
_KIND = "AWS::StepFunctions::StateMachine"


def create_only_what_can_run(gate: Policies) -> None:
    """Refuse a state machine whose role Step Functions cannot take, or which could not log as it says."""
    for name in ("_create_state_machine", "_update_state_machine"):
        setattr(stepfunctions, name, _checked_call(getattr(stepfunctions, name), gate))
    handlers = provisioners._RESOURCE_HANDLERS[_KIND]
    create = handlers["create"]

    def created(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        refused = _refusal(
            str(properties.get("RoleArn", "")), LogSettings(properties.get("LoggingConfiguration")), gate
        )
        if refused:
            raise ValueError(f"{refused} (Service: AWSStepFunctions; Error Code: AccessDeniedException)")
        return create(logical_id, properties, stack)

    provisioners._RESOURCE_HANDLERS[_KIND] = {**handlers, "create": created}


def _checked_call(call: Callable[[dict[str, Any]], Any], gate: Policies) -> Callable[[dict[str, Any]], Any]:
    def checked(data: dict[str, Any]) -> Any:
        known = stepfunctions._state_machines.get(data.get("stateMachineArn", "")) or {}
        settings = LogSettings(data.get("loggingConfiguration") or known.get("loggingConfiguration"))
        refused = _refusal(str(data.get("roleArn") or known.get("roleArn", "")), settings, gate)
        if refused:
            return error_response_json("AccessDeniedException", refused, 400)
        return call(data)

    return checked


def _refusal(role: str, settings: LogSettings, gate: Policies) -> str | None:
    context = {"aws:SourceAccount": gate.account()}
    if trust_refusal(role, _STATES, gate, {**context, "aws:SourceArn": _any_machine(gate)}):
        return (
            f"Neither the global service principal {_STATES}, nor the regional one is authorized to assume the "
            "provided role."
        )
    if settings.is_on:
        caller = session(role, "states")["aws_access_key_id"]
        for action in DELIVERY_RIGHTS:
            if gate.refusal(caller, action, "*"):
                return (
                    "The state machine IAM Role is not authorized to access the Log Destination: "
                    f"it may not {action}"
                )
    return None


def _any_machine(gate: Policies) -> str:
    return f"arn:aws:states:{gate.region()}:{gate.account()}:stateMachine:*"


def log_events() -> None:
    """Write the events of executions to the log group of their state machine."""
    add = stepfunctions._add_event

    def added(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        event = add(execution, kind, details)
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
        settings = LogSettings(machine.get("loggingConfiguration")) if machine else None
        if settings and settings.is_on:
            first = execution["events"][0] if len(execution["events"]) == 2 else None
            for each in (first, event) if first else (event,):
                _write(settings, execution, each)
        return event

    stepfunctions._add_event = added


def _write(settings: LogSettings, execution: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    entry = settings.entry(execution, event)
    if entry is None:
        return
    now = int(time.time() * 1000)
    name, number = execution["stateMachineArn"].rpartition(":")[2], execution["executionArn"][-8:]
    stream = f"states/{name}/{datetime.now(UTC):%Y-%m-%d-%H-%M}/{number}"
    where = {"logGroupName": settings.group, "logStreamName": stream}
    cloudwatch_logs._create_log_stream(where)
    line = json.dumps({**entry, "event_timestamp": str(now)}, default=str)
    cloudwatch_logs._put_log_events({**where, "logEvents": [{"timestamp": now, "message": line}]})
