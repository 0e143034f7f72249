import time

import pytest

from ml_lens.rehearsal.inside.athena_engine import execute
from tests.unit.athena_in_memory import (
    FACES,
    UNCERTAIN,
    Objects,
    ask,
    confident_faces,
    faces_table,
    failure,
    glue,
    rows,
    view,
)


def test_a_view_gives_its_columns_in_order() -> None:
    result = ask("SELECT * FROM confident_faces ORDER BY face_id", faces_table(), confident_faces())
    assert result.columns == [("face_id", "varchar"), ("age_low", "integer"), ("upload_date", "varchar")]
    assert result.rows == [["f1", "20", "2026-11-10"], ["f2", "30", "2026-11-12"]]


def test_a_view_may_stand_on_a_view() -> None:
    inner = confident_faces()
    outer = view("old", "SELECT age_low AS age FROM confident_faces WHERE age_low > 25", [("age", "integer")])
    storage = Objects(FACES, refused=UNCERTAIN)
    assert rows("SELECT age FROM old", faces_table(), inner, outer, storage=storage) == [["30"]]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ([("face_id", "varchar")], "stored view column count (1)"),
        ([("age_low", "integer"), ("face_id", "varchar")], "has a different name from column [age_low]"),
        ([("face_id", "varchar"), ("age", "integer")], "has a different name from column [age]"),
        ([("face_id", "integer"), ("age_low", "integer")], "cannot be coerced to column [face_id]"),
        ([("face_id", "varchar"), ("age_low", "varchar")], "cannot be coerced to column [age_low]"),
        ([("face_id", "varchar"), ("age_low", "smallint")], "cannot be coerced to column [age_low]"),
        ([("face_id", "string"), ("age_low", "integer")], "cannot be coerced to column [face_id]"),
    ],
)
def test_a_view_that_disagrees_with_its_query_is_stale(columns: list[tuple[str, str]], why: str) -> None:
    stale = confident_faces("SELECT face_id, age_low FROM faces", columns)
    found = failure("SELECT * FROM confident_faces", faces_table(), stale)
    assert found.startswith("INVALID_VIEW: line 1:15: View 'awsdatacatalog.lens.confident_faces' is stale")
    assert why in found


def test_a_view_may_declare_a_wider_type_and_gives_it() -> None:
    wider = confident_faces(
        "SELECT age_low, uploaded_at, face_id FROM faces",
        [("age_low", "double"), ("uploaded_at", "timestamp(3)"), ("face_id", "varchar(64)")],
    )
    result = ask("SELECT * FROM confident_faces WHERE face_id = 'f1'", faces_table(), wider)
    assert result.columns == [("age_low", "double"), ("uploaded_at", "timestamp"), ("face_id", "varchar")]
    assert result.rows == [["20.0", "2026-11-10 12:00:00.000", "f1"]]


def test_a_view_whose_query_no_longer_works_says_why() -> None:
    broken = confident_faces("SELECT nope FROM faces", [("nope", "varchar")])
    assert failure("SELECT 1 FROM confident_faces", faces_table(), broken) == (
        "INVALID_VIEW: line 1:15: Failed analyzing stored view 'awsdatacatalog.lens.confident_faces': "
        "line 1:8: Column 'nope' cannot be resolved"
    )


def test_views_that_name_each_other_end() -> None:
    one = view("one", "SELECT a FROM two", [("a", "integer")])
    two = view("two", "SELECT a FROM one", [("a", "integer")])
    assert "recursive" in failure("SELECT a FROM one", one, two)


def test_a_view_that_cannot_be_decoded_is_invalid() -> None:
    broken = {**confident_faces(), "ViewOriginalText": "SELECT 1"}
    assert failure("SELECT 1 FROM confident_faces", broken).startswith("INVALID_VIEW: ")


# What cannot run


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT nope FROM faces", "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved"),
        ("SELECT f.nope FROM faces f", "COLUMN_NOT_FOUND: line 1:8: Column 'f.nope' cannot be resolved"),
        (
            "SELECT 1\nFROM faces\nWHERE nope = 1",
            "COLUMN_NOT_FOUND: line 3:7: Column 'nope' cannot be resolved",
        ),
        (
            "SELECT age_low a FROM faces GROUP BY a",
            "COLUMN_NOT_FOUND: line 1:38: Column 'a' cannot be resolved",
        ),
        (
            "SELECT age_low a FROM faces WHERE a > 1",
            "COLUMN_NOT_FOUND: line 1:35: Column 'a' cannot be resolved",
        ),
        ("SELECT 1 FROM nix", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.lens.nix' does not exist"),
        ("SELECT 1 FROM hive.lens.faces", "CATALOG_NOT_FOUND: line 1:15: Catalog 'hive' does not exist"),
        ("SELECT 1 FROM forbidden", "User is not authorized to perform: glue:GetTable"),
        ("SELEC 1", "NOT_SUPPORTED: only SELECT queries can be rehearsed, not SELEC"),
        ("SELECT 1 FROM WHERE", "SYNTAX_ERROR: "),
        ("SELECT age_low,, face_id FROM faces", "SYNTAX_ERROR: line 1:16: mismatched input ','"),
        ("SELECT age_low, FROM faces", "SYNTAX_ERROR: line 1:17: mismatched input 'FROM'"),
        ("SELECT 'open", "SYNTAX_ERROR: "),
        ("", "SYNTAX_ERROR: line 1:1: the query is empty"),
        ("SELECT 1; SELECT 2", "SYNTAX_ERROR: Only one sql statement is allowed"),
        ("SELECT 7 / 0", "DIVISION_BY_ZERO: "),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT: Cannot cast 'x'"),
        ("SELECT CAST('12.5' AS integer)", "INVALID_CAST_ARGUMENT: Cannot cast '12.5'"),
        ("SELECT face_id, count(*) FROM faces", "EXPRESSION_NOT_AGGREGATE: "),
        ("SELECT sum(face_id) FROM faces", "TYPE_MISMATCH: "),
        (
            "SELECT 1 FROM faces WHERE upload_date > DATE '2026-11-01'",
            "TYPE_MISMATCH: line 1:27: Cannot apply",
        ),
        ("SELECT 1 FROM faces WHERE age_low IN ('1')", "TYPE_MISMATCH: line 1:27: Cannot apply"),
        ("SELECT 1 FROM faces WHERE face_id BETWEEN 1 AND 2", "TYPE_MISMATCH: line 1:27: Cannot apply"),
        (
            "SELECT face_id || 1 FROM faces",
            "TYPE_MISMATCH: line 1:8: Cannot apply operator: varchar || integer",
        ),
        (
            "SELECT strftime(uploaded_at, '%Y') FROM faces",
            "FUNCTION_NOT_FOUND: line 1:8: Function 'strftime'",
        ),
        ("SELECT * FROM read_csv('/etc/passwd')", "FUNCTION_NOT_FOUND: line 1:15: "),
        ("SELECT array_sort(ARRAY[1], (a, b) -> a - b)", "NOT_SUPPORTED: "),
    ],
)
def test_a_query_that_cannot_run_fails_as_in_athena(sql: str, expected: str) -> None:
    assert failure(sql).startswith(expected)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO faces VALUES (1)",
        "CREATE TABLE t AS SELECT 1 a",
        "CREATE VIEW v AS SELECT 1 a",
        "DROP TABLE faces",
        "DELETE FROM faces",
        "UNLOAD (SELECT 1) TO 's3://results/x' WITH (format = 'PARQUET')",
        "WITH a AS (SELECT 1 b) INSERT INTO faces SELECT b FROM a",
        "SELECT 1 a INTO t",
        "SHOW TABLES",
        "MSCK REPAIR TABLE faces",
    ],
)
def test_what_is_not_a_select_is_refused(sql: str) -> None:
    assert failure(sql).startswith("NOT_SUPPORTED: only SELECT queries can be rehearsed")


def test_without_a_database_a_table_must_be_qualified() -> None:
    catalogue, storage = glue(faces_table()), Objects(FACES)
    assert execute("SELECT 1 FROM faces", None, catalogue, storage).failure == (
        "MISSING_SCHEMA_NAME: line 1:15: Schema must be specified when session schema is not set"
    )
    sql = "SELECT lens.faces.face_id FROM AwsDataCatalog.lens.faces WHERE age_low = 20"
    assert execute(sql, None, catalogue, storage).rows == [["f1"]]


def test_trouble_in_the_storage_is_a_failure_too() -> None:
    class Broken(Objects):
        def read(self, bucket: str, key: str) -> bytes:
            raise OSError("connection lost")

    assert failure("SELECT 1 FROM faces", storage=Broken(FACES)) == (
        "GENERIC_INTERNAL_ERROR: OSError: connection lost"
    )


# Results


@pytest.mark.parametrize(
    ("expression", "kind", "text"),
    [
        ("'x'", "varchar", "x"),
        ("1", "integer", "1"),
        ("count(*)", "bigint", "1"),
        ("sum(1)", "bigint", "1"),
        ("93.5e0", "double", "93.5"),
        ("1e10", "double", "1.0E10"),
        ("1e7", "double", "1.0E7"),
        ("9999999e0", "double", "9999999.0"),
        ("1e-3", "double", "0.001"),
        ("1e-4", "double", "1.0E-4"),
        ("-2e0", "double", "-2.0"),
        ("0e0", "double", "0.0"),
        ("CAST('NaN' AS double)", "double", "NaN"),
        ("CAST('Infinity' AS double)", "double", "Infinity"),
        ("CAST(0.1 AS real)", "float", "0.1"),
        ("CAST(1.5 AS decimal(5, 2))", "decimal", "1.50"),
        ("true", "boolean", "true"),
        ("DATE '2026-11-20'", "date", "2026-11-20"),
        ("TIMESTAMP '2026-11-20 12:00:00'", "timestamp", "2026-11-20 12:00:00.000"),
        ("TIMESTAMP '2026-11-20 12:00:00.25'", "timestamp", "2026-11-20 12:00:00.250"),
        ("ARRAY[1.5e0, NULL]", "array", "[1.5, null]"),
        ("map(ARRAY['a'], ARRAY[true])", "map", "{a=true}"),
        ("row(1, 'a')", "row", "{field0=1, field1=a}"),
        ("to_utf8('ab')", "varbinary", "61 62"),
        ("CAST(NULL AS integer)", "integer", None),
    ],
)
def test_a_value_is_written_as_athena_writes_it(expression: str, kind: str, text: str | None) -> None:
    result = ask(f"SELECT {expression} AS v")
    assert (result.failure, result.columns, result.rows) == (None, [("v", kind)], [[text]])


def test_columns_keep_their_spelling_and_nameless_ones_get_athenas_names() -> None:
    result = ask('SELECT Face_Id, age_low AS "Age", count(*), 1 FROM faces GROUP BY 1, 2')
    assert [name for name, _ in result.columns] == ["Face_Id", "Age", "_col2", "_col3"]


def test_the_order_of_rows_is_kept_when_a_time_has_a_zone() -> None:
    sql = "SELECT face_id, with_timezone(uploaded_at, 'UTC') FROM faces ORDER BY uploaded_at DESC"
    assert [row[0] for row in rows(sql)] == ["f2", "u1", "f1"]


def test_hundreds_of_small_objects_are_read_quickly() -> None:
    line = "f{0},20,93.5,2026-11-10 12:00:00.000\n"
    objects = {
        f"faces/certainty=confident/upload_date=2026-11-{1 + number % 9:02d}/{number}.csv": "h\n" + line * 5
        for number in range(400)
    }
    started = time.perf_counter()
    assert rows("SELECT count(*) FROM faces", storage=Objects(objects)) == [["2000"]]
    assert time.perf_counter() - started < 2  # about 0.1 s on an idle machine
