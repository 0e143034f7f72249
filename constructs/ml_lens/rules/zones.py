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
    zones = [_zone(subnet) for subnet in subnets.elements]
    known = {zone for zone in zones if zone is not None}
    if len(known) >= 2:
        return passes(subnets.node)
    if len(zones) > len(known) and None in zones and len(zones) >= 2:
        told = f"{subnets.path} names subnets whose AvailabilityZone the template leaves to AWS"
        return unknown(subnets.node, told, path=subnets.path)
    return fails(
        subnets.node, f"{subnets.path} lie in one availability zone, must lie in two", path=subnets.path
    )


def _zone(subnet: Value) -> object:
    """Return something equal for subnets of the same zone; ``None`` when the template does not name the zone."""
    node = subnet.reference
    if node is None or node.type != SUBNET:
        return ("subnet", subnet.identity)
    zone = node["AvailabilityZone"] or node["AvailabilityZoneId"]
    if not zone:
        return None
    whole = zone.resolved
    if isinstance(whole, Opaque) and isinstance(whole.identity, tuple) and _BY_INDEX in whole.identity:
        return whole.identity[1:]  # the same index means the same zone in every template
    return zone.identity
