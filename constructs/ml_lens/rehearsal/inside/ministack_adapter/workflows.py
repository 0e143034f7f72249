"""State machines: what their tasks may do, how long they take, and who hears how they end."""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from ml_lens.rehearsal.inside import sdk_tasks
from ml_lens.rehearsal.inside.ministack_adapter.access import Policies
from ml_lens.rehearsal.inside.ministack_adapter.roles import RoleClients, session, trust_refusal
from ml_lens.rehearsal.inside.sdk_tasks import OPTIMIZED, TaskFault
from ml_lens.rehearsal.inside.workflow_clock import Branch, WorkflowClock

logger = logging.getLogger("ml_lens.sandbox")

STATES = "states.amazonaws.com"
_ALL_FOR_EVER = 86_400.0 * 365


class Run:
    """An execution under way, as whoever runs inside it finds it."""

    def __init__(self, execution: dict[str, Any], machine: Mapping[str, Any]) -> None:
        """Run ``execution`` of ``machine``."""
        self.execution = execution
        self.machine = machine
        self.clock = WorkflowClock()
        self.branch = Branch(running=lambda: execution["status"] == "RUNNING")

    def credentials(self) -> dict[str, str]:
        """Return credentials of the state machine's role."""
        return session(self.machine["roleArn"], self.machine["name"])


current: contextvars.ContextVar[Run | None] = contextvars.ContextVar("workflow_run", default=None)
branch: contextvars.ContextVar[Branch | None] = contextvars.ContextVar("workflow_branch", default=None)


class Stopped(stepfunctions._ExecutionError):  # type: ignore[misc]
    """What is under way is no longer wanted; nothing catches this."""

    def __init__(self) -> None:
        """Stop."""
        super().__init__("States.Runtime", "stopped")


def require_running() -> None:
    """Stop here if the execution, or the branch, has been stopped."""
    here = branch.get()
    if here is not None and not here.runs:
        raise Stopped


def run_tasks_in_the_role(gate: Policies) -> None:
    """Let every task do what the state machine's role may, and nothing else."""
    original = stepfunctions._invoke_resource

    def invoke(resource: str, arguments: Any) -> Any:
        require_running()
        run = current.get()
        if run is None:
            return original(resource, arguments)
        try:
            return sdk_tasks.checked_size(_invoke(original, resource, arguments, run, gate))
        except TaskFault as fault:
            raise stepfunctions._ExecutionError(fault.error, fault.cause) from fault

    stepfunctions._invoke_resource = invoke
    stepfunctions._invoke_with_callback = _invoke_with_callback


def _invoke(original: Callable[..., Any], resource: str, arguments: Any, run: Run, gate: Policies) -> Any:
    refused = trust_refusal(
        run.machine["roleArn"],
        STATES,
        gate,
        {"aws:SourceArn": run.machine["stateMachineArn"], "aws:SourceAccount": gate.account()},
    )
    if refused:
        raise TaskFault("States.TaskFailed", refused)
    credentials = run.credentials()
    name = resource.split(":::", 1)[-1]
    if name.startswith("aws-sdk:") or name in OPTIMIZED:
        about = (run.execution["executionArn"], run.machine["stateMachineArn"])
        return sdk_tasks.call(resource, arguments, RoleClients(credentials, gate.region()), about)
    for action, asked in _needs(resource, arguments, gate):
        why = gate.refusal(credentials["aws_access_key_id"], action, asked)
        if why:
            raise _refusal(action, why)
    answer = original(resource, arguments)
    if "states:::lambda:invoke" in resource:
        return {"ExecutedVersion": "$LATEST", **answer}
    return answer


def _needs(resource: str, arguments: Any, gate: Policies) -> list[tuple[str, str]]:
    """Return the actions, and on what, that the role needs for a task that MiniStack runs itself."""
    if "states:::lambda:invoke" in resource or ":function:" in resource:
        named = arguments.get("FunctionName", "") if ":::" in resource else resource
        return [("lambda:InvokeFunction", _function_arn(named, gate))]
    if "states:::states:startExecution" in resource:
        child = str(arguments.get("StateMachineArn", ""))
        return [("states:StartExecution", child)]
    return []


def _function_arn(named: str, gate: Policies) -> str:
    if named.startswith("arn:"):
        return named
    return f"arn:aws:lambda:{gate.region()}:{gate.account()}:function:{named}"


def _refusal(action: str, why: str) -> TaskFault:
    if action == "lambda:InvokeFunction":
        cause = f"{why} (Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException)"
        return TaskFault("Lambda.AWSLambdaException", cause)
    cause = f"{why} (Service: AWSStepFunctions; Status Code: 400; Error Code: AccessDeniedException)"
    return TaskFault("StepFunctions.AWSStepFunctionsException", cause)


def _invoke_with_callback(resource: str, arguments: Any, token: str, state: Mapping[str, Any]) -> Any:
    """Run a task that ends when somebody hands its token back, in time and with a sign of life in between."""
    waiting: dict[str, Any] = {"event": threading.Event(), "result": None, "error": None, "heartbeat": None}
    stepfunctions._task_tokens[token] = waiting
    try:
        stepfunctions._invoke_resource(resource.replace(".waitForTaskToken", ""), arguments)
        _await(waiting, float(state.get("TimeoutSeconds", _ALL_FOR_EVER)), state.get("HeartbeatSeconds"))
    finally:
        stepfunctions._task_tokens.pop(token, None)
    if waiting["error"]:
        raise stepfunctions._ExecutionError(
            waiting["error"].get("Error", "TaskFailed"), waiting["error"].get("Cause", "")
        )
    return json.loads(waiting["result"] or "{}")


def _await(waiting: dict[str, Any], timeout: float, heartbeat: float | None) -> None:
    started = last = time.monotonic()
    seen = waiting["heartbeat"]
    while not waiting["event"].wait(0.05):
        require_running()
        now = time.monotonic()
        if waiting["heartbeat"] != seen:
            seen, last = waiting["heartbeat"], now
        if now - started > timeout:
            raise stepfunctions._ExecutionError("States.Timeout", f"Task timed out after {timeout:g} seconds")
        if heartbeat and now - last > float(heartbeat):
            raise stepfunctions._ExecutionError(
                "States.HeartbeatTimeout", f"no heartbeat within {heartbeat:g} seconds"
            )


def follow_executions() -> None:
    """Stop executions that are aborted or take too long, wherever inside them they are."""
    run_execution, sleep = stepfunctions._run_execution, stepfunctions._scaled_sleep
    fail = stepfunctions._fail_execution

    def run(arn: str) -> None:
        execution = stepfunctions._executions.get(arn)
        machine = execution and stepfunctions._state_machines.get(execution["stateMachineArn"])
        if not machine:
            run_execution(arn)
            return
        begun = Run(execution, dict(machine))
        outer = (current.set(begun), branch.set(begun.branch))
        try:
            _time_out(begun)
            run_execution(arn)
        finally:
            current.reset(outer[0])
            branch.reset(outer[1])

    def scaled_sleep(seconds: float) -> None:
        require_running()
        run = current.get()
        if run is None:
            sleep(seconds)
            return
        until = time.monotonic() + seconds * stepfunctions._SFN_WAIT_SCALE
        run.clock.leave_out(seconds * (1 - stepfunctions._SFN_WAIT_SCALE))
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            require_running()
        require_running()

    def fail_running(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    stepfunctions._run_execution = run
    stepfunctions._scaled_sleep = scaled_sleep
    stepfunctions._fail_execution = fail_running


def _time_out(run: Run) -> None:
    """End the execution when it has taken longer than its definition allows."""
    try:
        limit = json.loads(run.machine["definition"]).get("TimeoutSeconds")
    except ValueError:
        return
    if not limit:
        return
    execution = run.execution

    def watch() -> None:
        while execution["status"] == "RUNNING":
            if run.clock.passed > float(limit):
                execution.update(status="TIMED_OUT", stopDate=now_iso(), error="States.Timeout", cause=None)
                stepfunctions._add_event(
                    execution,
                    "ExecutionTimedOut",
                    {"executionTimedOutEventDetails": {"error": "States.Timeout"}},
                )
                stepfunctions._emit_execution_status_event(execution)
                return
            time.sleep(0.1)

    threading.Thread(target=contextvars.copy_context().run, args=(watch,), daemon=True).start()
