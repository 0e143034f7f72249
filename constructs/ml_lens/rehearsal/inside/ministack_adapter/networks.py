"""Networks: functions that run in subnets, and reach only what those let them."""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import ec2, lambda_svc

from ml_lens.rehearsal.inside.ministack_adapter import roles
from ml_lens.rehearsal.inside.ministack_adapter.access import Policies
from ml_lens.rehearsal.inside.network_doors import Doors
from ml_lens.rehearsal.inside.network_paths import (
    SERVICES,
    Endpoint,
    Place,
    Rule,
    endpoint_to,
    is_outside_reached,
    service_of,
)

logger = logging.getLogger("ml_lens.sandbox")

_LEADS_OUT = ("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId")
_through: contextvars.ContextVar[Endpoint | None] = contextvars.ContextVar("vpc_endpoint", default=None)
_refused_by_endpoint: contextvars.ContextVar[bool] = contextvars.ContextVar("by_endpoint", default=False)
_functions: dict[str, dict[str, Any]] = {}
_doors = Doors(int(os.environ.get("GATEWAY_PORT", "0")))


def place_functions_in_their_networks(gate: Policies) -> None:
    """Let a function with subnets run only where Lambda can connect it, and reach only what it has a way to."""
    dispatch, environment = lambda_svc._execute_function_dispatch, lambda_svc._provided_worker_env

    def dispatched(function: Any, config: Mapping[str, Any], *rest: Any) -> Any:
        lambda_runtime.execution_credentials(config)  # by which its requests will be known
        if not _is_placed(config):
            return dispatch(function, config, *rest)
        refused = _connection_refusal(config, gate)
        if refused:
            logger.warning("%s is not connected: %s", config.get("FunctionName"), refused)
            return _not_connected(config, refused)
        _doors.set(_owner(config), set(_reached(config)))
        return dispatch(function, config, *rest)

    def environment_with_doors(config: Mapping[str, Any], *rest: Any) -> dict[str, str]:
        made: dict[str, str] = environment(config, *rest)
        if not _is_placed(config):
            return made
        names = {service: f"AWS_ENDPOINT_URL_{suffix}" for service, suffix in SERVICES.items()}
        addresses = {
            name: f"http://127.0.0.1:{_doors.port(_owner(config), service)}"
            for service, name in {**names, Doors.OTHERS: "AWS_ENDPOINT_URL"}.items()
        }
        _doors.set(_owner(config), set(_reached(config)))
        return {**made, **addresses}

    lambda_svc._execute_function_dispatch = dispatched
    lambda_svc._provided_worker_env = environment_with_doors
    _answer_502_to_invocations()
    _know_functions_by_their_keys()
    _check_endpoint_policies()


def _is_placed(config: Mapping[str, Any]) -> bool:
    return bool((config.get("VpcConfig") or {}).get("SubnetIds"))


def _owner(config: Mapping[str, Any]) -> str:
    return ":".join(str(config["FunctionArn"]).split(":")[:7])


def _connection_refusal(config: Mapping[str, Any], gate: Policies) -> str | None:
    """Return why Lambda cannot put a network interface of the function into its subnets, or ``None``."""
    caller = roles.session(config["Role"], "awslambda")["aws_access_key_id"]
    here = f"arn:aws:ec2:{gate.region()}:{gate.account()}"
    placed = config["VpcConfig"]
    interfaces = [
        f"{here}:network-interface/*",
        *(f"{here}:subnet/{each}" for each in placed["SubnetIds"]),
        *(f"{here}:security-group/{each}" for each in placed.get("SecurityGroupIds", [])),
    ]
    needs = [("ec2:CreateNetworkInterface", each) for each in interfaces]
    needs += [("ec2:DescribeNetworkInterfaces", "*"), ("ec2:DescribeSubnets", "*")]
    for action in ("DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"):
        needs.append((f"ec2:{action}", f"{here}:*/*"))
    for action, resource in needs:
        refused = gate.refusal(caller, action, resource)
        if refused:
            return refused
    return None


def _not_connected(config: Mapping[str, Any], refused: str) -> dict[str, Any]:
    message = (
        "Lambda does not have permission to access EC2 resources: the provided execution role of "
        f"{config.get('FunctionName')} lacks what a function in a VPC needs. {refused}"
    )
    return {
        "error": True,
        "body": {"errorType": "EC2AccessDeniedException", "errorMessage": message},
        "log": "",
        "not_connected": True,
    }


def _answer_502_to_invocations() -> None:
    invoke = lambda_svc._invoke

    async def invoked(*arguments: Any, **settings: Any) -> Any:
        status, headers, body = await invoke(*arguments, **settings)
        if headers.get("X-Amz-Function-Error") and b'"EC2AccessDeniedException"' in body:
            said = json.loads(body)
            if said.get("errorType") == "EC2AccessDeniedException":
                document = {"Type": "Server", "Message": said["errorMessage"]}
                return (
                    502,
                    {"Content-Type": "application/json", "x-amzn-ErrorType": said["errorType"]},
                    json.dumps(document).encode(),
                )
        return status, headers, body

    lambda_svc._invoke = invoked


def _place(config: Mapping[str, Any]) -> Place:
    placed = config["VpcConfig"]
    subnets = {each: ec2._subnets[each] for each in placed["SubnetIds"] if each in ec2._subnets}
    vpc = next((each["VpcId"] for each in subnets.values()), "")
    tables = [
        table
        for table in ec2._route_tables.values()
        if any(
            association.get("SubnetId") in subnets or (association.get("Main") and table["VpcId"] == vpc)
            for association in table["Associations"]
        )
    ]
    return Place(
        vpc=vpc,
        subnets={name: each["CidrBlock"] for name, each in subnets.items()},
        groups=tuple(placed.get("SecurityGroupIds", [])),
        tables=frozenset(table["RouteTableId"] for table in tables),
        leads_out=any(route.get(way) for table in tables for route in table["Routes"] for way in _LEADS_OUT),
    )


def _endpoints(vpc: str) -> Iterator[Endpoint]:
    for each in ec2._vpc_endpoints.values():
        if each["VpcId"] == vpc:
            subnets = [name for name in each.get("SubnetIds", []) if name in ec2._subnets]
            yield Endpoint(
                id=each["VpcEndpointId"],
                service=".".join(each["ServiceName"].split(".")[3:]),
                is_gateway=each["VpcEndpointType"] == "Gateway",
                subnets={name: ec2._subnets[name]["CidrBlock"] for name in subnets},
                groups=tuple(each.get("SecurityGroupIds", [])),
                tables=frozenset(each.get("RouteTableIds", [])),
                is_private_name=bool(each.get("PrivateDnsEnabled")),
                policy=each.get("PolicyDocument"),
            )


def _rules(group: str, is_egress: bool) -> list[Rule]:
    found = ec2._security_groups.get(group) or {}
    return [Rule.of(each) for each in found.get("IpPermissionsEgress" if is_egress else "IpPermissions", [])]


def _way(service: str, config: Mapping[str, Any]) -> Endpoint | None:
    place = _place(config)
    return endpoint_to(service, place, _endpoints(place.vpc), _rules)


def _reached(config: Mapping[str, Any]) -> Iterator[str]:
    place = _place(config)
    endpoints = list(_endpoints(place.vpc))
    is_outside = is_outside_reached(place, _rules)
    if is_outside:
        yield Doors.OTHERS
    for service in SERVICES:
        if is_outside or endpoint_to(service, place, endpoints, _rules):
            yield service


def _know_functions_by_their_keys() -> None:
    """Add to the conditions of a function's requests what AWS knows of them: the function and the network."""
    credentials, principal = lambda_runtime.execution_credentials, iam_evaluator.resolve_principal

    def remembered(config: dict[str, Any]) -> dict[str, str]:
        made: dict[str, str] = credentials(config)
        if config.get("Runtime"):
            _functions[made["AWS_ACCESS_KEY_ID"]] = {
                key: config.get(key) for key in ("FunctionArn", "VpcConfig")
            }
        return made

    def resolved(access_key: str, *rest: Any, **named: Any) -> Any:
        found = principal(access_key, *rest, **named)
        function, endpoint = _functions.get(access_key), _through.get()
        if function is None or isinstance(found, iam_evaluator.AuthError):
            return found
        known = {"lambda:sourcefunctionarn": _owner(function)}
        if endpoint is not None:
            known |= {"aws:sourcevpce": endpoint.id, "aws:sourcevpc": _place(function).vpc}
        found.keys = {**(found.keys or {}), **known}
        return found

    lambda_runtime.execution_credentials = remembered
    iam_evaluator.resolve_principal = resolved


def _check_endpoint_policies() -> None:
    """Ask the policy of the VPC endpoint as well when a request came through one."""
    enforce, respond = iam_evaluator.enforce, iam_actions.access_denied_response

    def enforced(access_key: str, action: str, service: str, region: str, **named: Any) -> Any:
        function = _functions.get(access_key)
        if function is None or not _is_placed(function):
            return enforce(access_key, action, service, region, **named)
        endpoint = _way(service_of(action), function)
        _refused_by_endpoint.set(False)
        with _set(_through, endpoint):
            denied = enforce(access_key, action, service, region, **named)
            if denied or endpoint is None or not endpoint.policy:
                return denied
            denied = _endpoint_refusal(endpoint, access_key, action, region, named)
        _refused_by_endpoint.set(denied is not None)
        return denied

    def responded(*arguments: Any, **named: Any) -> Any:
        status, headers, body = respond(*arguments, **named)
        if _refused_by_endpoint.get():
            body = body.replace(b"no identity-based policy allows", b"no VPC endpoint policy allows")
            body = body.replace(b"an identity-based policy", b"a VPC endpoint policy")
        return status, headers, body

    iam_evaluator.enforce = enforced
    iam_actions.access_denied_response = responded


@contextlib.contextmanager
def _set(variable: contextvars.ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _endpoint_refusal(
    endpoint: Endpoint, access_key: str, action: str, region: str, named: Mapping[str, Any]
) -> Any:
    principal = iam_evaluator.resolve_principal(access_key, _account_of(access_key))
    subject = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=named.get("resource_arn", "*"),
        region=region,
        service_context={key.lower(): value for key, value in (named.get("service_context") or {}).items()},
        principal_keys=principal.keys,
    )
    verdict = iam_evaluator.evaluate_resource_policy(endpoint.policy, subject)
    if verdict.decision == "Allow":
        return None
    verdict.principal_arn = principal.arn
    return verdict


def _account_of(access_key: str) -> str:
    """Return the account of a function known by its key."""
    return str(_functions[access_key]["FunctionArn"]).split(":")[4]
