"""Reads nodes and edges off one CloudFormation template; nothing here knows a scenario."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from docs.graph import Edge, Graph, Node
from docs.serving import CALLS, runs_in_vpc, serving_edges
from docs.template_values import (
    allowances,
    below,
    folder,
    listed,
    referred,
    tables_in_sql,
    tables_of_view,
    words,
)

_KINDS = {
    "AWS::S3::Bucket": "bucket",
    "AWS::SQS::Queue": "queue",
    "AWS::Lambda::Function": "function",
    "AWS::Events::Rule": "rule",
    "AWS::Athena::WorkGroup": "workgroup",
    "AWS::CloudTrail::Trail": "trail",
    "AWS::SNS::Topic": "topic",
    "AWS::QuickSight::Dashboard": "dashboard",
    "AWS::ApiGateway::RestApi": "api",
    "AWS::SageMaker::Endpoint": "endpoint",
    "AWS::StepFunctions::StateMachine": "workflow",
}
_ENCRYPTED = ("AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::SQS::Queue")
_AI_SERVICES = {
    "comprehend": "Amazon Comprehend",
    "rekognition": "Amazon Rekognition",
    "transcribe": "Amazon Transcribe",
}
_INTO = {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "sqs:SendMessage"}
_OUT_OF = {"s3:GetObject", "s3:GetObjectVersion"}


def read_graph(template: Mapping[str, Any]) -> Graph:
    """Return the nodes a reader should know of, and how data gets from one to the next."""
    return _Reading(template).graph()


class _Reading:
    def __init__(self, template: Mapping[str, Any]) -> None:
        self.resources: Mapping[str, Any] = template["Resources"]
        self.nodes = {node.id: node for node in (*self._things(), *self._tables(), *self._actors())}

    def graph(self) -> Graph:
        edges = set(self._moves()) | set(self._permissions()) | set(self._questions()) | set(self._watch())
        ends = {end for edge in edges for end in (edge.source, edge.target)}
        return Graph(
            tuple(sorted(node for node in self.nodes.values() if node.id in ends)), tuple(sorted(edges))
        )

    def _of_type(self, *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for logical_id, resource in self.resources.items():
            if resource["Type"] in types:
                yield logical_id, resource.get("Properties", {})

    def _path(self, logical_id: str) -> str:
        path: str = self.resources[logical_id]["Metadata"]["aws:cdk:path"].partition("/")[2]
        return re.sub(r"(/Resource)+$", "", path)

    def _ids(self, value: Any) -> list[str]:
        """Return the nodes that ``value`` refers to, in whatever intrinsic function."""
        return [self._path(name) for name in referred(value) if self._is_node(name)]

    def _is_node(self, logical_id: str) -> bool:
        return logical_id in self.resources and self._path(logical_id) in self.nodes

    # Nodes

    def _things(self) -> Iterator[Node]:
        behind_custom_resources = {
            name
            for resource in self.resources.values()
            if resource["Type"].startswith("Custom::")
            for name in referred(resource["Properties"]["ServiceToken"])
        }
        for logical_id, properties in self._of_type(*_KINDS):
            if logical_id in behind_custom_resources:
                continue
            kind = _KINDS[self.resources[logical_id]["Type"]]
            path = self._path(logical_id)
            name = " or ".join(properties["EventPattern"]["detail-type"]) if kind == "rule" else words(path)
            yield Node(path, kind, name, self._note(logical_id, kind, properties))

    def _note(self, logical_id: str, kind: str, properties: Mapping[str, Any]) -> str:
        if kind == "function":
            handler = str(properties["Handler"]).partition(".")[0]
            return f"{handler}, in the VPC" if runs_in_vpc(self.resources, logical_id) else handler
        if kind == "endpoint":
            return "in the VPC" if runs_in_vpc(self.resources, logical_id) else ""
        if kind == "bucket":
            rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
            days = [
                rule["ExpirationInDays"]
                for rule in rules
                if "ExpirationInDays" in rule and "Prefix" not in rule
            ]
            if days:
                return f"expires after {min(days)} day{'s' if min(days) > 1 else ''}"
            if self._has_a_key_of_its_own(logical_id, properties):
                return "KMS key of its own"
        return ""

    def _has_a_key_of_its_own(self, logical_id: str, properties: Mapping[str, Any]) -> bool:
        keys = set(referred(properties.get("BucketEncryption")))
        others = {name: each for name, each in self._of_type(*_ENCRYPTED) if name != logical_id}
        return bool(keys) and not any(keys & set(referred(each)) for each in others.values())

    def _tables(self) -> Iterator[Node]:
        for logical_id, properties in self._of_type("AWS::Glue::Table"):
            table = properties["TableInput"]
            kind = "view" if table["TableType"] == "VIRTUAL_VIEW" else "table"
            yield Node(self._path(logical_id), kind, table["Name"])

    def _actors(self) -> Iterator[Node]:
        for logical_id, properties in self._of_type("AWS::IAM::Role"):
            if any(
                "AWS" in trusted["Principal"]
                for trusted in allowances(properties["AssumeRolePolicyDocument"])
            ):
                path = self._path(logical_id)
                yield Node(path, "camera" if "amera" in path else "people", words(path))
        for action in self._ai_actions().values():
            service = action.partition(":")[0]
            yield Node(service, service, _AI_SERVICES[service])
        if any(self._of_type("AWS::CloudWatch::Alarm")):
            alarms = [each for _, each in self._of_type("AWS::CloudWatch::Alarm") if each.get("AlarmActions")]
            yield Node("alarms", "alarm", f"{len(alarms)} alarms")
        for logical_id, _ in self._of_type("AWS::QuickSight::Dashboard"):
            yield Node(f"viewers:{self._path(logical_id)}", "viewers", "Viewers")

    # Edges

    def _moves(self) -> Iterator[Edge]:
        yield from self._events()
        yield from self._queues()
        yield from serving_edges(self.resources, self._ids)
        for logical_id, trail in self._of_type("AWS::CloudTrail::Trail"):
            for bucket in self._ids(trail["EventSelectors"]):
                yield Edge(bucket, self._path(logical_id), "each access", main=False)
            for bucket in self._ids(trail["S3BucketName"]):
                yield Edge(self._path(logical_id), bucket, main=False)

    def _events(self) -> Iterator[Edge]:
        for logical_id, rule in self._of_type("AWS::Events::Rule"):
            for bucket in self._ids(rule["EventPattern"]):
                yield Edge(bucket, self._path(logical_id))
            for target in rule.get("Targets", []):
                for node in self._ids(target["Arn"]):
                    yield Edge(self._path(logical_id), node)

    def _queues(self) -> Iterator[Edge]:
        for _, mapping in self._of_type("AWS::Lambda::EventSourceMapping"):
            for queue in self._ids(mapping["EventSourceArn"]):
                for function in self._ids(mapping["FunctionName"]):
                    yield Edge(queue, function, f"batches of {mapping['BatchSize']}")
        for logical_id, properties in self._of_type("AWS::SQS::Queue"):
            redrive = properties.get("RedrivePolicy", {})
            for dead_letters in self._ids(redrive.get("deadLetterTargetArn")):
                attempts = f"after {redrive['maxReceiveCount']} attempts"
                yield Edge(self._path(logical_id), dead_letters, attempts, main=False)

    def _permissions(self) -> Iterator[Edge]:
        """What roles may do with the data itself; what they may only do through Athena is no way of its own."""
        for role, statement in self._role_statements():
            if "aws:CalledVia" in json.dumps(statement.get("Condition", {})):
                continue
            for actor in self._acting_as(role):
                for target in {node for node in self._ids(statement["Resource"]) if node != actor}:
                    yield from self._access(actor, target, listed(statement["Action"]), statement)
        for actor, action in self._ai_actions().items():
            yield Edge(actor, action.partition(":")[0], action.partition(":")[2], main=False)

    def _access(self, actor: str, target: str, actions: list[str], statement: Any) -> Iterator[Edge]:
        for action in actions:
            verb = action.partition(":")[2]
            if action == "sqs:SendMessage" and self._consumes(actor, target):
                yield Edge(actor, target, "throttled: later", main=False)
            elif action in CALLS:
                yield Edge(actor, target, CALLS[action])
            elif action in _INTO:
                adds_elsewhere = action in ("s3:PutObject", "sqs:SendMessage")
                yield Edge(actor, target, below(verb, statement["Resource"]), main=adds_elsewhere)
            elif action in _OUT_OF:
                yield Edge(target, actor, verb, main=False)

    def _consumes(self, function: str, queue: str) -> bool:
        return any(
            function in self._ids(mapping["FunctionName"]) and queue in self._ids(mapping["EventSourceArn"])
            for _, mapping in self._of_type("AWS::Lambda::EventSourceMapping")
        )

    def _questions(self) -> Iterator[Edge]:
        """From files over tables and views to whoever asks."""
        named = {node.name: node.id for node in self.nodes.values() if node.kind in ("table", "view")}
        groups = {group["Name"]: self._path(name) for name, group in self._of_type("AWS::Athena::WorkGroup")}
        for logical_id, properties in self._of_type("AWS::Glue::Table"):
            table = properties["TableInput"]
            for bucket in self._ids(table["StorageDescriptor"].get("Location")):
                yield Edge(bucket, self._path(logical_id), folder(table["StorageDescriptor"]["Location"]))
            for name in tables_of_view(table.get("ViewOriginalText", "")):
                yield Edge(named[name], self._path(logical_id))
        for _, query in self._of_type("AWS::Athena::NamedQuery"):
            for name in tables_in_sql(query["QueryString"]):
                yield Edge(named[name], groups[query["WorkGroup"]])
        for role, statement in self._role_statements():
            if "athena:StartQueryExecution" in listed(statement["Action"]):
                for group in (
                    id for name, id in groups.items() if f"workgroup/{name}" in json.dumps(statement)
                ):
                    views = [name for name in self._readable(role) if self.nodes[named[name]].kind == "view"]
                    yield from (Edge(group, actor, ", ".join(views)) for actor in self._acting_as(role))
        for logical_id, _ in self._of_type("AWS::QuickSight::Dashboard"):
            yield Edge(self._path(logical_id), f"viewers:{self._path(logical_id)}")

    def _readable(self, role: str) -> list[str]:
        """Return the tables and views that ``role`` may look up in the catalogue."""
        lookups = [
            json.dumps(statement["Resource"])
            for owner, statement in self._role_statements()
            if owner == role and "glue:GetTable" in listed(statement["Action"])
        ]
        names = [properties["TableInput"]["Name"] for _, properties in self._of_type("AWS::Glue::Table")]
        return [name for name in names if any(f'/{name}"' in lookup for lookup in lookups)]

    def _watch(self) -> Iterator[Edge]:
        for _, alarm in self._of_type("AWS::CloudWatch::Alarm"):
            for topic in self._ids(alarm.get("AlarmActions")):
                yield Edge("alarms", topic, main=False)

    # Who acts as which role

    @cached_property
    def _policies(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (role, statement)
            for _, policy in self._of_type("AWS::IAM::Policy")
            for role in referred(policy["Roles"])
            for statement in allowances(policy["PolicyDocument"])
        ]

    def _role_statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from self._policies

    def _acting_as(self, role: str) -> Iterator[str]:
        if self._is_node(role):
            yield self._path(role)
        for logical_id, function in self._of_type("AWS::Lambda::Function"):
            if role in referred(function["Role"]) and self._is_node(logical_id):
                yield self._path(logical_id)
        for logical_id, machine in self._of_type("AWS::StepFunctions::StateMachine"):
            if role in referred(machine["RoleArn"]):
                yield self._path(logical_id)
        for _, source in self._of_type("AWS::QuickSight::DataSource"):
            if role in referred(source["DataSourceParameters"]):
                yield from (self._path(name) for name, _ in self._of_type("AWS::QuickSight::Dashboard"))

    def _ai_actions(self) -> dict[str, str]:
        """Return which function or role calls which AI service."""
        found = {}
        for role, statement in self._role_statements():
            for action in listed(statement["Action"]):
                if action.partition(":")[0] in _AI_SERVICES:
                    for name, function in self._of_type("AWS::Lambda::Function"):
                        if role in referred(function["Role"]):
                            found[self._path(name)] = action
        return found
