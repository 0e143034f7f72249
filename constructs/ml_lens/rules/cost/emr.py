"""Rules on Spark clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.verdicts import Verdict, any_of, fails, must_be_at_least, must_equal, must_exist

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

CLUSTER = "AWS::EMR::Cluster"
_GROUP = "AWS::EMR::InstanceGroupConfig"
_FLEET = "AWS::EMR::InstanceFleetConfig"


@rule(
    "COST03-EmrTransient",
    number=63,
    weight=WARNING,
    on=CLUSTER,
    title="Spark clusters shrink or end by themselves, and their tasks run on spot capacity.",
    why="A cluster that waits for work costs as much as one that works; task nodes hold no data that spot could lose.",
    fix="Give the cluster an AutoTerminationPolicy or a ManagedScalingPolicy, and task capacity on the spot market.",
    cloudformation="""
Type: AWS::EMR::Cluster
Properties:
  AutoTerminationPolicy: {IdleTimeout: 3600}
  Instances:
    TaskInstanceFleets:
      - TargetSpotCapacity: 4
""",
    lens2020=("Fig. 5", "MLCOST 03"),
    lens2025="MLCOST03-BP03",
    settled=(
        "A cluster that says KeepJobFlowAliveWhenNoSteps false ends with its steps, and needs no policy.",
        "One group or fleet of task nodes on the spot market is enough; a cluster without task nodes has none.",
        "Task nodes that are resources of their own count for the cluster that they name.",
    ),
)
def cluster_is_transient(cluster: Node) -> Iterator[Verdict]:
    """Look at the end of the cluster and at its task nodes."""
    yield any_of(
        must_exist(cluster["AutoTerminationPolicy"]).saying(
            "neither AutoTerminationPolicy nor ManagedScalingPolicy is given, so the cluster stays as large as it is"
        ),
        must_exist(cluster["ManagedScalingPolicy"]),
        must_equal(cluster["Instances"]["KeepJobFlowAliveWhenNoSteps"], False),
    )
    yield any_of(
        fails(cluster, "no task capacity is on the spot market", path="Instances"),
        *(verdict.landing_on(cluster) for verdict in _on_spot(cluster)),
    )


def _on_spot(cluster: Node) -> Iterator[Verdict]:
    instances = cluster["Instances"]
    groups = instances["TaskInstanceGroups"].elements
    fleets = instances["TaskInstanceFleets"].elements
    apart = cluster.graph.joined("task nodes", (_GROUP, _FLEET), _task_nodes).at(cluster)
    groups += [node.properties for node in apart if node.type == _GROUP]
    fleets += [node.properties for node in apart if node.type == _FLEET]
    for group in groups:
        yield must_equal(group["Market"], "SPOT")
    for fleet in fleets:
        yield must_be_at_least(fleet["TargetSpotCapacity"], 1)


def _task_nodes(node: Node) -> Iterator[tuple[Node, Node]]:
    is_group = node.type == _GROUP
    cluster = node["JobFlowId" if is_group else "ClusterId"].reference
    if cluster is not None and node["InstanceRole" if is_group else "InstanceFleetType"].literal == "TASK":
        yield cluster, node


RULES = (cluster_is_transient,)
