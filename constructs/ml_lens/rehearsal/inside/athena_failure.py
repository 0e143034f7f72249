"""Why a query failed, in the words Athena uses."""

import re

import duckdb
from sqlglot import exp
from sqlglot.errors import OptimizeError

_BINDER_ERRORS = (
    (r"must appear in the GROUP BY clause", "EXPRESSION_NOT_AGGREGATE"),
    (r"WHERE clause cannot contain aggregates", "EXPRESSION_NOT_SCALAR"),
    (r"aggregate function calls cannot be nested", "NESTED_AGGREGATION"),
    (r"No function matches|Cannot compare|Cannot mix|Cannot combine", "TYPE_MISMATCH"),
    (r"not found in FROM clause|does not have a column", "COLUMN_NOT_FOUND"),
)


class QueryFailed(Exception):  # noqa: N818 - Athena's own word for the state
    """A query that cannot run; the text begins with Athena's error code."""

    def __init__(self, code: str, message: str, at: exp.Expr | None = None) -> None:
        self.code = code
        self.message = f"{position(at)}: {message}" if at is not None else message
        super().__init__(f"{self.code}: {self.message}")


def position(node: exp.Expr) -> str:
    """Say where the first word of an expression stands, as in ``line 1:8``."""
    words = [part.meta for part in node.walk() if "line" in part.meta]
    if not words:
        return "line 1:1"
    first = min(words, key=lambda word: int(word["start"]))
    return f"line {first['line']}:{first['col'] - (first['end'] - first['start'])}"


def from_duckdb(error: duckdb.Error) -> QueryFailed:
    """Give the database's complaint the code that Athena has for it."""
    text = str(error).splitlines()[0]
    message = text.partition(": ")[2] or text
    if "Division by zero" in text:
        return QueryFailed("DIVISION_BY_ZERO", "Division by zero")
    if isinstance(error, duckdb.ParserException):
        return QueryFailed("SYNTAX_ERROR", message)
    if isinstance(error, duckdb.ConversionException):
        cast = re.match(r"Could not convert string '(.*?)!?' to (\w+)", message)
        return QueryFailed(
            "INVALID_CAST_ARGUMENT", f"Cannot cast '{cast[1]}' to {cast[2]}" if cast else message
        )
    if isinstance(error, duckdb.CatalogException) and "unction with name" in text:
        return QueryFailed("FUNCTION_NOT_FOUND", message)
    if isinstance(error, duckdb.OutOfRangeException):
        return QueryFailed("NUMERIC_VALUE_OUT_OF_RANGE", message)
    if isinstance(error, duckdb.InvalidInputException):
        return QueryFailed("INVALID_FUNCTION_ARGUMENT", message)
    if isinstance(error, duckdb.BinderException):
        for pattern, code in _BINDER_ERRORS:
            if re.search(pattern, text):
                return QueryFailed(code, message)
    return QueryFailed("NOT_SUPPORTED", f"the rehearsal cannot run this query: {message}")


def unresolved(error: OptimizeError, query: exp.Query) -> QueryFailed:
    """Say which column of the query is not there, and where it stands."""
    named = re.search(r"[Cc]olumn:? '?([^'.]+?)'?(?: could|\.|$)", str(error))
    name = named[1] if named else ""
    table = re.search(r"for table: '([^']+)'", str(error))
    found = [column for column in query.find_all(exp.Column) if column.name.lower() == name.lower()]
    at = next((column for column in found if table is None or column.table == table[1]), None)
    if at is None:
        return QueryFailed("COLUMN_NOT_FOUND", f"line 1:1: {error}")
    return QueryFailed("COLUMN_NOT_FOUND", f"{position(at)}: Column '{at.sql().lower()}' cannot be resolved")
