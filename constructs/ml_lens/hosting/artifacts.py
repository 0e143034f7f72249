"""The model itself: what training made, packed as SageMaker reads it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aws_cdk import Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.props import PropChecks
from ml_lens.foundation.storage import grant
from ml_lens.hosting.images import ModelImage

VERSION_VARIABLE = "MODEL_VERSION"
"""The environment variable that tells a container which version it serves."""
VERSION_TAG = "mllens:model-version"
"""The tag that tells which version a model is."""
_SUFFIX = ".tar.gz"
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_VARIABLES = 100


@dataclass(frozen=True, kw_only=True)
class StoredArtifact:
    """An artifact in its bucket."""

    bucket: s3.IBucket
    """The bucket."""
    key: str
    """The object's key."""

    @property
    def url(self) -> str:
        """The location, as SageMaker takes it."""
        return self.bucket.s3_url_for_object(self.key)

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Let ``grantee`` read this one object, and decrypt it."""
        grant(grantee, ["s3:GetObject"], self.bucket.arn_for_objects(self.key))
        if self.bucket.encryption_key is not None:
            grant(grantee, ["kms:Decrypt"], self.bucket.encryption_key.key_arn)


@dataclass(frozen=True, kw_only=True)
class ModelArtifact:
    """Names a model artifact, a ``.tar.gz`` in S3 or on this machine. Use one of the class methods.

    Lens: MDL-01, MDL-02.
    """

    bucket: s3.IBucket | None = None
    """Where it is. Default: on this machine."""
    key: str = ""
    """The object's key."""
    path: Path | None = None
    """The file on this machine. Default: in S3."""

    @classmethod
    def in_bucket(cls, bucket: s3.IBucket, key: str) -> "ModelArtifact":
        """Take the object ``key`` of ``bucket``.

        Give every version a key of its own: CloudFormation does not see that an object was replaced.
        """
        return cls(bucket=bucket, key=key)

    @classmethod
    def from_file(cls, path: Path) -> "ModelArtifact":
        """Take a file of this machine, which the CDK uploads; for samples and trials."""
        return cls(path=path)

    def check(self, props: PropChecks, *, of: str = "model") -> None:
        """Refuse what is no artifact of ``of``."""
        name = str(self.path) if self.path else self.key
        if not Token.is_unresolved(name):
            props.require(
                name.endswith(_SUFFIX) and not name.startswith(("/", "s3://") if self.path is None else ()),
                f"{of}.artifact",
                f"{name!r} is no model artifact; give the key or the path of a file that ends in {_SUFFIX!r}",
            )
        if self.path is not None and name.endswith(_SUFFIX):
            props.require(
                self.path.is_file(),
                f"{of}.artifact",
                f"there is no file {name!r}; train the model first, or take one from S3 with ModelArtifact.in_bucket()",
            )

    def bind(self, scope: Construct) -> StoredArtifact:
        """Return the artifact where SageMaker finds it."""
        if self.bucket is not None:
            return StoredArtifact(bucket=self.bucket, key=self.key)
        asset = assets.Asset(scope, "Artifact", path=str(self.path))
        return StoredArtifact(bucket=asset.bucket, key=asset.s3_object_key)


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """One version of a model: what training made, and the container that serves it."""

    image: ModelImage
    """The container that serves it."""
    artifact: ModelArtifact
    """What training made."""
    version: str
    """What this version is called, for example ``1.0.0``: up to 64 letters, digits, dots, dashes and underscores.

    The container finds it in its environment as ``MODEL_VERSION``, so that every answer can carry it (Lens: HST-07).
    """
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the container, up to 99 beside ``MODEL_VERSION``. Default: none."""

    def check(
        self,
        props: PropChecks,
        scope: Construct,
        *,
        on_arm: bool,
        of: str = "model",
        set_from_version: Sequence[str] = (VERSION_VARIABLE,),
    ) -> None:
        """Refuse an image, an artifact, a version or an environment that SageMaker cannot serve.

        Args:
            props: Takes the problems.
            scope: Where it would be served.
            on_arm: Whether the instances have Graviton processors.
            of: The prop that it was given as. Default: ``model``.
            set_from_version: Variables that are not to be given. Default: ``MODEL_VERSION``.
        """
        self.image.check(props, scope, on_arm=on_arm, of=of)
        self.artifact.check(props, of=of)
        check_version(props, self.version, of=of)
        check_environment(props, self.environment, of=of, set_from_version=set_from_version)

    def definitions(
        self, scope: Construct, role: iam.Role, versions: Mapping[str, str] | None = None
    ) -> list[sagemaker.CfnModel.ContainerDefinitionProperty]:
        """Return its container, and let ``role`` read and pull what it is made of.

        Args:
            scope: Where what has to be uploaded belongs.
            role: The role under which it is served.
            versions: Variables that tell the container its version. Default: ``MODEL_VERSION``.
        """
        image = self.image.bind(scope)
        artifact = self.artifact.bind(scope)
        image.grant_pull(role)
        artifact.grant_read(role)
        return [
            sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image.uri,
                model_data_url=artifact.url,
                environment={**self.variables(), **(versions or {})},
            )
        ]

    def variables(self) -> dict[str, str]:
        """Return the environment of the container."""
        return {**self.environment, VERSION_VARIABLE: self.version}


def check_version(props: PropChecks, version: str, *, of: str) -> None:
    """Refuse what cannot be written wherever a version is."""
    if not Token.is_unresolved(version):
        props.require(
            _VERSION.fullmatch(version) is not None,
            f"{of}.version",
            f"{version!r} cannot be told from other versions everywhere; give up to 64 letters, digits, dots, dashes "
            "and underscores, for example '1.0.0'",
        )


def check_environment(
    props: PropChecks,
    environment: Mapping[str, str],
    *,
    of: str,
    set_from_version: Sequence[str] = (VERSION_VARIABLE,),
) -> None:
    """Refuse variables that are set from a version, and more than SageMaker takes."""
    for variable in set_from_version:
        props.require(
            variable not in environment,
            f"{of}.environment",
            f"{variable} is set from version; leave it out",
        )
    props.require(
        len(environment) <= _MOST_VARIABLES - len(set_from_version),
        f"{of}.environment",
        f"{len(environment)} variables are too many; SageMaker takes {_MOST_VARIABLES}, "
        f"{' and '.join(set_from_version)} among them: put them into the artifact",
    )
