"""Trying a throttled image again later, without counting towards the dead-letter limit."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING

from queue_messages import Message

if TYPE_CHECKING:
    from uploads import Arrival

LONGEST_DELAY_SECONDS = 900
"""The longest delay SQS knows."""
_FIRST_DELAY_SECONDS = 2
_MOST_DOUBLINGS = 9

_chance = SystemRandom()


def delay_seconds(deferrals: int) -> int:
    """Draw a delay that doubles with every deferral, between half of it and all of it."""
    longest = min(LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** min(deferrals, _MOST_DOUBLINGS))
    return _chance.randint(longest // 2, longest)


def deferred(arrival: Arrival) -> Message:
    """Announce the upload again, as it was announced, for later (Lens: QTA-02)."""
    return Message(
        upload_id=arrival.upload.upload_id,
        body=arrival.body,
        delay_seconds=delay_seconds(arrival.deferrals),
        deferrals=arrival.deferrals + 1,
    )
