"""Lambda function: what an experiment's outcomes and health say about it.

Called when an experiment begins, for the sums it starts from; at every look, for a verdict; and after every shift of
traffic, for the health of the variant that got it. It reads sums and metrics, and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging import Logger
from experiment_judgement import UNHEALTHY, WAIT, Rules, Verdict, judge
from spending import Look
from sums import Sums, added_up
from variant_health import Promise, complaint, minutes, queries

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context(log_event=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one state of the experiment.

    Lens: AB-05, AB-06, AB-08, CHG-15.
    """
    rules = Rules.read(os.environ["RULES"])
    match event["phase"]:
        case "begin":
            baseline = {name: sums.to_json() for name, sums in _sums(rules).items()}
            return {"baseline": baseline, "looks": []}
        case "look":
            return _look(rules, event)
        case "step":
            wrong = _complaints(rules, event["since"]).get(event["variant"])
            return {"healthy": wrong is None, "reason": wrong or ""}
        case phase:
            raise ValueError(f"no phase {phase!r}")


def _look(rules: Rules, event: Mapping[str, Any]) -> dict[str, Any]:
    now, state = _sums(rules), event["state"]
    gained = {name: now[name] - Sums.from_json(state["baseline"][name]) for name in rules.variants}
    looks = [Look(each["time"], each["information"]) for each in state["looks"]]
    first, second = (gained[name] for name in rules.variants)
    verdict = _unhealthy(rules, _complaints(rules, event["since"]), looks) or judge(
        rules, first, second, looks, event["elapsed"]
    )
    answer = _answer(verdict, gained)
    if verdict.decision != WAIT or len(verdict.looks) > len(looks):
        logger.info("looked", **answer)
    return {"verdict": answer, "state": {**state, "looks": [asdict(look) for look in verdict.looks]}}


def _unhealthy(rules: Rules, wrong: Mapping[str, str], looks: list[Look]) -> Verdict | None:
    """Return the verdict on variants that fail or are late: the other one gets the traffic."""
    if not wrong:
        return None
    healthy = [name for name in rules.variants if name not in wrong]
    return Verdict(
        UNHEALTHY,
        "; ".join(f"{name}: {why}" for name, why in wrong.items()),
        winner=healthy[0] if healthy else "",
        looks=tuple(looks),
    )


def _answer(verdict: Verdict, gained: Mapping[str, Sums]) -> dict[str, Any]:
    compared = verdict.comparison
    return {
        "decision": verdict.decision,
        "reason": verdict.reason,
        "winner": verdict.winner,
        "looks": len(verdict.looks),
        "outcomes": {name: {"n": sums.n, "mean": sums.mean} for name, sums in gained.items()},
        "test": compared.test if compared else "",
        "difference": compared.difference if compared else None,
        "error": compared.error if compared else None,
        "p_value": compared.p_value if compared else None,
        "level": verdict.level,
    }


def _sums(rules: Rules) -> dict[str, Sums]:
    return {name: _sum(name) for name in rules.variants}


def _sum(variant: str) -> Sums:
    answer = _client("dynamodb").query(
        TableName=os.environ["OUTCOMES_TABLE"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"summary#{os.environ['ENDPOINT_NAME']}#{variant}"}},
        ConsistentRead=True,
    )
    return added_up(answer["Items"])


def _complaints(rules: Rules, since: str) -> dict[str, str]:
    """Return what is wrong with which variant, of late."""
    now = datetime.now(UTC)
    # Metrics come late: windows overlap.
    of_late = now - timedelta(seconds=int(os.environ["WINDOW_SECONDS"]))
    start = max(of_late, datetime.fromisoformat(since)).replace(second=0, microsecond=0)
    promise = Promise(float(os.environ["ERRORS_PERCENT"]), float(os.environ["LATENCY_MS"]))
    pages = list(
        _client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=queries(os.environ["ENDPOINT_NAME"], rules.variants),
            StartTime=start,
            EndTime=now + timedelta(minutes=1),
        )
    )
    found = {name: complaint(minutes(pages, number), promise) for number, name in enumerate(rules.variants)}
    return {name: wrong for name, wrong in found.items() if wrong is not None}


@cache
def _client(service: str) -> Any:
    # boto3 takes longer to import than everything else together.
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
    return boto3.client(service, config=config)
