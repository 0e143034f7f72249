"""What Athena would refuse and the tools in its place would let pass."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.schema import Schema
from sqlglot.tokenizer_core import Token, TokenType

from ml_lens.rehearsal.inside.athena_failure import QueryFailed

_FUNCTION_NAMES = """
cast exists extract grouping position unnest
abs all_match any_match any_value approx_distinct approx_percentile arbitrary array_agg array_distinct
array_except array_intersect array_join array_max array_min array_position array_remove array_sort
arrays_overlap at_timezone avg bitwise_and bitwise_or bool_and bool_or cardinality cbrt ceil ceiling chr
coalesce codepoint concat concat_ws contains corr cos count count_if covar_pop covar_samp cume_dist
current_timezone date date_add date_diff date_format date_parse date_trunc day day_of_month day_of_week
day_of_year degrees dense_rank dow doy e element_at every exp filter first_value flatten floor format
format_datetime from_iso8601_date from_iso8601_timestamp from_unixtime from_utf8 greatest histogram hour if
is_infinite is_nan json_array_length json_extract json_extract_scalar json_format json_parse lag
last_day_of_month last_value lead least length levenshtein_distance listagg ln log log10 log2 lower lpad
ltrim map_agg map_from_entries map_keys map_values max max_by md5 min min_by minute mod month none_match now
nth_value ntile nullif parse_datetime percent_rank pi pow power quarter radians rank reduce regexp_count
regexp_extract regexp_extract_all regexp_like regexp_replace replace reverse round row_number rpad rtrim
second sequence sha256 sign sin slice split split_part sqrt starts_with stddev stddev_pop stddev_samp strpos
substr substring sum tan to_hex to_iso8601 to_unixtime to_utf8 transform translate trim truncate try
try_cast upper url_decode url_encode url_extract_host url_extract_path uuid var_pop var_samp variance
week week_of_year with_timezone year year_of_week yow
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_OPENERS = ("SELECT", "WITH", "(")
_AFTER_COMMA = (TokenType.COMMA, TokenType.FROM, TokenType.R_PAREN, TokenType.WHERE, TokenType.GROUP_BY)
_NOT_A_CALL_AFTER = (TokenType.ALIAS, TokenType.R_PAREN, TokenType.WITH, TokenType.RECURSIVE, TokenType.VAR)
_OPERATORS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.In: "IN",
    exp.Between: "BETWEEN",
    exp.DPipe: "||",
}
_FAMILIES = {
    "text": exp.DataType.TEXT_TYPES,
    "number": exp.DataType.NUMERIC_TYPES,
    "moment": exp.DataType.TEMPORAL_TYPES,
    "boolean": {exp.DType.BOOLEAN},
}


def check_statement(tokens: Sequence[Token]) -> None:
    """Let one reading statement pass."""
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if not tokens:
        raise QueryFailed("SYNTAX_ERROR", "line 1:1: the query is empty")
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise QueryFailed("SYNTAX_ERROR", "Only one sql statement is allowed")
    if tokens[0].text.upper() not in _OPENERS:
        first = tokens[0].text.upper()
        raise QueryFailed("NOT_SUPPORTED", f"only SELECT queries can be rehearsed, not {first}")
    for token, following in pairwise(tokens):
        if token.token_type == TokenType.COMMA and following.token_type in _AFTER_COMMA:
            raise QueryFailed("SYNTAX_ERROR", f"{_place(following)}: mismatched input '{following.text}'")


def check_functions(tokens: Sequence[Token]) -> None:
    """Let only those functions pass that Athena has and the rehearsal mends where it must."""
    for index, token in enumerate(tokens[:-1]):
        if tokens[index + 1].token_type != TokenType.L_PAREN or token.token_type != TokenType.VAR:
            continue
        declares = index > 0 and tokens[index - 1].token_type in _NOT_A_CALL_AFTER
        if declares or _names_a_query(tokens, index + 1) or token.text.lower() in _FUNCTIONS:
            continue
        raise QueryFailed(
            "FUNCTION_NOT_FOUND",
            f"{_place(token)}: Function '{token.text.lower()}' not registered, or not rehearsed",
        )


def _names_a_query(tokens: Sequence[Token], opening: int) -> bool:
    """Whether the parenthesis holds the column names of a WITH query: ``name (a, b) AS (``."""
    closing = next(
        (index for index in range(opening, len(tokens)) if tokens[index].token_type == TokenType.R_PAREN),
        opening,
    )
    following = [token.token_type for token in tokens[closing + 1 : closing + 3]]
    return following == [TokenType.ALIAS, TokenType.L_PAREN]


def _place(token: Token) -> str:
    return f"line {token.line}:{token.col - (token.end - token.start)}"


def check_comparisons(query: exp.Query, schema: Schema) -> None:
    """Refuse to compare or join text with numbers or dates, which Athena does not convert by itself."""
    typed: exp.Expr = annotate_types(query.copy(), schema=schema, dialect="athena")
    for node in typed.find_all(*_OPERATORS):
        for other in _compared_with(node):
            left, right = _family(node.this), _family(other)
            if left and right and left != right:
                operation = f"{_type_name(node.this)} {_OPERATORS[type(node)]} {_type_name(other)}"
                raise QueryFailed("TYPE_MISMATCH", f"Cannot apply operator: {operation}", at=node)


def _compared_with(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.In):
        return list(node.expressions)
    if isinstance(node, exp.Between):
        return [node.args["low"], node.args["high"]]
    return [node.expression]


def _family(node: exp.Expr | None) -> str | None:
    kind = node.type.this if node is not None and node.type is not None else None
    return next((name for name, kinds in _FAMILIES.items() if kind in kinds), None)


def _type_name(node: exp.Expr) -> str:
    return node.type.sql("athena").lower() if node.type is not None else "unknown"


def named_as_written(query: exp.Query) -> Mapping[str, str]:
    """How the query itself spells the names of its columns."""
    return {item.alias_or_name.lower(): item.alias_or_name for item in query.selects if item.alias_or_name}
