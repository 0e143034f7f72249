import gzip
from pathlib import Path

import duckdb
import pytest

from tests.unit.athena_in_memory import (
    COMMA,
    HEADER,
    JSON,
    OPEN_CSV,
    PARQUET,
    Objects,
    failure,
    only_row,
    rows,
    table,
)


def test_a_quote_is_an_ordinary_character_and_a_comma_always_splits() -> None:
    assert only_row({"a": "string", "b": "string"}, '"x,y",z\n') == ['"x', 'y"']


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("int", "12", "12"),
        ("int", "12.9", "12"),
        ("int", " 12", None),
        ("int", "twelve", None),
        ("int", "99999999999", None),
        ("bigint", "99999999999", "99999999999"),
        ("double", "93.5", "93.5"),
        ("double", "1e10", "1.0E10"),
        ("double", "93,5", "93.0"),
        ("double", "high", None),
        ("float", "0.1", "0.1"),
        ("boolean", "TRUE", "true"),
        ("boolean", "yes", None),
        ("date", "2026-11-20", "2026-11-20"),
        ("date", "20.11.2026", None),
        ("timestamp", "2026-11-20 12:00:00.000", "2026-11-20 12:00:00.000"),
        ("timestamp", "2026-11-20 12:00:00.123999", "2026-11-20 12:00:00.123"),
        ("timestamp", "2026-11-20T12:00:00Z", None),
        ("decimal(5,2)", "1.5", "1.50"),
        ("decimal(5,2)", "12345", None),
        ("array<string>", "a\x02b", "[a, b]"),
    ],
)
def test_a_cell_that_does_not_fit_its_type_is_null(kind: str, cell: str, expected: str | None) -> None:
    assert only_row({"a": kind}, f"{cell}\n") == [expected]


def test_empty_text_stays_empty_and_an_empty_number_is_null() -> None:
    assert only_row({"a": "string", "b": "int", "c": "string"}, ",,\\N\n") == ["", None, None]


def test_missing_cells_are_null_and_surplus_cells_are_dropped() -> None:
    definition = table("t", {"a": "string", "b": "string"})
    found = rows("SELECT * FROM t ORDER BY a", definition, storage=Objects({"t/o": "1\n2,x,y\n"}))
    assert found == [["1", None], ["2", "x"]]


def test_the_escape_character_works_only_where_it_is_declared() -> None:
    escaped = {**COMMA, "escape.delim": "\\"}
    assert only_row({"a": "string", "b": "string"}, "x\\,y,z\n", serde_properties=escaped) == ["x,y", "z"]
    assert only_row({"a": "string", "b": "string"}, "x\\,y,z\n") == ["x\\", "y"]


def test_the_header_is_skipped_in_every_object_and_hidden_objects_are_not_read() -> None:
    storage = Objects(
        {"t/a": "h\n1\n", "t/sub/b": "h\n2\n", "t/_c": "h\n3\n", "t/.d": "h\n4\n", "t/": "", "tt/e": "h\n5\n"}
    )
    definition = table("t", {"a": "int"}, properties=HEADER)
    assert rows("SELECT a FROM t ORDER BY a", definition, storage=storage) == [["1"], ["2"]]
    assert storage.was_read == ["t/a", "t/sub/b"]


def test_compressed_text_is_read() -> None:
    definition = table("t", {"a": "int"})
    assert rows("SELECT a FROM t", definition, storage=Objects({"t/a.gz": gzip.compress(b"7\n")})) == [["7"]]


def test_open_csv_knows_quotes() -> None:
    columns = {"a": "string", "b": "double", "c": "date"}
    assert only_row(columns, '"x,y","1.5",2\n', serde=OPEN_CSV, serde_properties={}) == [
        "x,y",
        "1.5",
        "1970-01-03",
    ]


def test_open_csv_refuses_what_does_not_fit() -> None:
    definition = table("t", {"a": "int"}, serde=OPEN_CSV)
    assert failure("SELECT a FROM t", definition, storage=Objects({"t/o": '"x"\n'})).startswith(
        "HIVE_BAD_DATA: "
    )


def test_json_is_read_by_name() -> None:
    columns = {"label": "string", "score": "double", "tags": "array<string>", "box": "struct<x:int,y:int>"}
    line = '{"Score": 1.5, "label": "cat, big", "tags": ["a", "b"], "box": {"x": 1, "y": 2}, "more": 1}\n'
    assert only_row(columns, line, serde=JSON) == ["cat, big", "1.5", "[a, b]", "{x=1, y=2}"]


def test_json_that_is_none_fails_unless_the_table_forgives() -> None:
    storage = Objects({"t/o": "{broken\n"})
    assert failure("SELECT a FROM t", table("t", {"a": "string"}, serde=JSON), storage=storage) == (
        "HIVE_CURSOR_ERROR: Row is not a valid JSON Object"
    )
    forgiving = table("t", {"a": "string"}, serde=JSON, serde_properties={"ignore.malformed.json": "true"})
    assert rows("SELECT a FROM t", forgiving, storage=storage) == [[None]]


def test_parquet_is_read_by_name(tmp_path: Path) -> None:
    file = tmp_path / "object.parquet"
    duckdb.execute("COPY (SELECT 'x' AS b, 1 AS A) TO ? (FORMAT parquet)", [str(file)])
    definition = table("t", {"a": "bigint", "b": "string", "c": "double"}, serde=PARQUET)
    found = rows('SELECT *, "$path" FROM t', definition, storage=Objects({"t/p": file.read_bytes()}))
    assert found == [["1", "x", None, "s3://results/t/p"]]


def test_an_unknown_serde_is_named() -> None:
    assert "RegexSerDe" in failure("SELECT a FROM t", table("t", {"a": "int"}, serde="org.apache.RegexSerDe"))
