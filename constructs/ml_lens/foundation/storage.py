"""Buckets by the role their data plays."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge, acknowledge_wildcard
from ml_lens.foundation.audit import AuditTrail
from ml_lens.foundation.keys import customer_key
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.private_bucket import private_bucket
from ml_lens.foundation.props import checked_props

_ONE_DAY = Duration.days(1)


class TemporaryInputBucket(Construct):
    """Holds files only until they have been processed.

    Writers may add objects and nothing else; readers may read and nothing else; one eraser may delete
    the versions it is told to. Whatever is left after ``max_age`` is expired by S3 itself. The bucket is
    versioned, so that a file overwritten before it was read is still read, and an erased version is gone.

    Lens: F2-01, F2-02, F2-03, F2-04, F2-05, F2-09, F2-30.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        audit: AuditTrail | None = None,
        key: kms.IKey | None = None,
        max_age: Duration | None = None,
    ) -> None:
        """Create the bucket.

        Args:
            scope: Where the bucket belongs.
            id: Its construct id.
            posture: Decides whether the bucket outlives its stack.
            audit: Records every access to every object. Default: access is not recorded here, and the
                finding AwsSolutions-S1 stands until it is recorded elsewhere.
            key: Encrypts the objects. Default: a new customer-managed key with yearly rotation.
            max_age: Age at which S3 expires an object, in whole days. Default: one day.

        Raises:
            PropError: ``max_age`` is not a whole number of days, at least one.
        """
        with checked_props(self, id) as props:
            max_age = props.whole_days("max_age", max_age, default=1)
        super().__init__(scope, id)
        self.key = key or customer_key(self, "Key", posture=posture, purpose="files waiting to be processed")
        self.bucket = private_bucket(
            self,
            role="temporary-raw",
            key=self.key,
            posture=posture,
            announces_objects=True,
            lifecycle_rules=[
                s3.LifecycleRule(id="ExpireWhatIsLeft", expiration=max_age),
                # CloudFormation refuses a rule that expires delete markers and does nothing else.
                s3.LifecycleRule(
                    id="ForgetVersionsAndMarkers",
                    noncurrent_version_expiration=_ONE_DAY,
                    abort_incomplete_multipart_upload_after=_ONE_DAY,
                    expired_object_delete_marker=True,
                ),
            ],
        )
        record_access(self.bucket, audit)

    def grant_write_only(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` add objects, and neither read, list nor delete them (Lens: F2-03).

        An object has to be written in one request, which takes up to 5 GB: a multipart upload would need
        ``kms:Decrypt``.
        """
        return grant_objects(grantee, ["s3:PutObject"], self.bucket).combine(
            grant(grantee, ["kms:GenerateDataKey"], self.key.key_arn)
        )

    def grant_read_only(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read the version of an object it knows of, and learn that it is gone (Lens: F2-05).

        Without ``s3:ListBucket`` S3 answers "access denied" for an object that no longer exists.
        """
        return (
            grant_objects(grantee, ["s3:GetObjectVersion"], self.bucket)
            .combine(grant(grantee, ["s3:ListBucket"], self.bucket.bucket_arn))
            .combine(grant(grantee, ["kms:Decrypt"], self.key.key_arn))
        )

    def grant_erase_only(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` delete versions it knows of, and neither read nor write (Lens: F2-10)."""
        return grant_objects(grantee, ["s3:DeleteObjectVersion"], self.bucket)


class DerivedDataBucket(Construct):
    """Holds personal data that was derived from other data, under a key of its own.

    Earlier versions are kept for ``keep_versions`` and then expire. Prefixes named in ``transient`` hold
    copies, such as query results, which expire after a week.

    Lens: F2-17, F2-18, F2-19, F2-30.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        audit: AuditTrail | None = None,
        transient: Sequence[str] = (),
        keep_versions: Duration | None = None,
    ) -> None:
        """Create the bucket and the key that encrypts nothing else.

        Args:
            scope: Where the bucket belongs.
            id: Its construct id.
            posture: Decides whether bucket and key outlive their stack.
            audit: Records every access to every object. Default: access is not recorded here, and the
                finding AwsSolutions-S1 stands until it is recorded elsewhere.
            transient: Prefixes whose objects expire after seven days. Default: none.
            keep_versions: How long replaced or deleted versions are kept, in whole days. Default: 30 days.

        Raises:
            PropError: ``keep_versions`` is not a whole number of days, at least one, or a prefix in
                ``transient`` does not end in a slash.
        """
        with checked_props(self, id) as props:
            keep_versions = props.whole_days("keep_versions", keep_versions, default=30)
            for prefix in transient:
                props.require(
                    prefix.endswith("/"),
                    "transient",
                    f"{prefix!r} would match more than one folder; end the prefix in a slash: {prefix + '/'!r}",
                )
        super().__init__(scope, id)
        self.key = customer_key(self, "Key", posture=posture, purpose="derived personal data")
        self.bucket = private_bucket(
            self,
            role="derived-pii",
            key=self.key,
            posture=posture,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="ForgetReplacedVersions",
                    noncurrent_version_expiration=keep_versions,
                    abort_incomplete_multipart_upload_after=_ONE_DAY,
                ),
                *(
                    s3.LifecycleRule(
                        id=f"Expire-{prefix.strip('/')}", prefix=prefix, expiration=Duration.days(7)
                    )
                    for prefix in transient
                ),
            ],
        )
        record_access(self.bucket, audit)

    def grant_add(self, grantee: iam.IGrantable, prefix: str) -> iam.Grant:
        """Let ``grantee`` add objects below ``prefix``, and not read them."""
        return grant_objects(grantee, ["s3:PutObject"], self.bucket, prefix).combine(
            grant(grantee, ["kms:GenerateDataKey"], self.key.key_arn)
        )

    def grant_add_in_parts(self, grantee: iam.IGrantable, prefix: str) -> iam.Grant:
        """Let ``grantee`` add large objects below ``prefix``, as SageMaker does, and not read them.

        What arrives in parts, S3 has to decrypt to put it together.
        """
        return self.grant_add(grantee, prefix).combine(grant(grantee, ["kms:Decrypt"], self.key.key_arn))


def grant_objects(
    grantee: iam.IGrantable,
    actions: Sequence[str],
    bucket: s3.IBucket,
    prefix: str = "",
    conditions: Mapping[str, Mapping[str, object]] | None = None,
) -> iam.Grant:
    """Allow ``actions`` on the objects of ``bucket`` below ``prefix``, and record why a star is needed."""
    objects = bucket.arn_for_objects(f"{prefix}*")
    acknowledge_wildcard(
        grantee,
        objects,
        "S3 knows objects only by their keys, which are made by whoever writes them; the star stands for the keys "
        "below one prefix of one bucket.",
    )
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=list(actions), resource_arns=[objects], conditions=conditions
    )


def grant(grantee: iam.IGrantable, actions: Sequence[str], arn: str) -> iam.Grant:
    """Allow ``actions`` on one resource."""
    return iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=[arn])


def record_access(bucket: s3.Bucket, audit: AuditTrail | None) -> None:
    """Have ``audit`` record every access to the objects of ``bucket``, and say so where S3's own logs are missed."""
    if audit is None:
        return
    audit.record_objects(bucket)
    acknowledge(
        bucket,
        "AwsSolutions-S1",
        "S3 cannot deliver server access logs to a bucket under a customer-managed key; the audit trail "
        f"{audit.node.path} records every read and write of an object instead.",
    )
