"""What a REST API makes of an answer, and the line that it writes for each call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_.]+)")

_PROXY_ANSWER = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}


def is_proxy_answer(answer: Any) -> bool:
    """Return whether a function has answered as a proxy integration has to."""
    if isinstance(answer, (str, bytes)):
        try:
            answer = json.loads(answer)
        except ValueError:
            return False
    return isinstance(answer, Mapping) and answer.keys() <= _PROXY_ANSWER


def line(form: str, known: Mapping[str, Any]) -> str:
    """Return the line, in which what is not known is ``-``; a text inside quotes stays one."""

    def value(named: re.Match[str]) -> str:
        name = named.group(1)
        rest = ""
        # A variable may end a sentence.
        while name.endswith("."):
            name, rest = name[:-1], rest + "."
        found = known.get(name)
        if found is None or found == "":
            return f"-{rest}"
        return json.dumps(str(found))[1:-1] + rest

    return _VARIABLE.sub(value, form)


def group_of(arn: str) -> str:
    """Return the name of the log group that ``arn`` means."""
    return arn.partition(":log-group:")[2].removesuffix(":*")


def claims(authorizer: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what an authorizer found out, by the names of the variables."""
    told: dict[str, Any] = {}
    for name, value in (authorizer or {}).items():
        if isinstance(value, Mapping):
            told |= {f"authorizer.{name}.{each}": known for each, known in value.items()}
        else:
            told[f"authorizer.{name}"] = value
    return told
