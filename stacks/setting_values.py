"""Gives one setting the type that its dataclass declares; on the command line every value is text."""

import json
import math
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin


class UnfitError(ValueError):
    """A value that does not fit its annotation."""

    def __init__(self, given: object, wanted: Any, where: str = "") -> None:
        super().__init__(f"{given!r} is not {in_words(wanted)[0]}")
        self.where = where
        """Leads to the value within a larger one: ``.HAPPY``."""


def fit(given: object, wanted: Any) -> Any:
    """Return ``given`` as the annotation ``wanted`` asks for it.

    Known are ``str``, ``int``, ``float``, ``bool``, and of these ``X | None``, ``dict[str, X]`` and
    ``tuple[X, ...]``.

    Raises:
        UnfitError: It does not fit.
        TypeError: ``wanted`` is none of the known annotations.
    """
    shape, inner = _taken_apart(wanted)
    if shape is NoneType:
        return None if given in (None, "", "null") else fit(given, inner)
    if shape not in _VALUES:
        raise TypeError(f"{wanted} cannot be the type of a setting")
    try:
        value = _VALUES[shape](given)
    except (ValueError, OverflowError):
        raise UnfitError(given, wanted) from None
    if shape is dict:
        return {name: _fit_within(f".{name}", member, inner) for name, member in value.items()}
    if shape is tuple:
        return tuple(_fit_within(f"[{index}]", member, inner) for index, member in enumerate(value))
    return value


def in_words(wanted: Any) -> tuple[str, str]:
    """Return what the annotation ``wanted`` asks for, and an example as one types it in a shell."""
    shape, inner = _taken_apart(wanted)
    if shape is NoneType:
        expected, example = in_words(inner)
        return f"{expected}, or null", example
    return _WORDS[shape]


def mapping(given: object) -> Mapping[str, object]:
    """Return ``given``, an object or the JSON text of one.

    Raises:
        ValueError: It is neither.
    """
    value = json.loads(given) if isinstance(given, str) else given
    if isinstance(value, Mapping):
        return value
    raise ValueError


def _taken_apart(wanted: Any) -> tuple[Any, Any]:
    """Return the outer and the inner type; of ``X | None``, the outer one is None's."""
    inner = get_args(wanted)
    if get_origin(wanted) in (Union, UnionType) and len(inner) == 2 and NoneType in inner:
        return NoneType, next(each for each in inner if each is not NoneType)
    if get_origin(wanted) is dict and inner[0] is str:
        return dict, inner[1]
    if get_origin(wanted) is tuple and inner[1:] == (...,):
        return tuple, inner[0]
    return wanted, None


def _fit_within(where: str, given: object, wanted: Any) -> Any:
    try:
        return fit(given, wanted)
    except UnfitError as error:
        error.where = where + error.where
        raise


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    raise ValueError


def _number(given: object) -> float:
    if isinstance(given, int | float | str) and not isinstance(given, bool):
        number = float(given)
        if math.isfinite(number):
            return number
    raise ValueError


def _whole_number(given: object) -> int:
    if isinstance(given, str):
        return int(given)
    if _number(given).is_integer():
        return int(_number(given))
    raise ValueError


def _truth(given: object) -> bool:
    word = str(given).strip().lower()
    if isinstance(given, bool | str) and word in ("true", "false"):
        return word == "true"
    raise ValueError


def _list(given: object) -> list[object]:
    if isinstance(given, str):
        if not given.lstrip().startswith("["):
            return [part.strip() for part in given.split(",") if part.strip()]
        given = json.loads(given)
    if isinstance(given, list | tuple):
        return [*given]
    raise ValueError


_VALUES: Mapping[Any, Callable[[object], Any]] = {
    str: _text,
    int: _whole_number,
    float: _number,
    bool: _truth,
    dict: mapping,
    tuple: _list,
}
_WORDS: Mapping[Any, tuple[str, str]] = {
    str: ("text", '"…"'),
    int: ("a whole number", "10"),
    float: ("a number", "95"),
    bool: ("true or false", "true"),
    dict: ("an object by name", """'{"NAME": …}'"""),
    tuple: ("a list", '"first,second"'),
}
