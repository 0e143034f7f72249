"""The record of who touched which data."""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.emptying import BucketEmptier
from ml_lens.foundation.keys import customer_key
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.private_bucket import private_bucket

_OBJECTS = "AWS::S3::Object"


class AuditTrail(Construct):
    """Records every call to the account's services, and every read and write of the objects it is told of.

    The records go to a bucket of their own, which is locked: nobody may delete or overwrite a record. In
    production S3 Object Lock (compliance mode) holds them for a year against every user of the account, and no flag
    removes them with the stack. In a
    sandbox, where ``cdk destroy`` has to remove them, a bucket policy refuses deletion to everyone but the
    function that empties the bucket.

    Lens: F2-06, F2-07, F2-08, F2-28.
    """

    def __init__(self, scope: Construct, id: str, *, posture: Posture) -> None:
        """Create trail, bucket and key.

        Args:
            scope: Where the trail belongs.
            id: Its construct id.
            posture: Decides how long records are kept, and how they are locked.
        """
        super().__init__(scope, id)
        retention = Duration.days(posture.audit_retention_days)
        locked = posture.keeps_data
        self.key = customer_key(self, "Key", posture=posture, purpose="audit records", always_kept=locked)
        self._let_cloudtrail_encrypt()
        self.bucket = private_bucket(
            self,
            role="logs",
            key=self.key,
            posture=posture,
            locked_for=retention if locked else None,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="ForgetAfterRetention",
                    expiration=retention,
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        if not locked:
            self._refuse_deletion(posture)
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            "CloudTrail's own delivery would be recorded in the bucket it delivers to, and every record "
            "would cause another; S3 cannot deliver server access logs under a customer-managed key.",
        )
        self._recorded: list[str] = []
        self.trail = cloudtrail.Trail(
            self,
            "Trail",
            bucket=self.bucket,
            encryption_key=self.key,
            enable_file_validation=True,
            include_global_service_events=False,
            is_multi_region_trail=False,
            management_events=cloudtrail.ReadWriteType.ALL,
        )
        emptied = self.bucket.node.try_find_child("Emptied")
        if emptied:
            self.trail.node.add_dependency(emptied)

    def record_objects(self, bucket: s3.IBucket) -> None:
        """Record every read and write of every object in ``bucket`` (Lens: F2-06, F2-08)."""
        self._recorded.append(bucket.arn_for_objects(""))
        trail = self.trail.node.default_child
        assert isinstance(trail, cloudtrail.CfnTrail)  # noqa: S101  (for the type checker)
        # A trail has five selectors at the most, and the CDK would take one for each bucket.
        trail.event_selectors = [
            cloudtrail.CfnTrail.EventSelectorProperty(include_management_events=True, read_write_type="All"),
            cloudtrail.CfnTrail.EventSelectorProperty(
                include_management_events=False,
                read_write_type="All",
                data_resources=[
                    cloudtrail.CfnTrail.DataResourceProperty(type=_OBJECTS, values=self._recorded)
                ],
            ),
        ]

    def _let_cloudtrail_encrypt(self) -> None:
        trails = Stack.of(self).format_arn(
            service="cloudtrail",
            resource="trail",
            resource_name="*",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AuditRecords",
                principals=[iam.ServicePrincipal("cloudtrail.amazonaws.com")],
                actions=["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"ArnLike": {"aws:SourceArn": trails}},
            )
        )

    def _refuse_deletion(self, posture: Posture) -> None:
        emptier = BucketEmptier.in_stack_of(self, posture=posture)
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="RecordsAreNotDeleted",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
                resources=[self.bucket.arn_for_objects("*")],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": emptier.function.role.role_arn}},
            )
        )
