"""The networks in which machine learning runs: which VPC a subnet belongs to, and who uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ml_lens.rules.functions import FUNCTION, may_invoke_endpoint
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, Task, training_tasks
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import Verdict, fails, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.joins import Join

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
_RUNS_IN: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    NOTEBOOK: (("", "SubnetId", "SecurityGroupIds"),),
    DOMAIN: (("", "SubnetIds", "SecurityGroupIds"),),
    "AWS::SageMaker::Model": (_VPC_CONFIG,),
    "AWS::SageMaker::EndpointConfig": (_VPC_CONFIG,),
    "AWS::SageMaker::Cluster": (_VPC_CONFIG,),
    "AWS::SageMaker::ProcessingJob": (_JOB_NETWORK,),
    "AWS::SageMaker::DataQualityJobDefinition": (_JOB_NETWORK,),
    "AWS::SageMaker::ModelQualityJobDefinition": (_JOB_NETWORK,),
    "AWS::SageMaker::ModelBiasJobDefinition": (_JOB_NETWORK,),
    "AWS::SageMaker::ModelExplainabilityJobDefinition": (_JOB_NETWORK,),
    "AWS::SageMaker::MonitoringSchedule": (
        (
            "MonitoringScheduleConfig.MonitoringJobDefinition.NetworkConfig.VpcConfig",
            "Subnets",
            "SecurityGroupIds",
        ),
    ),
    "AWS::EMR::Cluster": (
        ("Instances", "Ec2SubnetId", "EmrManagedMasterSecurityGroup"),
        ("Instances", "Ec2SubnetIds", "EmrManagedMasterSecurityGroup"),
    ),
}
# Where the request of a job says so: training, processing, both versions of AutoML, labeling.
_JOB_RUNS_IN: Final = (
    "VpcConfig",
    "NetworkConfig.VpcConfig",
    "SecurityConfig.VpcConfig",
    "AutoMLJobConfig.SecurityConfig.VpcConfig",
    "LabelingJobAlgorithmsConfig.LabelingJobResourceConfig.VpcConfig",
)
_USERS: Final = (*_RUNS_IN, FUNCTION, STATE_MACHINE, PIPELINE)
_LONGEST_CHAIN: Final = 20
_OPEN: Final = "known only to a deployment"


@dataclass(frozen=True)
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


class Placed:
    """The resources of a type by the VPC or the subnet that they are for."""

    def __init__(self, graph: Graph, kind: str, name: str) -> None:
        """Look up the resources of type ``kind`` by their property ``name``."""
        self._graph = graph
        self._name = name
        self._found = graph.joined(("placed", kind), (kind,), self._places)

    def at(self, where: object) -> list[Node]:
        """Return the resources of one place."""
        return [] if where is None else self._found.at(where)

    @property
    def elsewhere(self) -> list[Node]:
        """The resources of which nobody knows for which VPC or subnet they are."""
        return [node for node in self._found.at(_OPEN) if self.is_elsewhere(node)]

    def is_elsewhere(self, node: Node) -> bool:
        """Whether nobody knows for which VPC or subnet ``node`` is."""
        named = node[self._name]
        if not named.is_open or _is_of_the_app(named):
            return False
        where = place(named)
        return where is None or not is_used(self._graph, where)

    def _places(self, node: Node) -> Iterator[tuple[object, Node]]:
        named, where = node[self._name], place(node[self._name])
        if where is not None:
            yield where, node
        if named.is_open and not _is_of_the_app(named):
            yield _OPEN, node


def for_each_network(graph: Graph, judge: Callable[[Network], Iterable[Verdict]]) -> Iterator[Verdict]:
    """Judge each network in which machine learning runs by itself: what is open in one does not matter to others."""

    def judged(where: object) -> Iterator[Verdict]:
        told = _networks(graph).at(where)
        if isinstance(where, _Nowhere):
            for use, _ in told:
                yield from judge(Network(None, None, [use]))
        elif told:
            yield from judge(Network(where, told[0][1], [use for use, _ in told]))

    for where in _networks(graph).keys:
        yield from graph.apart(lambda where=where: judged(where))  # type: ignore[misc]


def is_network(graph: Graph, where: object) -> bool:
    """Whether machine learning runs in a VPC."""
    return _networks(graph).has(where)


def is_used(graph: Graph, where: object) -> bool:
    """Whether machine learning runs in a VPC or a subnet."""
    return is_network(graph, where) or graph.joined("used subnets", _USERS, _used_subnets).has(where)


def runs_somewhere(graph: Graph, *, unknown: bool = False) -> bool:
    """Whether machine learning runs in a network; ``unknown`` asks for one of which no template tells the VPC."""
    networks = _networks(graph)
    several = [where for where in networks.keys if not unknown or isinstance(where, _Nowhere)]
    return any(networks.has(where) for where in several)


def place(value: Value) -> object:
    """Return what two names of the same VPC, or of the same subnet, share; ``None`` when nobody can tell."""
    named = _followed(value)
    node = named.reference
    return node.key if node is not None and node.type in (VPC, SUBNET) else named.identity


def missing(network: Network, problem: str) -> Iterator[Verdict]:
    """Tell it of the VPC; where that is not part of the app, leave it open with each of its users."""
    if network.vpc is not None:
        yield fails(network.vpc, problem)
        return
    for use in network.uses:
        first = next(iter(use.subnets.elements), use.subnets)
        told = f"{first.path} is {first.shown}, in a network that is not part of the app; here it {problem}"
        yield unknown(first.node, told, path=first.path)


def _is_of_the_app(value: Value) -> bool:
    node = _followed(value).reference
    return node is not None and node.type in (VPC, SUBNET)


@dataclass(frozen=True)
class _Nowhere:
    """The network of a user of which no template tells the VPC."""

    user: object


def _networks(graph: Graph) -> Join[object, tuple[Use, Node | None]]:
    """Return who runs in which VPC, with the VPC if it is part of the app."""
    return graph.joined("ml networks", _USERS, _run_in)


def _run_in(node: Node) -> Iterator[tuple[object, tuple[Use, Node | None]]]:
    for use in _uses(node):
        vpc = next(_vpc_ids(use), None)
        where = None if vpc is None else place(vpc)
        if vpc is None or where is None:
            yield _Nowhere(node.key), (use, None)
        else:
            followed = _followed(vpc).reference
            yield where, (use, followed if followed is not None and followed.type == VPC else None)


def _used_subnets(node: Node) -> Iterator[tuple[object, bool]]:
    return ((place(subnet), True) for use in _uses(node) for subnet in use.subnets.elements)


def _vpc_ids(use: Use) -> Iterator[Value]:
    """Yield each way in which the templates tell in which VPC somebody runs."""
    graph = use.subnets.node.graph
    if not isinstance(use.user, Task) and use.user.type == DOMAIN:
        yield from use.user["VpcId"].elements
    told = graph.joined("subnets told", (DOMAIN, VPC_ENDPOINT), _subnets_told)
    for subnet in use.subnets.elements:
        node = subnet.reference
        if node is not None and node.type == SUBNET:
            yield from node["VpcId"].elements
        elif place(subnet) is not None and (vpc := told.last(place(subnet))) is not None:
            yield vpc
    for group in use.groups.elements:
        node = group.reference
        if node is not None and node.type == SECURITY_GROUP:
            yield from node["VpcId"].elements


def _subnets_told(node: Node) -> Iterator[tuple[object, Value]]:
    """Yield the VPC of each subnet that a domain or an endpoint names together with its VPC."""
    if node["VpcId"]:
        for subnet in node["SubnetIds"].elements:
            yield place(subnet), node["VpcId"]


def _followed(vpc: Value) -> Value:
    """Return the id of a VPC behind ``Subnet.VpcId`` and ``SecurityGroup.VpcId``."""
    for _ in range(_LONGEST_CHAIN):
        node = vpc.reference
        if node is None or node.type not in (SUBNET, SECURITY_GROUP) or vpc.attribute != "VpcId":
            break
        vpc = node["VpcId"]
    return vpc


def _uses(node: Node) -> Iterator[Use]:
    for where, subnets, groups in _RUNS_IN.get(node.type, ()):
        yield from _use(node, _at(node.properties, where), subnets, groups)
    if node.type == FUNCTION and node["VpcConfig"] and may_invoke_endpoint(node):
        yield from _use(node, node["VpcConfig"], "SubnetIds", "SecurityGroupIds")
    for task in training_tasks(node) if node.type in (STATE_MACHINE, PIPELINE) else ():
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
