"""A table in memory that answers as DynamoDB does what the function `record_outcomes` asks, and the function on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import record_outcomes
from botocore.exceptions import ClientError

ENDPOINT = "serving-churn-0123abcd"
AT = "2026-11-20T12:00:00+01:00"


def cancelled(*reasons: str) -> ClientError:
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "secret"},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(response, "TransactWriteItems")


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "secret"}}, "TransactWriteItems")


@dataclass
class Table:
    """Items by key; `before` runs ahead of every transaction, and may raise or change something."""

    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None

    def predict(self, inference_id: str, variant: str) -> None:
        self.items[f"inference#{ENDPOINT}#{inference_id}", "-"] = {"variant": {"S": variant}}

    def get_item(self, **request: Any) -> dict[str, Any]:
        assert request["TableName"] == "outcomes"
        assert request["ConsistentRead"]
        item = self.items.get(_key(request["Key"]))
        return {} if item is None else {"Item": dict(item)}

    def put_item(self, **request: Any) -> None:
        assert request["TableName"] == "outcomes"
        self.items[_key(request["Item"])] = request["Item"]

    def transact_write_items(self, **request: Any) -> None:
        self.before()
        outcome, total = (each["Update"] for each in request["TransactItems"])
        item = self.items.get(_key(outcome["Key"]), {})
        values = outcome["ExpressionAttributeValues"]
        assert outcome["ConditionExpression"].startswith("attribute_not_exists(#outcome) AND ")
        if "outcome" in item or item.get("variant", values[":variant"]) != values[":variant"]:
            raise cancelled("ConditionalCheckFailed", "None")
        self.items[_key(outcome["Key"])] = {
            **item,
            "outcome": values[":value"],
            "at": values[":at"],
            "variant": values[":variant"],
            "expires": values[":expires"],
        }
        added = total["ExpressionAttributeValues"]
        summed = self.items.setdefault(_key(total["Key"]), {})
        for name, value in (("n", ":one"), ("total", ":value"), ("squares", ":square")):
            before = Decimal(summed.get(name, {"N": "0"})["N"])
            summed[name] = {"N": str(before + Decimal(added[value]["N"]))}

    def summary(self, variant: str) -> tuple[int, Decimal, Decimal]:
        """Add a variant up as whoever reads the sums does."""
        found = [item for (pk, _), item in self.items.items() if pk == f"summary#{ENDPOINT}#{variant}"]
        n, total, squares = (
            sum((Decimal(item[name]["N"]) for item in found), Decimal(0))
            for name in ("n", "total", "squares")
        )
        return int(n), total, squares

    def rejections(self) -> list[tuple[str, str, str]]:
        return [
            (pk, item["reason"]["S"], item["detail"]["S"])
            for (pk, _), item in self.items.items()
            if pk.startswith("rejected#")
        ]


def outcome(inference_id: str = "i-1", value: object = 1, **changes: object) -> dict[str, object]:
    return {"endpoint": ENDPOINT, "inference_id": inference_id, "value": value, "at": AT, **changes}


@dataclass
class Function:
    """The function as SQS calls it."""

    table: Table
    seconds_left: float = 50.0

    def handle(self, *bodies: object) -> list[str]:
        """Handle a batch and return the numbers of the messages that are to come again."""
        records = [
            {"messageId": str(number), "body": body if isinstance(body, str) else json.dumps(body)}
            for number, body in enumerate(bodies)
        ]
        context = SimpleNamespace(
            function_name="record_outcomes",
            memory_limit_in_mb=256,
            invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:record",
            aws_request_id="1",
            get_remaining_time_in_millis=lambda: int(1000 * self.seconds_left),
        )
        answer = record_outcomes.handler({"Records": records}, context)  # type: ignore[arg-type]
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    table = Table()
    monkeypatch.setattr(record_outcomes, "_dynamodb", lambda: table)
    monkeypatch.setenv("OUTCOMES_TABLE", "outcomes")
    monkeypatch.setenv("OUTCOMES_DAYS", "90")
    monkeypatch.setattr("outcome_counting.time.sleep", lambda _: None)
    return Function(table)


def _key(values: dict[str, Any]) -> tuple[str, str]:
    return values["pk"]["S"], values["sk"]["S"]
