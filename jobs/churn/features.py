"""What the model is asked about a customer, and how that becomes a row of numbers: in training and in serving alike.

``features.json`` is the only place where the features are declared; everything here follows it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Customer = Mapping[str, Any]
"""One customer, a value for each feature."""

SCHEMA: Mapping[str, Any] = json.loads(Path(__file__).with_name("features.json").read_text(encoding="utf-8"))
"""The JSON schema of a request."""
FEATURES: Mapping[str, Mapping[str, Any]] = SCHEMA["properties"]["instances"]["items"]["properties"]
"""The schema of every feature, in the order of the columns of CSV."""
_MOST = SCHEMA["properties"]["instances"]["maxItems"]
_TYPES = {"integer": "a whole number", "number": "a number", "string": "text"}


class RequestError(ValueError):
    """A request that does not follow the schema; ``field`` leads to what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


def columns() -> list[str]:
    """Return the names of the model's columns: a word becomes one column for each choice."""
    return [
        column
        for name, rule in FEATURES.items()
        for column in ([f"{name}={choice}" for choice in rule["enum"]] if "enum" in rule else [name])
    ]


def encode(customers: Sequence[Customer]) -> NDArray[np.float32]:
    """Return one row of numbers for each customer, in the order of :func:`columns`."""
    rows = [[*_numbers(customer)] for customer in customers]
    return np.array(rows, dtype=np.float32).reshape(len(rows), len(columns()))


def read_request(body: object) -> list[Customer]:
    """Return the customers of a request.

    Raises:
        RequestError: The request does not follow the schema.
    """
    if not isinstance(body, dict):
        raise RequestError("body", "is no object with the field 'instances'")
    for name in body:
        if name != "instances":
            raise RequestError(str(name), "is unknown; the only field is 'instances'")
    instances = body.get("instances")
    if not isinstance(instances, list):
        raise RequestError("instances", "is missing" if instances is None else "is no list of customers")
    if not 1 <= len(instances) <= _MOST:
        raise RequestError("instances", f"holds {len(instances)} customers; allowed are 1 to {_MOST}")
    for number, customer in enumerate(instances):
        check(customer, f"instances[{number}]")
    return instances


def check(customer: object, where: str) -> None:
    """Refuse what is no customer; ``where`` leads to it.

    Raises:
        RequestError: A feature is missing, unknown, of the wrong type or out of range.
    """
    if not isinstance(customer, dict):
        raise RequestError(where, "is no object")
    for name in customer:
        if name not in FEATURES:
            raise RequestError(f"{where}.{name}", f"is unknown; there are {', '.join(FEATURES)}")
    for name, rule in FEATURES.items():
        if name not in customer:
            raise RequestError(f"{where}.{name}", "is missing")
        _check_value(customer[name], rule, f"{where}.{name}")


def read_row(cells: Sequence[str], where: str) -> Customer:
    """Return the customer that a row of CSV describes.

    Raises:
        RequestError: There are too few or too many cells, or one does not follow the schema.
    """
    if len(cells) != len(FEATURES):
        raise RequestError(
            where,
            f"has {len(cells)} cells and not {len(FEATURES)}, which are, without a header, {', '.join(FEATURES)}",
        )
    customer = {
        name: _cell(cell.strip(), rule, f"{where}.{name}")
        for cell, (name, rule) in zip(cells, FEATURES.items(), strict=True)
    }
    check(customer, where)
    return customer


def _numbers(customer: Customer) -> Iterator[float]:
    for name, rule in FEATURES.items():
        if "enum" in rule:
            yield from (float(customer[name] == choice) for choice in rule["enum"])
        else:
            yield float(customer[name])


def _check_value(value: object, rule: Mapping[str, Any], where: str) -> None:
    if not _is(value, rule["type"]):
        raise RequestError(where, f"is not {_TYPES[rule['type']]}")
    if "enum" in rule:
        if value not in rule["enum"]:
            raise RequestError(where, f"is none of {', '.join(rule['enum'])}")
    elif not rule["minimum"] <= value <= rule["maximum"]:
        raise RequestError(where, f"is out of range; allowed are {rule['minimum']} to {rule['maximum']}")


def _is(value: object, type: str) -> bool:
    if isinstance(value, bool):
        return False
    if type == "integer":
        # JSON has one kind of numbers, and 3.0 is a whole one.
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, str if type == "string" else int | float)


def _cell(cell: str, rule: Mapping[str, Any], where: str) -> object:
    if rule["type"] == "string":
        return cell
    try:
        return float(cell)
    except ValueError:
        raise RequestError(where, f"is not {_TYPES[rule['type']]}") from None
