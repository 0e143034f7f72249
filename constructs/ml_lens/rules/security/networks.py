"""Rules on the networks in which machine learning runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.networks import FLOW_LOG, Network, Placed, for_each_network, missing, place
from ml_lens.rules.rule import APP, ERROR, rule
from ml_lens.rules.verdicts import Verdict, all_of, any_of, must_equal, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node


@rule(
    "SEC02-MlVpcFlowLogs",
    number=11,
    weight=ERROR,
    on=APP,
    title="Every network in which machine learning runs has flow logs of all traffic.",
    why="Without flow logs nobody sees where notebooks, jobs and models send data.",
    fix="Add a flow log with TrafficType ALL to the VPC, or to each subnet that is used.",
    cloudformation="""
Type: AWS::EC2::FlowLog
Properties:
  ResourceType: VPC
  ResourceId: !Ref Vpc
  TrafficType: ALL
  LogDestinationType: cloud-watch-logs
  LogGroupName: !Ref FlowLogs
  DeliverLogsPermissionArn: !GetAtt FlowLogsRole.Arn
""",
    construct="ml_lens.foundation.MlNetwork",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    same_as=("cdk-nag:AwsSolutions-VPC7", "SecurityHub:EC2.6"),
    settled=(
        "Machine learning runs where a subnet is used by a notebook, a domain, a cluster, a model, an endpoint "
        "configuration, a job, a monitoring job, an EMR cluster or a function that may invoke endpoints.",
        "A job that is told its whole VpcConfig only while it runs names no network; what it leaves open is "
        "found where jobs are judged.",
        "All subnets of one user are in one VPC; which one, the subnets of the app tell, or a domain, an endpoint "
        "or a security group that names the VPC beside the same subnets.",
        "Flow logs of every used subnet stand for a flow log of the VPC.",
        "A network that is not part of the app is not judged: the user of its subnets gets one warning, unless "
        "what is asked for is in the app and names the same VPC.",
    ),
)
def ml_vpc_has_flow_logs(graph: Graph) -> Iterator[Verdict]:
    """Look for a flow log of the VPC, or one of each subnet."""
    logs = Placed(graph, FLOW_LOG, "ResourceId")

    def has_flow_logs(network: Network) -> Iterator[Verdict]:
        found = [*_of_vpc(network, logs), *_of_subnets(network, logs)]
        return iter((any_of(*found),)) if found else missing(network, "has no flow log")

    return for_each_network(graph, has_flow_logs)


def _of_vpc(network: Network, logs: Placed) -> list[Verdict]:
    if network.place is None:
        return []
    own = [_of_all_traffic(log) for log in logs.at(network.place)]
    return own + [
        unknown(
            log,
            f"ResourceId is {log['ResourceId'].shown}, which the template leaves open; no other flow log is known",
            path="ResourceId",
        )
        for log in logs.elsewhere
    ]


def _of_subnets(network: Network, logs: Placed) -> list[Verdict]:
    """Return one verdict if each subnet that is used has a flow log of its own."""
    each = [logs.at(where) for where in {place(subnet): None for subnet in network.subnets}]
    if not all(each):
        return []
    return [all_of(*(any_of(*(_of_all_traffic(log) for log in own)) for own in each))]


def _of_all_traffic(log: Node) -> Verdict:
    return must_equal(log["TrafficType"], "ALL")


RULES = (ml_vpc_has_flow_logs,)
