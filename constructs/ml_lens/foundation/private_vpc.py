"""A VPC that has no way out."""

from collections.abc import Sequence
from ipaddress import IPv4Network

from aws_cdk import Fn, Tags, Token
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from ml_lens.foundation.props import PropChecks

_LARGEST, _SMALLEST = 16, 24
_MOST_ZONES = 6
_DEFAULT_ADDRESSES = IPv4Network("10.0.0.0/16")
_DEFAULT_ZONES = 2
_BITS_FOR_SUBNETS = 3


def private_vpc(owner: Construct, *, addresses: IPv4Network, zones: int | Sequence[str]) -> ec2.IVpc:
    """Create a VPC with one private subnet in each zone, and no gateway to the internet.

    Every subnet has an eighth of the addresses, so that another zone leaves those there are as they are. ``ec2.Vpc``
    would ask the account for its zones as soon as the stack names an account and a Region.

    Args:
        owner: The construct whose primary child the VPC becomes.
        addresses: The addresses of the VPC, /16 to /24.
        zones: How many zones, the first of the Region, or their names.
    """
    names = [Fn.select(index, Fn.get_azs()) for index in range(zones)] if isinstance(zones, int) else zones
    resource = ec2.CfnVPC(
        owner,
        "Resource",
        cidr_block=str(addresses),
        # Both are needed for the private names of interface endpoints.
        enable_dns_hostnames=True,
        enable_dns_support=True,
    )
    Tags.of(resource).add("Name", owner.node.path)
    blocks = addresses.subnets(prefixlen_diff=_BITS_FOR_SUBNETS)
    subnets = [
        ec2.PrivateSubnet(
            owner,
            f"Subnet{number}",
            vpc_id=resource.ref,
            availability_zone=zone,
            cidr_block=str(block),
            map_public_ip_on_launch=False,
        )
        for number, (zone, block) in enumerate(zip(names, blocks, strict=False), start=1)
    ]
    return ec2.Vpc.from_vpc_attributes(
        owner,
        "Vpc",
        vpc_id=resource.ref,
        vpc_cidr_block=str(addresses),
        availability_zones=list(names),
        isolated_subnet_ids=[subnet.subnet_id for subnet in subnets],
        isolated_subnet_route_table_ids=[subnet.route_table.route_table_id for subnet in subnets],
    )


def checked_zones(props: PropChecks, zones: int | Sequence[str] | None) -> int | Sequence[str]:
    """Return ``zones``, or two, and demand two to six, as a number or by different names."""
    if zones is None:
        return _DEFAULT_ZONES
    way_out = "one zone is lost now and then, and what runs in it with it"
    if isinstance(zones, str):
        props.refuse("zones", f"{zones!r} is one zone; give two or more: [{zones!r}, …]; {way_out}")
    elif isinstance(zones, Sequence):
        props.require(
            2 <= len(set(zones)) == len(zones) <= _MOST_ZONES,
            "zones",
            f"{list(zones)!r} are not two to {_MOST_ZONES} different zones; {way_out}",
        )
    elif Token.is_unresolved(zones):
        props.refuse("zones", "is a token, and must be known when the template is made; give a number")
    else:
        props.whole_number("zones", zones, low=2, high=_MOST_ZONES, unit="zones", way_out=way_out)
    return zones


def checked_addresses(props: PropChecks, cidr: str | None) -> IPv4Network:
    """Return the addresses that ``cidr`` names, or those of a VPC of which none are given."""
    if cidr is None:
        return _DEFAULT_ADDRESSES
    allowed = f"give IPv4 addresses in CIDR form, /{_LARGEST} to /{_SMALLEST}, for example 10.0.0.0/16"
    if Token.is_unresolved(cidr):
        props.refuse("cidr", f"is a token, and must be known when the template is made; {allowed}")
        return _DEFAULT_ADDRESSES
    try:
        addresses = IPv4Network(cidr, strict=False)
    except ValueError:
        props.refuse("cidr", f"{cidr!r} names no addresses; {allowed}")
        return _DEFAULT_ADDRESSES
    if str(addresses) != cidr:
        props.refuse("cidr", f"{cidr!r} does not begin where its addresses do; did you mean '{addresses}'?")
    elif not _LARGEST <= addresses.prefixlen <= _SMALLEST:
        props.refuse("cidr", f"{cidr} has {addresses.num_addresses} addresses; {allowed}")
    return addresses
