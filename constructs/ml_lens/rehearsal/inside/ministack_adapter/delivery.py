"""Events and messages on their way to queues and functions."""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core import responses
from ministack.services import eventbridge, lambda_svc, s3, sqs

from ml_lens.rehearsal.inside.encryption import QueueReader
from ml_lens.rehearsal.inside.ministack_adapter.access import Keys, Policies, function_role
from ml_lens.rehearsal.inside.permissions import through

logger = logging.getLogger("ml_lens.sandbox")

_CONCURRENT_BATCHES = 2


def _readers_of(queue_arn: str) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    for account, region, mapping in lambda_svc._iter_all_esms():
        if mapping.get("EventSourceArn") == queue_arn and mapping.get("Enabled", True):
            with responses.request_scope(account, region):
                _, config = lambda_svc._get_func_record_for_qualifier(
                    mapping["FunctionName"], mapping.get("Qualifier")
                )
            if config:
                yield mapping, config


def poll_queues_as_the_function(reader: QueueReader) -> None:
    """Let an event source read a queue only where its function's role may."""
    receive = sqs._receive_messages_for_esm
    lambda_svc._ESM_SQS_DEFAULT_CONCURRENCY = _CONCURRENT_BATCHES

    def receive_as_function(url: str, most: int) -> list[dict[str, Any]]:
        queue = sqs._queues.get(url)
        for mapping, config in _readers_of(queue["attributes"]["QueueArn"] if queue else ""):
            refused = reader.refusal(function_role(config), mapping["EventSourceArn"], url)
            if refused:
                if mapping.get("LastProcessingResult") != refused:
                    logger.warning("event source of %s: %s", config.get("FunctionName"), refused)
                mapping["LastProcessingResult"] = refused
                return []
        batch: list[dict[str, Any]] = []
        while len(batch) < int(most or 1):
            more = receive(url, int(most) - len(batch))
            if not more:
                break
            batch += more
        return batch

    sqs._receive_messages_for_esm = receive_as_function


_event_version: contextvars.ContextVar[str | None] = contextvars.ContextVar("event_version", default=None)
_event_rule: contextvars.ContextVar[str] = contextvars.ContextVar("event_rule", default="")


def complete_object_events() -> None:
    """Name the object's version in the events that S3 sends to EventBridge."""
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*args: Any, **kwargs: Any) -> None:
        token = _event_version.set(kwargs.get("version_id"))
        try:
            fire(*args, **kwargs)
        finally:
            _event_version.reset(token)

    def dispatch_with_version(event: dict[str, Any], view: Any = None) -> None:
        version = _event_version.get()
        if event.get("Source") == "aws.s3" and version:
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        dispatch(event, view)

    s3._fire_s3_event = fire_with_version
    eventbridge._dispatch_event = dispatch_with_version


def deliver_events_as_the_service(gate: Policies, keys: Keys) -> None:
    """Let EventBridge send to a queue only where the queue's policy and its key's policy let it."""
    invoke, send = eventbridge._invoke_target, eventbridge._dispatch_to_sqs
    service = "events.amazonaws.com"

    def invoke_for_rule(target: Any, event: Any, rule: Any, view: Any = None) -> None:
        token = _event_rule.set(rule.get("Arn", ""))
        try:
            invoke(target, event, rule, view)
        finally:
            _event_rule.reset(token)

    def send_if_allowed(spec: Any, payload: str, parameters: Any = None) -> None:
        arn, rule, account = str(spec), _event_rule.get(), gate.account()
        refused = None
        if not sqs.queue_policy_allows(arn, service, rule, account):
            refused = f"the policy of {arn} does not let {service} sqs:SendMessage"
        queue = sqs._queue_by_arn(arn)
        key = keys.of_queue(queue["url"]) if queue else None
        if key and not refused:
            # EventBridge tells KMS neither the rule nor the account: a condition on them drops every event.
            context = through("sqs", gate)
            for action in ("kms:GenerateDataKey", "kms:Decrypt"):
                refused = refused or gate.service_refusal(service, action, key, context)
        if refused:
            logger.warning("EventBridge lost an event of %s: %s", rule, refused)
            return
        send(spec, payload, parameters)

    eventbridge._invoke_target = invoke_for_rule
    eventbridge._dispatch_to_sqs = send_if_allowed
