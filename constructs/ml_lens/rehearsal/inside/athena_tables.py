"""Glue tables as the engine reads them: column types, SerDes, and the rows of their objects."""

import base64
import bz2
import gzip
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ml_lens.rehearsal.inside.athena_failure import QueryFailed
from ml_lens.rehearsal.inside.athena_projection import (
    DataObject,
    Projection,
    Prune,
    Storage,
    is_data,
    split_location,
)
from ml_lens.rehearsal.inside.athena_serdes import Row, text_format

_SCALARS = {
    "string": "VARCHAR",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "float": "REAL",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
_VIEW = re.compile(r"/\*\s*Presto View:\s*([A-Za-z0-9+/=\s]+?)\s*\*/")


@dataclass(frozen=True)
class GlueTable:
    """What the engine needs of a table's definition."""

    name: str
    columns: Mapping[str, str]
    partitions: Mapping[str, str]
    location: str
    serde: str
    serde_properties: Mapping[str, str]
    properties: Mapping[str, str]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> "GlueTable":
        """Read the structure that ``GetTable`` returns."""
        storage = definition.get("StorageDescriptor") or {}
        serde = storage.get("SerdeInfo") or {}
        properties = dict(definition.get("Parameters") or {})
        return cls(
            name=f"{definition.get('DatabaseName', '')}.{definition['Name']}",
            columns=_types(storage.get("Columns") or []),
            partitions=_types(definition.get("PartitionKeys") or []),
            location=storage.get("Location") or "",
            serde=(serde.get("SerializationLibrary") or "").rpartition(".")[2],
            serde_properties=serde.get("Parameters") or {},
            properties=properties,
        )

    @property
    def projection(self) -> Projection | None:
        """The table's partition projection; none for a table without partitions."""
        if not self.partitions:
            return None
        if self.properties.get("projection.enabled", "").lower() != "true":
            raise QueryFailed(
                "NOT_SUPPORTED",
                f"the rehearsal reads partitions by projection only; {self.name} has no projection.enabled",
            )
        return Projection(list(self.partitions), self.properties, self.location)

    def objects(
        self, storage: Storage, prune: Prune, injected: Mapping[str, Sequence[str]]
    ) -> list[DataObject]:
        """The objects that a query has to read."""
        if projection := self.projection:
            return projection.objects(storage, prune, injected)
        bucket, folder = split_location(self.location)
        keys = storage.list(bucket, folder)
        return [DataObject(bucket, key, {}) for key in keys if is_data(key[len(folder) :])]


@dataclass(frozen=True)
class GlueView:
    """A view, as Athena stores it in Glue."""

    sql: str
    database: str | None
    columns: list[tuple[str, str]]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> "GlueView":
        """Decode the view's original text."""
        text = _VIEW.search(definition.get("ViewOriginalText") or "")
        try:
            view = json.loads(base64.b64decode(text[1] if text else "", validate=False))
            columns = [(column["name"].lower(), column["type"].lower()) for column in view["columns"]]
            return cls(view["originalSql"], view.get("schema"), columns)
        except (ValueError, KeyError, TypeError) as error:
            name = f"{definition.get('DatabaseName', '')}.{definition['Name']}"
            raise QueryFailed("INVALID_VIEW", f"View '{name}' cannot be decoded: {error}") from None


def _types(columns: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {column["Name"].lower(): duckdb_type(column.get("Type") or "string") for column in columns}


def duckdb_type(hive: str) -> str:
    """The database's type for a Hive type."""
    hive = hive.strip().lower()
    if hive in _SCALARS:
        return _SCALARS[hive]
    if re.fullmatch(r"(var)?char\(\d+\)", hive):
        return "VARCHAR"
    if decimal := re.fullmatch(r"decimal(?:\((\d+)(?:\s*,\s*(\d+))?\))?", hive):
        return f"DECIMAL({decimal[1] or 10},{decimal[2] or 0})"
    if nested := re.fullmatch(r"(array|map|struct)\s*<(.*)>", hive):
        parts = _split_types(nested[2])
        if nested[1] == "array":
            return f"{duckdb_type(nested[2])}[]"
        if nested[1] == "map":
            return f"MAP({', '.join(duckdb_type(part) for part in parts)})"
        fields = [part.partition(":") for part in parts]
        return (
            f"STRUCT({', '.join(f'{quoted(name.strip())} {duckdb_type(kind)}' for name, _, kind in fields)})"
        )
    raise QueryFailed("NOT_SUPPORTED", f"the type {hive!r} is not rehearsed")


def _split_types(types: str) -> list[str]:
    parts, depth = [""], 0
    for character in types:
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def quoted(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def create(connection: duckdb.DuckDBPyConnection, relation: str, table: GlueTable) -> None:
    """Create the table without rows: enough to check a query against."""
    columns = {**table.columns, **table.partitions, "$path": "VARCHAR"}
    described = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
    connection.execute(f"CREATE TABLE {relation} ({described})")


def load(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    table: GlueTable,
    objects: Sequence[DataObject],
    storage: Storage,
) -> None:
    """Fill the table from its objects."""
    if "Parquet" in table.serde:
        _load_parquet(connection, relation, table, objects, storage)
        return
    parse, convert = text_format(table.serde, table.serde_properties, list(table.columns))
    skip = int({**table.serde_properties, **table.properties}.get("skip.header.line.count", 0))
    rows: list[Row] = []
    for source in objects:
        extra: Row = [*(source.partition[name] for name in table.partitions), _path(source)]
        lines = _decompressed(source.key, storage.read(source.bucket, source.key)).splitlines()[skip:]
        rows += [row + extra for row in parse(line.decode(errors="replace") for line in lines)]
    if not rows:
        return
    kinds = [*table.columns.values(), *table.partitions.values(), "VARCHAR"]
    own = len(table.columns)
    values = [
        convert(f"c{number}", kind) if number < own else f"CAST(c{number} AS {kind})"
        for number, kind in enumerate(kinds)
    ]
    cells = ", ".join(f"unnest(?::VARCHAR[]) AS c{number}" for number in range(len(kinds)))
    sql = f"INSERT INTO {relation} SELECT {', '.join(values)} FROM (SELECT {cells})"  # noqa: S608
    try:
        connection.execute(sql, [list(cells) for cells in zip(*rows, strict=True)])
    except duckdb.ConversionException as error:
        raise QueryFailed("HIVE_BAD_DATA", f"table {table.name}: {str(error).splitlines()[0]}") from None


def _path(source: DataObject) -> str:
    return f"s3://{source.bucket}/{source.key}"


def _decompressed(key: str, data: bytes) -> bytes:
    if key.endswith(".gz"):
        return gzip.decompress(data)
    return bz2.decompress(data) if key.endswith(".bz2") else data


def _load_parquet(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    table: GlueTable,
    objects: Sequence[DataObject],
    storage: Storage,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "object.parquet"
        for source in objects:
            file.write_bytes(storage.read(source.bucket, source.key))
            try:
                scan = connection.read_parquet(str(file))
                stored = {name.lower(): name for name in scan.columns}
                values = [
                    f"CAST({quoted(stored[name])} AS {kind})" if name in stored else "NULL"
                    for name, kind in table.columns.items()
                ]
                fixed = [*(source.partition[name] for name in table.partitions), _path(source)]
                select = ", ".join([*values, *("?" for _ in fixed)])
                sql = f"INSERT INTO {relation} SELECT {select} FROM read_parquet(?)"  # noqa: S608
                connection.execute(sql, [*fixed, str(file)])
            except duckdb.Error as error:
                raise QueryFailed("HIVE_BAD_DATA", f"{_path(source)}: {str(error).splitlines()[0]}") from None
