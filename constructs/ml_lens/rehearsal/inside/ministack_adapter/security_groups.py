"""Security groups: rules that a template writes beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import ec2
from ministack.services.cloudformation import provisioners


def keep_rules_of_security_groups() -> None:
    """Provision the rules that a template writes beside a security group, and find a rule again to revoke it."""
    strip = ec2._strip_descriptions

    def strip_all(rule: Mapping[str, Any]) -> Any:
        bare = strip(rule)
        for peers, name in (("UserIdGroupPairs", "GroupId"), ("PrefixListIds", "PrefixListId")):
            bare[peers] = [{name: each.get(name)} for each in bare.get(peers, [])]
        return bare

    ec2._strip_descriptions = strip_all
    for direction, permissions in (("Ingress", "IpPermissions"), ("Egress", "IpPermissionsEgress")):
        provisioners._RESOURCE_HANDLERS[f"AWS::EC2::SecurityGroup{direction}"] = _rule_handlers(
            permissions, is_egress=direction == "Egress"
        )


def _rule_handlers(permissions: str, *, is_egress: bool) -> dict[str, Any]:
    def create(_logical_id: str, properties: Mapping[str, Any], _stack: str) -> Any:
        group = str(properties.get("GroupId", ""))
        found = ec2._security_groups.get(group)
        if found is None:
            raise ValueError(f"The security group '{group}' does not exist")
        (rule,) = provisioners._ec2_sg_permissions([properties])
        if any(ec2._rules_match(rule, each) for each in found[permissions]):
            raise ValueError("the specified rule already exists")
        rule["SecurityGroupRuleId"] = ec2._sg_rule_id(group, is_egress, rule)
        found[permissions].append(rule)
        return rule["SecurityGroupRuleId"], {"Id": rule["SecurityGroupRuleId"]}

    def delete(reference: str, properties: Mapping[str, Any]) -> None:
        found = ec2._security_groups.get(str(properties.get("GroupId", "")))
        if found is not None:
            found[permissions] = [
                each for each in found[permissions] if each.get("SecurityGroupRuleId") != reference
            ]

    def update(reference: str, old: Mapping[str, Any], new: Mapping[str, Any], stack: str) -> Any:
        delete(reference, old)
        return create("", new, stack)

    return {"create": create, "delete": delete, "update": update}
