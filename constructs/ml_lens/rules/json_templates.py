"""JSON as CloudFormation writes it: no key twice, no depth that a parser cannot bear."""

import json
import math
import re
from itertools import accumulate
from typing import Any

from ml_lens.rules.refusals import (
    LONGEST_NUMBER,
    MAX_DEPTH,
    MAX_NODES,
    TOO_DEEP,
    TOO_MANY,
    MalformedError,
    quoted,
)

_NO_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'[]{},"')
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one level down, one level up
_KEY_OR_BRACE = re.compile(r'("(?:[^"\\]|\\.)*+")(\s*+:)?|[{}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _RepeatedKeyError(Exception):
    pass


def parse_json(text: str) -> Any:
    """Return what the text holds.

    Raises:
        MalformedError: The text is not JSON, repeats a key, or goes beyond the limits.
    """
    _check_limits(text)
    try:
        body = json.loads(
            text,
            object_pairs_hook=_without_repetition,
            parse_int=_int,
            parse_float=_float,
            parse_constant=_no_constant,
        )
    except _RepeatedKeyError:
        raise MalformedError(_repeated_key(text)) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedError(f"malformed JSON at {where}: {error.msg}") from None
    if _SURROGATE.search(text):
        _check_characters(body)
    return body


def _check_limits(text: str) -> None:
    """Refuse what is too deep or too much before a parser recurses into it.

    The brackets and commas outside of strings say both. They are exact up to the first error in the text,
    which is where a parser stops.
    """
    data = text.encode("utf-8")
    if b"\\" in data:
        data = re.sub(rb"\\.", b"", data, flags=re.DOTALL)
    outside = b"".join(data.translate(None, _NO_STRUCTURE).split(b'"')[::2])
    brackets = outside.translate(_STEPS, b",")
    if max(accumulate(memoryview(brackets).cast("b")), default=0) > MAX_DEPTH:
        raise MalformedError(TOO_DEEP)
    if len(outside) - brackets.count(b"\xff") > MAX_NODES:
        raise MalformedError(TOO_MANY)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedKeyError
    return members


def _repeated_key(text: str) -> str:
    """Find what the parser stumbled over; it does not tell the place."""
    open_objects: list[set[str]] = []
    for token in _KEY_OR_BRACE.finditer(text):
        if token[0] == "{":
            open_objects.append(set())
        elif token[0] == "}":
            open_objects.pop()
        elif token[2]:
            key = json.loads(token[1])
            if key in open_objects[-1]:
                line = text.count("\n", 0, token.start()) + 1
                return f"the key {quoted(key)} is given twice, again in line {line}; keep one"
            open_objects[-1].add(key)
    return "a key is given twice; keep one"


def _int(text: str) -> int | str:
    return int(text) if len(text) <= LONGEST_NUMBER else text


def _float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _no_constant(name: str) -> Any:
    raise MalformedError(f"malformed JSON: {name} is not a value of JSON")


def _check_characters(body: Any) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedError("malformed JSON: half of a surrogate pair is not a character") from None
