"""SerDes that read text, with the habits of the real ones."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from ml_lens.rehearsal.inside.athena_failure import QueryFailed

Row = list[str | None]
Parser = Callable[[Iterator[str]], Iterator[Row]]
Converter = Callable[[str, str], str]

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_TIMESTAMP = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}( [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{1,9})?)?"


def text_format(
    serde: str, properties: Mapping[str, str], columns: Sequence[str]
) -> tuple[Parser, Converter]:
    """How a SerDe cuts lines into cells, and how a cell becomes a value of its column's type."""
    width = len(columns)
    if serde == "LazySimpleSerDe":
        collection = properties.get("collection.delim", properties.get("colelction.delim", "\x02"))
        return _simple_parser(properties, width), lambda cell, kind: _lenient(cell, kind, collection)
    if serde == "OpenCSVSerde":
        return _csv_parser(properties, width), _csv_cell
    if serde in ("JsonSerDe", "JsonSerde"):
        return _json_parser(properties, columns), _json_cell
    raise QueryFailed("NOT_SUPPORTED", f"the SerDe {serde!r} is not rehearsed")


def _fitted(cells: Sequence[str | None], width: int) -> Row:
    return [*cells[:width], *[None] * (width - len(cells))]


def _simple_parser(properties: Mapping[str, str], width: int) -> Parser:
    delimiter = properties.get("field.delim", properties.get("serialization.format", "\x01"))
    if delimiter.isdigit() and len(delimiter) <= 3 and "field.delim" not in properties:
        delimiter = chr(int(delimiter))
    escape = properties.get("escape.delim", "")
    null = properties.get("serialization.null.format", "\\N")
    unescaped = (
        re.compile(rf"((?:{re.escape(escape)}.|[^{re.escape(escape + delimiter)}])*)") if escape else None
    )

    def split(line: str) -> list[str]:
        if unescaped is None:
            return line.split(delimiter)
        cells, position = [], 0
        while found := unescaped.match(line, position):
            cells.append(found[1])
            position = found.end() + 1
            if position > len(line):
                break
        return cells

    def value(cell: str) -> str | None:
        if cell == null:
            return None
        return re.sub(rf"{re.escape(escape)}(.)", r"\1", cell) if escape else cell

    return lambda lines: (_fitted([value(cell) for cell in split(line)], width) for line in lines)


def _lenient(cell: str, kind: str, collection: str = "\x02") -> str:
    """The value of a LazySimpleSerDe cell: what does not fit the type is NULL."""
    if kind == "VARCHAR":
        return cell
    if kind.endswith("[]"):
        separator = "chr(" + str(ord(collection)) + ")"
        element = _lenient("e", kind[:-2], collection)
        return (
            f"CASE WHEN {cell} = '' THEN [] ELSE "
            f"list_transform(string_split({cell}, {separator}), LAMBDA e: {element}) END"
        )
    if kind.startswith(("MAP", "STRUCT")):
        raise QueryFailed("NOT_SUPPORTED", "maps and structs in delimited text are not rehearsed")
    patterns = {
        "BOOLEAN": "(?i)true|false",
        "DATE": "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}",
        "TIMESTAMP": _TIMESTAMP,
        "DOUBLE": rf"{_NUMBER}|NaN|[+-]?Infinity",
        "REAL": rf"{_NUMBER}|NaN|[+-]?Infinity",
        **dict.fromkeys(_INTEGERS, r"[+-]?[0-9]+(\.[0-9]*)?"),
    }
    text = f"regexp_extract({cell}, '^[+-]?[0-9]+')" if kind in _INTEGERS else cell
    value = f"TRY_CAST({text} AS {kind})"
    if kind == "TIMESTAMP":
        value = f"date_trunc('milliseconds', {value})"
    return f"CASE WHEN regexp_full_match({cell}, '{patterns.get(kind, _NUMBER)}') THEN {value} END"


def _csv_parser(properties: Mapping[str, str], width: int) -> Parser:
    delimiter = properties.get("separatorChar", ",")
    quote = properties.get("quoteChar", '"')
    escape = properties.get("escapeChar", "\\")

    def parse(line: str) -> Row:
        # Line by line: OpenCSVSerDe, too, ends a row at a line break inside quotes.
        cells = csv.reader([line], delimiter=delimiter, quotechar=quote, escapechar=escape)
        return _fitted(next(cells, [""]), width)

    return lambda lines: map(parse, lines)


def _csv_cell(cell: str, kind: str) -> str:
    if kind == "DATE":
        return f"DATE '1970-01-01' + CAST({cell} AS INTEGER)"
    if kind == "TIMESTAMP":
        return f"epoch_ms(CAST({cell} AS BIGINT))"
    return f"CAST({cell} AS {kind})"


def _json_parser(properties: Mapping[str, str], columns: Sequence[str]) -> Parser:
    names = [properties.get(f"mapping.{name}", name).lower() for name in columns]
    forgiving = properties.get("ignore.malformed.json", "false").lower() == "true"

    def parse(line: str) -> Row:
        try:
            record = json.loads(line)
            fields = {name.lower(): value for name, value in record.items()}
        except (ValueError, AttributeError):
            if forgiving:
                return [None] * len(names)
            raise QueryFailed("HIVE_CURSOR_ERROR", "Row is not a valid JSON Object") from None
        return [_json_text(fields.get(name)) for name in names]

    return lambda lines: (parse(line) for line in lines if line.strip())


def _json_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _json_cell(cell: str, kind: str) -> str:
    nested = kind.endswith("[]") or kind.startswith(("MAP", "STRUCT"))
    return f"CAST({cell}::JSON AS {kind})" if nested else f"CAST({cell} AS {kind})"
