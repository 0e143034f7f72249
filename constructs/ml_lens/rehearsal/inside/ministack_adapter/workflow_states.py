"""The states that MiniStack runs for JSONPath only, and the errors that nothing may catch."""

from __future__ import annotations

import contextvars
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ministack.services import stepfunctions

from ml_lens.rehearsal.inside.ministack_adapter import workflows
from ml_lens.rehearsal.inside.workflow_clock import Branch
from ml_lens.rehearsal.inside.workflow_items import MapSettings, batches, within_tolerance

_TERMINAL = ("States.Runtime", "States.DataLimitExceeded")
_INLINE_AT_ONCE = 40
_CHILDREN_AT_ONCE = 100

State = Mapping[str, Any]
Context = dict[str, Any]


def complete_jsonata() -> None:
    """Run every kind of state in JSONata, and stop between states where a run is no longer wanted."""
    _keep_terminal_errors()
    _end_with_output()
    _choose_with_output()
    _evaluate_time_limits()
    stepfunctions._run_parallel_branches = _parallel
    original = stepfunctions._run_map_items
    stepfunctions._run_map_items = lambda state, given, execution, ctx: (
        _map(state, given, execution, ctx)
        if _is_jsonata(state, ctx)
        else original(state, given, execution, ctx)
    )
    for kind in ("_execute_pass", "_execute_choice", "_execute_wait", "_execute_task"):
        setattr(stepfunctions, kind, _only_while_running(getattr(stepfunctions, kind)))


def _is_jsonata(state: State, ctx: Context | None) -> bool:
    return bool(stepfunctions._state_query_language(state, ctx) == "JSONata")


def _only_while_running(execute: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any) -> Any:
        workflows.require_running()
        return execute(*arguments)

    return checked


def _keep_terminal_errors() -> None:
    matches = stepfunctions._error_matches

    def matched(named: Sequence[str], error: str) -> bool:
        return error in named if error in _TERMINAL else bool(matches(named, error))

    stepfunctions._error_matches = matched


def _end_with_output() -> None:
    apply = stepfunctions._apply_output_path

    def applied(state: State, data: Any, ctx: Context | None = None) -> Any:
        if state.get("Type") == "Succeed" and _is_jsonata(state, ctx):
            return stepfunctions._apply_jsonata_output(state, data, ctx, default=data)
        return apply(state, data, ctx)

    stepfunctions._apply_output_path = applied


def _choose_with_output() -> None:
    choose = stepfunctions._execute_choice

    def chosen(state: State, given: Any, ctx: Context | None = None) -> Any:
        if _is_jsonata(state, ctx) and state.get("Default"):
            otherwise = {key: state[key] for key in ("Output", "Assign") if key in state}
            otherwise |= {"Condition": "{% true %}", "Next": state["Default"]}
            state = {**state, "Choices": [*state.get("Choices", []), otherwise]}
        return choose(state, given, ctx)

    stepfunctions._execute_choice = chosen


def _evaluate_time_limits() -> None:
    execute = stepfunctions._execute_task

    def executed(state: State, given: Any, execution: Any, ctx: Context) -> Any:
        limits = {}
        for limit in ("TimeoutSeconds", "HeartbeatSeconds"):
            if isinstance(state.get(limit), str):
                limits[limit] = stepfunctions._jsonata_state_field(state, limit, "number", given, ctx)
            elif f"{limit}Path" in state:
                limits[limit] = stepfunctions._resolve_path_or_ctx(state[f"{limit}Path"], given, ctx)
        return execute({**state, **limits}, given, execution, ctx)

    stepfunctions._execute_task = executed


def _beside_each_other(work: Sequence[Callable[[], Any]], at_once: int) -> list[Any]:
    """Return what all of ``work`` gives; the first error stops the rest, and is raised once nothing runs any more."""
    inner = Branch(workflows.branch.get())
    failed: list[Exception] = []

    def run(each: Callable[[], Any]) -> Any:
        workflows.branch.set(inner)
        try:
            workflows.require_running()
            return each()
        except Exception as error:
            failed.append(error)
            inner.stop()
            return None

    with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(work) or 1))) as pool:
        begun = [pool.submit(contextvars.copy_context().run, run, each) for each in work]
        results = [each.result() for each in begun]
    under_way = workflows.current.get()
    if under_way is not None:
        under_way.clock.join()
    if failed:
        raise failed[0]
    return results


def _parallel(state: State, given: Any, execution: Any, ctx: Context) -> Any:
    jsonata = _is_jsonata(state, ctx)
    if jsonata:
        handed = stepfunctions._apply_jsonata_arguments(state, given, ctx)
    else:
        handed = stepfunctions._apply_parameters(
            state, stepfunctions._apply_input_path(state, given, ctx), ctx
        )

    def one(branch: State) -> Callable[[], Any]:
        own = copy.deepcopy(ctx)
        return lambda: stepfunctions._run_sub_machine(
            branch["States"], branch["StartAt"], handed, execution, own
        )

    results = _beside_each_other([one(each) for each in state["Branches"]], len(state["Branches"]))
    return _finished(state, given, ctx, results, jsonata=jsonata)


def _finished(state: State, given: Any, ctx: Context, results: Any, *, jsonata: bool) -> Any:
    if jsonata:
        output = stepfunctions._apply_jsonata_output(state, given, ctx, result=results, default=results)
        stepfunctions._apply_state_assign(state, given, ctx, result=results)
    else:
        output = stepfunctions._apply_result_path(
            state, given, stepfunctions._apply_result_selector(state, results)
        )
        output = stepfunctions._apply_output_path(state, output, ctx)
    return output, stepfunctions._next_or_end(state)


def _map(state: State, given: Any, execution: Any, ctx: Context) -> Any:
    processor = state.get("ItemProcessor") or state.get("Iterator") or {}
    distributed = (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED"
    settings = MapSettings.of(
        state, lambda field: stepfunctions._jsonata_state_field(state, field, "number", given, ctx)
    )
    contexts = []
    for index, item in enumerate(_items(state, given, ctx)):
        own = copy.deepcopy(ctx)
        own["Map"] = {"Item": {"Index": index, "Value": item}}
        contexts.append(own)
    inputs = [_item_input(state, given, own) for own in contexts]
    if distributed and settings.batch_size:
        extra = stepfunctions._apply_jsonata_template(
            (state.get("ItemBatcher") or {}).get("BatchInput") or {}, given, ctx
        )
        inputs = batches(inputs, settings.batch_size, extra)
        contexts = [copy.deepcopy(ctx) for _ in inputs]
    failures: list[Any] = []

    def one(handed: Any, own: Context) -> Any:
        try:
            return stepfunctions._run_sub_machine(
                processor["States"], processor["StartAt"], handed, execution, own
            )
        except stepfunctions._ExecutionError as error:
            if not distributed or isinstance(error, workflows.Stopped):
                raise
            failures.append(error)
            if not within_tolerance(len(failures), len(inputs), settings):
                raise stepfunctions._ExecutionError(
                    "States.ExceedToleratedFailureThreshold",
                    "The specified tolerated failure threshold was exceeded",
                ) from error
            return {"Error": error.error, "Cause": error.cause}

    at_once = _CHILDREN_AT_ONCE if distributed else _INLINE_AT_ONCE
    results = _beside_each_other(
        [
            lambda handed=handed, own=own: one(handed, own)  # type: ignore[misc]
            for handed, own in zip(inputs, contexts, strict=True)
        ],
        min(settings.at_once or at_once, at_once),
    )
    return _finished(state, given, ctx, results, jsonata=True)


def _items(state: State, given: Any, ctx: Context) -> list[Any]:
    if state.get("ItemReader"):
        reader = stepfunctions._apply_jsonata_template(state["ItemReader"], given, ctx)
        return list(stepfunctions._read_map_items(reader, given, ctx))
    said = state.get("Items")
    # What is given holds data, in which nothing is evaluated.
    items = given if said is None else stepfunctions._apply_jsonata_template(said, given, ctx)
    if isinstance(items, dict):
        return [{"Key": key, "Value": value} for key, value in items.items()]
    if not isinstance(items, list):
        raise stepfunctions._ExecutionError(
            "States.QueryEvaluationError",
            f"The JSONata expression specified for the field 'Items' must give an array, got: {json.dumps(items)}",
        )
    return items


def _item_input(state: State, given: Any, own: Context) -> Any:
    selector = state.get("ItemSelector")
    if selector is None:
        return own["Map"]["Item"]["Value"]
    return stepfunctions._apply_jsonata_template(selector, given, own)
