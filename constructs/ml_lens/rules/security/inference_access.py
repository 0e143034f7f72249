"""Rules on the way from outside to an endpoint: APIs, and the functions behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.functions import FUNCTION, may_invoke_endpoint, role_of_function
from ml_lens.rules.role_uses import deploys_with_the_stack
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.startable import started_of
from ml_lens.rules.verdicts import Verdict, fails, must_hold, must_satisfy

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

METHOD: Final = "AWS::ApiGateway::Method"
ROUTE: Final = "AWS::ApiGatewayV2::Route"
URL: Final = "AWS::Lambda::Url"
_API: Final = "AWS::ApiGatewayV2::Api"
_INTEGRATION: Final = "AWS::ApiGatewayV2::Integration"
_SAGEMAKER: Final = re.compile(r":runtime\.sagemaker:|(?:^|[./])runtime\.sagemaker\.")
_FUNCTION_IN_URI: Final = re.compile(r":function:([A-Za-z0-9_-]+)")
_CONNECT: Final = "$connect"


@rule(
    "SEC01-InferenceApiAuthorized",
    number=4,
    weight=ERROR,
    on=(METHOD, ROUTE, URL, _API),
    title="An API through which outsiders ask a model knows who they are.",
    why="An open API lets anybody use the model, at your cost, and probe it until it gives away what it learned.",
    fix="Set AuthorizationType, or AuthType of a function's address, to AWS_IAM or to an authorizer.",
    cloudformation="""
Type: AWS::ApiGateway::Method
Properties:
  HttpMethod: POST
  AuthorizationType: COGNITO_USER_POOLS
  AuthorizerId: !Ref Customers
""",
    lens2020=("MLSEC 01", "MLSEC 03"),
    lens2025="MLSEC06-BP01",
    same_as=("SecurityHub:APIGateway.8", "cdk-nag:AwsSolutions-APIG4", "cdk-nag:AwsSolutions-COG4"),
    settled=(
        "An API asks a model when it calls SageMaker itself, or a function, by alias or version too, whose role may "
        "invoke an endpoint; a function whose role is not part of the app is left alone.",
        "Any authorizer counts; an API key alone does not, nor does a private API or a resource policy.",
        "OPTIONS is exempt, as browsers send it without credentials.",
        "In a WebSocket API the route $connect has to authorize, as no other route can.",
        "An HTTP API that names a function as its Target has no authorizer, and is reported.",
        "An API that is written as an OpenAPI document is not read.",
    ),
)
def inference_api_is_authorized(node: Node) -> Verdict | None:
    """Look for who is asked before a request reaches an endpoint."""
    if node.type == METHOD:
        integration = node["Integration"]
        if node["HttpMethod"].literal == "OPTIONS" or not _infers(integration["Uri"]):
            return None
        return _knows_callers(node["AuthorizationType"])
    if node.type == ROUTE:
        return _route_is_authorized(node)
    if node.type == URL:
        return _knows_callers(node["AuthType"]) if _infers(node["TargetFunctionArn"]) else None
    if _infers(node["Target"]):
        return fails(node, "Target makes a route to the model that nobody has to be known for", path="Target")
    return None


def _route_is_authorized(route: Node) -> Verdict | None:
    if (route["RouteKey"].text or "").startswith("OPTIONS ") or not _infers(_behind_route(route)):
        return None
    api = route.graph.target(route["ApiId"], _API)
    if api is None or api["ProtocolType"].literal != "WEBSOCKET":
        return _knows_callers(route["AuthorizationType"])
    connect = route.graph.joined("connect routes", (ROUTE,), _connect_routes).last(api)
    if connect is None:
        return fails(route, "reaches the model in a WebSocket API without a route $connect that authorizes")
    return _knows_callers(connect["AuthorizationType"])


def _knows_callers(kind: Value) -> Verdict:
    return must_satisfy(
        kind, lambda given: given != "NONE", "must name who is let in, as this reaches a model"
    )


def _infers(uri: Value) -> bool:
    """Whether a request there reaches SageMaker, or a function that may ask an endpoint."""
    if not uri:
        return False
    if _SAGEMAKER.search(uri.text or ""):
        return True
    function = _function(uri)
    return function is not None and may_invoke_endpoint(function)


def _function(uri: Value) -> Node | None:
    found = started_of(uri)
    if found is None:
        named = _FUNCTION_IN_URI.search(uri.text or "")
        by_name = uri.node.graph.joined(
            "functions by name", (FUNCTION,), lambda node: [(str(node["FunctionName"].literal), node)]
        )
        found = by_name.last(named[1]) if named else None
    return found if found is not None and found.type == FUNCTION else None


def _behind_route(route: Node) -> Value:
    target = route["Target"]
    integration = next((node for node in target.references if node.type == _INTEGRATION), None)
    return target if integration is None else integration["IntegrationUri"]


def _connect_routes(route: Node) -> Iterator[tuple[Node, Node]]:
    api = route.graph.target(route["ApiId"], _API) if route["RouteKey"].literal == _CONNECT else None
    if api is not None:
        yield api, route


@rule(
    "SEC03-InferenceLambdaInVpc",
    number=33,
    weight=ERROR,
    on=FUNCTION,
    title="Functions that ask a model run in the protected network, in two subnets.",
    why="Outside the network a function reaches the endpoint, and sends the answers, over public addresses.",
    fix="Give the function a VpcConfig with at least two SubnetIds and one of SecurityGroupIds.",
    cloudformation="""
Type: AWS::Lambda::Function
Properties:
  VpcConfig:
    SubnetIds: [!Ref PrivateSubnetA, !Ref PrivateSubnetB]
    SecurityGroupIds: [!Ref FrontSecurityGroup]
""",
    lens2020="MLSEC 03",
    lens2025="MLSEC06-BP01",
    same_as=("SecurityHub:Lambda.3", "SecurityHub:Lambda.5", "cdk-nag:HIPAA.Security-LambdaInsideVPC"),
    settled=(
        "A function asks a model when its role may invoke an endpoint, by a wildcard or a policy of AWS too.",
        "A function whose role is not part of the app is left alone.",
        "A function that answers for a custom resource is part of the deployment, and left alone.",
    ),
)
def inference_function_is_in_the_network(function: Node) -> Iterator[Verdict]:
    """Demand two subnets and a security group."""
    if not may_invoke_endpoint(function) or _answers_for_custom_resource(function):
        return
    network = function["VpcConfig"]
    yield must_hold(network["SubnetIds"], 2)
    yield must_hold(network["SecurityGroupIds"], 1)


def _answers_for_custom_resource(function: Node) -> bool:
    held_by = role_of_function(function)
    return held_by is not None and deploys_with_the_stack(held_by.node)


RULES = (inference_api_is_authorized, inference_function_is_in_the_network)
