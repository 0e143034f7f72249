"""What every bucket of this library has in common."""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ml_lens.foundation.emptying import BucketEmptier
from ml_lens.foundation.posture import Posture


def private_bucket(
    owner: Construct,
    *,
    role: str,
    key: kms.IKey,
    posture: Posture,
    lifecycle_rules: Sequence[s3.LifecycleRule],
    announces_objects: bool = False,
    locked_for: Duration | None = None,
) -> s3.Bucket:
    """Create the bucket of ``owner``: KMS-encrypted, versioned, TLS 1.2 only, never public.

    Args:
        owner: The construct whose primary child the bucket becomes.
        role: What its data is for, recorded in the template for the rule pack.
        key: Encrypts the objects.
        posture: Decides whether bucket and objects outlive the stack.
        lifecycle_rules: What expires, and when.
        announces_objects: Whether EventBridge learns of every object.
        locked_for: Time for which nobody may delete or overwrite a version. A locked bucket outlives the stack
            whatever the posture says: nothing could empty it. Default: not locked.
    """
    removes_data = not locked_for and posture.removes_data(owner)
    bucket = s3.Bucket(
        owner,
        "Resource",
        encryption=s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=True,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=True,
        object_lock_default_retention=s3.ObjectLockRetention.compliance(locked_for) if locked_for else None,
        lifecycle_rules=list(lifecycle_rules),
        removal_policy=RemovalPolicy.DESTROY if removes_data else RemovalPolicy.RETAIN,
    )
    resource = bucket.node.default_child
    assert isinstance(resource, s3.CfnBucket)  # noqa: S101  (for the type checker)
    resource.add_metadata("MLLens", {"Role": role})
    if announces_objects:
        # The L2's event_bridge_enabled adds a custom resource for what is a property.
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )
    if bucket.policy and not removes_data:
        bucket.policy.apply_removal_policy(RemovalPolicy.RETAIN)  # what stays, stays protected
    if removes_data:
        BucketEmptier.in_stack_of(owner, posture=posture).empties(bucket)
    return bucket
