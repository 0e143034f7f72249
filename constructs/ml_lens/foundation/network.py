"""The network in which machine learning runs."""

import re
from collections.abc import Sequence

import jsii
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from ml_lens.foundation.endpoint_policies import Perimeter
from ml_lens.foundation.existing_vpc import check_existing, selected_subnets
from ml_lens.foundation.flow_logs import FlowLogs
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.private_vpc import checked_addresses, checked_zones, private_vpc
from ml_lens.foundation.props import checked_props

AwsService = ec2.GatewayVpcEndpointAwsService | ec2.InterfaceVpcEndpointAwsService

_HTTPS = ec2.Port.tcp(443)
# TCP is what frameworks speak; the others are what SageMaker encrypts it with. CDK's own ESP names ports, which it
# does not have.
_BETWEEN_INSTANCES = (
    ec2.Port.all_tcp(),
    ec2.Port.udp(500),
    ec2.Port(protocol=ec2.Protocol.ESP, string_representation="ESP"),
)
_ALWAYS = (
    ec2.GatewayVpcEndpointAwsService.S3,
    ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_API,
    ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME,
    ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    ec2.InterfaceVpcEndpointAwsService.KMS,
    ec2.InterfaceVpcEndpointAwsService.STS,
)
_IMAGES = (ec2.InterfaceVpcEndpointAwsService.ECR, ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER)


@jsii.implements(ec2.IConnectable)
class MlNetwork(Construct):
    """Keeps machine learning off the internet, and its traffic with AWS inside the account.

    Private subnets in two zones or more, no internet gateway, no NAT, flow logs of all traffic. S3 is reached by a
    gateway endpoint, which costs nothing. Interface endpoints cost money by the hour and the zone: each is created
    when something first needs it, by the ``connect_…`` methods, and only once, in whatever order they are called.
    Every endpoint lets through what principals of the account do to resources of the account, and little else.

    Give ``subnet_ids`` and ``security_group_ids`` to what runs here. The security group lets nothing in, and out only
    HTTPS to the endpoints; ``connections`` opens it to named peers, such as a database. Let what runs here depend on
    the network (``model.node.add_dependency(network)``), so that the endpoints are there first and leave last.

    Of an existing VPC the construct uses the subnets and adds a security group; endpoints and flow logs are its
    owner's business, and are added only by ``add_endpoint`` and ``add_flow_logs``.

    CloudFormation cannot close the default security group of a VPC. Nothing created here uses it.

    Lens: NB-03, NB-04, NB-06, TRN-02, TRN-03, TRN-04, TRN-06, MDL-03, LAKE-15.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        key: kms.IKey | None = None,
        zones: int | Sequence[str] | None = None,
        cidr: str | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        perimeter: Perimeter | None = None,
    ) -> None:
        """Create the network, or take part in an existing one.

        Args:
            scope: Where the network belongs.
            id: Its construct id.
            posture: Decides how long flow logs are kept.
            key: Encrypts the flow logs; CloudWatch Logs must be allowed to use it. Default: a new customer-managed
                key with yearly rotation.
            zones: How many availability zones, two to six, or their names. Names help where a service is not offered
                in one of a Region's first zones; new ones go to the end. Default: the first two of the Region.
            cidr: The addresses of the VPC, /16 to /24; every subnet has an eighth of them. Default: 10.0.0.0/16.
            vpc: An existing VPC to use. Default: a new one.
            subnets: Which private subnets of ``vpc``, in two zones or more. Default: those with a way out, or, if
                there are none, the isolated ones.
            perimeter: How far what runs here may reach. Default: ``Perimeter()``; with ``vpc``,
                ``gateway_prefix_lists`` is required, as there may be other ways out than the gateway to S3.

        Raises:
            PropError: ``zones``, ``cidr``, ``subnets`` or ``perimeter`` cannot be used, or do not go with ``vpc``.
        """
        self._perimeter = perimeter or Perimeter()
        with checked_props(self, id) as props:
            self._perimeter.check(props)
            zones_or_two = checked_zones(props, zones)
            addresses = checked_addresses(props, cidr)
            if vpc is None:
                props.require(
                    subnets is None, "subnets", "are chosen from an existing VPC; give that as vpc as well"
                )
            else:
                for prop, value in (("zones", zones), ("cidr", cidr)):
                    props.require(value is None, prop, "is decided by the existing VPC; leave it out")
                check_existing(props, vpc, subnets, self._perimeter)
        super().__init__(scope, id)
        self._posture = posture
        self._key = key
        self._is_ours = vpc is None
        self.vpc = vpc or private_vpc(self, addresses=addresses, zones=zones_or_two)
        selected = selected_subnets(self.vpc, subnets)
        self.subnets = ec2.SubnetSelection(subnets=selected.subnets)
        self.subnet_ids = selected.subnet_ids
        self.flow_logs: FlowLogs | None = None
        self.security_group = self._workloads()
        self.security_group_ids = [self.security_group.security_group_id]
        if self._is_ours:
            self.add_flow_logs()
            self.connect_to(ec2.GatewayVpcEndpointAwsService.S3)

    @property
    @jsii.member(jsii_name="connections")
    def connections(self) -> ec2.Connections:
        """The connections of whatever runs here: ``database.connections.allow_default_port_from(network)``."""
        return self.security_group.connections

    def connect_to(self, *services: AwsService) -> None:
        """Make sure that what runs here reaches ``services`` without leaving the network of AWS.

        In an existing VPC nothing is created: it has endpoints of its own, and a second one for the same service
        cannot have the private name. Add what it lacks by :meth:`add_endpoint`.

        Args:
            services: As ``ec2.InterfaceVpcEndpointAwsService`` and ``ec2.GatewayVpcEndpointAwsService`` name them.
        """
        if self._is_ours:
            for service in services:
                self.add_endpoint(service)

    def let_reach(self, group: ec2.ISecurityGroup, *services: AwsService) -> None:
        """Let out of ``group``, from which nothing goes out yet, HTTPS to ``services`` and to nothing else.

        For what has a security group of its own. In an existing VPC the group reaches its addresses, as the endpoints
        there are not known.

        Args:
            group: A security group of this VPC, with ``allow_all_outbound=False``.
            services: What is reached, and connected first, as :meth:`connect_to` does.
        """
        self.connect_to(*services)
        interfaces = [each for each in services if isinstance(each, ec2.InterfaceVpcEndpointAwsService)]
        if len(interfaces) < len(services):
            self._let_out_to_gateways(group)
        elif self._is_ours:
            _let_out_nowhere(group)
        if not self._is_ours:
            group.add_egress_rule(ec2.Peer.ipv4(self.vpc.vpc_cidr_block), _HTTPS, "Interface endpoints")
        elif interfaces:
            group.connections.allow_to(self._endpoints(), _HTTPS, "Interface endpoints")

    def connect_hosting(self) -> None:
        """Connect what models, and functions that invoke endpoints, need (Lens: MDL-03)."""
        self.connect_to(*_ALWAYS, *_IMAGES)

    def connect_training(self, *, distributed: bool = False) -> None:
        """Connect what jobs need (Lens: TRN-02, TRN-06).

        Args:
            distributed: Whether jobs run on several instances, which then reach each other, and encrypt what they
                say if they are told to. Default: every instance is alone.
        """
        self.connect_to(*_ALWAYS, *_IMAGES)
        if distributed:
            for port in _BETWEEN_INSTANCES:
                self.connections.allow_internally(port, "Instances of one job")

    def connect_notebooks(self) -> None:
        """Connect what notebooks need, and let people reach them from this network (Lens: NB-06)."""
        self.connect_to(*_ALWAYS, ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_NOTEBOOK)

    def connect_studio(self) -> None:
        """Connect what the spaces of a Studio domain need, and let people reach them from this network."""
        self.connect_to(*_ALWAYS, ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_STUDIO)

    def add_endpoint(self, service: AwsService) -> ec2.VpcEndpoint:
        """Return the endpoint for ``service``, which the first call creates, in an existing VPC as well.

        The service has to support endpoint policies and, unless its endpoint is a gateway, private names. More is
        let through by ``add_to_policy``; people outside of the VPC are let in by ``connections``.
        """
        if isinstance(service, ec2.GatewayVpcEndpointAwsService):
            name, kind = service.name.rpartition(".")[2], "Gateway"
        else:
            name, kind = service.short_name, "Endpoint"
        id = "".join(part.capitalize() for part in re.split(r"[.-]", name)) + kind
        there = self.node.try_find_child(id)
        if isinstance(there, ec2.VpcEndpoint):
            return there
        endpoint = self._endpoint(id, service)
        for statement in self._perimeter.statements(self, name):
            endpoint.add_to_policy(statement)
        return endpoint

    def add_flow_logs(self) -> logs.LogGroup:
        """Return the log group of the flow logs, which the first call creates, in an existing VPC as well."""
        if self.flow_logs is None:
            key = self._key
            if key is None:
                key = customer_key(self, "Key", posture=self._posture, purpose="flow logs")
                let_log_groups_use(key)
            self.flow_logs = FlowLogs(self, "FlowLogs", posture=self._posture, vpc=self.vpc, log_key=key)
        return self.flow_logs.log_group

    def _endpoint(self, id: str, service: AwsService) -> ec2.VpcEndpoint:
        if isinstance(service, ec2.GatewayVpcEndpointAwsService):
            return ec2.GatewayVpcEndpoint(self, id, vpc=self.vpc, service=service, subnets=[self.subnets])
        return ec2.InterfaceVpcEndpoint(
            self,
            id,
            vpc=self.vpc,
            service=service,
            subnets=self._one_subnet_a_zone(),
            security_groups=[self._endpoints()],
            private_dns_enabled=True,
            open=False,
        )

    def _one_subnet_a_zone(self) -> ec2.SubnetSelection:
        """EC2 refuses an interface endpoint in two subnets of one zone."""
        by_zone = {subnet.availability_zone: subnet for subnet in reversed(self.subnets.subnets or [])}
        return ec2.SubnetSelection(subnets=list(reversed(by_zone.values())))

    def _workloads(self) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=self.vpc,
            description="Machine learning: nothing comes in, and HTTPS to AWS goes out",
            allow_all_outbound=False,
        )
        self._let_out_to_gateways(group)
        if not self._is_ours:
            group.add_egress_rule(ec2.Peer.ipv4(self.vpc.vpc_cidr_block), _HTTPS, "Interface endpoints")
        return group

    def _let_out_to_gateways(self, group: ec2.ISecurityGroup) -> None:
        # A prefix list of AWS has an id of its own in every Region, which nothing in CloudFormation tells.
        for prefix_list in self._perimeter.gateway_prefix_lists:
            group.add_egress_rule(ec2.Peer.prefix_list(prefix_list), _HTTPS, "Gateway endpoint")
        if self._perimeter.gateway_prefix_lists:
            _let_out_nowhere(group)
        else:
            group.add_egress_rule(ec2.Peer.any_ipv4(), _HTTPS, "Gateway endpoints, the only routes out")

    def _endpoints(self) -> ec2.SecurityGroup:
        there = self.node.try_find_child("EndpointSecurityGroup")
        if isinstance(there, ec2.SecurityGroup):
            return there
        group = ec2.SecurityGroup(
            self,
            "EndpointSecurityGroup",
            vpc=self.vpc,
            description="Interface endpoints: HTTPS from machine learning comes in",
            allow_all_outbound=False,
        )
        self.connections.allow_to(group, _HTTPS, "Interface endpoints")
        return group


def _let_out_nowhere(group: ec2.ISecurityGroup) -> None:
    # EC2 lets everything out of a group without a rule in itself; CDK writes those for groups and lists beside it.
    group.add_egress_rule(ec2.Peer.ipv4("127.0.0.1/32"), _HTTPS, "Nowhere")
