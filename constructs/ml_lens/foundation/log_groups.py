"""Log groups as every construct here keeps them."""

from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from ml_lens.foundation.posture import Posture


def kept_log_group(
    scope: Construct, *, posture: Posture, key: kms.IKey, name: str | None = None
) -> logs.LogGroup:
    """Create the log group ``Logs`` of ``scope``, under a key and for as long as ``posture`` keeps logs.

    ``key`` must allow CloudWatch Logs to use it. ``name`` is given only where a service insists on it.
    """
    return logs.LogGroup(
        scope,
        "Logs",
        log_group_name=name,
        encryption_key=key,
        retention=posture.log_retention,
        removal_policy=posture.removal_policy(scope),
    )
