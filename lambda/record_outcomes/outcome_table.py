"""The table of predictions, outcomes, sums and rejections."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from outcome_counting import Kept, Overtaken, Rejected, keys

if TYPE_CHECKING:
    from outcome_messages import Outcome

_SECONDS_A_DAY = 86_400
_OVERTAKEN = frozenset({"ConditionalCheckFailed", "TransactionConflict"})
_HARMLESS = _OVERTAKEN | {"None"}


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """A table in DynamoDB, as ``boto3.client("dynamodb")`` speaks to it."""

    client: Any
    name: str
    days: int
    """How long predictions, outcomes and rejections are kept."""

    def look_up(self, outcome: Outcome) -> Kept | None:
        """Return what is known of the prediction."""
        item = self.client.get_item(TableName=self.name, Key=_texts(keys(outcome)), ConsistentRead=True).get(
            "Item"
        )
        if item is None:
            return None
        value = item.get("outcome")
        return Kept(variant=item["variant"]["S"], value=Decimal(value["N"]) if value else None)

    def add(self, outcome: Outcome, variant: str, shard: int) -> None:
        """Keep the outcome and add it to the sum of the variant, both or neither."""
        try:
            self.client.transact_write_items(
                TransactItems=[
                    {"Update": self._outcome(outcome, variant)},
                    {"Update": self._sum(outcome, variant, shard)},
                ]
            )
        except Exception as error:
            if _was_overtaken(error):
                raise Overtaken from error
            raise

    def reject(self, rejected: Rejected, *, endpoint: str | None, message_id: str) -> None:
        """Keep why a message was not counted, and nothing of the message itself; again does no harm."""
        self.client.put_item(
            TableName=self.name,
            Item={
                **_texts({"pk": f"rejected#{endpoint or '-'}", "sk": message_id}),
                **_texts({"reason": rejected.reason.value, "detail": rejected.detail}),
                "at": {"S": datetime.now(UTC).isoformat(timespec="seconds")},
                "expires": self._expires(),
            },
        )

    def _outcome(self, outcome: Outcome, variant: str) -> dict[str, Any]:
        return {
            "TableName": self.name,
            "Key": _texts(keys(outcome)),
            "ConditionExpression": "attribute_not_exists(#outcome) AND "
            "(attribute_not_exists(#variant) OR #variant = :variant)",
            "UpdateExpression": "SET #outcome = :value, #at = :at, #variant = :variant, #expires = :expires",
            "ExpressionAttributeNames": {
                f"#{name}": name for name in ("outcome", "at", "variant", "expires")
            },
            "ExpressionAttributeValues": {
                ":value": _number(outcome.value),
                ":at": {"S": outcome.at.isoformat()},
                ":variant": {"S": variant},
                # From now on, or a message delivered late could find no trace of the first one.
                ":expires": self._expires(),
            },
        }

    def _sum(self, outcome: Outcome, variant: str, shard: int) -> dict[str, Any]:
        return {
            "TableName": self.name,
            "Key": _texts({"pk": f"summary#{outcome.endpoint}#{variant}", "sk": str(shard)}),
            "UpdateExpression": "ADD #n :one, #total :value, #squares :square",
            "ExpressionAttributeNames": {f"#{name}": name for name in ("n", "total", "squares")},
            "ExpressionAttributeValues": {
                ":one": {"N": "1"},
                ":value": _number(outcome.value),
                ":square": _number(outcome.value * outcome.value),
            },
        }

    def _expires(self) -> dict[str, str]:
        return {"N": str(int(time.time()) + self.days * _SECONDS_A_DAY)}


def _texts(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"S": value} for name, value in values.items()}


def _number(value: Decimal) -> dict[str, str]:
    return {"N": f"{value:f}"}


def _was_overtaken(error: Exception) -> bool:
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    code = response.get("Error", {}).get("Code", "")
    reasons = {each.get("Code", "None") for each in response.get("CancellationReasons", ())}
    if code == "TransactionCanceledException":
        return bool(reasons & _OVERTAKEN) and reasons <= _HARMLESS
    return bool(code == "TransactionConflictException")
