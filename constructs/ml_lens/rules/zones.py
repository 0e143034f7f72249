"""In how many availability zones a list of subnets lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_lens.rules.resolved import Opaque
from ml_lens.rules.verdicts import Verdict, fails, must_hold, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.values import Value

SUBNET = "AWS::EC2::Subnet"
_BY_INDEX = "Fn::Select"


def must_span_zones(subnets: Value) -> Verdict:
    """Demand subnets in two zones; two different ones outside the app are taken to lie in two."""
    if not subnets.is_list:
        return must_hold(subnets, 2)
    zones = {subnet.identity: _zone(subnet) for subnet in subnets.elements}
    distinct = dict(zones.values())
    if sum(distinct.values()) >= 2:
        return passes(subnets.node)
    if len(distinct) >= 2 or (None in distinct and len(zones) >= 2):
        told = f"{subnets.path} names subnets whose AvailabilityZone the template leaves open"
        return unknown(subnets.node, told, path=subnets.path)
    return fails(
        subnets.node, f"{subnets.path} lie in one availability zone, must lie in two", path=subnets.path
    )


def _zone(subnet: Value) -> tuple[object, bool]:
    """Return something equal for subnets of the same zone, and whether another one is sure to mean another zone.

    ``None`` stands for a zone that the template does not name.
    """
    node = subnet.reference
    if node is None or node.type != SUBNET:
        return ("subnet", subnet.identity), True
    zone = node["AvailabilityZone"] or node["AvailabilityZoneId"]
    if not zone:
        return None, False
    whole = zone.resolved
    if isinstance(whole, Opaque) and isinstance(whole.identity, tuple) and _BY_INDEX in whole.identity:
        return whole.identity[1:], True  # the same index means the same zone in every template
    return zone.identity, not zone.is_open
