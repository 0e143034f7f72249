"""Which services something in a VPC reaches, judged by endpoints, routes and security groups."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

HTTPS = 443

SERVICES: Mapping[str, str] = {
    "application-autoscaling": "APPLICATION_AUTO_SCALING",
    "athena": "ATHENA",
    "dynamodb": "DYNAMODB",
    "ecr.api": "ECR",
    "events": "EVENTBRIDGE",
    "glue": "GLUE",
    "kms": "KMS",
    "lambda": "LAMBDA",
    "logs": "CLOUDWATCH_LOGS",
    "monitoring": "CLOUDWATCH",
    "rekognition": "REKOGNITION",
    "s3": "S3",
    "sagemaker.api": "SAGEMAKER",
    "sagemaker.runtime": "SAGEMAKER_RUNTIME",
    "secretsmanager": "SECRETS_MANAGER",
    "sns": "SNS",
    "sqs": "SQS",
    "ssm": "SSM",
    "states": "SFN",
    "sts": "STS",
}
"""What VPC endpoints call a service, and what the variable with its address in an SDK ends with."""

_PREFIXES = {"cloudwatch": "monitoring", "ecr": "ecr.api", "sagemaker": "sagemaker.api"}
_RUNTIME_ACTIONS = ("sagemaker:InvokeEndpoint",)


def service_of(action: str) -> str:
    """Return the service, as VPC endpoints call it, that an IAM action is asked of."""
    if action.startswith(_RUNTIME_ACTIONS):
        return "sagemaker.runtime"
    prefix = action.partition(":")[0]
    return _PREFIXES.get(prefix, prefix)


@dataclass(frozen=True)
class Rule:
    """A rule of a security group, as EC2 keeps it."""

    protocol: str
    first: int
    last: int
    addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    prefix_lists: tuple[str, ...] = ()

    @classmethod
    def of(cls, permission: Mapping[str, Any]) -> Rule:
        """Read an ``IpPermission``."""
        return cls(
            protocol=str(permission.get("IpProtocol", "-1")),
            first=int(permission.get("FromPort", 0)),
            last=int(permission.get("ToPort", 65_535)),
            addresses=tuple(each["CidrIp"] for each in permission.get("IpRanges", [])),
            groups=tuple(each.get("GroupId", "") for each in permission.get("UserIdGroupPairs", [])),
            prefix_lists=tuple(each["PrefixListId"] for each in permission.get("PrefixListIds", [])),
        )

    @property
    def is_https(self) -> bool:
        """Whether HTTPS passes."""
        if self.protocol == "-1":
            return True
        return self.protocol in ("tcp", "6") and self.first <= HTTPS <= self.last

    def meets(self, addresses: Iterable[str]) -> bool:
        """Whether any of ``addresses`` is among the rule's."""
        networks = [ipaddress.ip_network(each, strict=False) for each in addresses]
        own = [ipaddress.ip_network(each, strict=False) for each in self.addresses]
        return any(one.overlaps(other) for one in own for other in networks)


@dataclass(frozen=True)
class Place:
    """Where something runs.

    Attributes:
        vpc: The VPC.
        subnets: Its subnets, and their addresses.
        groups: Its security groups.
        tables: The route tables of the subnets.
        leads_out: Whether a route table leads to a NAT gateway.
    """

    vpc: str
    subnets: Mapping[str, str]
    groups: tuple[str, ...]
    tables: frozenset[str] = frozenset()
    leads_out: bool = False


@dataclass(frozen=True)
class Endpoint:
    """A VPC endpoint; ``service`` is its name without the Region's beginning."""

    id: str
    service: str
    is_gateway: bool
    subnets: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    tables: frozenset[str] = frozenset()
    is_private_name: bool = True
    policy: Any = None


Rules = Callable[[str, bool], list[Rule]]
"""Rules of a security group: of what goes out of it (``True``), or of what comes in."""


def endpoint_to(service: str, place: Place, endpoints: Iterable[Endpoint], rules: Rules) -> Endpoint | None:
    """Return the endpoint through which ``service`` is reached, or ``None``."""
    for endpoint in endpoints:
        if endpoint.service == service and _is_open(place, endpoint, rules):
            return endpoint
    return None


def is_outside_reached(place: Place, rules: Rules) -> bool:
    """Return whether addresses of the internet are reached, which every service has."""
    anywhere = ("0.0.0.0/0",)
    return place.leads_out and any(rule.meets(anywhere) for rule in _out(place, rules))


def _out(place: Place, rules: Rules) -> list[Rule]:
    return [rule for group in place.groups for rule in rules(group, True) if rule.is_https]


def _is_open(place: Place, endpoint: Endpoint, rules: Rules) -> bool:
    out = _out(place, rules)
    if endpoint.is_gateway:
        is_routed = bool(place.tables & endpoint.tables)
        return is_routed and any(rule.prefix_lists or "0.0.0.0/0" in rule.addresses for rule in out)
    if not endpoint.is_private_name:
        return False
    leaves = any(
        set(rule.groups) & set(endpoint.groups) or rule.meets(endpoint.subnets.values()) for rule in out
    )
    return leaves and any(
        rule.is_https and (set(rule.groups) & set(place.groups) or rule.meets(place.subnets.values()))
        for group in endpoint.groups
        for rule in rules(group, False)
    )
