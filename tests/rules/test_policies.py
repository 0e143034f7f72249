"""Statements act as IAM lets them act, and a role has what either side attaches to it."""

from collections.abc import Mapping
from typing import Any

import pytest

from ml_lens.rules.functions import ai_services, is_ml_function, may_invoke_endpoint
from ml_lens.rules.graph import Graph
from ml_lens.rules.policies import (
    ROLE,
    Role,
    Statement,
    holders,
    identity_statements,
    is_broad,
    matches,
    role,
    role_of,
)
from ml_lens.rules.verdicts import fails, passes
from tests.rules.apps import app, graph, node, read, value
from tests.rules.cases.access import ACCOUNT, SAGEMAKER, allow, function, of_aws, policy, service, trusting

TRAIN, DEPLOY = "sagemaker:CreateTrainingJob", "sagemaker:CreateEndpoint"
SUB_ARN = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}"


def statement(**body: Any) -> Statement:
    resources = {"Role": service("states"), "Policy": policy("Role", {"Effect": "Allow", **body})}
    return role_in(app({"Resources": resources})).statements[0]


def role_in(of: Graph, logical_id: str = "Role") -> Role:
    return role(node(of, logical_id))


def role_with(*statements: Mapping[str, Any], **others: Any) -> Role:
    resources = {"Role": service("states"), "Policy": policy("Role", *map(dict, statements)), **others}
    return role_in(app({"Resources": resources}))


@pytest.mark.parametrize(
    ("pattern", "api", "matched"),
    [
        ("sagemaker:CreateEndpoint", "SAGEMAKER:createendpoint", True),
        ("sagemaker:Create*", DEPLOY, True),
        ("sagemaker:*Endpoint", DEPLOY, True),
        ("sagemaker:Create?ndpoint", DEPLOY, True),
        ("sagemaker:Create?Endpoint", DEPLOY, False),
        ("*", DEPLOY, True),
        ("*:*", DEPLOY, True),
        ("sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", False),
        ("sagemaker.CreateEndpoint", DEPLOY, False),
        ("s3:*", DEPLOY, False),
    ],
)
def test_an_action_matches_in_any_case_and_by_wildcard(pattern: str, api: str, matched: bool) -> None:
    assert matches(pattern, api) is matched


def test_not_action_covers_what_it_does_not_name() -> None:
    apart = statement(NotAction=["sagemaker:Create*", "iam:*"], Resource="*")
    assert apart.covers("sagemaker:InvokeEndpoint")
    assert apart.covers(DEPLOY, "sagemaker:InvokeEndpoint")
    assert not apart.covers(DEPLOY)
    assert not apart.covers_all("sagemaker:Create")
    assert apart.names_service("sagemaker")
    assert not apart.names_service("iam")


@pytest.mark.parametrize(
    "resource",
    ["arn:aws:s3:::models/*", {"Fn::GetAtt": ["Role", "Arn"]}],
)
def test_a_wildcard_for_every_service_covers_only_those_whose_resources_it_names(resource: Any) -> None:
    assert not statement(Action="*", Resource=resource).covers(DEPLOY)
    assert not statement(Action="*", Resource=resource).names_service("sagemaker")
    assert statement(Action="*", Resource=[resource, f"{SAGEMAKER}:endpoint/x"]).covers(DEPLOY)
    assert statement(Action="*", Resource={"Ref": "Nobody"}).covers(DEPLOY)


def test_a_single_statement_needs_no_list_and_a_document_may_be_a_string() -> None:
    single = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": DEPLOY, "Resource": "*"}}
    text = '{"Statement": [{"Effect": "Allow", "Action": "sagemaker:CreateEndpoint", "Resource": "*"}]}'
    for document in (single, text):
        inline = [{"PolicyName": "inline", "PolicyDocument": document}]
        of = app({"Resources": {"Role": service("states", Policies=inline)}})
        assert role_in(of).may(DEPLOY)


@pytest.mark.parametrize(
    ("resource", "kind", "broad"),
    [
        ("*", "endpoint", True),
        ("**", "endpoint", True),
        (f"{SAGEMAKER}:endpoint/*", "endpoint", True),
        (f"{SAGEMAKER}:endpoint/**", "endpoint", True),
        (f"{SAGEMAKER}:endpoint/?*", "endpoint", True),
        (f"{SAGEMAKER}:endpoint*", "endpoint", True),
        (f"{SAGEMAKER}:*/*", "endpoint", True),
        ("arn:aws:sagemaker:*:*:*", "endpoint", True),
        ("arn:aws:sagemaker", "endpoint", True),
        ({"Fn::Sub": f"{SUB_ARN}:endpoint/*"}, "endpoint", True),
        ({"Fn::Sub": f"{SUB_ARN}:*"}, "endpoint", True),
        (f"{SAGEMAKER}:endpoint/churn-*", "endpoint", False),
        (f"{SAGEMAKER}:endpoint/*-churn", "endpoint", False),
        (f"{SAGEMAKER}:endpoint-config/*", "endpoint", False),
        ({"Fn::Sub": f"{SUB_ARN}:endpoint/${{Bucket}}"}, "endpoint", False),
        ({"Fn::Sub": f"{SUB_ARN}:endpoint/${{Bucket}}*"}, "endpoint", False),
        ({"Ref": "Endpoint"}, "endpoint", False),
        ({"Ref": "Nobody"}, "endpoint", False),
        ({"Fn::ImportValue": "elsewhere"}, "endpoint", False),
        (f"{ACCOUNT}:role/*", "role", True),
        (f"{ACCOUNT}:role/service-role/*", "role", False),
        (f"{ACCOUNT}:role/churn-*", "role", False),
    ],
)
def test_a_resource_is_broad_when_it_leaves_no_name_out(resource: Any, kind: str, broad: bool) -> None:
    assert is_broad(value(resource), kind) is broad


def test_not_resource_names_everything() -> None:
    assert statement(Action=DEPLOY, NotResource=f"{SAGEMAKER}:endpoint/a").broad_resources("endpoint")


@pytest.mark.parametrize(
    ("operator", "given", "holds"),
    [
        ("StringEquals", "x", False),
        ("StringEqualsIfExists", "x", True),
        ("ForAllValues:StringEquals", "x", True),
        ("ForAnyValue:StringEquals", "x", False),
        ("StringNotEquals", "x", True),
        ("ForAnyValue:StringNotEquals", "x", False),
        ("NotIpAddress", "10.0.0.0/8", True),
        ("IpAddress", "10.0.0.0/8", False),
        ("Bool", "false", False),
        ("BoolIfExists", False, True),
        ("Null", "true", True),
        ("Null", True, True),
        ("Null", "false", False),
    ],
)
def test_what_a_condition_says_of_a_request_without_the_key(operator: str, given: Any, holds: bool) -> None:
    condition = statement(
        Action="*", Resource="*", Condition={operator: {"aws:SourceVpce": given}}
    ).conditions[0]
    assert condition.key == "aws:sourcevpce"
    assert condition.holds_without_key is holds


def test_an_unconditional_denial_of_everything_takes_a_right_away() -> None:
    rights = allow([DEPLOY, TRAIN], "*")
    refused = role_with(rights, {"Effect": "Deny", "Action": "sagemaker:CreateE*", "Resource": "*"})
    assert not refused.may(DEPLOY)
    assert refused.may(TRAIN)
    assert refused.allowing(DEPLOY) == []


@pytest.mark.parametrize(
    "denial",
    [
        {"Resource": "*", "Condition": {"Null": {"sagemaker:VpcSubnets": "true"}}},
        {"Resource": f"{SAGEMAKER}:endpoint/one"},
        {"NotResource": f"{SAGEMAKER}:endpoint/one"},
    ],
)
def test_a_denial_in_some_cases_leaves_the_right(denial: dict[str, Any]) -> None:
    assert role_with(allow(DEPLOY, "*"), {"Effect": "Deny", "Action": DEPLOY, **denial}).may(DEPLOY)


def managed(*statements: dict[str, Any], **properties: Any) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document, **properties}}


def test_a_boundary_limits_a_role_and_gives_it_nothing() -> None:
    limit = managed(allow(["s3:*", TRAIN], "*"), {"Effect": "Deny", "Action": "sagemaker:*", "Resource": "x"})
    body = {
        "Role": service("states", PermissionsBoundary={"Ref": "Limit"}),
        "Policy": policy("Role", allow([TRAIN, DEPLOY], "*")),
        "Limit": limit,
    }
    of = app({"Resources": body})
    limited = role_in(of)
    assert limited.may(TRAIN)
    assert not limited.may(DEPLOY)
    assert not limited.may("s3:GetObject")
    assert len(limited.denying(TRAIN)) == 1
    assert {each.node.logical_id for each in identity_statements(of)} == {"Policy"}


ATTACHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "by the policy": ({}, {"P": policy("Role", allow(DEPLOY, "*"))}),
    "inline": (
        {"Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [allow(DEPLOY, "*")]}}]},
        {},
    ),
    "by the role": ({"ManagedPolicyArns": [{"Ref": "P"}]}, {"P": managed(allow(DEPLOY, "*"))}),
    "by the managed policy": ({}, {"P": managed(allow(DEPLOY, "*"), Roles=[{"Ref": "Role"}])}),
    "from both sides": (
        {"ManagedPolicyArns": [{"Ref": "P"}]},
        {"P": managed(allow(DEPLOY, "*"), Roles=[{"Ref": "Role"}])},
    ),
    "by the name of the role": ({"RoleName": "churn"}, {"P": managed(allow(DEPLOY, "*"), Roles=["churn"])}),
    "by an open name": (
        {"RoleName": {"Fn::Sub": "churn-${AWS::Region}"}},
        {"P": managed(allow(DEPLOY, "*"), Roles=[{"Fn::Join": ["-", ["churn", {"Ref": "AWS::Region"}]]}])},
    ),
    "by the ARN of the policy": (
        {"ManagedPolicyArns": [{"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:policy/team/rights"}]},
        {"P": managed(allow(DEPLOY, "*"), ManagedPolicyName="rights")},
    ),
    "by the ARN of the role, taken apart": (
        {},
        {
            "P": managed(
                allow(DEPLOY, "*"),
                Roles=[
                    {
                        "Fn::Select": [
                            1,
                            {
                                "Fn::Split": [
                                    "/",
                                    {
                                        "Fn::Select": [
                                            5,
                                            {"Fn::Split": [":", {"Fn::GetAtt": ["Role", "Arn"]}]},
                                        ]
                                    },
                                ]
                            },
                        ]
                    }
                ],
            )
        },
    ),
    "by a resource for one policy": (
        {},
        {
            "P": {
                "Type": "AWS::IAM::RolePolicy",
                "Properties": {
                    "RoleName": {"Ref": "Role"},
                    "PolicyDocument": {"Statement": [allow(DEPLOY, "*")]},
                },
            }
        },
    ),
}


@pytest.mark.parametrize(("properties", "others"), ATTACHED.values(), ids=ATTACHED)
def test_a_role_has_what_either_side_attaches(properties: dict[str, Any], others: dict[str, Any]) -> None:
    of = app({"Resources": {"Role": service("states", **properties), "Else": service("states"), **others}})
    assert len(role_in(of).statements) == 1
    assert role_in(of).may(DEPLOY)
    assert not role_in(of, "Else").statements
    for policy_node in (each for each in of.all_nodes if each.type != ROLE):
        assert [holder.node.logical_id for holder in holders(policy_node)] == ["Role"]


def test_a_user_has_what_its_groups_have() -> None:
    resources = {
        "Group": {"Type": "AWS::IAM::Group"},
        "User": {"Type": "AWS::IAM::User", "Properties": {"Groups": [{"Ref": "Group"}]}},
        "Rights": managed(allow(DEPLOY, "*"), Groups=[{"Ref": "Group"}]),
    }
    of = app({"Resources": resources})
    assert role_in(of, "User").may(DEPLOY)
    assert role_in(of, "Group").may(DEPLOY)


def test_a_role_of_another_stack_is_found_by_its_export() -> None:
    exported = {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}, "Export": {"Name": "role"}}}
    roles = read("Roles", {"Resources": {"Role": service("lambda")}, "Outputs": exported})
    holder = {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::ImportValue": "role"}}}
    of = graph(roles, read("Functions", {"Resources": {"Function": holder}}))
    found = role_of(node(of, "Function")["Role"])
    assert found is not None
    assert found.node.logical_id == "Role"


def test_a_role_that_is_passed_to_a_nested_stack_has_the_policies_of_both() -> None:
    nested = {
        "Parameters": {"RoleName": {"Type": "String"}},
        "Resources": {"Inner": managed(allow(TRAIN, "*"), Roles=[{"Ref": "RoleName"}])},
    }
    outer = {
        "Role": service("states"),
        "Outer": policy("Role", allow(DEPLOY, "*")),
        "Nested": {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"Parameters": {"RoleName": {"Ref": "Role"}}},
            "Metadata": {"aws:asset:path": "Inner.template.json"},
        },
    }
    of = graph(read("Outer", {"Resources": outer}), read("Inner", nested))
    assert {each.node.logical_id for each in role_in(of).statements} == {"Outer", "Inner"}


def test_a_policy_behind_a_condition_counts_in_each_branch() -> None:
    either = {"Fn::If": ["Sometimes", allow(DEPLOY, "*"), allow(TRAIN, "*")]}
    resources = {"Role": service("states"), "Policy": policy("Role", either)}
    of = app({"Resources": resources, "Conditions": {"Sometimes": {"Fn::Equals": ["a", "b"]}}})
    holder = node(of, "Role")
    seen = []

    def judged() -> list[Any]:
        seen.append((role(holder).may(DEPLOY), role(holder).may(TRAIN)))
        return [passes(holder) if role(holder).may(TRAIN) else fails(holder, "deploys")]

    found = of.assumptions.explore(judged)
    assert seen == [(True, False), (False, True)]
    assert [each.message for each in found if each.message] == ["deploys"]


@pytest.mark.parametrize(
    ("principal", "people"),
    [
        ({"Service": "states.amazonaws.com"}, False),
        ({"AWS": f"{ACCOUNT}:root"}, True),
        ({"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}, True),
        ({"Federated": f"{ACCOUNT}:saml-provider/company"}, True),
        ({"Federated": f"{ACCOUNT}:oidc-provider/company"}, True),
        ("*", True),
        ({"Service": "states.amazonaws.com", "AWS": ["123456789012"]}, True),
        ({"AWS": {"Fn::GetAtt": ["Machine", "Arn"]}}, False),
        ({"AWS": {"Fn::GetAtt": ["Person", "Arn"]}}, True),
        ({"AWS": {"Fn::GetAtt": ["Role", "Arn"]}}, False),
    ],
)
def test_people_are_those_who_come_from_an_account_or_a_provider(principal: Any, people: bool) -> None:
    resources = {
        "Role": trusting(principal),
        "Machine": service("lambda"),
        "Person": trusting({"AWS": f"{ACCOUNT}:root"}),
    }
    assert role_in(app({"Resources": resources})).trusts_people is people


def test_a_service_is_trusted_in_every_partition_and_not_by_a_denial() -> None:
    china = role_in(app({"Resources": {"Role": trusting({"Service": "sagemaker.amazonaws.com.cn"})}}))
    assert china.trusts("sagemaker")
    body = trusting({"Service": "sagemaker.amazonaws.com"})
    body["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Effect"] = "Deny"
    assert not role_in(app({"Resources": {"Role": body}})).trusts("sagemaker")


def functions(rights: dict[str, Any], **properties: Any) -> Graph:
    resources = {
        "Role": service("lambda", **properties),
        "Policy": policy("Role", rights),
        "Function": function("Role"),
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint"},
    }
    return app({"Resources": resources})


@pytest.mark.parametrize(
    ("action", "resource", "may"),
    [
        ("sagemaker:InvokeEndpoint", {"Ref": "Endpoint"}, True),
        ("sagemaker:InvokeEndpointAsync", f"{SAGEMAKER}:endpoint/x", True),
        ("sagemaker:*", "*", True),
        ("*", "*", True),
        ("*", "arn:aws:s3:::models", False),
        ("sagemaker:*", f"{SAGEMAKER}:training-job/*", False),
        ("sagemaker:DescribeEndpoint", "*", False),
        ("rekognition:DetectFaces", "*", False),
    ],
)
def test_a_function_may_invoke_what_its_role_may(action: str, resource: Any, may: bool) -> None:
    assert may_invoke_endpoint(node(functions(allow(action, resource)), "Function")) is may


@pytest.mark.parametrize(
    ("name", "may"), [("AmazonSageMakerFullAccess", True), ("AmazonS3FullAccess", False)]
)
def test_a_policy_of_aws_lets_a_function_invoke(name: str, may: bool) -> None:
    of = functions(allow("logs:PutLogEvents", "*"), ManagedPolicyArns=[of_aws(name)])
    assert may_invoke_endpoint(node(of, "Function")) is may
    assert is_ml_function(node(of, "Function")) is may


@pytest.mark.parametrize(
    ("action", "services"),
    [
        (["rekognition:DetectFaces", "Polly:*"], {"rekognition", "polly"}),
        ("*", {"rekognition", "comprehend", "transcribe", "translate", "textract", "polly"}),
        ("s3:GetObject", set()),
        ("comprehendmedical:DetectPHI", set()),
    ],
)
def test_the_ai_services_of_a_role_are_those_it_may_call(action: Any, services: set[str]) -> None:
    of = functions(allow(action, "*"))
    assert ai_services(role_in(of)) == services
    assert is_ml_function(node(of, "Function")) is bool(services)


def test_a_function_with_a_role_from_elsewhere_may_nothing() -> None:
    outside = {"Type": "AWS::Lambda::Function", "Properties": {"Role": f"{ACCOUNT}:role/elsewhere"}}
    of = app({"Resources": {"Function": outside}})
    assert not may_invoke_endpoint(node(of, "Function"))
    assert not is_ml_function(node(of, "Function"))
