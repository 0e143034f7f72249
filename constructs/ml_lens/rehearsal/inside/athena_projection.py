"""Partition projection: which objects of a table exist, worked out without a list of partitions."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Protocol

from ml_lens.rehearsal.inside.athena_failure import QueryFailed

Values = dict[str, str]
Prune = Callable[[Sequence[Values]], list[Values]]

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_RANGE_END = re.compile(r"NOW\s*(?:([+-])\s*(\d+)\s*(YEARS?|MONTHS?|WEEKS?|DAYS?|HOURS?|MINUTES?|SECONDS?))?")
_JAVA_DATE = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_FIXED_UNITS = {"WEEK": 604800, "DAY": 86400, "HOUR": 3600, "MINUTE": 60, "SECOND": 1}


class Storage(Protocol):
    """The objects a query may read; refuses with ``PermissionError``."""

    def list(self, bucket: str, prefix: str) -> list[str]:
        """Keys that begin with ``prefix``."""

    def read(self, bucket: str, key: str) -> bytes:
        """The object's bytes."""


@dataclass(frozen=True)
class DataObject:
    """One object to read, and the partition it lies in."""

    bucket: str
    key: str
    partition: Mapping[str, str]


class Projection:
    """The partitions that a table's ``projection.*`` properties describe."""

    def __init__(self, columns: Sequence[str], properties: Mapping[str, str], location: str) -> None:
        self._properties = properties
        self._kinds = {column: self._setting(column, "type").lower() for column in columns}
        hive_style = location.rstrip("/") + "".join(f"/{column}=${{{column}}}" for column in columns)
        template = properties.get("storage.location.template", hive_style)
        self._bucket, self._template = split_location(template)
        unplaced = [column for column in columns if f"${{{column}}}" not in template]
        if unplaced:
            raise QueryFailed("INVALID_TABLE_PROPERTY", f"storage.location.template does not name {unplaced}")
        self._shapes = {column: self._shape(column, kind) for column, kind in self._kinds.items()}
        self._accepts = {
            column: self._acceptance(column, kind)
            for column, kind in self._kinds.items()
            if kind in ("date", "integer")
        }

    @property
    def injected(self) -> list[str]:
        """Columns whose values only the query can give."""
        return [column for column, kind in self._kinds.items() if kind == "injected"]

    def objects(
        self, storage: Storage, prune: Prune, injected: Mapping[str, Sequence[str]]
    ) -> list[DataObject]:
        """The objects below the partitions that ``prune`` leaves.

        Enumerated columns decide which prefixes are listed at all; dates and integers are then
        recognised in the keys, because one prefix for each day would be thousands.
        """
        listed: dict[str, list[str]] = {}
        found: dict[str, Values] = {}
        for fixed in prune(list(self._enumerated(injected))):
            template = _PLACEHOLDER.sub(lambda name: fixed.get(name[1], name[0]), self._template)  # noqa: B023
            literal, placeholder, _ = template.partition("${")
            prefix = literal[: literal.rfind("/") + 1] if placeholder else literal
            if prefix not in listed:
                listed[prefix] = storage.list(self._bucket, prefix)
            pattern = _pattern(template, self._shapes)
            for key in listed[prefix]:
                place = pattern.match(key)
                if place and self._projected(place.groupdict()) and is_data(key[place.end() :]):
                    found[key] = fixed | place.groupdict()
        kept = {tuple(sorted(values.items())) for values in prune(_distinct(found.values()))}
        return [
            DataObject(self._bucket, key, values)
            for key, values in found.items()
            if tuple(sorted(values.items())) in kept
        ]

    def _enumerated(self, injected: Mapping[str, Sequence[str]]) -> Iterator[Values]:
        choices: dict[str, list[str]] = {}
        for column, kind in self._kinds.items():
            if kind == "enum":
                choices[column] = [value.strip() for value in self._setting(column, "values").split(",")]
            elif kind == "injected":
                choices[column] = list(injected[column])
        for combination in product(*choices.values()):
            yield dict(zip(choices, combination, strict=True))

    def _projected(self, values: Mapping[str, str]) -> bool:
        return all(self._accepts[column](value) for column, value in values.items())

    def _setting(self, column: str, name: str) -> str:
        value = self._properties.get(f"projection.{column}.{name}")
        if value is None:
            raise QueryFailed(
                "INVALID_TABLE_PROPERTY",
                f"the table is configured for partition projection, but projection.{column}.{name} is missing",
            )
        return value

    def _shape(self, column: str, kind: str) -> str:
        # Coarse, for finding the value in a key; a date may well contain slashes.
        if kind == "date":
            return r"[-\w]+".join(
                re.escape(part) for part in re.split(r"[-\w']+", self._setting(column, "format"))
            )
        return r"-?\d+"

    def _acceptance(self, column: str, kind: str) -> Callable[[str], bool]:
        low, _, high = (part.strip() for part in self._setting(column, "range").partition(","))
        interval = int(self._properties.get(f"projection.{column}.interval", "1"))
        if kind == "integer":
            digits = int(self._properties.get(f"projection.{column}.digits", "0"))
            allowed = range(int(low), int(high) + 1, interval)
            return lambda value: _is_integer(value, digits) and int(value) in allowed
        layout = _strftime_layout(self._setting(column, "format"))
        now = datetime.now(UTC).replace(tzinfo=None)
        first, last = (_range_end(end, layout, now) for end in (low, high))
        first = datetime.strptime(first.strftime(layout), layout)
        unit = self._properties.get(f"projection.{column}.interval.unit", "").upper().rstrip("S")

        def accepts(value: str) -> bool:
            try:
                date = datetime.strptime(value, layout)
            except ValueError:
                return False
            return (
                date.strftime(layout) == value
                and first <= date <= last
                and _is_step(first, date, interval, unit)
            )

        return accepts


def split_location(location: str) -> tuple[str, str]:
    """Bucket and folder of an ``s3://`` location; the folder ends in a slash."""
    place = re.fullmatch(r"s3[an]?://([^/]+)/?(.*)", location)
    if not place:
        raise QueryFailed("HIVE_INVALID_METADATA", f"{location!r} is not a location in S3")
    folder = place[2].rstrip("/")
    return place[1], f"{folder}/" if folder else ""


def is_data(name_below_location: str) -> bool:
    """Whether an object holds rows: folders, and names that begin with ``_`` or ``.``, do not."""
    parts = name_below_location.split("/")
    return bool(parts[-1]) and not any(part.startswith(("_", ".")) for part in parts)


def _distinct(values: Iterable[Values]) -> list[Values]:
    return [dict(item) for item in dict.fromkeys(tuple(sorted(found.items())) for found in values)]


def _pattern(template: str, shapes: Mapping[str, str]) -> re.Pattern[str]:
    seen: set[str] = set()
    pattern = ""
    position = 0
    for place in _PLACEHOLDER.finditer(template):
        name = place[1]
        pattern += re.escape(template[position : place.start()])
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{shapes[name]})"
        seen.add(name)
        position = place.end()
    return re.compile(pattern + re.escape(template[position:]))


def _is_integer(value: str, digits: int) -> bool:
    return re.fullmatch(r"-?\d+", value) is not None and value == f"{int(value):0{digits}d}"


def _strftime_layout(java: str) -> str:
    layout = re.sub(
        r"yyyy|MM|dd|HH|mm|ss|'([^']*)'", lambda part: _JAVA_DATE.get(part[0], part[1] or ""), java
    )
    if re.search(r"(?<!%)[a-zA-Z]", re.sub(r"'[^']*'", "", re.sub(r"yyyy|MM|dd|HH|mm|ss", "", java))):
        raise QueryFailed("INVALID_TABLE_PROPERTY", f"the date format {java!r} is not rehearsed")
    return layout


def _range_end(text: str, layout: str, now: datetime) -> datetime:
    relative = _RANGE_END.fullmatch(text)
    if not relative:
        try:
            return datetime.strptime(text, layout)
        except ValueError:
            raise QueryFailed("INVALID_TABLE_PROPERTY", f"{text!r} does not fit the date format") from None
    if relative[1] is None:
        return now
    amount = int(relative[2]) * (1 if relative[1] == "+" else -1)
    unit = relative[3].rstrip("S")
    if unit in _FIXED_UNITS:
        return now + timedelta(seconds=amount * _FIXED_UNITS[unit])
    months = now.year * 12 + now.month - 1 + amount * (12 if unit == "YEAR" else 1)
    first_of_month = now.replace(year=months // 12, month=months % 12 + 1, day=1)
    next_month = (first_of_month + timedelta(days=31)).replace(day=1)
    return first_of_month.replace(day=min(now.day, (next_month - timedelta(days=1)).day))


def _is_step(first: datetime, date: datetime, interval: int, unit: str) -> bool:
    if not unit:
        return True
    if unit in _FIXED_UNITS:
        return (date - first).total_seconds() % (interval * _FIXED_UNITS[unit]) == 0
    months = (date.year - first.year) * 12 + date.month - first.month
    return months % (interval * (12 if unit == "YEAR" else 1)) == 0
