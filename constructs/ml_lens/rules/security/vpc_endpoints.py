"""Rules on the endpoints by which networks reach AWS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ml_lens.rules.bodies import document
from ml_lens.rules.images import Registry, image_of, images_in
from ml_lens.rules.networks import (
    DOMAIN,
    NOTEBOOK,
    VPC_ENDPOINT,
    Network,
    Placed,
    for_each_network,
    is_network,
    missing,
    place,
    runs_somewhere,
)
from ml_lens.rules.policies import Statement, statements
from ml_lens.rules.rule import APP, ERROR, WARNING, rule
from ml_lens.rules.tasks import Task
from ml_lens.rules.verdicts import (
    FAIL,
    PASS,
    Verdict,
    any_of,
    fails,
    must_equal,
    must_exist,
    passes,
    unknown,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

ALWAYS = ("s3", "sagemaker.api", "sagemaker.runtime", "logs", "kms", "sts")
PRIVATE_IMAGES = ("ecr.api", "ecr.dkr")
# What stands after the Region, so that com.amazonaws, cn.com.amazonaws and aws.sagemaker are one.
_SERVICE: Final = re.compile(
    r"\.(s3|logs|kms|sts|notebook|studio|ecr\.(?:api|dkr)|sagemaker\.[a-z-]+?)(?:-fips)?$"
)
_EMR: Final = "AWS::EMR::Cluster"
_EVERYWHERE: Final = re.compile(r"\*+|arn:[^:]*:(?:s3|sagemaker):[^:]*:[^:]*:[*/]+")


@rule(
    "SEC02-MlVpcEndpoints",
    number=12,
    weight=ERROR,
    on=APP,
    title="Every network in which machine learning runs reaches AWS by VPC endpoints.",
    why="Without endpoints, data, images and control calls leave the network of AWS, or do not leave at all.",
    fix=(
        "Add endpoints for s3, sagemaker.api, sagemaker.runtime, logs, kms and sts, for ecr.api and ecr.dkr where "
        "images are private, and for notebook or studio where people work; interface endpoints with private DNS."
    ),
    cloudformation="""
Type: AWS::EC2::VPCEndpoint
Properties:
  VpcId: !Ref Vpc
  VpcEndpointType: Interface
  ServiceName: !Sub com.amazonaws.${AWS::Region}.sagemaker.runtime
  PrivateDnsEnabled: true
  SubnetIds: [!Ref SubnetA, !Ref SubnetB]
  SecurityGroupIds: [!Ref EndpointSecurityGroup]
""",
    construct="ml_lens.foundation.MlNetwork",
    lens2020=("MLSEC 02", "MLSEC 03"),
    lens2025="MLSEC04-BP01",
    same_as=("SecurityHub:EC2.10", "SecurityHub:EC2.55", "SecurityHub:EC2.56"),
    settled=(
        "Which networks are judged, and what becomes of one that is not part of the app, is as with flow logs.",
        "A network in which only EMR clusters run needs no endpoint of SageMaker.",
        "Notebooks need the notebook endpoint and domains the studio endpoint besides the six.",
        "A private image is one from a private registry of Amazon ECR, those from which AWS serves its own included.",
        "Private DNS is asked of the interface endpoints of these services only; one with it is enough for a "
        "service, and a gateway to S3 needs none.",
        "FIPS endpoints count, and so do the names of services in other partitions.",
    ),
)
def ml_vpc_has_endpoints(graph: Graph) -> Iterator[Verdict]:
    """Compare the endpoints of the VPC with those that its users need."""
    endpoints = Placed(graph, VPC_ENDPOINT, "VpcId")
    return for_each_network(graph, lambda network: _has_endpoints(network, endpoints))


def _has_endpoints(network: Network, endpoints: Placed) -> Iterator[Verdict]:
    here: dict[str | None, list[Node]] = {}
    for endpoint in endpoints.at(network.place):
        here.setdefault(_service(endpoint), []).append(endpoint)
    is_private, image = _private_image(network)
    needed = _needed(network, private_images=is_private)
    for service in needed:
        if service in here:
            yield any_of(*(_answers(endpoint, service) for endpoint in here[service]))
    yield from _lacking([service for service in needed if service not in here], here, network, endpoints)
    if image is not None and not set(PRIVATE_IMAGES) <= set(here):
        told = f"{image.path} is {image.shown}; if it is private, the network needs {' and '.join(PRIVATE_IMAGES)}"
        yield unknown(image.node, told, path=image.path)


@rule(
    "SEC02-VpcEndpointPolicyRestricted",
    number=13,
    weight=WARNING,
    on=APP,
    title="Endpoints to S3 and SageMaker let through only what is meant to pass.",
    why="The default policy of an endpoint lets data out to any bucket and any account.",
    fix="Give the endpoint a PolicyDocument that names principals, actions or resources, or has a condition.",
    cloudformation="""
Type: AWS::EC2::VPCEndpoint
Properties:
  VpcId: !Ref Vpc
  ServiceName: !Sub com.amazonaws.${AWS::Region}.s3
  PolicyDocument:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Principal: "*"
        Action: ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
        Resource: "*"
        Condition:
          StringEquals:
            aws:ResourceAccount: !Ref AWS::AccountId
""",
    construct="ml_lens.foundation.MlNetwork",
    lens2020="MLSEC 02",
    lens2025="MLSEC04-BP01",
    settled=(
        "All actions of the endpoint's own service count as all actions: nothing else passes through it; all "
        "buckets and all objects count as all resources.",
        "Only a condition on the statement itself counts, not another statement that denies.",
        "Only endpoints in networks in which machine learning runs are judged; one of which nobody knows the "
        "network is left open.",
        "The endpoints for notebook and studio are not judged: they let people in.",
    ),
)
def endpoint_policy_is_restricted(graph: Graph) -> Iterator[Verdict]:
    """Look for a statement that allows everybody everything everywhere."""
    endpoints = Placed(graph, VPC_ENDPOINT, "VpcId")
    for endpoint in graph.nodes(VPC_ENDPOINT):
        yield from graph.apart(lambda endpoint=endpoint: _lets_through(endpoint, endpoints))  # type: ignore[misc]


def _lets_through(endpoint: Node, endpoints: Placed) -> Iterator[Verdict]:
    if _family(endpoint) is None:
        return
    graph, vpc = endpoint.graph, endpoint["VpcId"]
    where = place(vpc)
    if where is not None and is_network(graph, where):
        yield _restricted(endpoint)
    elif vpc.is_literal or endpoints.is_elsewhere(endpoint):
        may_learn = runs_somewhere(graph, unknown=vpc.is_literal)
        if may_learn and _restricted(endpoint).answer is not PASS:
            told = f"{vpc.path} is {vpc.shown}, where machine learning may run; the policy is not known to restrict"
            yield unknown(endpoint, told, path=vpc.path)


def _needed(network: Network, *, private_images: bool) -> list[str]:
    sparks_only = all(not isinstance(use.user, Task) and use.user.type == _EMR for use in network.uses)
    return [
        *(each for each in ALWAYS if not (sparks_only and each.startswith("sagemaker."))),
        *(PRIVATE_IMAGES if private_images else ()),
        *(("notebook",) if network.used_by(NOTEBOOK) else ()),
        *(("studio",) if network.used_by(DOMAIN) else ()),
    ]


def _private_image(network: Network) -> tuple[bool, Value | None]:
    """Return whether a private image is used in the network, and if not, an image that may be private."""
    images = [image_of(uri) for use in network.uses for uri, _ in images_in(use.user)]
    if any(image.is_private_ecr for image in images):
        return True, None
    return False, next((image.value for image in images if image.registry is Registry.OPEN), None)


def _service(endpoint: Node) -> str | None:
    """Return the service of an endpoint, ``sagemaker.api``; ``None`` when its name does not tell."""
    name = endpoint["ServiceName"]
    end = name.parts[-1] if name.parts else ""
    if not isinstance(end, str) or (name.is_open and "." not in end):
        return None
    known = _SERVICE.search(end.lower())
    return known[1] if known else end


def _answers(endpoint: Node, service: str) -> Verdict:
    """Judge whether calls to the service's usual name take the endpoint."""
    private = must_equal(endpoint["PrivateDnsEnabled"], True)
    if service != "s3":
        return private
    return any_of(private, must_equal(endpoint["VpcEndpointType"], "Gateway", when_absent=PASS))


def _lacking(
    services: list[str], here: dict[str | None, list[Node]], network: Network, endpoints: Placed
) -> Iterator[Verdict]:
    """Tell of services without an endpoint, or of the endpoints that may turn out to be theirs."""
    if not services:
        return
    elsewhere = endpoints.elsewhere if network.place is not None else []
    offered = [endpoint for endpoint in elsewhere if _service(endpoint) in services]
    hidden = [endpoint["ServiceName"] for endpoint in here.get(None, ())]
    hidden += [endpoint["VpcId"] for endpoint in elsewhere if _service(endpoint) is None]
    rest = [service for service in services if service not in {_service(endpoint) for endpoint in offered}]
    if len(rest) > len(hidden):
        yield from missing(network, f"has no VPC endpoint for {', '.join(rest)}")
        return
    for value in (*(endpoint["VpcId"] for endpoint in offered), *hidden):
        told = f"{value.path} is {value.shown}; without it the network lacks {', '.join(services)}"
        yield unknown(value.node, told, path=value.path)


def _family(endpoint: Node) -> str | None:
    """Return the service by which actions begin, for the endpoints through which data may leave."""
    service = _service(endpoint) or ""
    return service.split(".")[0] if service == "s3" or service.startswith("sagemaker.") else None


def _restricted(endpoint: Node) -> Verdict:
    policy = endpoint["PolicyDocument"]
    present = must_exist(policy)
    if present.answer is FAIL:
        return present
    written = document(policy)
    if written is None:
        return unknown(
            endpoint, f"{policy.path} is {policy.shown}, which cannot be read here", path=policy.path
        )
    answers = [_is_wide_open(statement, _family(endpoint)) for statement in statements(written)]
    if True in answers:
        return fails(endpoint, f"{policy.path} lets everybody do everything anywhere", path=policy.path)
    hidden = next((body for body in written["Statement"].elements if not body.is_object), None)
    if None in answers or hidden is not None:
        told = f"{policy.path} holds a statement that the template leaves open"
        return unknown(endpoint, told, path=policy.path)
    return passes(endpoint)


def _is_wide_open(statement: Statement, family: str | None) -> bool | None:
    """Return whether a statement allows everybody everything everywhere; ``None`` when a part of it is open."""
    if not statement.allows or statement.body["Condition"]:
        return False
    all_actions = ("*", "*:*", f"{family}:*")
    parts = (
        bool(statement.body["NotPrincipal"]) or _any(_everybody(who) for who in _principals(statement)),
        statement.except_actions
        or _any(None if each is None else each in all_actions for each in statement.actions),
        statement.except_resources or _any(_everywhere(each) for each in statement.resources),
    )
    return False if False in parts else None if None in parts else True


def _principals(statement: Statement) -> list[Value]:
    principal = statement.principal
    return principal["AWS"].elements if principal.is_object else principal.elements


def _everybody(who: Value) -> bool | None:
    return None if who.is_open and len(who.parts) == 1 and not who.references else who.literal == "*"


def _everywhere(resource: Value) -> bool | None:
    if resource.is_open and len(resource.parts) == 1:
        return None if resource.reference is None else False
    text = "".join(part if isinstance(part, str) else "-" for part in resource.parts)
    return _EVERYWHERE.fullmatch(text) is not None


def _any(answers: Iterable[bool | None]) -> bool | None:
    told = list(answers)
    return True if True in told else None if None in told else False


RULES = (ml_vpc_has_endpoints, endpoint_policy_is_restricted)
