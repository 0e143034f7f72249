"""What an API writes down of its calls: enough to find them, and nothing of what was asked."""

import json

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge, acknowledge_wildcard
from ml_lens.foundation.log_groups import kept_log_group
from ml_lens.foundation.posture import Posture

_WRITE = [
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "logs:PutLogEvents",
]
_FIELDS = {
    "request_id": "requestId",
    "trace_id": "xrayTraceId",
    "time": "requestTime",
    "method": "httpMethod",
    "path": "resourcePath",
    "status": "status",
    "problem": "error.responseType",
    "response_bytes": "responseLength",
    "latency_ms": "responseLatency",
    "integration_latency_ms": "integrationLatency",
    "consumer": "identity.apiKeyId",
    "tls": "tlsVersion",
}


def access_log_format(*, signed: bool) -> apigateway.AccessLogFormat:
    """Return one line of JSON for each call, without addresses, headers, bodies or what was wrong with them.

    Args:
        signed: Whether callers sign as IAM roles; else the client of their token is noted.
    """
    caller = "identity.caller" if signed else "authorizer.claims.client_id"
    line = {name: f"$context.{variable}" for name, variable in {**_FIELDS, "caller": caller}.items()}
    return apigateway.AccessLogFormat.custom(json.dumps(line))


def access_log(scope: Construct, *, posture: Posture, key: kms.IKey) -> logs.LogGroup:
    """Create the log group of the calls (Lens: LOG-02, LOG-03)."""
    return kept_log_group(Construct(scope, "AccessLog"), posture=posture, key=key)


def execution_log(
    scope: Construct, api: apigateway.RestApi, stage: str, *, posture: Posture, key: kms.IKey
) -> None:
    """Create the log group in which API Gateway tells of failures, before it makes one without key and retention."""
    group = kept_log_group(
        Construct(scope, "ExecutionLog"),
        posture=posture,
        key=key,
        # By this name API Gateway finds it.
        name=f"API-Gateway-Execution-Logs_{api.rest_api_id}/{stage}",
    )
    api.deployment_stage.node.add_dependency(group)


def account_logging(scope: Construct, api: apigateway.RestApi, *, posture: Posture) -> None:
    """Let API Gateway write logs in this account and Region, for this API and all others."""
    stack = Stack.of(scope)
    role = iam.Role(
        scope,
        "AccountLogging",
        assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
        description="Lets API Gateway write the logs of every API of this account and Region",
    )
    role.apply_removal_policy(posture.removal_policy(scope))
    groups = stack.format_arn(
        service="logs", resource="log-group", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
    role.add_to_policy(iam.PolicyStatement(actions=_WRITE, resources=[groups]))
    role.add_to_policy(iam.PolicyStatement(actions=["logs:DescribeLogGroups"], resources=["*"]))
    acknowledge(
        role,
        "AwsSolutions-IAM5[Resource::*]",
        "logs:DescribeLogGroups cannot be narrowed: it looks for groups among all of them.",
    )
    acknowledge_wildcard(
        role,
        groups,
        "API Gateway has one role for the logs of every API of an account and Region, whose names nobody knows here.",
    )
    account = apigateway.CfnAccount(scope, "Account", cloud_watch_role_arn=role.role_arn)
    account.node.add_dependency(role)
    account.apply_removal_policy(posture.removal_policy(scope))
    api.deployment_stage.node.add_dependency(account)
