"""Customer-managed keys, and the services that may use them."""

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.foundation.posture import Posture

_SHORTEST_WAIT = Duration.days(7)


def customer_key(
    scope: Construct, id: str, *, posture: Posture, purpose: str, always_kept: bool = False
) -> kms.Key:
    """Create a customer-managed key with yearly rotation.

    Args:
        scope: Where the key belongs.
        id: Its construct id.
        posture: Decides whether the key outlives the stack. A key that does not waits seven days, the
            shortest KMS allows, before it is gone.
        purpose: What it encrypts, in a few words; shown in the console.
        always_kept: Whether the key outlives the stack whatever the posture says. Default: it does not.

    Lens: F2-19.
    """
    return kms.Key(
        scope,
        id,
        description=f"{Stack.of(scope).stack_name}: {purpose}",
        enable_key_rotation=True,
        removal_policy=RemovalPolicy.RETAIN if always_kept else posture.removal_policy(scope),
        pending_window=None if posture.keeps_data else _SHORTEST_WAIT,
    )


def let_log_groups_use(key: kms.IKey) -> None:
    """Let CloudWatch Logs encrypt the log groups of this account and Region with ``key``."""
    stack = Stack.of(key)
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="LogGroups",
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
            actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            resources=["*"],
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": stack.format_arn(
                        service="logs",
                        resource="log-group",
                        resource_name="*",
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                }
            },
        )
    )


def let_service_use(key: kms.IKey, service: str, *, sid: str) -> None:
    """Let an AWS service encrypt and decrypt with ``key``, on behalf of this account only."""
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            principals=[iam.ServicePrincipal(service)],
            actions=["kms:Decrypt", "kms:GenerateDataKey*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(key).account}},
        )
    )
