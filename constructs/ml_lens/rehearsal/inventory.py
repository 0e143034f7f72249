"""What exists in the sandbox: taken before and after, the difference is what a scenario leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_lens.rehearsal.sandbox import Sandbox

# kind → service, paginated operation, path to the entries, name of an entry
_LISTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("function", "lambda", "list_functions", "Functions", "FunctionName"),
    ("event source mapping", "lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("DynamoDB table", "dynamodb", "list_tables", "TableNames", ""),
    ("role", "iam", "list_roles", "Roles", "RoleName"),
    ("log group", "logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("topic", "sns", "list_topics", "Topics", "TopicArn"),
    ("state machine", "stepfunctions", "list_state_machines", "stateMachines", "name"),
)
# kind → service, operation, path to the entries, name of an entry
_SINGLE: tuple[tuple[str, str, str, str, str], ...] = (
    ("bucket", "s3", "list_buckets", "Buckets", "Name"),
    ("queue", "sqs", "list_queues", "QueueUrls", ""),
    ("event rule", "events", "list_rules", "Rules", "Name"),
    ("alarm", "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("dashboard", "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("workgroup", "athena", "list_work_groups", "WorkGroups", "Name"),
    ("secret", "secretsmanager", "list_secrets", "SecretList", "Name"),
)

Thing = tuple[str, str]


def inventory(sandbox: Sandbox) -> set[Thing]:
    """Return kind and name of everything in the sandbox that costs, grants or holds something."""
    found = {(kind, name) for name, kind in sandbox.declared_left().items()}
    for kind, service, operation, path, name in _LISTS:
        pages = sandbox.client(service).get_paginator(operation).paginate()
        found |= {(kind, _name(entry, name)) for page in pages for entry in page.get(path, [])}
    for kind, service, operation, path, name in _SINGLE:
        answer = getattr(sandbox.client(service), operation)()
        found |= {(kind, _name(entry, name)) for entry in answer.get(path, [])}
    for special in (_stacks, _keys, _glue):
        found |= set(special(sandbox.client))
    return found


def _name(entry: Any, name: str) -> str:
    return str(entry[name] if name else entry)


def _stacks(client: Callable[[str], Any]) -> Iterator[Thing]:
    for page in client("cloudformation").get_paginator("list_stacks").paginate():
        for stack in page["StackSummaries"]:
            if stack["StackStatus"] != "DELETE_COMPLETE":
                yield "stack", f"{stack['StackName']} ({stack['StackStatus']})"


def _keys(client: Callable[[str], Any]) -> Iterator[Thing]:
    kms = client("kms")
    for page in kms.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if metadata["KeyState"] != "PendingDeletion" and metadata["KeyManager"] == "CUSTOMER":
                yield "key", key["KeyId"]


def _glue(client: Callable[[str], Any]) -> Iterator[Thing]:
    glue = client("glue")
    for database in glue.get_databases()["DatabaseList"]:
        yield "Glue database", database["Name"]
        for table in glue.get_tables(DatabaseName=database["Name"])["TableList"]:
            yield "Glue table", f"{database['Name']}.{table['Name']}"
