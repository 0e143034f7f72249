"""From what the model says to what the caller is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_UNKNOWN = "unknown"


class NotAnAnswer(ValueError):  # noqa: N818
    """The model said something that cannot be passed on."""


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What the endpoint returned."""

    body: bytes
    variant: str
    attributes: str = ""
    """The custom attributes of the answer, where the container sets any."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the caller is told (Lens: HST-07, HST-08, F14-09)."""

    predictions: list[Any]
    model_version: str
    variant: str
    inference_id: str

    def to_response(self) -> dict[str, Any]:
        """Return the answer as API Gateway takes it."""
        body = {
            "predictions": self.predictions,
            "model_version": self.model_version,
            "variant": self.variant,
            "inference_id": self.inference_id,
        }
        return {
            "statusCode": 200,
            "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
            "body": json.dumps(body, allow_nan=False),
        }


def read_answer(
    answer: ModelAnswer, *, expected: int | None, inference_id: str, model_versions: Mapping[str, str]
) -> Prediction:
    """Read the answer: ``{"predictions": […], "model_version": …}``, or a bare list of predictions.

    Args:
        answer: What the endpoint returned.
        expected: How many predictions there have to be, if that is known.
        inference_id: The id under which the endpoint was called.
        model_versions: The versions by variant, to tell when the answer itself does not say. One of a variant that
            is not among them, as a rollout makes it, is unknown.

    Raises:
        NotAnAnswer: It is not JSON, holds no list of predictions, or one of the wrong length.
    """
    try:
        said = json.loads(answer.body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise NotAnAnswer("no JSON") from None
    told = said.get("predictions") if isinstance(said, dict) else said
    if not isinstance(told, list):
        raise NotAnAnswer("no list of predictions")
    if expected is not None and len(told) != expected:
        raise NotAnAnswer(f"{len(told)} predictions for {expected} instances")
    version = said.get("model_version") if isinstance(said, dict) else None
    version = version or _version_among(answer.attributes) or model_versions.get(answer.variant, _UNKNOWN)
    return Prediction(
        predictions=told,
        model_version=str(version),
        variant=answer.variant,
        inference_id=inference_id,
    )


def _version_among(attributes: str) -> str | None:
    for attribute in attributes.split(","):
        name, _, value = attribute.partition("=")
        if name.strip() == "model_version":
            return value.strip() or None
    return None


def _no_number(_: str) -> float:
    raise ValueError
