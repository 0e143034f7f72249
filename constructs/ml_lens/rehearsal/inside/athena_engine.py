"""Runs Athena's SQL on the objects that Glue tables point to.

Athena has no counterpart that could be installed; DuckDB computes here, and what it or the translation
would do differently from Athena is mended or refused. Objects are read one by one through ``Storage``,
so that the caller's permissions decide about each of them.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope
from sqlglot.schema import MappingSchema

from ml_lens.rehearsal.inside.athena_checks import (
    check_comparisons,
    check_functions,
    check_statement,
    named_as_written,
)
from ml_lens.rehearsal.inside.athena_dialect import prepare, to_duckdb
from ml_lens.rehearsal.inside.athena_failure import QueryFailed, from_duckdb, unresolved
from ml_lens.rehearsal.inside.athena_projection import Storage
from ml_lens.rehearsal.inside.athena_pruning import Reads, injected_values, pruner
from ml_lens.rehearsal.inside.athena_tables import GlueTable, GlueView, create, load, quoted
from ml_lens.rehearsal.inside.athena_values import athena_type, declared_type, shown, shown_type, staleness

__all__ = ["Catalogue", "QueryResult", "Storage", "execute"]

_CATALOGUE = "awsdatacatalog"
_ANONYMOUS = "$anonymous"


class Catalogue(Protocol):
    """The tables a query may name; refuses with ``PermissionError``."""

    def get_table(self, database: str, name: str) -> Mapping[str, Any] | None:
        """The table's structure as Glue's ``GetTable`` returns it."""


@dataclass(frozen=True)
class QueryResult:
    """The rows of a query, or why there are none."""

    columns: list[tuple[str, str]]
    rows: list[list[str | None]]
    failure: str | None


def execute(sql: str, database: str | None, catalogue: Catalogue, storage: Storage) -> QueryResult:
    """Run one query; whatever goes wrong becomes the result's ``failure``."""
    try:
        with closing(
            duckdb.connect(config={"threads": "2", "python_enable_replacements": "false"})
        ) as connection:
            prepare(connection)
            return _Session(connection, catalogue, storage).run(sql, database)
    except (QueryFailed, PermissionError) as refused:
        failure = str(refused)
    except duckdb.Error as error:
        failure = str(from_duckdb(error))
    except SqlglotError as error:
        failure = f"NOT_SUPPORTED: the rehearsal cannot run this query: {error}"
    except Exception as error:
        failure = f"GENERIC_INTERNAL_ERROR: {type(error).__name__}: {error}"
    return QueryResult([], [], failure)


@dataclass
class _Relation:
    """A Glue table or view under the name it has in the database."""

    name: str
    columns: dict[str, str]
    table: GlueTable | None = None


@dataclass
class _Session:
    connection: duckdb.DuckDBPyConnection
    catalogue: Catalogue
    storage: Storage
    relations: dict[tuple[str, str], _Relation] = field(default_factory=dict)
    views: dict[str, exp.Query] = field(default_factory=dict)
    _opening: list[tuple[str, str]] = field(default_factory=list)

    def run(self, sql: str, database: str | None) -> QueryResult:
        query = self._analysed(sql, database)
        statement = to_duckdb(query)
        described = self._described(statement)
        self._read_tables(query)
        self.connection.execute("SET enable_external_access = false")
        kinds = [athena_type(kind) for _, kind in described]
        rows = self.connection.execute(_zoned_as_text(statement, described)).fetchall()
        return QueryResult(
            columns=[
                (name, shown_type(kind)) for name, kind in zip(_output_names(query, sql), kinds, strict=True)
            ],
            rows=[[shown(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows],
            failure=None,
        )

    def _analysed(self, sql: str, database: str | None) -> exp.Query:
        """The query with every table found and every column resolved."""
        query = normalize_identifiers(_parsed(sql), dialect="athena")
        self._place_tables(query, database)
        for select in query.find_all(exp.Select):
            _name_anonymous(select)
        schema = MappingSchema(
            {each.name: each.columns for each in self.relations.values()},
            visible={each.name: set(each.columns) - {"$path"} for each in self.relations.values()},
            dialect="duckdb",
            normalize=False,
        )
        written = query.copy()
        try:
            resolved = qualify(query, schema=schema, dialect="athena", expand_alias_refs=False)
        except OptimizeError as error:
            raise unresolved(error, written) from None
        check_comparisons(resolved, schema)
        return resolved

    def _place_tables(self, query: exp.Query, database: str | None) -> None:
        placed: set[int] = set()
        names: set[tuple[str, str]] = set()
        for scope in traverse_scope(query):
            for _, source in scope.selected_sources.values():
                if isinstance(source, exp.Table) and id(source) not in placed:
                    relation = self._relation(source, database)
                    placed.add(id(source))
                    names.add((source.db, source.name))
                    if not source.alias:
                        source.set("alias", exp.TableAlias(this=exp.to_identifier(source.name, quoted=True)))
                    source.set("this", exp.to_identifier(relation.name))
                    source.set("db", None)
                    source.set("catalog", None)
        within = {cte.alias for cte in query.find_all(exp.CTE)}
        for source in query.find_all(exp.Table):
            if id(source) not in placed and source.name not in within:
                raise QueryFailed(
                    "NOT_SUPPORTED", f"the rehearsal cannot find '{source.name}' here", at=source
                )
        for column in query.find_all(exp.Column):
            if column.args.get("db") and (column.text("db"), column.table) in names:
                column.set("db", None)
                column.set("catalog", None)

    def _relation(self, source: exp.Table, database: str | None) -> _Relation:
        if not isinstance(source.this, exp.Identifier):
            raise QueryFailed(
                "FUNCTION_NOT_FOUND", f"Table function '{source.name}' not registered", at=source
            )
        if source.catalog and source.catalog.lower() != _CATALOGUE:
            raise QueryFailed("CATALOG_NOT_FOUND", f"Catalog '{source.catalog}' does not exist", at=source)
        schema = source.db or database
        if not schema:
            raise QueryFailed(
                "MISSING_SCHEMA_NAME", "Schema must be specified when session schema is not set", at=source
            )
        key = schema.lower(), source.name.lower()
        if key not in self.relations:
            definition = self.catalogue.get_table(*key)
            full_name = f"{_CATALOGUE}.{key[0]}.{key[1]}"
            if definition is None:
                raise QueryFailed("TABLE_NOT_FOUND", f"Table '{full_name}' does not exist", at=source)
            definition = {"DatabaseName": key[0], "Name": key[1], **definition}
            if definition.get("TableType") == "VIRTUAL_VIEW":
                self.relations[key] = self._view(key, definition, source)
            else:
                self.relations[key] = self._table(definition)
        return self.relations[key]

    def _table(self, definition: Mapping[str, Any]) -> _Relation:
        table = GlueTable.of(definition)
        name = f"table_{len(self.relations)}"
        create(self.connection, name, table)
        return _Relation(name, {**table.columns, **table.partitions, "$path": "VARCHAR"}, table)

    def _view(self, key: tuple[str, str], definition: Mapping[str, Any], source: exp.Table) -> _Relation:
        full_name = f"{_CATALOGUE}.{key[0]}.{key[1]}"
        if key in self._opening:
            raise QueryFailed("VIEW_IS_RECURSIVE", f"View '{full_name}' is recursive", at=source)
        view = GlueView.of(definition)
        self._opening.append(key)
        try:
            query = self._analysed(view.sql, view.database or key[0])
        except QueryFailed as failed:
            if failed.code == "INVALID_VIEW":
                raise
            message = f"Failed analyzing stored view '{full_name}': {failed.message}"
            raise QueryFailed("INVALID_VIEW", message, at=source) from None
        finally:
            self._opening.pop()
        described = self._described(to_duckdb(query))
        names = _output_names(query, view.sql)
        given = [(name.lower(), athena_type(kind)) for name, (_, kind) in zip(names, described, strict=True)]
        if stale := staleness(given, view.columns):
            raise QueryFailed(
                "INVALID_VIEW", f"View '{full_name}' is stale or in invalid state: {stale}", at=source
            )
        return self._create_view(query, view, given)

    def _create_view(self, query: exp.Query, view: GlueView, given: list[tuple[str, str]]) -> _Relation:
        name = f"view_{len(self.relations)}_{len(self._opening)}"
        values = [
            quoted(column)
            if actual == declared_type(declared)
            else f"CAST({quoted(column)} AS {_duckdb_name(declared)})"
            for (column, actual), (_, declared) in zip(given, view.columns, strict=True)
        ]
        select = ", ".join(
            f"{value} AS {quoted(column)}" for value, (column, _) in zip(values, given, strict=True)
        )
        self.connection.execute(f"CREATE VIEW {name} AS SELECT {select} FROM ({to_duckdb(query)})")  # noqa: S608
        described = self._described(f"FROM {name}")
        self.views[name] = query
        return _Relation(name, dict(described))

    def _described(self, statement: str) -> list[tuple[str, str]]:
        rows = self.connection.execute(f"DESCRIBE {statement}").fetchall()
        return [(row[0], row[1]) for row in rows]

    def _read_tables(self, query: exp.Query) -> None:
        reads = Reads(self.views)
        reads.visit(query)
        for relation in self.relations.values():
            if relation.table is None:
                continue
            table, predicates = relation.table, reads.found.get(relation.name, [])
            columns = table.projection.injected if table.projection else []
            prune = pruner(self.connection, table.partitions, predicates)
            objects = table.objects(self.storage, prune, injected_values(columns, predicates))
            load(self.connection, relation.name, table, objects, self.storage)


def _parsed(sql: str) -> exp.Query:
    try:
        tokens = sqlglot.tokenize(sql, read="trino")
        check_statement(tokens)
        query = sqlglot.parse_one(sql, read="athena")
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        found = first.get("highlight") or "<EOF>"
        place = f"line {first.get('line', 1)}:{max(first.get('col', 1) - len(found) + 1, 1)}"
        raise QueryFailed("SYNTAX_ERROR", f"{place}: mismatched input '{found}'") from None
    except sqlglot.errors.TokenError as error:
        raise QueryFailed("SYNTAX_ERROR", str(error)) from None
    if not isinstance(query, exp.Query) or query.find(exp.DML, exp.DDL, exp.Into, exp.Command):
        raise QueryFailed("NOT_SUPPORTED", "only SELECT queries can be rehearsed")
    check_functions(tokens)
    return query


def _name_anonymous(select: exp.Select) -> None:
    for number, item in enumerate(select.expressions):
        if not item.alias and not isinstance(item, exp.Column | exp.Star | exp.Dot | exp.Alias | exp.Aliases):
            alias = exp.to_identifier(f"{_ANONYMOUS}{number}", quoted=True)
            item.replace(exp.Alias(this=item.copy(), alias=alias))


def _output_names(query: exp.Query, sql: str) -> list[str]:
    spelled = named_as_written(_parsed(sql))
    return [
        f"_col{number}" if name.startswith(_ANONYMOUS) else spelled.get(name, name)
        for number, name in enumerate(query.named_selects)
    ]


def _duckdb_name(athena: str) -> str:
    return exp.DataType.build(declared_type(athena), dialect="trino").sql("duckdb")


def _zoned_as_text(statement: str, described: list[tuple[str, str]]) -> str:
    """Let the database write times with a zone: Python would need a package for it."""
    if all(kind != "TIMESTAMP WITH TIME ZONE" for _, kind in described):
        return statement
    names = [f"c{number}" for number in range(len(described))]
    values = [
        f"strftime({name}, '%Y-%m-%d %H:%M:%S.%g UTC')" if kind == "TIMESTAMP WITH TIME ZONE" else name
        for name, (_, kind) in zip(names, described, strict=True)
    ]
    return f"SELECT {', '.join(values)} FROM ({statement}) AS result({', '.join(names)})"  # noqa: S608
