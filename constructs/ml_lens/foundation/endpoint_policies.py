"""What may pass through the VPC endpoints of a network."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.foundation.props import PropChecks

_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
_PREFIX_LIST = re.compile(r"pl-[0-9a-f]{8,17}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PULL = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
]
_READ = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"]
_DOORS = ("notebook", "studio")


@dataclass(frozen=True, kw_only=True)
class Perimeter:
    """How far what runs in a network may reach: no further than its account, unless it is told otherwise."""

    organization_id: str | None = None
    """The AWS organization whose principals and resources count as one's own, ``o-…``. Default: only those of the
    account do."""
    readable_buckets: Sequence[str] = ()
    """Names of buckets elsewhere that may be read, and not written to, such as ``jumpstart-cache-prod-eu-west-1``.
    Default: none but the bucket in which Amazon ECR keeps the layers of images."""
    gateway_prefix_lists: Sequence[str] = ()
    """The ids, ``pl-…``, of the Region's managed prefix lists of S3, and of DynamoDB where that is used, to which
    HTTPS leaves the workloads. Default, in a network of its own only: HTTPS leaves to wherever there is a route, and
    the gateway endpoints are the only routes out of it."""

    def check(self, props: PropChecks) -> None:
        """Record what cannot be used."""
        if self.organization_id is not None:
            _check(
                props,
                "organization_id",
                [self.organization_id],
                _ORGANIZATION,
                "is not the id of an organization; it reads like 'o-a1b2c3d4e5', as "
                "aws organizations describe-organization shows it",
            )
        _check(
            props,
            "readable_buckets",
            self.readable_buckets,
            _BUCKET,
            "is not the name of a bucket; give the name alone, without s3:// or arn:",
        )
        _check(
            props,
            "gateway_prefix_lists",
            self.gateway_prefix_lists,
            _PREFIX_LIST,
            "is not the id of a prefix list; it reads like 'pl-6da54004', as "
            "aws ec2 describe-managed-prefix-lists shows it beside com.amazonaws.<region>.s3",
        )

    def statements(self, scope: Construct, service: str) -> list[iam.PolicyStatement]:
        """Return the policy of the endpoint for ``service``, in which nothing is allowed to strangers but reading.

        Args:
            scope: Where the network belongs.
            service: The last part of the service's name, such as ``s3`` or ``sagemaker.api``.
        """
        if service in _DOORS:
            return [self._door(scope)]
        ours = _allow("OwnPrincipalsAndResources", ["*"], ["*"], self._own(scope, "Principal", "Resource"))
        match service:
            case "s3":
                return [ours, *self._reading(scope)]
            case "ecr.api" | "ecr.dkr":
                # SageMaker's own images lie in accounts of AWS, one for each framework and Region.
                return [ours, _allow("PullImages", _PULL, ["*"], self._own(scope, "Principal"))]
            case _:
                return [ours]

    def _own(self, scope: Construct, *sides: str) -> dict[str, str]:
        own = self.organization_id or Stack.of(scope).account
        unit = "OrgID" if self.organization_id else "Account"
        return {f"aws:{side}{unit}": own for side in sides}

    def _door(self, scope: Construct) -> iam.PolicyStatement:
        # People come in by a browser, whose requests carry a token and name no principal of the account.
        everything = Stack.of(scope).format_arn(service="sagemaker", resource="*")
        return _allow("OwnNotebooksAndDomains", ["sagemaker:*"], [everything])

    def _reading(self, scope: Construct) -> list[iam.PolicyStatement]:
        stack = Stack.of(scope)
        layers = f"arn:{stack.partition}:s3:::prod-{stack.region}-starport-layer-bucket/*"
        statements = [_allow("ImageLayers", ["s3:GetObject"], [layers])]
        if self.readable_buckets:
            arns = [f"arn:{stack.partition}:s3:::{bucket}" for bucket in self.readable_buckets]
            # Without a condition on who reads: requests to public buckets need not be signed.
            resources = [*arns, *(f"{arn}/*" for arn in arns)]
            statements.append(_allow("ReadableBuckets", _READ, resources))
        return statements


def _check(
    props: PropChecks, name: str, values: Sequence[str], allowed: re.Pattern[str], problem: str
) -> None:
    if isinstance(values, str):
        props.refuse(f"perimeter.{name}", f"{values!r} is a text; give a list: [{values!r}]")
        return
    for value in values:
        is_fine = Token.is_unresolved(value) or allowed.fullmatch(value) is not None
        props.require(is_fine, f"perimeter.{name}", f"{value!r} {problem}")


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], equal: dict[str, str] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        # A gateway endpoint takes no other principal; conditions say who.
        principals=[iam.StarPrincipal()],
        actions=list(actions),
        resources=list(resources),
        conditions={"StringEquals": equal} if equal else None,
    )
