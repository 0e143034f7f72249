"""The container that serves a model, and who may pull it."""

from dataclasses import dataclass

from aws_cdk import Aws, CfnMapping, Stack, Token
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.foundation.props import PropChecks, PropError, nearest

_MAPPING = "MLLensImageAccounts"
_ACCOUNT = "account"

IMAGE_ACCOUNTS = {
    "af-south-1": "510948584623",
    "ap-east-1": "651117190479",
    "ap-northeast-1": "354813040037",
    "ap-northeast-2": "366743142698",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "720646828776",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "121021644041",
    "ap-southeast-2": "783357654285",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "341280168497",
    "ca-west-1": "190319476487",
    "cn-north-1": "450853457545",
    "cn-northwest-1": "451049120500",
    "eu-central-1": "492215442770",
    "eu-central-2": "680994064768",
    "eu-north-1": "662702820516",
    "eu-south-1": "978288397137",
    "eu-south-2": "104374241257",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-west-3": "659782779980",
    "il-central-1": "898809789911",
    "me-central-1": "272398656194",
    "me-south-1": "801668240914",
    "sa-east-1": "737474898029",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-gov-east-1": "237065988967",
    "us-gov-west-1": "414596584902",
    "us-iso-east-1": "833128469047",
    "us-isob-east-1": "281123927165",
    "us-isof-east-1": "108575199400",
    "us-isof-south-1": "124985052026",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
}
"""The account from which AWS serves its XGBoost and scikit-learn images, by Region (``sagemaker-core`` 2.27.0)."""
XGBOOST_VERSIONS = ("1.5-1", "1.7-1", "3.0-5", "3.2-0")
"""The versions of XGBoost that can be served."""
SCIKIT_LEARN_VERSIONS = ("1.2-1", "1.4-2-py312", "1.9-0")
"""The versions of scikit-learn that can be served."""


@dataclass(frozen=True, kw_only=True)
class PullableImage:
    """An image in the words of a template: its URI, and the repository that a role has to be let into."""

    uri: str
    """The URI, with tag or digest."""
    repository_arn: str
    """ARN of the repository."""

    def grant_pull(self, grantee: iam.IGrantable) -> None:
        """Let ``grantee`` pull from the repository; the token to log in is acknowledged by the caller."""
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resource_arns=[self.repository_arn],
        )


@dataclass(frozen=True, kw_only=True)
class ModelImage:
    """Names the container image that serves a model. Use one of the class methods."""

    name: str
    """Name of the repository, if AWS owns it."""
    reference: str
    """Tag, or digest with ``sha256:`` before it."""
    repository: ecr.IRepository | None = None
    """The repository. Default: one of AWS."""

    @classmethod
    def xgboost(cls, version: str = "3.0-5") -> "ModelImage":
        """Serve with the XGBoost image of AWS.

        Raises:
            PropError: There is no such version; ``XGBOOST_VERSIONS`` lists them.
        """
        _must_be_one_of("xgboost", version, XGBOOST_VERSIONS)
        return cls(name="sagemaker-xgboost", reference=version)

    @classmethod
    def scikit_learn(cls, version: str = "1.2-1") -> "ModelImage":
        """Serve with the scikit-learn image of AWS.

        Raises:
            PropError: There is no such version; ``SCIKIT_LEARN_VERSIONS`` lists them.
        """
        _must_be_one_of("scikit_learn", version, SCIKIT_LEARN_VERSIONS)
        return cls(name="sagemaker-scikit-learn", reference=f"{version}-cpu-py3")

    @classmethod
    def in_repository(
        cls, repository: ecr.IRepository, *, digest: str | None = None, tag: str | None = None
    ) -> "ModelImage":
        """Serve with an image of one's own.

        Args:
            repository: Where it is.
            digest: Its digest, ``sha256:…``, which always names the same image.
            tag: Its tag instead, for repositories whose tags are immutable.

        Raises:
            PropError: Not exactly one of ``digest`` and ``tag`` is given, or it names no fixed image.
        """
        checks = PropChecks()
        reference = digest or tag or ""
        if bool(digest) == bool(tag):
            checks.refuse("digest", "give either digest or tag; the digest always names the same image")
        elif digest and not Token.is_unresolved(digest):
            checks.require(
                digest.startswith("sha256:"), "digest", f"{digest!r} is no digest; it begins with 'sha256:'"
            )
        elif tag:
            checks.require(
                tag != "latest",
                "tag",
                "'latest' is another image tomorrow, and a scaled endpoint would run both; give the digest",
            )
        if checks.problems:
            raise PropError("ModelImage.in_repository", checks.problems)
        return cls(name="", reference=reference, repository=repository)

    def check(self, props: PropChecks, scope: Construct, *, on_arm: bool = False, of: str = "model") -> None:
        """Refuse an image of AWS for a Region, where it is known, or for processors that it is not made for."""
        if self.repository is not None:
            return
        props.require(
            not on_arm,
            f"{of}.image",
            f"AWS makes {self.name}:{self.reference} for x86 only, and the instances have Graviton processors; use a "
            "type such as ml.m5.large, or an image of yours with ModelImage.in_repository()",
        )
        region = Stack.of(scope).region
        if not Token.is_unresolved(region):
            props.require(
                region in IMAGE_ACCOUNTS,
                f"{of}.image",
                f"AWS serves no {self.name} in {region}{nearest(region, list(IMAGE_ACCOUNTS))}; copy it to a "
                "repository of yours and use ModelImage.in_repository()",
            )

    def bind(self, scope: Construct) -> PullableImage:
        """Return the image as the stack of ``scope`` names it."""
        if self.repository is not None:
            return PullableImage(
                uri=self.repository.repository_uri_for_tag_or_digest(self.reference),
                repository_arn=self.repository.repository_arn,
            )
        stack = Stack.of(scope)
        account = _accounts(stack).find_in_map(Aws.REGION, _ACCOUNT)
        return PullableImage(
            uri=f"{account}.dkr.ecr.{stack.region}.{stack.url_suffix}/{self.name}:{self.reference}",
            repository_arn=stack.format_arn(
                service="ecr", account=account, resource="repository", resource_name=self.name
            ),
        )


def _accounts(stack: Stack) -> CfnMapping:
    found = stack.node.try_find_child(_MAPPING)
    if isinstance(found, CfnMapping):
        return found
    by_region = {region: {_ACCOUNT: account} for region, account in IMAGE_ACCOUNTS.items()}
    return CfnMapping(stack, _MAPPING, mapping=by_region)


def _must_be_one_of(framework: str, version: str, versions: tuple[str, ...]) -> None:
    if version not in versions:
        raise PropError(
            f"ModelImage.{framework}",
            [
                f"version: {version!r} cannot be served{nearest(version, versions)}; there are {', '.join(versions)}"
            ],
        )
