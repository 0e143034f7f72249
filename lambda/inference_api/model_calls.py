"""Calling the endpoint, again where that helps, and saying what it means when it does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, Protocol

from answers import ModelAnswer
from problems import Problem, away, internal, refused_by_model

SOON, LATER = 5, 30
"""Seconds after which to try again what is busy, and what is gone."""
_SPARE_SECONDS = 2.0
_FIRST_WAIT = 0.1
_LONGEST_WAIT = 2.0
_BUSY = frozenset(
    {
        "InternalDependencyException",
        "InternalFailure",
        "ModelNotReadyException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NO_WAY = frozenset(
    {"ConnectTimeoutError", "ConnectionClosedError", "EndpointConnectionError", "ProxyConnectionError"}
)
_LATE = frozenset({"ReadTimeoutError"})
_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "ExpiredTokenException"})

_chance = SystemRandom()


class Runtime(Protocol):
    """The part of the SageMaker runtime client that is used here."""

    def invoke_endpoint(self, **request: Any) -> Mapping[str, Any]:
        """Call an endpoint."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of an endpoint."""

    endpoint_name: str
    body: bytes
    inference_id: str
    variant: str | None
    """The variant that has to answer. ``None`` leaves it to the weights."""

    def to_request(self) -> dict[str, Any]:
        """Return the request, in which the id joins the answer with captured calls and outcomes."""
        request: dict[str, Any] = {
            "EndpointName": self.endpoint_name,
            "ContentType": "application/json",
            "Accept": "application/json",
            "InferenceId": self.inference_id,
            "Body": self.body,
        }
        return request if self.variant is None else {**request, "TargetVariant": self.variant}


class GivenUp(Exception):  # noqa: N818
    """The endpoint has not answered; ``problem`` is what the caller is told, ``cause`` is for the log."""

    def __init__(self, problem: Problem, cause: str) -> None:
        super().__init__(cause)
        self.problem = problem
        self.cause = cause


def call_model(
    call: ModelCall, client_within: Callable[[float], Runtime], seconds_left: Callable[[], float]
) -> tuple[ModelAnswer, int]:
    """Call the endpoint, and return its answer and how often it was tried again.

    What is busy or cannot be reached is tried again, after waits that double and are drawn by lot, as long as there
    is time. What the model itself says is final. A variant that is gone is answered by another one.

    Args:
        call: The call.
        client_within: Returns a client that gives up within so many seconds.
        seconds_left: Time until the function is ended.

    Raises:
        GivenUp: There is no answer.
    """
    wait = _FIRST_WAIT
    retries = 0
    while True:
        try:
            runtime = client_within(seconds_left() - _SPARE_SECONDS)
            return _answer(runtime.invoke_endpoint(**call.to_request())), retries
        except Exception as error:
            code = _code(error)
            drawn = _chance.uniform(wait / 2, wait)
            if call.variant is not None and code == "ValidationError":
                call = ModelCall(call.endpoint_name, call.body, call.inference_id, None)
                drawn = 0.0
            elif code not in _BUSY | _NO_WAY or seconds_left() < drawn + _SPARE_SECONDS + 1:
                raise GivenUp(_problem(code, error), _cause(code, error)) from error
        time.sleep(drawn)
        wait = min(2 * wait, _LONGEST_WAIT)
        retries += 1


def _answer(response: Mapping[str, Any]) -> ModelAnswer:
    return ModelAnswer(
        body=response["Body"].read(),
        variant=response.get("InvokedProductionVariant", ""),
        attributes=response.get("CustomAttributes", ""),
    )


def _problem(code: str, error: Exception) -> Problem:
    if code == "ModelError":
        return _said_by_model(_original_status(error))
    if code in _BUSY:
        return away("The model is busy.", SOON)
    if code in _LATE:
        return away("The model took too long to answer.", SOON)
    # Whoever may not call it, or calls it by a name that is not there, finds it away.
    if code in _NO_WAY | _NOT_ALLOWED | {"ValidationError"}:
        return away("The model cannot be reached.", LATER)
    return internal()


def _said_by_model(status: int) -> Problem:
    if status in (429, 502, 503, 504):
        return away("The model is busy.", SOON)
    return refused_by_model() if 400 <= status < 500 else internal()


def _original_status(error: Exception) -> int:
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("OriginalStatusCode") or 500)


def _code(error: Exception) -> str:
    """Return the code of an AWS error, or the name of another one, so that nothing has to import botocore."""
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", "")) or type(error).__name__


def _cause(code: str, error: Exception) -> str:
    """Name an error without its message, which can hold what the model was asked."""
    return f"{code} {_original_status(error)}" if code == "ModelError" else code
