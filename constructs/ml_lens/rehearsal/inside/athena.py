"""Athena's query API in front of ``athena_engine``, with every read and write made as the caller."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlparse

from ml_lens.rehearsal.inside.permissions import Gate, Proceed, Request, Response, called_via, through

_ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}


class QueryRefused(PermissionError):  # noqa: N818 - reads as what happened
    """The query fails; the message is Athena's. The engine passes a ``PermissionError`` on as it is."""


class Stores(Protocol):
    """Reads and writes what a query touches, without asking for permission."""

    def table(self, database: str, name: str) -> dict[str, Any] | None:
        """Return a Glue table."""

    def keys(self, bucket: str, prefix: str) -> list[str] | None:
        """Return the keys under a prefix, or ``None`` where there is no such bucket."""

    def read(self, bucket: str, key: str) -> bytes | None:
        """Return an object's bytes."""

    def write(self, bucket: str, key: str, content: bytes, headers: dict[str, str]) -> str | None:
        """Store an object; return the error if that failed."""

    def object_key(self, bucket: str, key: str) -> str | None:
        """Return the key that an object is encrypted with."""

    def bucket_key(self, bucket: str) -> str | None:
        """Return the key of a bucket's default encryption."""

    def workgroup(self, name: str) -> dict[str, Any] | None:
        """Return a workgroup."""


class AsCaller:
    """The catalogue and the storage that the engine is given; each access is checked first."""

    def __init__(self, gate: Gate, stores: Stores, caller: str) -> None:
        """Act with the permissions of ``caller``, called via Athena."""
        self._gate = gate
        self._stores = stores
        self._caller = caller

    def get_table(self, database: str, name: str) -> dict[str, Any] | None:
        """Return a Glue table; it needs the permission on catalogue, database and table."""
        prefix = f"arn:aws:glue:{self._gate.region()}:{self._gate.account()}"
        for resource in ("catalog", f"database/{database}", f"table/{database}/{name}"):
            self.require("glue:GetTable", f"{prefix}:{resource}")
        return self._stores.table(database, name)

    def list(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys under a prefix."""
        self.require("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix})
        found = self._stores.keys(bucket, prefix)
        if found is None:
            raise QueryRefused(f"The specified bucket does not exist (Bucket: {bucket})")
        return found

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes."""
        self.require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        self._require_key("kms:Decrypt", self._stores.object_key(bucket, key))
        content = self._stores.read(bucket, key)
        if content is None:
            raise QueryRefused(f"HIVE_CANNOT_OPEN_SPLIT: s3://{bucket}/{key} does not exist")
        return content

    def write(self, bucket: str, key: str, content: bytes, encryption: Mapping[str, str]) -> None:
        """Store an object as the workgroup wants it encrypted."""
        self.require("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
        headers = _encryption_headers(encryption)
        named = encryption.get("KmsKey") if encryption.get("EncryptionOption") == "SSE_KMS" else None
        self._require_key(
            "kms:GenerateDataKey", named or (None if headers else self._stores.bucket_key(bucket))
        )
        failure = self._stores.write(bucket, key, content, headers)
        if failure:
            raise QueryRefused(failure)

    def require(self, action: str, resource: str, context: Mapping[str, Any] | None = None) -> None:
        """Raise ``QueryRefused`` unless the caller may do this via Athena."""
        keys = {**called_via("athena"), **(context or {})}
        refused = self._gate.refusal(self._caller, action, resource, keys)
        if refused:
            raise QueryRefused(f"Access denied: {refused}")

    def _require_key(self, action: str, key: str | None) -> None:
        if key:
            self.require(action, key, through("s3", self._gate))


@dataclass
class _Execution:
    identifier: str
    sql: str
    workgroup: str
    database: str | None
    output: str
    encryption: dict[str, str]
    state: str = "QUEUED"
    reason: str = ""
    submitted: float = field(default_factory=time.time)
    completed: float | None = None
    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        status = {"State": self.state, "SubmissionDateTime": self.submitted, "StateChangeReason": self.reason}
        if self.completed:
            status["CompletionDateTime"] = self.completed
        configuration: dict[str, Any] = {"OutputLocation": self.output}
        if self.encryption:
            configuration["EncryptionConfiguration"] = self.encryption
        elapsed = int(((self.completed or time.time()) - self.submitted) * 1000)
        return {
            "QueryExecutionId": self.identifier,
            "Query": self.sql,
            "StatementType": "DML",
            "ResultConfiguration": configuration,
            "QueryExecutionContext": {"Database": self.database} if self.database else {},
            "Status": status,
            "Statistics": {"EngineExecutionTimeInMillis": elapsed, "TotalExecutionTimeInMillis": elapsed},
            "WorkGroup": self.workgroup,
            "EngineVersion": _ENGINE,
        }


class Athena:
    """Starts queries, reports on them and returns their rows; everything else stays MiniStack's."""

    def __init__(self, gate: Gate, stores: Stores, execute: Callable[..., Any]) -> None:
        """Run statements by ``execute`` (the engine's function)."""
        self._gate = gate
        self._stores = stores
        self._execute = execute
        self._executions: dict[str, _Execution] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request, proceed: Proceed) -> Response:
        """Answer the four calls a query consists of."""
        calls = {
            "StartQueryExecution": self._start,
            "GetQueryExecution": self._describe,
            "GetQueryResults": self._results,
            "StopQueryExecution": self._stop,
        }
        call = calls.get(request.operation)
        if call is None:
            return await proceed()
        try:
            return _json(200, call(json.loads(request.body or b"{}"), request.caller))
        except ValueError as error:
            return _json(400, {"__type": "InvalidRequestException", "Message": str(error)})
        except QueryRefused as refused:
            return _json(400, {"__type": "InvalidRequestException", "Message": str(refused)})

    def workgroup_of(self, execution: str) -> str | None:
        """Return the workgroup a query ran in: what its later calls are authorized on."""
        found = self._executions.get(execution)
        return found.workgroup if found else None

    def _start(self, data: Mapping[str, Any], caller: str) -> dict[str, Any]:
        name = data.get("WorkGroup") or "primary"
        workgroup = self._stores.workgroup(name)
        if workgroup is None:
            raise ValueError(f"WorkGroup {name} is not found.")
        if workgroup.get("State") == "DISABLED":
            raise ValueError(f"WorkGroup {name} is disabled.")
        location, encryption = _result_configuration(workgroup.get("Configuration") or {}, data)
        if not location:
            raise ValueError(
                "No output location provided. An output location is required either through the "
                "Workgroup result configuration setting or as an API input."
            )
        identifier = str(uuid.uuid4())
        execution = _Execution(
            identifier,
            str(data.get("QueryString", "")),
            name,
            (data.get("QueryExecutionContext") or {}).get("Database"),
            f"{location.rstrip('/')}/{identifier}.csv",
            encryption,
        )
        self._executions[identifier] = execution
        task = asyncio.create_task(asyncio.to_thread(self._run, execution, caller))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return {"QueryExecutionId": identifier}

    def _run(self, execution: _Execution, caller: str) -> None:
        execution.state = "RUNNING"
        access = AsCaller(self._gate, self._stores, caller)
        output = urlparse(execution.output)
        try:
            access.require("s3:GetBucketLocation", f"arn:aws:s3:::{output.netloc}")
            result = self._execute(execution.sql, execution.database, access, access)
            if result.failure:
                execution.state, execution.reason = "FAILED", result.failure
                return
            execution.columns, execution.rows = result.columns, result.rows
            content = _result_file(result.columns, result.rows)
            access.write(output.netloc, output.path.lstrip("/"), content, execution.encryption)
            execution.state = "SUCCEEDED"
        except QueryRefused as refused:
            execution.state, execution.reason = "FAILED", str(refused)
        except Exception as error:
            execution.state, execution.reason = "FAILED", f"INTERNAL_ERROR: {type(error).__name__}: {error}"
        finally:
            execution.completed = time.time()

    def _find(self, data: Mapping[str, Any]) -> _Execution:
        identifier = str(data.get("QueryExecutionId", ""))
        execution = self._executions.get(identifier)
        if execution is None:
            raise ValueError(f"QueryExecution {identifier} was not found")
        return execution

    def _describe(self, data: Mapping[str, Any], _caller: str) -> dict[str, Any]:
        return {"QueryExecution": self._find(data).describe()}

    def _stop(self, data: Mapping[str, Any], _caller: str) -> dict[str, Any]:
        execution = self._find(data)
        if execution.state in ("QUEUED", "RUNNING"):
            execution.state = "CANCELLED"
        return {}

    def _results(self, data: Mapping[str, Any], caller: str) -> dict[str, Any]:
        execution = self._find(data)
        if execution.state != "SUCCEEDED":
            final = execution.state in ("FAILED", "CANCELLED")
            state = f"in the {execution.state} state" if final else "not yet finished"
            raise ValueError(f"Query did not finish successfully. Final query state: {state}")
        output = urlparse(execution.output)
        AsCaller(self._gate, self._stores, caller).read(output.netloc, output.path.lstrip("/"))
        return _page(execution, data)


def _result_configuration(
    workgroup: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[str | None, dict[str, str]]:
    own = workgroup.get("ResultConfiguration") or {}
    asked = data.get("ResultConfiguration") or {}
    enforced = str(workgroup.get("EnforceWorkGroupConfiguration", True)).lower() == "true"
    chosen = own if enforced and own.get("OutputLocation") else {**own, **asked}
    return chosen.get("OutputLocation"), dict(chosen.get("EncryptionConfiguration") or {})


def _encryption_headers(encryption: Mapping[str, str]) -> dict[str, str]:
    option = encryption.get("EncryptionOption")
    if option == "SSE_KMS" and encryption.get("KmsKey"):
        return {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": encryption["KmsKey"],
        }
    return {"x-amz-server-side-encryption": "AES256"} if option == "SSE_S3" else {}


def _result_file(columns: list[tuple[str, str]], rows: list[list[str | None]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(rows)
    return text.getvalue().encode()


def _page(execution: _Execution, data: Mapping[str, Any]) -> dict[str, Any]:
    start = int(data.get("NextToken") or 0)
    size = int(data.get("MaxResults") or 1000)
    header: list[list[str | None]] = [[name for name, _ in execution.columns]]
    lines = header + execution.rows
    end = start + size
    answer: dict[str, Any] = {
        "ResultSet": {
            "Rows": [
                {"Data": [{} if value is None else {"VarCharValue": value} for value in line]}
                for line in lines[start:end]
            ],
            "ResultSetMetadata": {
                "ColumnInfo": [
                    {"CatalogName": "hive", "Name": name, "Label": name, "Type": kind, "Nullable": "UNKNOWN"}
                    for name, kind in execution.columns
                ]
            },
        },
        "UpdateCount": 0,
    }
    if end < len(lines):
        answer["NextToken"] = str(end)
    return answer


def _json(status: int, document: Mapping[str, Any]) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()
