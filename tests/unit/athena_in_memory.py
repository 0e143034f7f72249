"""A catalogue and a storage in memory, and short ways to ask the query engine."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ml_lens.rehearsal.inside.athena_engine import QueryResult, execute

LAZY = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
OPEN_CSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
JSON = "org.openx.data.jsonserde.JsonSerDe"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
COMMA = {"field.delim": ","}
HEADER = {"skip.header.line.count": "1"}
BY_CERTAINTY_AND_DATE = {
    **HEADER,
    "projection.enabled": "true",
    "projection.certainty.type": "enum",
    "projection.certainty.values": "confident,uncertain",
    "projection.upload_date.type": "date",
    "projection.upload_date.format": "yyyy-MM-dd",
    "projection.upload_date.range": "2026-11-01,NOW+1DAYS",
}
PARTITIONS = {"certainty": "string", "upload_date": "string"}
FACE_COLUMNS = {"face_id": "string", "age_low": "int", "confidence": "double", "uploaded_at": "timestamp"}
FACES = {
    "faces/certainty=confident/upload_date=2026-11-10/a.csv": "h\nf1,20,93.5,2026-11-10 12:00:00.000\n",
    "faces/certainty=confident/upload_date=2026-11-12/b.csv": "h\nf2,30,80.0,2026-11-12 08:30:00.250\n",
    "faces/certainty=uncertain/upload_date=2026-11-10/c.csv": "h\nu1,40,50.0,2026-11-10 13:00:00.000\n",
}
UNCERTAIN = "faces/certainty=uncertain"


class Glue(dict[tuple[str, str], Mapping[str, Any]]):
    def get_table(self, database: str, name: str) -> Mapping[str, Any] | None:
        if name == "forbidden":
            raise PermissionError("User is not authorized to perform: glue:GetTable")
        return self.get((database, name))


class Objects:
    def __init__(self, objects: Mapping[str, str | bytes], refused: str | None = None) -> None:
        self.objects = objects
        self.refused = refused
        self.listed: list[str] = []
        self.was_read: list[str] = []

    def list(self, bucket: str, prefix: str) -> list[str]:
        assert bucket == "results"
        self._permit(prefix)
        self.listed.append(prefix)
        return sorted(key for key in self.objects if key.startswith(prefix))

    def read(self, bucket: str, key: str) -> bytes:
        self._permit(key)
        self.was_read.append(key)
        content = self.objects[key]
        return content.encode() if isinstance(content, str) else content

    def _permit(self, key: str) -> None:
        if self.refused and key.startswith(self.refused):
            raise PermissionError(f"Permission denied on S3 path: s3://results/{key}")


def table(
    name: str,
    columns: Mapping[str, str],
    *,
    serde: str = LAZY,
    serde_properties: Mapping[str, str] = COMMA,
    partitions: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    location: str | None = None,
) -> dict[str, Any]:
    return {
        "Name": name,
        "DatabaseName": "lens",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": dict(properties or {}),
        "PartitionKeys": [{"Name": key, "Type": kind} for key, kind in (partitions or {}).items()],
        "StorageDescriptor": {
            "Columns": [{"Name": key, "Type": kind} for key, kind in columns.items()],
            "Location": location or f"s3://results/{name}/",
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": dict(serde_properties)},
        },
    }


def view(name: str, sql: str, columns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    definition = {
        "originalSql": sql,
        "catalog": "awsdatacatalog",
        "schema": "lens",
        "columns": [{"name": column, "type": kind} for column, kind in columns],
    }
    encoded = base64.b64encode(json.dumps(definition).encode()).decode()
    return {
        "Name": name,
        "DatabaseName": "lens",
        "TableType": "VIRTUAL_VIEW",
        "ViewOriginalText": f"/* Presto View: {encoded} */",
        "ViewExpandedText": "/* Presto View */",
    }


def glue(*definitions: dict[str, Any]) -> Glue:
    return Glue({("lens", definition["Name"]): definition for definition in definitions})


def faces_table(**properties: str) -> dict[str, Any]:
    return table(
        "faces", FACE_COLUMNS, partitions=PARTITIONS, properties={**BY_CERTAINTY_AND_DATE, **properties}
    )


def confident_faces(sql: str | None = None, columns: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    return view(
        "confident_faces",
        sql or "SELECT face_id, age_low, upload_date FROM faces WHERE certainty = 'confident'",
        columns or [("face_id", "varchar"), ("age_low", "integer"), ("upload_date", "varchar")],
    )


def ask(sql: str, *definitions: dict[str, Any], storage: Objects | None = None) -> QueryResult:
    return execute(sql, "lens", glue(*(definitions or (faces_table(),))), storage or Objects(FACES))


def rows(sql: str, *definitions: dict[str, Any], storage: Objects | None = None) -> list[list[str | None]]:
    result = ask(sql, *definitions, storage=storage)
    assert result.failure is None, result.failure
    return result.rows


def failure(sql: str, *definitions: dict[str, Any], storage: Objects | None = None) -> str:
    result = ask(sql, *definitions, storage=storage)
    assert result.failure is not None, result.rows
    assert (result.columns, result.rows) == ([], [])
    return result.failure


def value(expression: str) -> str | None:
    return rows(f"SELECT {expression}")[0][0]


def only_row(columns: Mapping[str, str], content: str, **options: Any) -> list[str | None]:
    definition = table("t", columns, **options)
    [row] = rows("SELECT * FROM t", definition, storage=Objects({"t/object": content}))
    return row
