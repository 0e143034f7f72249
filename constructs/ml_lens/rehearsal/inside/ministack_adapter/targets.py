"""Events, schedules and alarms on their way to who hears of them: by which right they get there."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import cloudwatch, eventbridge, lambda_svc, scheduler, sns, sqs, stepfunctions

from ml_lens.rehearsal.inside import sdk_tasks
from ml_lens.rehearsal.inside.ministack_adapter.access import Keys, Policies
from ml_lens.rehearsal.inside.ministack_adapter.gateway import around
from ml_lens.rehearsal.inside.ministack_adapter.roles import RoleClients, session, trust_refusal
from ml_lens.rehearsal.inside.permissions import through
from ml_lens.rehearsal.inside.topic_keys import TopicEnforcement

logger = logging.getLogger("ml_lens.sandbox")

_EVENTS, _SCHEDULER, _ALARMS = "events.amazonaws.com", "scheduler.amazonaws.com", "cloudwatch.amazonaws.com"
_ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "states": "states:StartExecution",
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "events": "events:PutEvents",
}
_TICK = 0.5


class TopicKeyFinder:
    """Which customer-managed key is behind a topic."""

    def __init__(self, keys: Keys) -> None:
        """Find keys by ``keys``."""
        self._keys = keys

    def of_topic(self, arn: str) -> str | None:
        """Return the key, as an ARN."""
        topic = sns._topic_by_arn_any_scope(arn) or {}
        return self._keys.arn(str(topic.get("attributes", {}).get("KmsMasterKeyId") or ""))


def enforce_keys_of_topics(gate: Policies, keys: Keys) -> None:
    """Refuse messages to an encrypted topic of those who may not use its key."""
    around("sns", TopicEnforcement(gate, TopicKeyFinder(keys)).sns)


def start_targets_by_right(gate: Policies, keys: Keys) -> None:
    """Let a rule reach a target only by its role, or by the target's own policy where it needs none."""
    invoke = eventbridge._invoke_target

    def invoked(target: Mapping[str, Any], event: Any, rule: Mapping[str, Any], view: Any = None) -> None:
        if event.get("Source") == "aws.scheduler" and "ScheduleExpression" in rule and "Target" in rule:
            _fire(target, rule, gate)
            return
        arn = str(target.get("Arn", ""))
        refused = _refusal(arn, target, rule, gate, keys)
        if refused:
            logger.warning("EventBridge lost an event of %s: %s", rule.get("Arn"), refused)
            return
        invoke(target, event, rule, view)

    eventbridge._invoke_target = invoked
    scheduler._SCHEDULE_TICK_INTERVAL = _TICK


def _refusal(
    arn: str, target: Mapping[str, Any], rule: Mapping[str, Any], gate: Policies, keys: Keys
) -> str | None:
    service, source = arn.split(":")[2] if arn.count(":") > 4 else "", str(rule.get("Arn", ""))
    if target.get("RoleArn") or service == "states":
        return role_refusal(_EVENTS, str(target.get("RoleArn", "")), service, arn, source, gate)
    if service == "lambda":
        return _function_refusal(arn, _EVENTS, source, gate)
    if service == "sns":
        return topic_refusal(arn, _EVENTS, source, gate, keys)
    return None


def role_refusal(
    principal: str, role: str, service: str, target: str, source: str, gate: Policies
) -> str | None:
    """Return why ``principal`` may not reach ``target`` in ``role``, or ``None``."""
    refused = trust_refusal(
        role, principal, gate, {"aws:SourceArn": source, "aws:SourceAccount": gate.account()}
    )
    action = _ACTIONS.get(service)
    if refused or action is None:
        return refused
    caller = session(role, source.rpartition("/")[2] or "target")["aws_access_key_id"]
    return gate.refusal(caller, action, target)


def _function_refusal(arn: str, principal: str, source: str, gate: Policies) -> str | None:
    found = lambda_svc.function_policy_for_arn(arn)
    context = {"aws:sourcearn": source, "aws:sourceaccount": gate.account()}
    if found and _lets_in(found[0], principal, "lambda:InvokeFunction", arn, context):
        return None
    return f"the policy of {arn} does not let {principal} lambda:InvokeFunction"


def _lets_in(policy: Any, principal: str, action: str, arn: str, context: dict[str, Any]) -> bool:
    subject = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=arn,
        region=responses.get_region(),
        service_context=context,
    )
    verdict = iam_evaluator.evaluate_resource_policy(policy, subject, service=principal)
    return bool(verdict.decision == "Allow")


def topic_refusal(arn: str, principal: str, source: str, gate: Policies, keys: Keys) -> str | None:
    """Return why a service may not publish to a topic, or ``None``."""
    attributes = (sns._topic_by_arn_any_scope(arn) or {}).get("attributes", {})
    told = {"aws:sourcearn": source, "aws:sourceaccount": gate.account()}
    if principal != _EVENTS:
        # The policy that a topic begins with lets in whoever names its owner, which EventBridge does not.
        told["aws:sourceowner"] = gate.account()
    if not _lets_in(attributes.get("Policy") or "", principal, "sns:Publish", arn, told):
        return f"the policy of {arn} does not let {principal} sns:Publish"
    key = TopicKeyFinder(keys).of_topic(arn)
    if key is None:
        return None
    context = {**through("sns", gate), "aws:SourceArn": source, "aws:SourceAccount": gate.account()}
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        refused = gate.service_refusal(principal, action, key, context)
        if refused:
            return refused
    return None


def _fire(target: Mapping[str, Any], schedule: Mapping[str, Any], gate: Policies) -> None:
    """Send what a schedule says, as the scheduler does: always in the schedule's role."""
    arn, role, source = str(target["Arn"]), str(target.get("RoleArn", "")), str(schedule.get("Arn", ""))
    service = arn.split(":")[2]
    payload = _scheduled(str(target.get("Input") or "{}"), source)
    principal_source = source.rsplit("/", 1)[0].replace(":schedule/", ":schedule-group/")
    refused = role_refusal(_SCHEDULER, role, service, arn, principal_source, gate)
    if refused:
        logger.warning("the schedule %s did nothing: %s", source, refused)
        return
    scope = (responses.get_account_id(), responses.get_region())
    threading.Thread(target=_reach, args=(scope, arn, role, source, payload, gate), daemon=True).start()


def _reach(scope: tuple[str, str], arn: str, role: str, source: str, payload: str, gate: Policies) -> None:
    with responses.request_scope(*scope):
        match arn.split(":")[2]:
            case "states":
                stepfunctions._start_execution({"stateMachineArn": arn, "input": payload})
            case "lambda":
                eventbridge._dispatch_to_lambda(arn, payload)
            case "sqs":
                queue = sqs._queue_by_arn(arn)
                if queue:
                    sqs._act_send_message({"MessageBody": payload}, queue["url"])
            case "sns":
                sns.publish_internal(arn, payload)
            case "scheduler":
                _call(arn, role, source, payload, gate)


def _call(arn: str, role: str, source: str, payload: str, gate: Policies) -> None:
    """Make the call of a universal target, ``arn:aws:scheduler:::aws-sdk:<service>:<operation>``."""
    clients = RoleClients(session(role, source.rpartition("/")[2]), gate.region())
    try:
        sdk_tasks.call(arn, json.loads(payload), clients, ())
    except sdk_tasks.TaskFault as fault:
        logger.warning("the schedule %s failed: %s", source, fault)


def _scheduled(payload: str, source: str) -> str:
    told = {
        "schedule-arn": source,
        "scheduled-time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": responses.new_uuid(),
        "attempt-number": "1",
    }
    return re.sub(
        r"<aws\.scheduler\.([a-z-]+)>", lambda named: told.get(named.group(1), named.group()), payload
    )


def tell_alarms_as_the_service(gate: Policies, keys: Keys) -> None:
    """Let an alarm reach a topic or a function only where that lets CloudWatch in."""
    dispatch = cloudwatch._dispatch_alarm_actions

    def dispatched(alarm: Mapping[str, Any], old: str, new: str, reason: str) -> None:
        kinds = ("AlarmActions", "OKActions", "InsufficientDataActions")
        source = str(alarm.get("AlarmArn", ""))
        heard = {kind: [each for each in alarm.get(kind) or [] if _hears(each, source)] for kind in kinds}
        dispatch({**alarm, **heard}, old, new, reason)
        _tell_event_bus(alarm, old, new, reason)

    def _hears(action: str, source: str) -> bool:
        if action.split(":")[2:3] != ["sns"]:
            return False
        refused = topic_refusal(action, _ALARMS, source, gate, keys)
        if refused:
            logger.warning("nobody hears of %s: %s", source, refused)
        return refused is None

    cloudwatch._dispatch_alarm_actions = dispatched


def _tell_event_bus(alarm: Mapping[str, Any], old: str, new: str, reason: str) -> None:
    detail = {
        "alarmName": alarm.get("AlarmName"),
        "state": {"value": new, "reason": reason},
        "previousState": {"value": old},
        "configuration": {"description": alarm.get("AlarmDescription", "")},
    }
    entry = {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Detail": json.dumps(detail),
        "Resources": [alarm.get("AlarmArn", "")],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
