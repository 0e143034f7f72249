"""MiniStack's stores, as SageMaker wants to see them."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import cloudwatch, cloudwatch_logs, eventbridge, iam, s3

from ml_lens.rehearsal.inside import alarms
from ml_lens.rehearsal.inside.ministack_adapter import alarms as judging
from ml_lens.rehearsal.inside.ministack_adapter.access import KEY_HEADER, Keys, Policies
from ml_lens.rehearsal.inside.permissions import Context, through
from ml_lens.rehearsal.inside.sagemaker.cloud import StoredObject

logger = logging.getLogger("ml_lens.sandbox")

_SHORTEST_PERIOD = 0.4
"""Seconds of an alarm's period, however much time is shortened: shorter ones hold too few calls."""
_TICK = 0.1
_BETWEEN_LOOKS_AT_ALARMS = 0.5
_NAMESPACES = {False: "AWS/SageMaker", True: "/aws/sagemaker/Endpoints"}


class MiniStackCloud:
    """The rest of the sandbox, as SageMaker sees it."""

    def __init__(self, gate: Policies, keys: Keys) -> None:
        """Ask ``gate`` for every right."""
        self._gate = gate
        self._keys = keys
        self._lock = threading.Lock()
        self._tick = 0
        self._counted: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._looked = 0.0

    def place(self) -> tuple[str, str]:
        """Return account and Region of the request under way."""
        return self._gate.account(), self._gate.region()

    def session(self, role_arn: str) -> str:
        """Return an access key with the rights of ``role_arn``."""
        account, region = self.place()
        # MiniStack has sessions for functions only; the name of the role makes this one differ from theirs.
        name = f"sagemaker-{role_arn.rpartition('/')[2]}"[:64]
        config = {
            "Role": role_arn,
            "FunctionArn": f"arn:aws:lambda:{region}:{account}:function:{name}",
            "FunctionName": name,
        }
        return str(lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"])

    def may_be_assumed(self, role_arn: str) -> bool:
        """Return whether the trust policy of the role lets SageMaker in."""
        role = iam._roles.get(role_arn.rpartition("/")[2]) or {}
        return "sagemaker.amazonaws.com" in json.dumps(role.get("AssumeRolePolicyDocument", ""))

    def refusal(self, caller: str, action: str, resource: str, context: Context | None = None) -> str | None:
        """Return why ``caller`` may not do this, or ``None``."""
        return self._gate.refusal(caller, action, resource, context)

    def objects(self, caller: str, bucket: str, prefix: str) -> tuple[list[str], str]:
        """Return the keys below a prefix, and why they cannot be had if so."""
        refusal = self.refusal(caller, "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix})
        if refusal or bucket not in s3._buckets:
            return [], refusal or "The specified bucket does not exist."
        return sorted(key for key in s3._buckets[bucket]["objects"] if key.startswith(prefix)), ""

    def read(self, caller: str, bucket: str, key: str) -> tuple[bytes | None, str]:
        """Return an object's bytes, or ``None`` and why not."""
        refusal = self.refusal(caller, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        used = None if refusal else self._keys.of_object(bucket, key, None)
        if used:
            refusal = self.refusal(caller, "kms:Decrypt", used, through("s3", self._gate))
        if refusal:
            return None, refusal
        content: bytes | None = s3._get_object_data(bucket, key) if bucket in s3._buckets else None
        return content, "" if content is not None else "The specified key does not exist."

    def write(self, caller: str, target: StoredObject, content: bytes) -> str | None:
        """Store an object, and return why that is refused, if it is."""
        arn = f"arn:aws:s3:::{target.bucket}/{target.key}"
        refusal = self.refusal(caller, "s3:PutObject", arn)
        used = self._keys.arn(target.kms_key or "") or self._keys.of_bucket(target.bucket)
        if used and not refusal:
            refusal = self.refusal(caller, "kms:GenerateDataKey", used, through("s3", self._gate))
        if not refusal:
            headers = {"x-amz-server-side-encryption": "aws:kms", KEY_HEADER: used} if used else {}
            status, _, body = s3._put_object(target.bucket, target.key, content, headers)
            refusal = None if status < 300 else body.decode(errors="replace")
        if refusal:
            logger.warning("SageMaker cannot write %s: %s", arn, refusal)
        return refusal

    def measure(
        self, dimensions: Mapping[str, str], values: Mapping[str, float], *, of_instances: bool = False
    ) -> None:
        """Record one value of each metric, now; equal values of the same moment are counted, not kept."""
        now = time.time()
        tick, place, space = int(now / _TICK), self.place(), _NAMESPACES[of_instances]
        named = dict(dimensions)
        key = cloudwatch._dims_key(named)
        with self._lock:
            if tick != self._tick:
                self._tick, self._counted = tick, {}
            for name, value in values.items():
                known = (place, space, name, key, value)
                point = self._counted.get(known)
                if point is not None:
                    point["Count"] += 1.0
                    continue
                point = {"Timestamp": tick * _TICK, "Unit": "None", "Dimensions": named}
                point |= {"Value": float(value), "Count": 1.0}
                self._counted[known] = point
                cloudwatch._metric_bucket((space, name, key)).append(point)
            look = now - self._looked > _BETWEEN_LOOKS_AT_ALARMS
            self._looked = now if look else self._looked
        if look:
            cloudwatch._evaluate_all_alarms()

    def log(self, caller: str, group: str, stream: str, lines: list[str]) -> None:
        """Write lines to a log, where the caller may."""
        account, region = self.place()
        whole = f"arn:aws:logs:{region}:{account}:log-group:{group}"
        needed = [("logs:CreateLogGroup", whole)] if group not in cloudwatch_logs._log_groups else []
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            needed.append((action, f"{whole}:log-stream:{stream}"))
        for action, resource in needed:
            refusal = self.refusal(caller, action, resource)
            if refusal:
                logger.warning("an endpoint has no log: %s", refusal)
                return
        where = {"logGroupName": group, "logStreamName": stream}
        if len(needed) > len(("stream", "events")):
            cloudwatch_logs._create_log_group({"logGroupName": group})
        cloudwatch_logs._create_log_stream(where)
        now = int(time.time() * 1000)
        cloudwatch_logs._put_log_events(
            {**where, "logEvents": [{"timestamp": now, "message": line} for line in lines]}
        )

    def sounding(self, alarms: Sequence[str], since: float, scale: float) -> list[str]:
        """Return which of ``alarms`` went off since a time, where ``scale`` seconds count as one."""
        return [name for name in alarms if _sounds(name, since, scale)]

    def announce(self, kind: str, resource: str, detail: Mapping[str, Any]) -> None:
        """Send an event of SageMaker to the default bus."""
        entry = {
            "Source": "aws.sagemaker",
            "DetailType": kind,
            "Detail": json.dumps(detail),
            "Resources": [resource],
        }
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def _sounds(name: str, since: float, scale: float) -> bool:
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    if alarm is None or not alarm.get("ComparisonOperator"):
        return alarm is not None and alarm["StateValue"] == "ALARM"
    if alarm["StateValue"] == "ALARM":
        return True
    shortened = {**alarm, "Period": max(float(alarm.get("Period", 60)) * scale, _SHORTEST_PERIOD)}
    now = time.time()
    if now - since < shortened["Period"] * int(alarm.get("EvaluationPeriods", 1)):
        return False
    points = [each for each in judging._points(alarm) if each["Timestamp"] >= since]
    state, reason = alarms.judged(shortened, points, judging._statistic(alarm), now)
    if state != "ALARM":
        return False
    cloudwatch._set_alarm_state(
        {}, {"AlarmName": name, "StateValue": state, "StateReason": reason}, False, True
    )
    return True
