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
    ("endpoint", "sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    ("endpoint configuration", "sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("model", "sagemaker", "list_models", "Models", "ModelName"),
    (
        "model package group",
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    ),
    ("state machine", "stepfunctions", "list_state_machines", "stateMachines", "name"),
    ("REST API", "apigateway", "get_rest_apis", "items", "id"),
    ("usage plan", "apigateway", "get_usage_plans", "items", "id"),
    ("VPC endpoint", "ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("schedule", "scheduler", "list_schedules", "Schedules", "Name"),
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
    for special in (_stacks, _keys, _glue, _networks, _user_pools, _web_acls, _transform_jobs):
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


def _networks(client: Callable[[str], Any]) -> Iterator[Thing]:
    """Yield what was added to the network that every account begins with."""
    ec2 = client("ec2")
    for page in ec2.get_paginator("describe_vpcs").paginate():
        yield from (("VPC", each["VpcId"]) for each in page["Vpcs"] if not each["IsDefault"])
    for page in ec2.get_paginator("describe_subnets").paginate():
        yield from (("subnet", each["SubnetId"]) for each in page["Subnets"] if not each["DefaultForAz"])
    for page in ec2.get_paginator("describe_security_groups").paginate():
        for each in page["SecurityGroups"]:
            if each["GroupName"] != "default":
                yield "security group", each["GroupId"]


def _user_pools(client: Callable[[str], Any]) -> Iterator[Thing]:
    for page in client("cognito-idp").get_paginator("list_user_pools").paginate(MaxResults=60):
        yield from (("user pool", each["Id"]) for each in page["UserPools"])


def _web_acls(client: Callable[[str], Any]) -> Iterator[Thing]:
    for each in client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"]:
        yield "web ACL", each["Name"]


def _transform_jobs(client: Callable[[str], Any]) -> Iterator[Thing]:
    """Yield jobs under way; those that have ended can be deleted by nobody, and cost nothing."""
    for page in client("sagemaker").get_paginator("list_transform_jobs").paginate(StatusEquals="InProgress"):
        yield from (("transform job", each["TransformJobName"]) for each in page["TransformJobSummaries"])
