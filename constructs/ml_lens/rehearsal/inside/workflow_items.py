"""What a Map state does with its items, whoever runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MapSettings:
    """How a Map state handles its items; 0 means that the state does not say.

    Attributes:
        at_once: How many items run beside each other.
        batch_size: How many items one child gets.
        tolerated: How many children may fail.
        tolerated_percent: Which share of the children may fail.
    """

    at_once: int = 0
    batch_size: int = 0
    tolerated: int = 0
    tolerated_percent: float = 0

    @classmethod
    def of(cls, state: Mapping[str, Any], number: Callable[[str], float]) -> MapSettings:
        """Return the settings of ``state``; ``number`` evaluates one of its fields."""

        def asked(field: str) -> float:
            return number(field) if field in state else 0

        return cls(
            at_once=int(asked("MaxConcurrency")),
            batch_size=int((state.get("ItemBatcher") or {}).get("MaxItemsPerBatch", 0)),
            tolerated=int(asked("ToleratedFailureCount")),
            tolerated_percent=asked("ToleratedFailurePercentage"),
        )


def batches(items: Sequence[Any], size: int, extra: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each child gets: at most ``size`` items, and what all of them get besides."""
    fixed = {"BatchInput": dict(extra)} if extra else {}
    return [{**fixed, "Items": list(items[at : at + size])} for at in range(0, len(items), size)]


def within_tolerance(failed: int, children: int, settings: MapSettings) -> bool:
    """Return whether a run goes on although ``failed`` of its ``children`` have failed."""
    return failed <= settings.tolerated or failed * 100 <= settings.tolerated_percent * children
