"""When an alarm goes off: the periods that count, and what missing data means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Point = Mapping[str, Any]
Value = Callable[[Sequence[Point]], float | None]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def periods(points: Iterable[Point], period: float, count: int, now: float) -> list[list[Point]]:
    """Return the points of the last ``count`` periods, the newest first.

    The periods end now, and not at the last full minute: so an alarm is as prompt as its data.
    """
    found: list[list[Point]] = [[] for _ in range(count)]
    for point in points:
        age = now - float(point["Timestamp"])
        at = int(max(age, 0) // period)
        if at < count:
            found[at].append(point)
    return found


def judged(alarm: Mapping[str, Any], points: Iterable[Point], value: Value, now: float) -> tuple[str, str]:
    """Return the state that an alarm is in, and why.

    Args:
        alarm: The alarm, as CloudWatch describes it.
        points: The data of its metric, with exactly its dimensions.
        value: Gives the alarm's statistic of a period's data.
        now: The time.
    """
    count = int(alarm.get("EvaluationPeriods", 1))
    needed = int(alarm.get("DatapointsToAlarm") or count)
    threshold = float(alarm.get("Threshold", 0))
    compare = _COMPARE[str(alarm.get("ComparisonOperator"))]
    values = [
        value(each) if each else None for each in periods(points, float(alarm.get("Period", 60)), count, now)
    ]
    known = [each for each in values if each is not None]
    missing, treated = len(values) - len(known), str(alarm.get("TreatMissingData") or "missing")
    breaching = sum(compare(each, threshold) for each in known)
    if treated == "breaching":
        breaching += missing
    told = f"{[round(each, 6) for each in known]} {alarm.get('ComparisonOperator')} {threshold}"
    if breaching >= needed:
        return "ALARM", f"Threshold Crossed: {breaching} out of the last {count} datapoints: {told}"
    if not known and treated == "missing":
        return "INSUFFICIENT_DATA", "Insufficient Data: no datapoints were received"
    if not known and treated == "ignore":
        return str(alarm.get("StateValue", "INSUFFICIENT_DATA")), "Unchanged: no datapoints were received"
    return "OK", f"Threshold not crossed: {told}"
