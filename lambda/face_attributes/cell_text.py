"""Text and times as they stand in a CSV cell.

Athena's LazySimpleSerDe knows no quotes: a comma or a line break inside a cell would end it. So foreign
text is percent-encoded, and ``url_decode`` in SQL gives it back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

# No plus sign: url_decode would read it as a space. No backslash: the SerDe reads \N as null.
_READABLE = " /:;()[]'=!?@&*"


def percent_encoded(text: str) -> str:
    """Encode an object key; slashes stay."""
    return quote(text, safe="/")


def readable(text: str) -> str:
    """Encode a message for people; spaces and harmless punctuation stay."""
    return quote(text, safe=_READABLE)


def timestamp(moment: datetime) -> str:
    """Write a moment as a Hive timestamp in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(" ", "milliseconds")[:23]
