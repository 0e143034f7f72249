"""Where the artifacts of candidates are kept, version by version."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.audit import AuditTrail
from ml_lens.foundation.keys import customer_key
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.private_bucket import private_bucket
from ml_lens.foundation.props import checked_props
from ml_lens.foundation.storage import grant, grant_objects, record_access


class ModelArtifacts(Construct):
    """Keeps every version of every artifact for as long as the business says.

    Publishers may add artifacts and can neither read nor delete any; endpoints may read and do nothing else.

    Lens: CHG-02, CHG-03, CHG-10, MDL-01, MDL-02.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        audit: AuditTrail | None = None,
        keep_replaced: Duration | None = None,
    ) -> None:
        """Create the bucket and its key.

        Args:
            scope: Where the bucket belongs.
            id: Its construct id.
            posture: Decides whether bucket and key outlive their stack.
            audit: Records every access. Default: access is not recorded here, and the finding AwsSolutions-S1 stands.
            keep_replaced: How long a version is kept after another has taken its place, in whole days. Default: a
                year.

        Raises:
            PropError: ``keep_replaced`` is not a whole number of days, at least one.
        """
        with checked_props(self, id) as props:
            keep_replaced = props.whole_days("keep_replaced", keep_replaced, default=365)
        super().__init__(scope, id)
        self.key = customer_key(self, "Key", posture=posture, purpose="artifacts of models")
        self.bucket = private_bucket(
            self,
            role="model-artifacts",
            key=self.key,
            posture=posture,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="ForgetReplacedVersions",
                    noncurrent_version_expiration=keep_replaced,
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        self._protect(posture)
        record_access(self.bucket, audit)

    def grant_publish(self, publisher: iam.Role) -> None:
        """Let ``publisher`` add artifacts in one request each, and neither read nor delete any."""
        grant_objects(publisher, ["s3:PutObject"], self.bucket)
        grant(publisher, ["kms:GenerateDataKey"], self.key.key_arn)
        acknowledge(
            publisher,
            "MLLens::MLLens-SEC01-PhaseSeparation[modelWrite]",
            "What trains the candidates is no part of this app; this role stands for it, and can add artifacts alone.",
        )

    def _protect(self, posture: Posture) -> None:
        if not posture.removes_data(self):
            self.bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="DeletionNeedsMfa",
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
                    resources=[self.bucket.arn_for_objects("*")],
                    conditions={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
                )
            )
            return
        for finding in ("mfa", "retain"):
            acknowledge(
                self.bucket,
                f"MLLens::MLLens-REL04-ModelBucketDeleteProtected[{finding}]",
                "CloudFormation deletes only empty buckets, and a sandbox goes with all it holds; in production "
                "artifacts stay, and are deleted with MFA alone.",
            )
        acknowledge(
            self.bucket,
            "MLLens::MLLens-REL04-ModelSecondCopy",
            "A copy in another bucket would outlive the sandbox.",
        )

    def grant_serve(self, grantee: iam.IGrantable) -> None:
        """Let ``grantee`` read every artifact."""
        grant_objects(grantee, ["s3:GetObject"], self.bucket)
        grant(grantee, ["kms:Decrypt"], self.key.key_arn)
