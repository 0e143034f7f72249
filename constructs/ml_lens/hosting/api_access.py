"""Who may call an API, from where, and how often."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Stack, Token
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.callers import check_places

_ACCOUNT = re.compile(r"\d{12}")
_LONGEST_DAY = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class ApiAccess:
    """How callers prove who they are: :meth:`iam` or :meth:`cognito`.

    Lens: F14-10, IAM-05, IAM-07.
    """

    user_pool: cognito.IUserPool | None = None
    """The user pool whose tokens are taken. Default: none; callers sign as IAM roles."""
    scopes: Sequence[str] = ()
    """The OAuth scopes of which a token has to hold one."""
    accounts: Sequence[str] = ()
    """Other accounts whose roles may call, if they are allowed to there as well."""

    @classmethod
    def iam(cls, *, accounts: Sequence[str] = ()) -> "ApiAccess":
        """Take calls that an IAM role has signed, and that it was granted by ``grant_invoke``.

        Args:
            accounts: Ids of other accounts whose roles may call, if a policy there lets them. Default: none.
        """
        return cls(accounts=accounts)

    @classmethod
    def cognito(cls, user_pool: cognito.IUserPool, *, scopes: Sequence[str]) -> "ApiAccess":
        """Take calls with an access token of ``user_pool``.

        Args:
            user_pool: Issues the tokens, to people or, by client credentials, to programs.
            scopes: Scopes of a resource server, ``churn/predict``, of which a token has to hold one.
        """
        return cls(user_pool=user_pool, scopes=scopes)

    def check(self, props: PropChecks) -> None:
        """Record what cannot be used."""
        props.require(
            self.user_pool is None or len(self.scopes) > 0,
            "access.scopes",
            "are missing, and without one the gateway takes identity tokens, which are meant for nobody but the "
            "client that asked for them; give ['churn/predict'], a scope of a resource server of the pool",
        )
        for account in self.accounts:
            props.require(
                Token.is_unresolved(account) or _ACCOUNT.fullmatch(account) is not None,
                "access.accounts",
                f"{account!r} is no account id; it has twelve digits",
            )


@dataclass(frozen=True, kw_only=True)
class ApiReach:
    """From where an API is reached: :meth:`internet` or :meth:`private`.

    Lens: IAM-08, IAM-09.
    """

    ip_ranges: Sequence[str] = ()
    """The addresses callers come from. Default: any."""
    vpc_endpoints: Sequence[str] = ()
    """The interface endpoints for ``execute-api`` that callers use. Default: none; the API is on the internet."""
    vpcs: Sequence[str] = ()
    """The VPCs callers are in. Default: any that has one of the endpoints."""

    @classmethod
    def internet(cls, *, ip_ranges: Sequence[str] = ()) -> "ApiReach":
        """Be reached over the internet.

        Args:
            ip_ranges: The only addresses calls may come from, such as ``203.0.113.0/24``. Default: any.
        """
        return cls(ip_ranges=ip_ranges)

    @classmethod
    def private(
        cls, *, vpc_endpoints: Sequence[str], vpcs: Sequence[str] = (), ip_ranges: Sequence[str] = ()
    ) -> "ApiReach":
        """Be reached by AWS PrivateLink only, and shared with whoever has one of the endpoints.

        Args:
            vpc_endpoints: Ids of interface endpoints for ``execute-api``, in this account or a consumer's.
            vpcs: Ids of the only VPCs calls may come from. Default: those of the endpoints.
            ip_ranges: The only private addresses calls may come from. Default: any.
        """
        return cls(vpc_endpoints=vpc_endpoints, vpcs=vpcs, ip_ranges=ip_ranges)

    @property
    def is_private(self) -> bool:
        """Whether the API is not on the internet."""
        return bool(self.vpc_endpoints or self.vpcs)

    def check(self, props: PropChecks) -> None:
        """Record what cannot be used."""
        props.require(
            not self.vpcs or len(self.vpc_endpoints) > 0,
            "options.reach.vpc_endpoints",
            "are missing, and a VPC reaches a private API by them only; give the ids of the endpoints for execute-api",
        )
        check_places(props, "options.reach", self.vpc_endpoints, self.vpcs, self.ip_ranges)

    def conditions(self) -> list[dict[str, dict[str, object]]]:
        """Return what a call is denied for, one condition for each restriction."""
        address = "aws:VpcSourceIp" if self.is_private else "aws:SourceIp"
        return [
            {operator: {key: list(values)}}
            for operator, key, values in (
                ("StringNotEquals", "aws:SourceVpce", self.vpc_endpoints),
                ("StringNotEquals", "aws:SourceVpc", self.vpcs),
                ("NotIpAddress", address, self.ip_ranges),
            )
            if values
        ]


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """How often an API may be called. Whoever calls more often is told to wait, by 429 and ``Retry-After``.

    Lens: F14-10.
    """

    rate: float = 50
    """Calls a second in the long run, of all callers together."""
    burst: int = 100
    """Calls at once, of all callers together."""
    daily_quota: int | None = None
    """Calls of one consumer a day. Each consumer then needs a key, made by ``consumer_key``: API Gateway counts by
    keys. A key proves nothing; access is what ``ApiAccess`` says. Default: no quota, and no keys."""

    def check(self, props: PropChecks) -> None:
        """Record what cannot be used."""
        props.number(
            "throttle.rate",
            self.rate,
            low=1,
            high=10_000,
            unit="calls a second",
            way_out="10000 is what API Gateway lets through for a whole account",
        )
        props.whole_number(
            "throttle.burst",
            self.burst,
            low=1,
            high=5_000,
            unit="calls",
            way_out="5000 is what API Gateway lets through for a whole account",
        )
        if self.daily_quota is not None:
            props.whole_number(
                "throttle.daily_quota",
                self.daily_quota,
                low=1,
                high=_LONGEST_DAY,
                unit="calls a day",
                way_out="leave it out for no quota",
            )


def resource_policy(
    scope: Construct, access: ApiAccess, reach: ApiReach, *, path: str
) -> iam.PolicyDocument | None:
    """Return the policy of an API, or ``None`` where callers' own policies say everything.

    It allows no role of this account anything: naming the account only leaves the answer to the policy of the role.
    """
    denials = reach.conditions()
    if not denials and not access.accounts:
        return None
    callers: list[iam.IPrincipal] = (
        # A token names nobody whom IAM knows.
        [iam.StarPrincipal()]
        if access.user_pool
        else [iam.AccountPrincipal(account) for account in (Stack.of(scope).account, *access.accounts)]
    )
    invoke = ["execute-api:Invoke"]
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid="Callers", principals=callers, actions=invoke, resources=[f"execute-api:/{path}"]
            ),
            *(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    principals=[iam.StarPrincipal()],
                    actions=invoke,
                    resources=["execute-api:/*"],
                    conditions=condition,
                )
                for condition in denials
            ),
        ]
    )


def method_access(scope: Construct, access: ApiAccess) -> apigateway.MethodOptions:
    """Return how a method makes sure who calls."""
    if access.user_pool is None:
        return apigateway.MethodOptions(authorization_type=apigateway.AuthorizationType.IAM)
    return apigateway.MethodOptions(
        authorization_type=apigateway.AuthorizationType.COGNITO,
        authorizer=apigateway.CognitoUserPoolsAuthorizer(
            scope, "Authorizer", cognito_user_pools=[access.user_pool]
        ),
        authorization_scopes=list(access.scopes),
    )
