"""Many models that share one container and the instances below it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_cdk import Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.props import PropChecks
from ml_lens.foundation.storage import grant, grant_objects
from ml_lens.hosting.artifacts import VERSION_VARIABLE, check_environment, check_version
from ml_lens.hosting.images import ModelImage


@dataclass(frozen=True, kw_only=True)
class ModelLibrary:
    """Serves every artifact below a prefix: the caller names one in each call, as ``TargetModel``.

    Use it for many similar models of which few are asked at the same time. An instance fetches a model when it is
    first asked for, and drops the least used one when memory or disk run out: the first call after that is slow. A
    model that is added below the prefix can be called at once, without a deployment; give a new version a new key, as
    an instance keeps what it has fetched. The image has to be able to serve several models.

    Lens: MME-01, MME-02, MME-03.
    """

    image: ModelImage
    """The container that serves all of them."""
    bucket: s3.IBucket
    """Where the artifacts are."""
    prefix: str
    """What their keys begin with, up to a slash, for example ``shops/``. Nothing else in the bucket can be read."""
    version: str
    """What this generation of the library is called, for example ``2026-11``; the container finds it as
    ``MODEL_VERSION`` (Lens: HST-07)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the container, up to 99 beside ``MODEL_VERSION``. Default: none."""

    def check(self, props: PropChecks, scope: Construct, *, on_arm: bool, of: str = "model") -> None:
        """Refuse a library that SageMaker cannot serve, or that is the whole bucket."""
        self.image.check(props, scope, on_arm=on_arm, of=of)
        check_version(props, self.version, of=of)
        check_environment(props, self.environment, of=of)
        if not Token.is_unresolved(self.prefix):
            props.require(
                self.prefix.endswith("/") and not self.prefix.startswith(("/", "s3://")),
                f"{of}.prefix",
                f"{self.prefix!r} is no prefix of keys; it ends in a slash and does not begin with one: give for "
                "example 'shops/'",
            )

    def definitions(
        self, scope: Construct, role: iam.Role
    ) -> list[sagemaker.CfnModel.ContainerDefinitionProperty]:
        """Return its container, and let ``role`` pull the image, and find and read the artifacts."""
        image = self.image.bind(scope)
        image.grant_pull(role)
        self._grant_read(role)
        return [
            sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image.uri,
                mode="MultiModel",
                model_data_url=self.bucket.s3_url_for_object(self.prefix),
                environment={**self.environment, VERSION_VARIABLE: self.version},
            )
        ]

    def _grant_read(self, role: iam.Role) -> None:
        grant_objects(role, ["s3:GetObject"], self.bucket, self.prefix)
        iam.Grant.add_to_principal(
            grantee=role,
            actions=["s3:ListBucket"],
            resource_arns=[self.bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": f"{self.prefix}*"}},
        )
        if self.bucket.encryption_key is not None:
            grant(role, ["kms:Decrypt"], self.bucket.encryption_key.key_arn)
