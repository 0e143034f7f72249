"""How Step Functions spells the services, members and errors of the AWS APIs: as the SDK for Java does."""

from __future__ import annotations

import re
from collections.abc import Collection

# Where the name in a state machine is not the client's name without its hyphens.
_CLIENTS = {
    "sfn": "stepfunctions",
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "elasticloadbalancingv2": "elbv2",
    "costexplorer": "ce",
}
# DynamoDB's type NULL would be a keyword.
_KEYWORDS = {"Null": "Nul"}


def client_name(service: str, clients: Collection[str]) -> str | None:
    """Return which of ``clients`` is meant by ``aws-sdk:<service>``, or ``None``."""
    wanted = _CLIENTS.get(service.lower(), service.lower())
    return next((name for name in clients if wanted in (name, name.replace("-", ""))), None)


def service_prefix(service_id: str) -> str:
    """Return what a service's errors begin with: "DynamoDB" gives "DynamoDb"."""
    return "".join(word.capitalize() for word in _words(service_id))


def member_name(name: str) -> str:
    """Return a member's name: an acronym that leads it is one word, "SSESpecification" is "SseSpecification"."""
    leading = re.match(r"[A-Z0-9]+(?![a-z])", name)
    end = leading.end() if leading else 1
    name = name[:end].capitalize() + name[end:]
    return _KEYWORDS.get(name, name)


def error_name(service_id: str, code: str, modelled: str | None) -> str:
    """Return the name by which ``Retry`` and ``Catch`` know an error.

    Args:
        service_id: The service's name as its model gives it.
        code: The code in the service's answer.
        modelled: The name of the error's shape in the service's model. An error without one, such as a refused
            permission of most services, has only the name of the service's errors in general.
    """
    prefix = service_prefix(service_id)
    if modelled is None:
        return f"{prefix}.{prefix}Exception"
    stem = re.sub(r"(Fault|Exception)$", "", modelled) or code
    return f"{prefix}.{''.join(word.capitalize() for word in _words(stem))}Exception"


def _words(name: str) -> list[str]:
    spaced = re.sub(r"[^A-Za-z0-9]+", " ", name)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z][a-zA-Z0-9])", " ", spaced)
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", spaced)
    spaced = re.sub(r"([0-9])([a-zA-Z])", r"\1 \2", spaced)
    return spaced.split()
