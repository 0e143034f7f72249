"""Where those who may call an endpoint have to be."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Token

from ml_lens.foundation.props import PropChecks

_VPC_ENDPOINT = re.compile(r"vpce-[0-9a-f]{8,17}")
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")


@dataclass(frozen=True, kw_only=True)
class CallOrigin:
    """Where a call has to come from, beside being signed by a role that may call.

    What is given has to hold together: a call that comes through one of the endpoints, from one of the VPCs and from
    one of the addresses. Within each list one is enough.

    Lens: IAM-08.
    """

    vpc_endpoints: Sequence[str] = ()
    """Ids of interface endpoints for ``sagemaker.runtime``. Default: any way."""
    vpcs: Sequence[str] = ()
    """Ids of VPCs, which have such an endpoint. Default: any."""
    ip_ranges: Sequence[str] = ()
    """Addresses such as ``203.0.113.0/24``; private ones, where VPCs or endpoints are given. Default: any."""

    def check(self, props: PropChecks) -> None:
        """Record what is no origin."""
        props.require(
            bool(self.vpc_endpoints or self.vpcs or self.ip_ranges),
            "only_from",
            "names no place; give vpc_endpoints, vpcs or ip_ranges, or leave it out",
        )
        check_places(props, "only_from", self.vpc_endpoints, self.vpcs, self.ip_ranges)

    def conditions(self) -> dict[str, dict[str, object]]:
        """Return the conditions of a statement that allows calls."""
        # Behind an endpoint in a VPC, IAM does not see the address under which a call would be on the internet.
        address = "aws:VpcSourceIp" if self.vpc_endpoints or self.vpcs else "aws:SourceIp"
        places = {
            key: list(ids)
            for key, ids in (("aws:SourceVpce", self.vpc_endpoints), ("aws:SourceVpc", self.vpcs))
            if ids
        }
        made: dict[str, dict[str, object]] = {"StringEquals": {**places}} if places else {}
        if self.ip_ranges:
            made["IpAddress"] = {address: list(self.ip_ranges)}
        return made


def check_places(
    props: PropChecks, of: str, vpc_endpoints: Sequence[str], vpcs: Sequence[str], ip_ranges: Sequence[str]
) -> None:
    """Record what is no place that a call can come from.

    Args:
        props: Takes the problems.
        of: The prop that the places were given as.
        vpc_endpoints: Ids of interface endpoints.
        vpcs: Ids of VPCs.
        ip_ranges: Ranges of addresses.
    """
    for name, ids, pattern, example in (
        ("vpc_endpoints", vpc_endpoints, _VPC_ENDPOINT, "vpce-0123456789abcdef0"),
        ("vpcs", vpcs, _VPC, "vpc-0123456789abcdef0"),
    ):
        for id in ids:
            props.require(
                Token.is_unresolved(id) or pattern.fullmatch(id) is not None,
                f"{of}.{name}",
                f"{id!r} is no such id; it reads like {example!r}",
            )
    for ip_range in ip_ranges:
        props.require(
            Token.is_unresolved(ip_range) or _is_network(ip_range),
            f"{of}.ip_ranges",
            f"{ip_range!r} is no range of addresses; it reads like '203.0.113.0/24', with zeros behind the prefix",
        )


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
