import time

import pytest

from tests.unit.athena_in_memory import (
    BY_CERTAINTY_AND_DATE,
    FACE_COLUMNS,
    FACES,
    PARTITIONS,
    UNCERTAIN,
    Objects,
    confident_faces,
    faces_table,
    failure,
    rows,
    table,
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT face_id FROM faces WHERE certainty = 'confident' ORDER BY 1", ["f1", "f2"]),
        ("SELECT face_id FROM faces f WHERE f.certainty IN ('confident') AND age_low > 25", ["f2"]),
        ("SELECT face_id FROM faces WHERE certainty < 'd' AND upload_date >= '2026-11-11'", ["f2"]),
        (
            "SELECT face_id FROM faces WHERE certainty BETWEEN 'a' AND 'd' AND upload_date = '2026-11-10'",
            ["f1"],
        ),
        ("SELECT face_id FROM faces WHERE NOT (certainty <> 'confident') AND age_low = 20", ["f1"]),
        ("SELECT face_id FROM confident_faces WHERE upload_date < '2026-11-11'", ["f1"]),
        (
            "SELECT s.face_id FROM (SELECT * FROM faces) s WHERE s.certainty = 'confident' AND age_low = 20",
            ["f1"],
        ),
        (
            "WITH c AS (SELECT certainty k, max(age_low) a FROM faces GROUP BY certainty) "
            "SELECT a FROM c WHERE k LIKE 'c%'",
            ["30"],
        ),
        (
            "SELECT face_id FROM (SELECT * FROM faces UNION SELECT * FROM faces) "
            "WHERE certainty = 'confident' AND age_low = 20",
            ["f1"],
        ),
        (
            "SELECT a.face_id FROM faces a JOIN confident_faces b "
            "ON a.face_id = b.face_id AND a.certainty = 'confident' AND b.age_low = 20",
            ["f1"],
        ),
        (
            "SELECT a.face_id FROM confident_faces a LEFT JOIN faces b "
            "ON b.certainty = 'confident' AND a.face_id = b.face_id WHERE a.age_low = 20",
            ["f1"],
        ),
        (
            "SELECT face_id FROM faces WHERE certainty = 'confident' "
            "AND face_id IN (SELECT face_id FROM confident_faces WHERE age_low = 20)",
            ["f1"],
        ),
    ],
)
def test_a_reader_of_one_class_can_query_what_lies_in_it(sql: str, expected: list[str]) -> None:
    storage = Objects(FACES, refused=UNCERTAIN)
    found = rows(sql, faces_table(), confident_faces(), storage=storage)
    assert found == [[face] for face in expected]
    assert set(storage.listed) == {"faces/certainty=confident/"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT face_id FROM faces",
        "SELECT face_id FROM faces WHERE certainty = 'uncertain'",
        "SELECT face_id FROM faces WHERE certainty = 'confident' OR age_low = 20",
        "SELECT n FROM (SELECT certainty, row_number() OVER (ORDER BY face_id) n FROM faces) "
        "WHERE certainty = 'confident'",
        "SELECT * FROM (SELECT * FROM faces ORDER BY face_id LIMIT 1) WHERE certainty = 'confident'",
        "SELECT a.face_id FROM confident_faces a LEFT JOIN faces b ON a.face_id = b.face_id WHERE b.certainty IS NULL",
        "SELECT face_id, (SELECT count(*) FROM faces) FROM confident_faces",
    ],
)
def test_a_query_that_needs_the_other_class_is_refused_with_the_reason(sql: str) -> None:
    storage = Objects(FACES, refused=UNCERTAIN)
    assert failure(sql, faces_table(), confident_faces(), storage=storage) == (
        "Permission denied on S3 path: s3://results/faces/certainty=uncertain/"
    )


def test_a_left_join_keeps_the_rows_that_pruning_must_not_touch() -> None:
    sql = "SELECT a.face_id FROM faces a LEFT JOIN faces b ON a.face_id = b.face_id WHERE b.certainty IS NULL"
    assert rows(sql) == []


def test_only_the_objects_of_the_dates_asked_for_are_read() -> None:
    storage = Objects(FACES)
    assert rows("SELECT count(*) FROM faces WHERE upload_date = '2026-11-12'", storage=storage) == [["1"]]
    assert storage.was_read == ["faces/certainty=confident/upload_date=2026-11-12/b.csv"]
    assert len(storage.listed) == 2


def test_a_partition_that_a_subquery_decides_is_not_pruned_away() -> None:
    sql = "SELECT face_id FROM faces WHERE upload_date = (SELECT max('2026-11-12') FROM faces)"
    assert rows(sql) == [["f2"]]


def test_a_table_read_twice_is_read_for_both_readings() -> None:
    one, other = "certainty = 'confident'", "certainty = 'uncertain'"
    sql = f"SELECT face_id FROM faces WHERE {one} UNION ALL SELECT face_id FROM faces WHERE {other}"  # noqa: S608
    assert sorted(rows(sql)) == [["f1"], ["f2"], ["u1"]]


def test_only_projected_partitions_exist() -> None:
    outside = {
        "faces/certainty=other/upload_date=2026-11-10/x.csv": "h\nx,1,1,\n",
        "faces/certainty=confident/upload_date=2026-10-31/x.csv": "h\nx,1,1,\n",
        "faces/certainty=confident/upload_date=2999-01-01/x.csv": "h\nx,1,1,\n",
        "faces/certainty=confident/upload_date=2026-11-5/x.csv": "h\nx,1,1,\n",
        "faces/certainty=confident/upload_date=20261110/x.csv": "h\nx,1,1,\n",
        "faces/certainty=confident/x.csv": "h\nx,1,1,\n",
        "faces/certainty=confident/upload_date=2026-11-10/_x.csv": "h\nx,1,1,\n",
    }
    assert rows("SELECT count(*) FROM faces", storage=Objects({**FACES, **outside})) == [["3"]]


def test_a_template_places_partitions_and_integers_are_recognised() -> None:
    properties = {
        "projection.enabled": "TRUE",
        "projection.hour.type": "integer",
        "projection.hour.range": "0,23",
        "projection.hour.digits": "2",
        "projection.day.type": "date",
        "projection.day.format": "yyyy/MM/dd",
        "projection.day.range": "NOW-3YEARS,NOW+1DAYS",
        "storage.location.template": "s3://results/log/${day}/h${hour}",
    }
    partitions = {"day": "string", "hour": "int"}
    definition = table("t", {"a": "string"}, partitions=partitions, properties=properties)
    today = time.strftime("%Y/%m/%d", time.gmtime())
    names = {"h07/o": "in", "h7/o": "digits", "h24/o": "range", "07/o": "template"}
    storage = Objects({f"log/{today}/{name}": content for name, content in names.items()})
    assert rows("SELECT a, hour FROM t WHERE hour < 8", definition, storage=storage) == [["in", "7"]]


def test_an_injected_partition_needs_its_value_from_the_query() -> None:
    properties = {"projection.enabled": "true", "projection.tenant.type": "injected"}
    definition = table("t", {"a": "string"}, partitions={"tenant": "string"}, properties=properties)
    storage = Objects({"t/tenant=one/o": "x\n", "t/tenant=two/o": "y\n"}, refused="t/tenant=two")
    assert rows("SELECT a, tenant FROM t WHERE tenant = 'one'", definition, storage=storage) == [["x", "one"]]
    assert failure("SELECT a FROM t", definition, storage=storage).startswith("CONSTRAINT_VIOLATION: ")


def test_an_incomplete_projection_and_partitions_without_one_are_named() -> None:
    assert "projection.certainty.values" in failure(
        "SELECT 1 FROM faces", table("faces", FACE_COLUMNS, partitions=PARTITIONS, properties={
            key: text for key, text in BY_CERTAINTY_AND_DATE.items() if not key.endswith("values")
        })
    )  # fmt: skip
    assert "projection.enabled" in failure("SELECT 1 FROM t", table("t", {"a": "int"}, partitions=PARTITIONS))
