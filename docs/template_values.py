"""The values of a CloudFormation template: intrinsic functions, policies, views."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PRESTO_VIEW = re.compile(r"/\* Presto View: (\S+) \*/")
_TABLE_IN_SQL = re.compile(r"\b(?:FROM|JOIN)\s+([a-z_]+)", re.IGNORECASE)


def referred(value: Any) -> Iterator[str]:
    """Yield the logical ids that a value with intrinsic functions names."""
    if isinstance(value, list):
        for each in value:
            yield from referred(each)
    elif isinstance(value, dict):
        if "Ref" in value:
            yield value["Ref"]
        if "Fn::GetAtt" in value:
            yield value["Fn::GetAtt"][0]
        for each in value.values():
            yield from referred(each)


def listed(value: Any) -> list[Any]:
    """Return a value that may be a list, as one."""
    return value if isinstance(value, list) else [value]


def allowances(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the statements of a policy that allow something."""
    return [each for each in listed(document["Statement"]) if each["Effect"] == "Allow"]


def words(path: str) -> str:
    """Return a construct id as words: ``ObjectCreated`` is "Object created"."""
    parts = re.sub(r"(?<!^)(?=[A-Z])", " ", path.rpartition("/")[2]).lower()
    return parts[:1].upper() + parts[1:]


def folder(location: Any) -> str:
    """Return the last constant part of an S3 location: ``faces/``."""
    parts = location["Fn::Join"][1] if isinstance(location, dict) else [location]
    return str(parts[-1]).strip("/") + "/" if isinstance(parts[-1], str) else ""


def below(verb: str, resources: Any) -> str:
    """Return what an action does, with the folders it is limited to."""
    folders = [str(each["Fn::Join"][1][-1]) for each in listed(resources) if "Fn::Join" in each]
    named = [folder.strip("/*") + "/" for folder in folders if folder.strip("/*")]
    return f"{verb} {', '.join(named)}" if named else verb


def tables_of_view(text: str) -> set[str]:
    """Return what the SQL of an Athena view reads; nothing for what is no view."""
    found = _PRESTO_VIEW.fullmatch(text)
    if not found:
        return set()
    return set(tables_in_sql(json.loads(base64.b64decode(found[1]))["originalSql"]))


def tables_in_sql(sql: str) -> list[str]:
    """Return the tables and views that a query names."""
    return _TABLE_IN_SQL.findall(sql)
