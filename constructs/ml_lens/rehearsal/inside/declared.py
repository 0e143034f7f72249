"""Resource types that the sandbox accepts without emulating them.

A rehearsal never claims more than it saw: what is created here is recorded, and the report lists it.
A type that is neither emulated nor in this table makes the deployment fail.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_lens.rehearsal.inside.journal import DECLARED, Journal


@dataclass(frozen=True)
class Shape:
    """What CloudFormation's ``Ref`` and ``Fn::GetAtt`` give for a declared type.

    Fields may use ``{account}``, ``{region}``, ``{name}`` (stack and logical id), ``{id}`` (a new UUID),
    ``{ref}`` and every string property of the resource.
    """

    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def _quicksight(kind: str, identifier: str) -> Shape:
    arn = f"arn:aws:quicksight:{{region}}:{{account}}:{kind}/{{{identifier}}}"
    return Shape(f"{{account}}|{{{identifier}}}", {"Arn": arn})


METRIC_MATH_ALARM = "AWS::CloudWatch::Alarm of metric math"

DECLARED_TYPES: Mapping[str, Shape] = {
    # Kept and told by Application Auto Scaling, of which nothing scales here.
    "AWS::ApplicationAutoScaling::ScalableTarget": Shape(
        "{ResourceId}|{ScalableDimension}|{ServiceNamespace}"
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Shape("{PolicyARN}", {"Arn": "{PolicyARN}"}),
    "AWS::Athena::NamedQuery": Shape("{id}", {"NamedQueryId": "{ref}"}),
    "AWS::CloudTrail::Trail": Shape("{name}", {"Arn": "arn:aws:cloudtrail:{region}:{account}:trail/{ref}"}),
    # MiniStack has alarms on a metric, and none on an expression over several.
    METRIC_MATH_ALARM: Shape("{name}", {"Arn": "arn:aws:cloudwatch:{region}:{account}:alarm:{ref}"}),
    "AWS::CloudWatch::CompositeAlarm": Shape(
        "{name}", {"Arn": "arn:aws:cloudwatch:{region}:{account}:alarm:{ref}"}
    ),
    "AWS::EC2::EIP": Shape("203.0.113.1", {"AllocationId": "eipalloc-{id}", "PublicIp": "{ref}"}),
    "AWS::EC2::FlowLog": Shape("fl-{id}", {"Id": "{ref}"}),
    # A route to one leads out; the lists that close subnets are taken to let everything through.
    "AWS::EC2::NatGateway": Shape("nat-{id}", {"NatGatewayId": "{ref}"}),
    "AWS::EC2::NetworkAcl": Shape("acl-{id}", {"Id": "{ref}"}),
    "AWS::EC2::NetworkAclEntry": Shape("{name}", {"Id": "{ref}"}),
    "AWS::EC2::SubnetNetworkAclAssociation": Shape("aclassoc-{id}", {"AssociationId": "{ref}"}),
    "AWS::Logs::QueryDefinition": Shape("{id}", {"QueryDefinitionId": "{ref}"}),
    "AWS::QuickSight::Analysis": _quicksight("analysis", "AnalysisId"),
    "AWS::QuickSight::Dashboard": _quicksight("dashboard", "DashboardId"),
    "AWS::QuickSight::DataSet": _quicksight("dataset", "DataSetId"),
    "AWS::QuickSight::DataSource": _quicksight("datasource", "DataSourceId"),
    "AWS::WAFv2::LoggingConfiguration": Shape("{ResourceArn}"),
    "AWS::WAFv2::WebACLAssociation": Shape("{WebACLArn}|{ResourceArn}"),
}


class DeclaredResources:
    """Creates and deletes declared resources, and keeps the list that the report shows."""

    def __init__(self, journal: Journal, place: Callable[[], tuple[str, str]]) -> None:
        """Record in ``journal``; ``place`` gives the account and the region of the stack under way."""
        self._journal = journal
        self._place = place
        self._live: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()

    def create(
        self, kind: str, logical_id: str, properties: Mapping[str, Any], stack: str
    ) -> tuple[str, dict[str, str]]:
        """Return the physical id and the attributes of a new declared resource."""
        shape = DECLARED_TYPES[kind]
        account, region = self._place()
        words = {key: value for key, value in properties.items() if isinstance(value, str)}
        words |= {
            "account": account,
            "region": region,
            "name": f"{stack}-{logical_id}",
            "id": str(uuid.uuid4()),
        }
        reference = shape.ref.format(**words)
        attributes = {name: text.format(ref=reference, **words) for name, text in shape.attributes.items()}
        self._live[reference] = kind
        self._seen.add((kind, logical_id))
        self._journal.write(DECLARED, {"seen": sorted(self._seen), "live": self._live})
        return reference, attributes

    def holds(self, reference: str) -> bool:
        """Return whether this is a declared resource."""
        return reference in self._live

    def delete(self, reference: str) -> None:
        """Forget a declared resource."""
        self._live.pop(reference, None)
        self._journal.write(DECLARED, {"seen": sorted(self._seen), "live": self._live})
