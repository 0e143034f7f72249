"""Where in a VPC a model runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_ec2 as ec2
from constructs import IDependable

from ml_lens.foundation.network import MlNetwork
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks


@dataclass(frozen=True, kw_only=True)
class EndpointNetwork:
    """Places the instances of an endpoint in a VPC; :meth:`within` takes all that from an ``MlNetwork``.

    SageMaker fetches the artifact and stores captured calls through these subnets: they need a way to S3, best a
    gateway endpoint, and the security groups have to let HTTPS out to it.

    Lens: MDL-04, SCL-04.
    """

    vpc: ec2.IVpc
    """The network."""
    security_groups: Sequence[ec2.ISecurityGroup]
    """One to five security groups. Nothing has to come in."""
    subnets: Sequence[ec2.ISubnet] | None = None
    """The subnets. Default: the private ones of ``vpc``, else the isolated ones."""

    comes_first: IDependable | None = None
    """What has to be there before instances start, and to leave after them. Default: ``vpc``."""

    @classmethod
    def within(cls, network: MlNetwork) -> "EndpointNetwork":
        """Run in ``network``, which gets the endpoints to AWS that hosting needs."""
        network.connect_hosting()
        return cls(
            vpc=network.vpc,
            security_groups=[network.security_group],
            subnets=network.subnets.subnets,
            comes_first=network,
        )

    def selected(self) -> list[ec2.ISubnet]:
        """Return the subnets."""
        if self.subnets is not None:
            return list(self.subnets)
        return [*self.vpc.private_subnets] or [*self.vpc.isolated_subnets]

    def check(self, props: PropChecks, posture: Posture) -> None:
        """Refuse a network in which an endpoint of ``posture`` cannot run."""
        props.whole_number(
            "network.security_groups",
            len(self.security_groups),
            low=1,
            high=5,
            unit="groups",
            way_out="give one that lets HTTPS out to S3",
        )
        subnets = self.selected()
        props.whole_number(
            "network.subnets",
            len(subnets),
            low=1,
            high=16,
            unit="subnets",
            way_out="give private or isolated subnets of the VPC",
        )
        zones = {subnet.availability_zone for subnet in subnets}
        if posture.keeps_data and subnets:
            props.require(
                len(zones) >= 2,
                "network.subnets",
                "all lie in one availability zone; in production an endpoint spans two, so that it survives the loss "
                "of one: give subnets in two zones",
            )
