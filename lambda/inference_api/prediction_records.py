"""What is kept of a prediction, so that its outcome can be counted for the variant that made it."""

from __future__ import annotations

import hashlib
from typing import Any

_SECONDS_A_DAY = 86_400


def prediction_item(
    *, endpoint_name: str, inference_id: str, variant: str, subject: str | None, now: float, days: int
) -> dict[str, Any]:
    """Return the item of one prediction, which names neither the caller nor what was asked."""
    item = {
        "pk": {"S": f"inference#{endpoint_name}#{inference_id}"},
        "sk": {"S": "-"},
        "variant": {"S": variant},
        "expires": {"N": str(int(now) + days * _SECONDS_A_DAY)},
    }
    if subject is not None:
        item["subject"] = {"S": hashlib.sha256(f"{endpoint_name}:{subject}".encode()).hexdigest()}
    return item
