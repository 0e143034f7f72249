"""What an existing VPC has to be like for machine learning to run in it."""

import re

from aws_cdk import Token
from aws_cdk import aws_ec2 as ec2

from ml_lens.foundation.endpoint_policies import Perimeter
from ml_lens.foundation.props import PropChecks


def check_existing(
    props: PropChecks, vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None, perimeter: Perimeter
) -> None:
    """Record what of an existing VPC cannot be used."""
    try:
        selected = selected_subnets(vpc, subnets)
    except RuntimeError as refusal:
        said = re.sub(r"^\w+: ", "", str(refusal).splitlines()[0])
        props.refuse(
            "subnets",
            f"select nothing: {said}; choose private subnets in two zones or more",
        )
    else:
        zones = selected.availability_zones
        known = not any(Token.is_unresolved(zone) for zone in zones)
        props.require(
            not selected.has_public,
            "subnets",
            "are public; choose private ones: nothing that SageMaker runs has a public address",
        )
        props.require(
            not known or len(set(zones)) > 1,
            "subnets",
            f"are all in {' '.join(sorted(set(zones)))}; choose private subnets in two zones or more",
        )
    props.require(
        len(perimeter.gateway_prefix_lists) > 0,
        "perimeter",
        "an existing VPC may have ways out; name what may be reached: Perimeter(gateway_prefix_lists=['pl-…']), as "
        "aws ec2 describe-managed-prefix-lists shows it beside com.amazonaws.<region>.s3",
    )
    try:
        vpc.vpc_cidr_block  # noqa: B018  (asking is the check)
    except RuntimeError:
        props.refuse("vpc", "was imported without its addresses; import it with vpc_cidr_block as well")


def selected_subnets(vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None) -> ec2.SelectedSubnets:
    """Return the subnets that are chosen, by default the private ones."""
    chosen = subnets or ec2.SubnetSelection()
    return vpc.select_subnets(
        availability_zones=chosen.availability_zones,
        one_per_az=chosen.one_per_az,
        subnet_filters=chosen.subnet_filters,
        subnet_group_name=chosen.subnet_group_name,
        subnets=chosen.subnets,
        subnet_type=chosen.subnet_type,
    )
