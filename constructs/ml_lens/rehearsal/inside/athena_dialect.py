"""From the SQL of Athena to that of DuckDB, where the two do not mean the same."""

import re
from collections.abc import Callable

import duckdb
from sqlglot import ErrorLevel, exp

from ml_lens.rehearsal.inside.athena_failure import QueryFailed

# Overloads by type: what has no overload for its type falls to the last one.
_MACROS = r"""
CREATE MACRO trino_scale(kind) AS CASE WHEN kind LIKE 'DECIMAL%'
  THEN CAST(regexp_extract(kind, ',([0-9]+)', 1) AS INTEGER) ELSE 0 END;
CREATE MACRO trino_divide(a, b) AS CASE
  WHEN (typeof(a) LIKE 'DECIMAL%' OR typeof(b) LIKE 'DECIMAL%')
    AND typeof(a) NOT IN ('DOUBLE', 'FLOAT') AND typeof(b) NOT IN ('DOUBLE', 'FLOAT')
  THEN round(a // b, greatest(trino_scale(typeof(a)), trino_scale(typeof(b)))) ELSE a // b END;
CREATE MACRO trino_plus(a DATE, b INTERVAL) AS CAST(a + b AS DATE), (a, b) AS a + b;
CREATE MACRO trino_trunc(unit, a DATE) AS CAST(date_trunc(unit, a) AS DATE), (unit, a) AS date_trunc(unit, a);
CREATE MACRO trino_integer(a VARCHAR) AS CASE WHEN regexp_full_match(a, '[+-]?[0-9]+') THEN a ELSE a || '!' END,
  (a) AS a;
CREATE MACRO trino_scientific(a) AS CASE WHEN a = 0 THEN '0E0' WHEN isnan(a) THEN 'NaN'
  WHEN isinf(a) THEN CASE WHEN a > 0 THEN 'Infinity' ELSE '-Infinity' END
  ELSE CAST(round(a / pow(10.0, floor(log10(abs(a)))), 14) AS VARCHAR) || 'E'
    || CAST(CAST(floor(log10(abs(a))) AS BIGINT) AS VARCHAR) END;
CREATE MACRO trino_text(a) AS CASE typeof(a)
  WHEN 'TIMESTAMP' THEN strftime(TRY_CAST(CAST(a AS VARCHAR) AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g')
  WHEN 'TIMESTAMP WITH TIME ZONE'
    THEN strftime(TRY_CAST(CAST(a AS VARCHAR) AS TIMESTAMPTZ), '%Y-%m-%d %H:%M:%S.%g') || ' UTC'
  WHEN 'DOUBLE' THEN trino_scientific(TRY_CAST(CAST(a AS VARCHAR) AS DOUBLE))
  ELSE CAST(a AS VARCHAR) END;
CREATE MACRO trino_decode(a) AS url_decode(replace(a, '+', ' '));
CREATE MACRO trino_encode(a) AS replace(replace(replace(url_encode(a), '%20', '+'), '~', '%7E'), '%2A', '*');
CREATE MACRO trino_extract(a, p, g) AS CASE WHEN regexp_matches(a, p) THEN regexp_extract(a, p, g) END;
CREATE MACRO trino_part(a, d, n) AS CASE WHEN n <= len(string_split(a, d)) THEN split_part(a, d, n) END;
CREATE MACRO trino_map(k, v) AS map_from_entries(list_filter(
  list({'k': k, 'v': v}) FILTER (k IS NOT NULL),
  LAMBDA e, i: i = list_position(
    list_transform(list({'k': k, 'v': v}) FILTER (k IS NOT NULL), LAMBDA x: x.k), e.k)));
CREATE MACRO trino_slice(a, s, n) AS list_slice(a, s, s + n - 1);
CREATE MACRO trino_position(a, x) AS CASE WHEN a IS NOT NULL AND x IS NOT NULL
  THEN coalesce(list_position(a, x), 0) END;
CREATE MACRO trino_host(a) AS nullif(regexp_extract(a, '^[^:/?#]+://(?:[^@/?#]*@)?([^:/?#]*)', 1), '');
CREATE MACRO trino_path(a) AS regexp_extract(a, '^(?:[^:/?#]+:)?(?://[^/?#]*)?([^?#]*)', 1);
CREATE MACRO trino_iso(a) AS strftime(a, '%Y-%m-%dT%H:%M:%S.%gZ');
"""

_RENAMED = {
    "arrays_overlap": "list_has_any",
    "codepoint": "unicode",
    "every": "bool_and",
    "is_infinite": "isinf",
    "map_agg": "trino_map",
    "url_decode": "trino_decode",
    "url_encode": "trino_encode",
    "url_extract_host": "trino_host",
    "url_extract_path": "trino_path",
}
_JODA = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%g",
    "a": "%p",
    "EEEE": "%A",
    "EEE": "%a",
    "Z": "%z",
}
_COUNTED = {"any_match": (exp.GT, None), "none_match": (exp.EQ, None), "all_match": (exp.EQ, "all")}
_INTEGRAL = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
_TEXTUAL = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.CHAR)


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Teach a connection what DuckDB does not know of Athena's functions."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(_MACROS)


def to_duckdb(query: exp.Expr) -> str:
    """The query in DuckDB's SQL.

    Raises:
        QueryFailed: Something in it has no equivalent here.
    """
    root = query.copy()
    for node in reversed(list(root.bfs())):  # children before parents
        mended = _mend(node)
        if mended is not node and node is not root:
            node.replace(mended)
        elif mended is not node:
            root = mended
    return root.sql("duckdb", unsupported_level=ErrorLevel.RAISE)


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _mend(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Anonymous):
        return _mend_named(node)
    for kind, mend in _MENDED.items():
        if type(node) is kind:
            return mend(node)
    return node


def _mend_named(node: exp.Anonymous) -> exp.Expr:
    name = node.name.lower()
    arguments = node.expressions
    if name in _COUNTED:
        comparison, of = _COUNTED[name]
        count = _call("len", _call("list_filter", *arguments))
        return comparison(
            this=count, expression=_call("len", arguments[0].copy()) if of else exp.Literal.number(0)
        )
    if name == "at_timezone":
        return _at_zone(exp.AtTimeZone(this=arguments[0], zone=arguments[1]))
    if name == "with_timezone":
        return exp.AtTimeZone(this=arguments[0], zone=arguments[1])
    if name == "format_datetime":
        return _call("strftime", arguments[0], _joda(arguments[1]))
    if name == "to_iso8601":
        return _call("trino_iso", *arguments)
    if name in _RENAMED:
        return _call(_RENAMED[name], *arguments)
    return node


def _at_zone(node: exp.Expr) -> exp.Expr:
    # A timestamp without a zone is one in UTC; DuckDB would take it for local time in the new zone.
    return exp.AtTimeZone(this=exp.cast(node.this, exp.DType.TIMESTAMPTZ), zone=node.args["zone"])


def _joda(layout: exp.Expr) -> exp.Expr:
    if not (isinstance(layout, exp.Literal) and layout.is_string):
        raise QueryFailed("NOT_SUPPORTED", "the rehearsal needs the date format as a literal", at=layout)
    written = ""
    for found in re.finditer(r"'([^']*)'|(([a-zA-Z])\3*)|[^a-zA-Z']+", layout.name):
        if found[2] and found[2] not in _JODA:
            raise QueryFailed("NOT_SUPPORTED", f"{found[2]!r} in a date format is not rehearsed", at=layout)
        written += _JODA[found[2]] if found[2] else (found[1] if found[1] is not None else found[0])
    return exp.Literal.string(written)


def _date_arithmetic(node: exp.Expr) -> exp.Expr:
    left, right = node.this, node.expression
    if isinstance(left, exp.Interval) and isinstance(node, exp.Add):
        left, right = right, left
    if not isinstance(right, exp.Interval) or isinstance(left, exp.Interval):
        return node
    return _call("trino_plus", left, exp.Neg(this=right) if isinstance(node, exp.Sub) else right)


def _date_add(node: exp.Expr) -> exp.Expr:
    one = exp.Interval(this=exp.Literal.string("1"), unit=node.args.get("unit"))
    return _call("trino_plus", node.this, exp.Mul(this=exp.Paren(this=node.expression), expression=one))


def _unit(node: exp.Expr) -> exp.Expr:
    return exp.Literal.string(node.args["unit"].name.lower())


def _date_diff(node: exp.Expr) -> exp.Expr:
    # Athena counts whole units that have passed, not borders that were crossed.
    return _call("date_sub", _unit(node), node.expression, node.this)


def _date_trunc(node: exp.Expr) -> exp.Expr:
    return _call("trino_trunc", _unit(node), node.this)


def _cast(node: exp.Expr) -> exp.Expr:
    target = node.args["to"]
    value = node.this
    if target.this in _TEXTUAL:
        value = value if value.is_string else _call("trino_text", value)
        length = target.expressions[0].name if target.expressions else None
        return _call("left", value, exp.Literal.number(length)) if length else value
    if target.this in _INTEGRAL:
        node.set("this", _call("trino_integer", value))
    elif target.this == exp.DType.TIMESTAMP and target.expressions:
        node.set("to", exp.DataType(this=exp.DType.TIMESTAMP))
    return node


def _reduce(node: exp.Expr) -> exp.Expr:
    folded = _call("list_reduce", node.this, node.args["merge"], node.args["initial"])
    finish = node.args["finish"]
    return _call("list_extract", _call("list_transform", exp.array(folded), finish), exp.Literal.number(1))


def _row(node: exp.Expr) -> exp.Expr:
    if isinstance(node.parent, exp.Cast) or any(
        isinstance(item, exp.PropertyEQ) for item in node.expressions
    ):
        return node
    named = [
        exp.PropertyEQ(this=exp.to_identifier(f"field{number}"), expression=item)
        for number, item in enumerate(node.expressions)
    ]
    return exp.Struct(expressions=named)


def _day_of_week(node: exp.Expr) -> exp.Expr:
    if node.name.upper() in ("DOW", "DAYOFWEEK", "DAY_OF_WEEK"):
        return exp.Extract(this=exp.var("ISODOW"), expression=node.expression)
    return node


def _array_sort(node: exp.Expr) -> exp.Expr:
    if node.args.get("expression"):
        raise QueryFailed("NOT_SUPPORTED", "array_sort with a comparator is not rehearsed", at=node)
    return node


_MENDED: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Div: lambda node: _call("trino_divide", node.this, node.expression),
    exp.Add: _date_arithmetic,
    exp.Sub: _date_arithmetic,
    exp.DateAdd: _date_add,
    exp.DateDiff: _date_diff,
    exp.DateTrunc: _date_trunc,
    exp.TimestampTrunc: _date_trunc,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Reduce: _reduce,
    exp.Struct: _row,
    exp.ArraySize: lambda node: exp.cast(_call("cardinality", node.this), exp.DType.BIGINT),
    exp.ArraySlice: lambda node: _call("trino_slice", node.this, node.args["start"], node.args["end"]),
    exp.ArrayPosition: lambda node: _call("trino_position", node.this, node.expression),
    exp.Extract: _day_of_week,
    exp.ArraySort: _array_sort,
    exp.AtTimeZone: _at_zone,
    # Exact here: Athena's estimates are exact, too, as long as there are few values.
    exp.ApproxDistinct: lambda node: exp.Count(this=exp.Distinct(expressions=[node.this])),
    exp.Format: lambda node: _call("printf", node.this, *node.expressions),
    exp.ParseDatetime: lambda node: exp.cast(
        _call("strptime", node.this, _joda(node.args["format"])), exp.DType.TIMESTAMPTZ
    ),
    exp.RegexpExtract: lambda node: _call(
        "trino_extract", node.this, node.expression, node.args.get("group") or exp.Literal.number(0)
    ),
    exp.SplitPart: lambda node: _call(
        "trino_part", node.this, node.args["delimiter"], node.args["part_index"]
    ),
}
