"""The networks in which machine learning runs: which VPC a subnet belongs to, and who uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ml_lens.rules.functions import FUNCTION, may_invoke_endpoint
from ml_lens.rules.tasks import Task, all_training_tasks
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import Verdict, fails, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node

VPC: Final = "AWS::EC2::VPC"
SUBNET: Final = "AWS::EC2::Subnet"
SECURITY_GROUP: Final = "AWS::EC2::SecurityGroup"
VPC_ENDPOINT: Final = "AWS::EC2::VPCEndpoint"
FLOW_LOG: Final = "AWS::EC2::FlowLog"
NOTEBOOK: Final = "AWS::SageMaker::NotebookInstance"
DOMAIN: Final = "AWS::SageMaker::Domain"

# Where each type says in which subnets it runs: an object, its subnets, its security groups.
_VPC_CONFIG: Final = ("VpcConfig", "Subnets", "SecurityGroupIds")
_JOB_NETWORK: Final = ("NetworkConfig.VpcConfig", "Subnets", "SecurityGroupIds")
_RUNS_IN: Final = (
    (NOTEBOOK, ("", "SubnetId", "SecurityGroupIds")),
    (DOMAIN, ("", "SubnetIds", "SecurityGroupIds")),
    ("AWS::SageMaker::Model", _VPC_CONFIG),
    ("AWS::SageMaker::EndpointConfig", _VPC_CONFIG),
    ("AWS::SageMaker::Cluster", _VPC_CONFIG),
    ("AWS::SageMaker::ProcessingJob", _JOB_NETWORK),
    ("AWS::SageMaker::DataQualityJobDefinition", _JOB_NETWORK),
    ("AWS::SageMaker::ModelQualityJobDefinition", _JOB_NETWORK),
    ("AWS::SageMaker::ModelBiasJobDefinition", _JOB_NETWORK),
    ("AWS::SageMaker::ModelExplainabilityJobDefinition", _JOB_NETWORK),
    (
        "AWS::SageMaker::MonitoringSchedule",
        (
            "MonitoringScheduleConfig.MonitoringJobDefinition.NetworkConfig.VpcConfig",
            "Subnets",
            "SecurityGroupIds",
        ),
    ),
    ("AWS::EMR::Cluster", ("Instances", "Ec2SubnetId", "EmrManagedMasterSecurityGroup")),
    ("AWS::EMR::Cluster", ("Instances", "Ec2SubnetIds", "EmrManagedMasterSecurityGroup")),
)
# Where the request of a job says so: training, processing, both versions of AutoML, labeling.
_JOB_RUNS_IN: Final = (
    "VpcConfig",
    "NetworkConfig.VpcConfig",
    "SecurityConfig.VpcConfig",
    "AutoMLJobConfig.SecurityConfig.VpcConfig",
    "LabelingJobAlgorithmsConfig.LabelingJobResourceConfig.VpcConfig",
)
_LONGEST_CHAIN: Final = 20


@dataclass(frozen=True, eq=False)
class Use:
    """The subnets in which one resource or one job runs; AWS demands that they are in one VPC.

    Attributes:
        user: The resource, or the task that starts the job.
        subnets: The property that names them.
        groups: The property that names its security groups.
    """

    user: Node | Task
    subnets: Value
    groups: Value


@dataclass(frozen=True, eq=False)
class Network:
    """One VPC in which machine learning runs.

    Attributes:
        place: Equal for two names of the same VPC; ``None`` when no template tells which one it is.
        vpc: The VPC, if it is part of the app.
        uses: Who runs in it.
    """

    place: object
    vpc: Node | None
    uses: list[Use] = field(default_factory=list)

    @property
    def subnets(self) -> list[Value]:
        """The subnets that are used, each as its user names it."""
        return [subnet for use in self.uses for subnet in use.subnets.elements]

    def used_by(self, kind: str) -> bool:
        """Whether a resource of a type runs in the network."""
        return any(not isinstance(use.user, Task) and use.user.type == kind for use in self.uses)


@dataclass(frozen=True, eq=False)
class Placed:
    """The resources of a type by the VPC or the subnet that they are for.

    Attributes:
        at: The resources of each place.
        elsewhere: Those of which nobody knows for which VPC or subnet they are.
    """

    at: dict[object, list[Node]]
    elsewhere: list[Node]


def ml_networks(graph: Graph) -> list[Network]:
    """Return the networks in which machine learning runs."""
    return graph.once("ml networks", lambda: _ml_networks(graph))


def place(value: Value) -> object:
    """Return what two names of the same VPC, or of the same subnet, share; ``None`` when nobody can tell."""
    named = _followed(value)
    node = named.reference
    return node.key if node is not None and node.type in (VPC, SUBNET) else named.identity


def placed(graph: Graph, kind: str, name: str) -> Placed:
    """Return the resources of a type by the VPC or the subnet that their property ``name`` names."""
    return graph.once(("placed", kind), lambda: _placed(graph, kind, name))


def missing(network: Network, problem: str) -> Iterator[Verdict]:
    """Tell it of the VPC; where that is not part of the app, leave it open with each of its users."""
    if network.vpc is not None:
        yield fails(network.vpc, problem)
        return
    for use in network.uses:
        first = next(iter(use.subnets.elements), use.subnets)
        told = f"{first.path} is {first.shown}, in a network that is not part of the app; here it {problem}"
        yield unknown(first.node, told, path=first.path)


def _placed(graph: Graph, kind: str, name: str) -> Placed:
    used = {network.place for network in ml_networks(graph)}
    used |= {place(subnet) for network in ml_networks(graph) for subnet in network.subnets}
    found = Placed({}, [])
    for node in graph.nodes(kind):
        where = place(node[name])
        if where is not None:
            found.at.setdefault(where, []).append(node)
        if node[name].is_open and not _is_of_the_app(node[name]) and (where is None or where not in used):
            found.elsewhere.append(node)
    return found


def _is_of_the_app(value: Value) -> bool:
    node = _followed(value).reference
    return node is not None and node.type in (VPC, SUBNET)


def _ml_networks(graph: Graph) -> list[Network]:
    networks: dict[object, Network] = {}
    unknown: list[Network] = []
    for use in _uses(graph):
        vpc = next(_vpc_ids(use), None)
        where = None if vpc is None else place(vpc)
        if vpc is None or where is None:
            unknown.append(Network(None, None, [use]))
            continue
        node = _followed(vpc).reference
        in_app = node if node is not None and node.type == VPC else None
        networks.setdefault(where, Network(where, in_app)).uses.append(use)
    return [*networks.values(), *unknown]


def _vpc_ids(use: Use) -> Iterator[Value]:
    """Yield each way in which the templates tell in which VPC somebody runs."""
    graph = use.subnets.node.graph
    if not isinstance(use.user, Task) and use.user.type == DOMAIN:
        yield from use.user["VpcId"].elements
    told = graph.once("subnets told", lambda: _subnets_told(graph))
    for subnet in use.subnets.elements:
        node = subnet.reference
        if node is not None and node.type == SUBNET:
            yield from node["VpcId"].elements
        elif place(subnet) in told:
            yield told[place(subnet)]
    for group in use.groups.elements:
        node = group.reference
        if node is not None and node.type == SECURITY_GROUP:
            yield from node["VpcId"].elements


def _subnets_told(graph: Graph) -> dict[object, Value]:
    """Return the VPC of each subnet that a domain or an endpoint names together with its VPC."""
    return {
        place(subnet): node["VpcId"]
        for node in graph.nodes(DOMAIN, VPC_ENDPOINT)
        if node["VpcId"]
        for subnet in node["SubnetIds"].elements
        if place(subnet) is not None
    }


def _followed(vpc: Value) -> Value:
    """Return the id of a VPC behind ``Subnet.VpcId`` and ``SecurityGroup.VpcId``."""
    for _ in range(_LONGEST_CHAIN):
        node = vpc.reference
        if node is None or node.type not in (SUBNET, SECURITY_GROUP) or vpc.attribute != "VpcId":
            break
        vpc = node["VpcId"]
    return vpc


def _uses(graph: Graph) -> Iterator[Use]:
    for kind, (where, subnets, groups) in _RUNS_IN:
        for node in graph.nodes(kind):
            yield from _use(node, _at(node.properties, where), subnets, groups)
    for function in graph.nodes(FUNCTION):
        if function["VpcConfig"] and may_invoke_endpoint(function):
            yield from _use(function, function["VpcConfig"], "SubnetIds", "SecurityGroupIds")
    for task in all_training_tasks(graph):
        for job in task.jobs:
            for where in _JOB_RUNS_IN:
                yield from _use(task, _at(job, where), "Subnets", "SecurityGroupIds")


def _use(user: Node | Task, config: Value, subnets: str, groups: str) -> Iterator[Use]:
    """Yield the use that ``config`` tells of; one that is open as a whole may name no subnet at all."""
    if config.is_object and config[subnets].elements:
        yield Use(user, config[subnets], config[groups])


def _at(value: Value, path: str) -> Value:
    for name in path.split(".") if path else ():
        value = value[name]
    return value
