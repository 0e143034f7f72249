"""Types and values as Athena shows them."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

_TYPES = {
    "VARCHAR": "varchar",
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "INTEGER_LITERAL": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",  # what sum() gives here; Athena's is a bigint
    "UBIGINT": "bigint",
    "UINTEGER": "bigint",
    "DOUBLE": "double",
    "FLOAT": "real",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "BLOB": "varbinary",
    "JSON": "json",
    "INTERVAL": "interval day to second",
    '"NULL"': "unknown",
}
_SHOWN = {"real": "float"}
_WIDER = (
    ("tinyint", "smallint", "integer", "bigint", "real", "double"),
    ("date", "timestamp", "timestamp with time zone"),
)


def athena_type(duckdb: str) -> str:
    """Athena's type, with its parameters, for a type of the database."""
    if duckdb.endswith("]"):
        return f"array({athena_type(duckdb[: duckdb.rindex('[')])})"
    if duckdb.startswith("DECIMAL"):
        return duckdb.lower()
    if nested := re.fullmatch(r"(MAP|STRUCT)\((.*)\)", duckdb, re.DOTALL):
        return ("map" if nested[1] == "MAP" else "row") + f"({nested[2]})"
    return _TYPES.get(duckdb, duckdb.lower())


def shown_type(athena: str) -> str:
    """The type as the columns of a result name it: without parameters."""
    name = athena.partition("(")[0]
    return _SHOWN.get(name, name)


def declared_type(text: str) -> str:
    """A type as a view declares it, without the parameters that do not matter."""
    plain = re.sub(r"\b(varchar|char|timestamp)\s*\(\s*\d+\s*\)", r"\1", text.lower())
    return re.sub(r"\s*,\s*", ",", plain.strip())


def fits(given: str, declared: str) -> bool:
    """Whether Athena would coerce a view's column to the type it declares."""
    if given == declared or given == "unknown":
        return True
    if "(" in given and "(" in declared and not given.startswith("decimal"):
        return given.partition("(")[0] == declared.partition("(")[0] != "array"
    if given.startswith("decimal"):
        return declared in ("real", "double") or _decimal_fits(given, declared)
    return any(
        given in order and declared in order and order.index(given) < order.index(declared)
        for order in _WIDER
    )


def staleness(given: list[tuple[str, str]], declared: list[tuple[str, str]]) -> str | None:
    """In what a view disagrees with the columns its query gives; None where it does not."""
    if len(given) != len(declared):
        return (
            f"stored view column count ({len(declared)}) does not match column count derived from the view "
            f"query analysis ({len(given)})"
        )
    for number, ((name, kind), (stored, stored_kind)) in enumerate(zip(given, declared, strict=True)):
        projected = f"column [{name}] of type {kind} projected from query view at position {number}"
        if name != stored:
            different = (
                f"has a different name from column [{stored}] of type {stored_kind} stored in view definition"
            )
            return f"{projected} {different}"
        if not fits(kind, declared_type(stored_kind)):
            return f"{projected} cannot be coerced to column [{stored}] of type {stored_kind} stored in view definition"
    return None


def _decimal_fits(given: str, declared: str) -> bool:
    if not declared.startswith("decimal"):
        return False
    (precision, scale), (wider, finer) = (
        (int(number) for number in re.findall(r"\d+", kind)) for kind in (given, declared)
    )
    return finer >= scale and wider - finer >= precision - scale


def shown(value: object, kind: str) -> str | None:
    """A value of a result as Athena writes it."""
    if value is None:
        return None
    return _real(float(str(value))) if kind == "real" else _text(value)


def _text(value: object) -> str:
    for kinds, write in _WRITTEN:
        if isinstance(value, kinds):
            return write(value)
    return str(value)


def _real(value: float) -> str:
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if abs(float(text) - value) <= abs(value) * 2**-25:
            break
    return java_double(repr(float(text)))


def java_double(text: str) -> str:
    """A floating-point number as Java prints it: 93.5, 1.0E10, 1.0E-4."""
    special = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
    if text in special:
        return special[text]
    sign, digits, exponent = Decimal(text).as_tuple()
    number = "".join(map(str, digits)).lstrip("0")
    if not number:
        return "-0.0" if sign else "0.0"
    point = len(number) + int(exponent)
    number = number.rstrip("0") or "0"
    if -3 < point <= 7:
        whole = number[: max(point, 0)].ljust(max(point, 0), "0") or "0"
        fraction = "0" * max(-point, 0) + number[max(point, 0) :]
        written = f"{whole}.{fraction or '0'}"
    else:
        written = f"{number[0]}.{number[1:] or '0'}E{point - 1}"
    return f"-{written}" if sign else written


def _interval(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    hours, seconds = divmod(value.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    return f"{sign}{value.days} {hours:02d}:{minutes:02d}:{seconds:02d}.{value.microseconds // 1000:03d}"


def _map(value: dict[object, object]) -> str:
    return "{" + ", ".join(f"{_text(key)}={_text(item)}" for key, item in value.items()) + "}"


_WRITTEN: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (type(None), lambda _: "null"),
    (bool, lambda value: "true" if value else "false"),
    (float, lambda value: java_double(repr(value))),
    (Decimal, lambda value: format(value, "f")),
    (datetime, lambda value: f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"),
    (timedelta, _interval),
    (bytes, lambda value: value.hex(" ")),
    (list, lambda value: f"[{', '.join(map(_text, value))}]"),
    (dict, _map),
)
