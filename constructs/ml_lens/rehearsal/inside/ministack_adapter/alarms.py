"""Alarms: judged by exactly their own metric, promptly, and again when data grows old."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch

from ml_lens.rehearsal.inside import alarms

logger = logging.getLogger("ml_lens.sandbox")

_BETWEEN_LOOKS = 1.0
_SET_BY_HAND = 10.0
_set_at: dict[str, float] = {}


def judge_alarms() -> None:
    """Replace MiniStack's evaluation, which mixes the data of all dimensions and knows no missing data."""
    set_state, read = cloudwatch._set_alarm_state, cloudwatch._get_metric_data

    def evaluate(alarm: dict[str, Any]) -> None:
        if not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in alarms._COMPARE:
            return
        if time.time() - _set_at.get(alarm["AlarmName"], 0) < _SET_BY_HAND:
            return
        state, reason = alarms.judged(alarm, _points(alarm), _statistic(alarm), time.time())
        old = alarm["StateValue"]
        if state != old:
            _change(alarm, old, state, reason)

    def set_by_hand(params: Any, cbor: Any, *rest: Any) -> Any:
        """Keep a state that somebody sets for a while: on AWS it lasts until the next period is judged."""
        named = (cbor or {}).get("AlarmName") or cloudwatch._p(params, "AlarmName")
        _set_at[str(named)] = time.time()
        return set_state(params, cbor, *rest)

    def get_metric_data(params: Any, cbor: Any, *rest: Any) -> Any:
        """Begin with the whole minute in which the asked time lies, as CloudWatch does."""
        begin = cloudwatch._parse_ts((cbor or {}).get("StartTime"))
        if begin is not None:
            cbor = {**cbor, "StartTime": begin // 60 * 60}
        return read(params, cbor, *rest)

    cloudwatch._get_metric_data = get_metric_data
    cloudwatch._evaluate_alarm = evaluate
    cloudwatch._set_alarm_state = set_by_hand
    threading.Thread(target=_look_again, daemon=True).start()


def _points(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    wanted = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    return [
        point
        for (space, name, dimensions), points in list(cloudwatch._metrics.items())
        if (space, name, dimensions) == (alarm.get("Namespace"), alarm.get("MetricName"), wanted)
        for point in points
    ]


def _statistic(alarm: Mapping[str, Any]) -> alarms.Value:
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"

    def value(points: Sequence[alarms.Point]) -> float | None:
        statistics = cloudwatch._calc_stats(points)
        found: float | None = cloudwatch._stat_value(statistics, name, points) if statistics else None
        return found

    return value


def _change(alarm: dict[str, Any], old: str, state: str, reason: str) -> None:
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _look_again() -> None:
    """Judge every alarm again now and then: data becomes old without anything happening."""
    while True:
        time.sleep(_BETWEEN_LOOKS)
        for (account, region, _), alarm in list(cloudwatch._alarms._data.items()):
            try:
                with responses.request_scope(account, region):
                    cloudwatch._evaluate_alarm(alarm)
            except Exception:
                logger.exception("an alarm could not be judged")
