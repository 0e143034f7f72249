"""Which partitions a query can touch: the predicates that reach each of its tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, build_scope

from ml_lens.rehearsal.inside.athena_dialect import to_duckdb
from ml_lens.rehearsal.inside.athena_failure import QueryFailed
from ml_lens.rehearsal.inside.athena_projection import Values
from ml_lens.rehearsal.inside.athena_tables import quoted

Predicates = list[exp.Expr]
"""Conditions that all hold, on columns named without their table."""

_MOVING = (exp.Query, exp.AggFunc, exp.Window, exp.Rand, exp.Uuid, exp.Unnest)


@dataclass
class Reads:
    """Walks a query from the outside in and notes the predicates with which it reads each table."""

    views: Mapping[str, exp.Query]
    found: dict[str, list[Predicates]] = field(default_factory=dict)

    def visit(self, query: exp.Query, handed_down: Sequence[exp.Expr] = ()) -> None:
        """Note every table that ``query`` reads, through views and subqueries."""
        scope = build_scope(query)
        if scope is not None:
            self._visit(scope, list(handed_down))

    def _visit(self, scope: Scope, handed_down: Predicates) -> None:
        if isinstance(scope.expression, exp.SetOperation):
            for branch in scope.set_operation_scopes:
                renamed = _renamed(handed_down, scope.expression, branch.expression)
                self._visit(branch, renamed)
        else:
            self._visit_select(scope, handed_down)
        for subquery in scope.subquery_scopes:
            self._visit(subquery, [])

    def _visit_select(self, scope: Scope, handed_down: Predicates) -> None:
        select = scope.expression
        conditions = [*_conjuncts(select.args.get("where")), *_translated(handed_down, select)]
        joined, optional = _joins(select)
        for alias, (_, source) in scope.selected_sources.items():
            usable = [*joined.get(alias, []), *([] if alias in optional else conditions)]
            everywhere = [] if alias in optional else joined.get("", [])
            reaching = [_bare(each) for each in [*usable, *everywhere] if _concerns(each, alias)]
            if isinstance(source, Scope):
                recursive = any(
                    item.args.get("recursive") for item in source.expression.root().find_all(exp.With)
                )
                self._visit(source, [] if recursive else reaching)
            elif isinstance(source, exp.Table) and source.name in self.views:
                self.visit(self.views[source.name], reaching)
            elif isinstance(source, exp.Table):
                self.found.setdefault(source.name, []).append(reaching)


def pruner(
    connection: duckdb.DuckDBPyConnection, types: Mapping[str, str], reads: Sequence[Predicates]
) -> Callable[[Sequence[Values]], list[Values]]:
    """A function that leaves the partitions that at least one of ``reads`` can touch."""
    usable = [[each for each in predicates if _names(each) <= types.keys()] for predicates in reads]

    def prune(candidates: Sequence[Values]) -> list[Values]:
        if not candidates or not reads:
            return list(candidates)
        known = candidates[0].keys()
        answerable = [[each for each in predicates if _names(each) <= known] for predicates in usable]
        if not all(answerable):
            return list(candidates)
        columns = ", ".join(
            f"CAST(unnest(?::VARCHAR[]) AS {types[name]}) AS {quoted(name)}" for name in known
        )
        numbered = f'SELECT unnest(?::INTEGER[]) AS "#"{", " if columns else ""}{columns}'
        values: list[list[object]] = [list(range(len(candidates)))]
        values += [[candidate[name] for candidate in candidates] for name in known]
        try:
            condition = " OR ".join(_all(predicates) for predicates in answerable)
            sql = f'SELECT "#" FROM ({numbered}) WHERE {condition} ORDER BY 1'  # noqa: S608
            return [candidates[row[0]] for row in connection.execute(sql, values).fetchall()]
        except (duckdb.Error, QueryFailed):
            return list(candidates)  # the query itself will say what is wrong with the predicate

    return prune


def injected_values(columns: Iterable[str], reads: Sequence[Predicates]) -> dict[str, list[str]]:
    """The values that a query gives for columns that have no values of their own."""
    values: dict[str, list[str]] = {}
    for column in columns:
        given = [_constants(column, predicates) for predicates in reads]
        if not given or not all(given):
            raise QueryFailed(
                "CONSTRAINT_VIOLATION",
                f"For the injected projected partition column {column}, the WHERE clause must contain only "
                "static equality conditions, and at least one such condition must be present.",
            )
        values[column] = list(dict.fromkeys(value for found in given for value in found))
    return values


def _constants(column: str, predicates: Predicates) -> list[str]:
    for each in predicates:
        literals: list[exp.Expr] = []
        if isinstance(each, exp.EQ) and _names(each) == {column}:
            literals = [side for side in (each.this, each.expression) if not isinstance(side, exp.Column)]
        elif isinstance(each, exp.In) and _names(each) == {column}:
            literals = each.expressions
        if literals and all(isinstance(literal, exp.Literal) for literal in literals):
            return [literal.name for literal in literals]
    return []


def _all(predicates: Predicates) -> str:
    return "(" + " AND ".join(f"({to_duckdb(each)})" for each in predicates) + ")"


def _names(predicate: exp.Expr) -> set[str]:
    return {column.name for column in predicate.find_all(exp.Column)}


def _conjuncts(holder: exp.Expr | None) -> Predicates:
    if holder is None:
        return []
    condition = (holder.this if isinstance(holder, exp.Where) else holder).unnest()
    return [each.unnest() for each in condition.flatten()] if isinstance(condition, exp.And) else [condition]


def _concerns(predicate: exp.Expr, alias: str) -> bool:
    tables = {column.table for column in predicate.find_all(exp.Column)}
    return tables == {alias} and not predicate.find(*_MOVING)


def _bare(predicate: exp.Expr) -> exp.Expr:
    copy = predicate.copy()
    for column in copy.find_all(exp.Column):
        column.set("table", None)
    return copy


def _joins(select: exp.Expr) -> tuple[dict[str, Predicates], set[str]]:
    """Conditions from ON by the table they may filter ("" for any), and the tables a join may leave out."""
    conditions: dict[str, Predicates] = {}
    optional: set[str] = set()
    source = select.args.get("from_")
    before = {source.this.alias_or_name} if source else set()
    for join in select.args.get("joins") or []:
        alias = join.alias_or_name
        on = _conjuncts(join.args.get("on"))
        if join.side in ("RIGHT", "FULL"):
            optional |= before
        if join.side in ("LEFT", "FULL"):
            optional.add(alias)
        if join.side == "LEFT":
            conditions.setdefault(alias, []).extend(on)
        elif not join.side:
            conditions.setdefault("", []).extend(on)
        before.add(alias)
    return conditions, optional


def _renamed(predicates: Predicates, union: exp.SetOperation, branch: exp.Expr) -> Predicates:
    if union.args.get("limit") or union.args.get("offset") or not isinstance(branch, exp.Query):
        return []
    names = dict(zip(union.named_selects, branch.named_selects, strict=False))
    renamed = []
    for predicate in predicates:
        copy = predicate.copy()
        for column in copy.find_all(exp.Column):
            column.set("this", exp.to_identifier(names.get(column.name, column.name)))
        renamed.append(copy)
    return renamed


def _translated(predicates: Predicates, select: exp.Expr) -> Predicates:
    """The predicates on a subquery's output, put in terms of what the subquery selects from."""
    if any(select.args.get(part) for part in ("limit", "offset", "having", "qualify")):
        return []
    if select.find(exp.Window):
        return []
    columns = {item.alias_or_name: item.unalias() for item in select.expressions}
    group = select.args.get("group")
    keys = group.expressions if group else None
    if group and any(group.args.get(kind) for kind in ("grouping_sets", "rollup", "cube")):
        return []
    translated = []
    for predicate in predicates:
        sources = [columns.get(name) for name in _names(predicate)]
        if all(isinstance(source, exp.Column) and (keys is None or source in keys) for source in sources):
            copy = predicate.copy()
            for column in list(copy.find_all(exp.Column)):
                replacement = columns[column.name].copy()
                if column is copy:
                    copy = replacement
                else:
                    column.replace(replacement)
            translated.append(copy)
    return translated
