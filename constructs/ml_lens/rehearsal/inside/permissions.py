"""The words in which everything inside the sandbox asks what a caller may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Context = Mapping[str, Any]
Response = tuple[int, dict[str, str], bytes]
Proceed = Callable[[], Awaitable[Response]]


@dataclass(frozen=True)
class Request:
    """A request whose own action has been allowed already."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, Any]
    caller: str

    @property
    def operation(self) -> str:
        """The operation that a JSON protocol names in its target header."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]

    def parameter(self, name: str) -> str:
        """A query parameter's first value, or nothing."""
        value = self.query.get(name) or ""
        return str(value[0] if isinstance(value, list) else value)


class Gate(Protocol):
    """Evaluates identity and resource policies for an access key."""

    def refusal(self, caller: str, action: str, resource: str, context: Context | None = None) -> str | None:
        """Return why ``caller`` may not do this, in AWS's wording, or ``None``."""

    def account(self) -> str:
        """Return the account of the request under way."""

    def region(self) -> str:
        """Return the region of the request under way."""


def refusal_text(principal: str, action: str, resource: str, *, denied: bool, by_resource: bool) -> str:
    """Say in AWS's words that ``principal`` may not do ``action``."""
    if denied:
        kind = "a resource-based policy" if by_resource else "an identity-based policy"
        why = f"with an explicit deny in {kind}"
    elif by_resource:
        why = f"because no resource-based policy allows the {action} action"
    else:
        why = f"because no identity-based policy allows the {action} action"
    return f"User: {principal} is not authorized to perform: {action} on resource: {resource} {why}"


def called_via(service: str) -> dict[str, Any]:
    """Condition keys of a call that ``service`` makes with its caller's permissions."""
    principal = f"{service}.amazonaws.com"
    return {
        "aws:CalledVia": [principal],
        "aws:CalledViaFirst": principal,
        "aws:CalledViaLast": principal,
        "aws:ViaAWSService": "true",
    }


def through(service: str, gate: Gate) -> dict[str, Any]:
    """Condition keys of a key that ``service`` uses for its caller."""
    return {
        "kms:ViaService": f"{service}.{gate.region()}.amazonaws.com",
        "kms:CallerAccount": gate.account(),
    }
