"""Latencies counted in buckets that grow by a fixed ratio, so that those of many workers can be added up.

Bucket 0 holds what takes ``LEAST_MS`` or less, bucket *i* what takes more than ``LEAST_MS * RATIO ** (i - 1)`` and at
most ``LEAST_MS * RATIO ** i``. A value read from a bucket is wrong by half of its width at the most, one percent.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

LEAST_MS = 0.1
"""Upper end of the first bucket, in milliseconds."""
RATIO = 1.02
"""How much larger the upper end of a bucket is than that of the one before."""
MOST_MS = 120_000
"""What takes longer is counted as this."""

_LOG_RATIO = math.log(RATIO)


def bucket_of(milliseconds: float) -> int:
    """Return the number of the bucket that holds a latency."""
    if not milliseconds > LEAST_MS:
        return 0
    number = math.ceil(math.log(min(milliseconds, MOST_MS) / LEAST_MS) / _LOG_RATIO)
    # The logarithm may be off by a hair at the end of a bucket.
    while number > 0 and milliseconds <= upper_end(number - 1):
        number -= 1
    return number


def upper_end(bucket: int) -> float:
    """Return the longest latency that a bucket holds, in milliseconds."""
    return float(LEAST_MS * RATIO**bucket)


def to_json(counts: Counter[int]) -> dict[str, Any]:
    """Return the counts with what it takes to read them."""
    return {
        "least_ms": LEAST_MS,
        "ratio": RATIO,
        "counts": {str(number): counts[number] for number in sorted(counts)},
    }
