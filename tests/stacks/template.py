"""A template as plain data, asked in the words of the tests."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, with lists where IAM allows a single value."""

    effect: str
    actions: frozenset[str]
    resources: tuple[str, ...]
    principal: str
    condition: Mapping[str, Any]

    @classmethod
    def of(cls, statement: Mapping[str, Any]) -> "Statement":
        return cls(
            statement["Effect"],
            frozenset(listed(statement["Action"])),
            tuple(text(resource) for resource in listed(statement.get("Resource", []))),
            text(statement.get("Principal", "")),
            statement.get("Condition", {}),
        )


class Template:
    """A synthesized template."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body

    @classmethod
    def read(cls, path: Path) -> "Template":
        return cls(json.loads(path.read_text()))

    def resources(self, *types: str) -> dict[str, Properties]:
        """Return the properties of every resource of ``types``, of all without types, by logical id."""
        return {
            id: resource.get("Properties", {})
            for id, resource in self.body["Resources"].items()
            if not types or resource["Type"] in types
        }

    def id(self, type: str, path: str) -> str:
        """Return the logical id of the resource of ``type`` whose construct ids, put together, are ``path``."""
        found = [id for id in self.resources(type) if re.fullmatch(rf"{path}[0-9A-F]{{8}}", id)]
        assert len(found) == 1, f"{type} at {path}: {found or sorted(self.resources(type))}"
        return found[0]

    def one(self, type: str, path: str) -> Properties:
        """Return the properties of the resource that :meth:`id` finds."""
        return self.resources(type)[self.id(type, path)]

    def only(self, type: str) -> Properties:
        """Return the properties of the single resource of ``type``."""
        (properties,) = self.resources(type).values()
        return properties

    def statements(self, role: str) -> list[Statement]:
        """Return what the policies of the role with the logical id ``role`` say."""
        policies = self.resources("AWS::IAM::Policy").values()
        return [
            Statement.of(statement)
            for policy in policies
            if {"Ref": role} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def actions(self, role: str) -> set[str]:
        """Return every action that the role may call on anything."""
        return {
            action
            for statement in self.statements(role)
            if statement.effect == "Allow"
            for action in statement.actions
        }

    def bucket_statements(self, bucket: str) -> list[Statement]:
        """Return what the policy of the bucket with the logical id ``bucket`` says."""
        return [
            Statement.of(statement)
            for policy in self.resources("AWS::S3::BucketPolicy").values()
            if policy["Bucket"] == {"Ref": bucket}
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def key_of(self, bucket: str) -> str:
        """Return the logical id of the key that encrypts the bucket ``bucket``."""
        (rule,) = self.resources("AWS::S3::Bucket")[bucket]["BucketEncryption"][
            "ServerSideEncryptionConfiguration"
        ]
        default = rule["ServerSideEncryptionByDefault"]
        assert default["SSEAlgorithm"] == "aws:kms"
        key = default["KMSMasterKeyID"]["Fn::GetAtt"][0]
        assert key in self.resources("AWS::KMS::Key")
        return str(key)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """Return ``value`` as text in which references stand in angle brackets: ``<Bucket.Arn>/*``."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(text(part) for part in parts)
        case {"Fn::GetAtt": [id, attribute]}:
            return f"<{id}.{attribute}>"
        case {"Ref": id}:
            return f"<{id}>"
        case {"AWS": principal} | {"Service": principal}:
            return text(principal)
        case str():
            return value
        case _:
            return json.dumps(value, sort_keys=True)


def references(value: Any) -> Iterator[str]:
    """Yield the logical id of everything that ``value`` refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("Ref"), str):
            yield value["Ref"]
        if isinstance(value.get("Fn::GetAtt"), list):
            yield value["Fn::GetAtt"][0]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)
