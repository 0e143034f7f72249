import pytest

from tests.unit.athena_in_memory import Objects, ask, rows, table, value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("greatest(1, NULL)", None),
        ("greatest(1, 3, 2)", "3"),
        ("least(1, NULL)", None),
        ("least(2, 1)", "1"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7e0 / 2", "3.5"),
        ("(1 + 6) / (5 - 3)", "3"),
        ("100.0 * 1 / 3", "33.3"),
        ("1 / 3.00", "0.33"),
        ("1e0 / 4.0", "0.25"),
        ("url_decode('a+b%2Bc%20d')", "a b+c d"),
        ("url_encode('a b+*~')", "a+b%2B*%7E"),
        ("url_extract_host('https://example.org:8080/a/b?c=d')", "example.org"),
        ("url_extract_path('https://example.org:8080/a/b?c=d')", "/a/b"),
        ("from_iso8601_timestamp('2026-11-20T12:00:00Z')", "2026-11-20 12:00:00.000 UTC"),
        ("from_iso8601_date('2026-11-20')", "2026-11-20"),
        ("to_iso8601(TIMESTAMP '2026-11-20 12:00:00')", "2026-11-20T12:00:00.000Z"),
        ("date_format(TIMESTAMP '2026-11-20 12:34:56', '%Y-%m-%d %H:%i:%s')", "2026-11-20 12:34:56"),
        ("date_parse('20.11.2026', '%d.%m.%Y')", "2026-11-20 00:00:00.000"),
        ("format_datetime(TIMESTAMP '2026-11-20 12:34:56', 'yyyy-MM-dd''T''HH:mm')", "2026-11-20T12:34"),
        ("parse_datetime('2026-11-20', 'yyyy-MM-dd')", "2026-11-20 00:00:00.000 UTC"),
        (
            "at_timezone(from_iso8601_timestamp('2026-11-20T12:00:00Z'), 'Europe/Berlin')",
            "2026-11-20 13:00:00.000",
        ),
        ("TIMESTAMP '2026-11-20 12:00:00' AT TIME ZONE 'Europe/Berlin'", "2026-11-20 13:00:00.000"),
        ("with_timezone(TIMESTAMP '2026-11-20 12:00:00', 'Europe/Berlin')", "2026-11-20 11:00:00.000 UTC"),
        ("date_add('day', 2, DATE '2026-11-20')", "2026-11-22"),
        ("DATE '2026-11-20' - INTERVAL '1' DAY", "2026-11-19"),
        ("TIMESTAMP '2026-11-20 12:00:00' + INTERVAL '1' HOUR", "2026-11-20 13:00:00.000"),
        ("date_trunc('month', DATE '2026-11-20')", "2026-11-01"),
        ("date_diff('day', TIMESTAMP '2026-01-01 23:00:00', TIMESTAMP '2026-01-02 01:00:00')", "0"),
        ("date_diff('hour', TIMESTAMP '2026-01-01 23:00:00', TIMESTAMP '2026-01-02 01:00:00')", "2"),
        ("day_of_week(DATE '2026-11-22')", "7"),
        ("extract(dow FROM DATE '2026-11-22')", "7"),
        ("current_date = date(current_timestamp)", "true"),
        ("try(1 / 0)", None),
        ("try(CAST('x' AS integer))", None),
        ("try_cast('x' AS integer)", None),
        ("try_cast('12.5' AS integer)", None),
        ("CAST(12.5 AS integer)", "13"),
        ("if(1 > 2, 'a', 'b')", "b"),
        ("if(1 > 2, 'a')", None),
        ("concat('a', NULL)", None),
        ("concat('a', 'b')", "ab"),
        ("'abc' LIKE 'A%'", "false"),
        ("'50% off' LIKE '50!%%' ESCAPE '!'", "true"),
        ("regexp_like('abc', 'b')", "true"),
        ("regexp_extract('abc', 'x')", None),
        ("regexp_extract('img12', '([a-z]+)(\\d+)', 2)", "12"),
        ("regexp_replace('aXbX', 'X', '-')", "a-b-"),
        ("split_part('a,b', ',', 2)", "b"),
        ("split_part('a,b', ',', 3)", None),
        ("split('a,b', ',')", "[a, b]"),
        ("format('%s: %.1f', 'a', 1.24e0)", "a: 1.2"),
        ("cardinality(ARRAY[1, 2])", "2"),
        ("cardinality(map(ARRAY['a'], ARRAY[1]))", "1"),
        ("element_at(ARRAY[1, 2], 2)", "2"),
        ("element_at(ARRAY[1, 2], 3)", None),
        ("element_at(map(ARRAY['a'], ARRAY[1]), 'a')", "1"),
        ("element_at(map(ARRAY['a'], ARRAY[1]), 'b')", None),
        ("array_sort(ARRAY[3, NULL, 1])", "[1, 3, null]"),
        ("array_position(ARRAY[1, 2], 3)", "0"),
        ("slice(ARRAY[1, 2, 3], 2, 2)", "[2, 3]"),
        ("filter(ARRAY[1, 2, 3], x -> x > 1)", "[2, 3]"),
        ("transform(ARRAY[1, 2, 3], x -> x / 2)", "[0, 1, 1]"),
        ("reduce(ARRAY[1, 2], 0, (s, x) -> s + x, s -> s * 10)", "30"),
        ("any_match(ARRAY[1, 2], x -> x > 1)", "true"),
        ("all_match(ARRAY[1, 2], x -> x > 1)", "false"),
        ("none_match(ARRAY[1, 2], x -> x > 2)", "true"),
        ("CAST(93.5e0 AS varchar)", "9.35E1"),
        ("CAST(TIMESTAMP '2026-11-20 12:00:00' AS varchar)", "2026-11-20 12:00:00.000"),
        ("CAST(12 AS varchar)", "12"),
        ("CAST('abc' AS varchar(2))", "ab"),
        ("CAST(json_extract('{\"a\": [1, 2]}', '$.a') AS array(integer))", "[1, 2]"),
        ('json_extract_scalar(\'{"a": {"b": "c"}}\', \'$.a.b\')', "c"),
        ("CAST(row(1, 'a') AS row(x integer, y varchar))", "{x=1, y=a}"),
        ("1 IN (2, 3)", "false"),
    ],
)
def test_an_expression_means_what_it_means_in_athena(expression: str, expected: str | None) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("map_agg(face_id, age_low)", "{f1=20, f2=30}"),
        ("map_agg(certainty, age_low)", "{confident=20}"),
        ("histogram(certainty)", "{confident=2}"),
        ("approx_distinct(face_id)", "2"),
        ("approx_percentile(age_low, 0.99)", "30"),
        ("array_agg(face_id ORDER BY face_id DESC)", "[f2, f1]"),
        ("sum(age_low)", "50"),
        ("avg(age_low)", "25.0"),
        ("max_by(face_id, age_low)", "f2"),
        ("count_if(age_low > 25)", "1"),
        ("count(*) FILTER (WHERE age_low > 25)", "1"),
        ("listagg(face_id, '-') WITHIN GROUP (ORDER BY face_id)", "f1-f2"),
        ("sum(age_low) / count(*)", "25"),
    ],
)
def test_an_aggregate_means_what_it_means_in_athena(aggregate: str, expected: str) -> None:
    sql = f"SELECT {aggregate} FROM faces WHERE certainty = 'confident'"  # noqa: S608
    assert rows(sql) == [[expected]]


def test_approx_distinct_counts_few_values_exactly() -> None:
    storage = Objects({"t/o": "".join(f"{number}\n" for number in range(500))})
    assert rows("SELECT approx_distinct(a) FROM t", table("t", {"a": "int"}), storage=storage) == [["500"]]


def test_the_path_is_there_when_it_is_asked_for_and_only_then() -> None:
    path = "s3://results/faces/certainty=confident/upload_date=2026-11-12/b.csv"
    assert rows('SELECT "$path" FROM faces WHERE "$path" LIKE \'%/b.csv\'') == [[path]]
    assert "$path" not in [name for name, _ in ask("SELECT * FROM faces").columns]


def test_arrays_unfold_into_rows() -> None:
    sql = "SELECT x, n FROM (SELECT ARRAY['a', 'b'] AS p) CROSS JOIN UNNEST(p) WITH ORDINALITY AS u(x, n) ORDER BY n"
    assert rows(sql) == [["a", "1"], ["b", "2"]]


def test_a_with_query_may_bear_the_name_of_the_table_it_reads() -> None:
    sql = "WITH faces AS (SELECT age_low AS a FROM faces WHERE certainty = 'confident') SELECT max(a) FROM faces"
    assert rows(sql) == [["30"]]


def test_names_are_the_same_in_capitals() -> None:
    sql = """
        WITH Young AS (SELECT F."AGE_LOW" AS Age FROM LENS.Faces f WHERE Certainty = 'confident')
        SELECT MIN(age) FROM YOUNG
    """
    assert rows(sql) == [["20"]]


def test_recursion_ends() -> None:
    sql = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT max(n) FROM r"
    assert rows(sql) == [["3"]]
