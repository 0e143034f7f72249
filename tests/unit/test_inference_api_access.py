"""Who may call an API, from where, and what its function may do."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.foundation import AlarmTopic, Posture, PropError
from ml_lens.foundation.storage import grant
from ml_lens.hosting import ApiAccess, ApiOptions, ApiReach, Throttle
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.synthesis import findings, new_app, templates
from tests.stacks.template import Template, text
from tests.unit.apis import API, FUNCTION, METHOD, ROLE, function_says, serve
from tests.unit.serving import ENDPOINT, PRODUCTION, SANDBOX, template

DOOR, NEXT_DOOR = "vpce-0123456789abcdef0", "vpce-0fedcba9876543210"
REDUNDANT_DEPENDS_ON = "W3005"


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


def shop(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Shop", assumed_by=iam.AccountPrincipal(stack.account))


@pytest.mark.lens("IAM-05", "IAM-07")
def test_a_consumer_may_ask_for_predictions_and_nothing_else(stack: cdk.Stack) -> None:
    role = shop(stack)
    serve(stack).grant_invoke(role).assert_success()
    made = template(stack)
    (statement,) = made.statements(made.id(ROLE, "Shop"))
    assert statement.actions == {"execute-api:Invoke"}
    api = made.id(API, "Api")
    (arn,) = statement.resources
    assert arn.partition(f"<{api}>")[2].endswith("/POST/predictions")
    assert "*" not in arn


@pytest.mark.lens("IAM-06")
def test_only_the_function_calls_the_endpoint_and_no_other_endpoint(stack: cdk.Stack) -> None:
    serve(stack)
    made = template(stack)
    (calling,) = function_says(made, "sagemaker:InvokeEndpoint")
    assert calling.resources == (f"<{made.id(ENDPOINT, 'Churn')}>",)
    holders = [id for id in made.resources(ROLE) if "sagemaker:InvokeEndpoint" in made.actions(id)]
    assert holders == [made.id(ROLE, "ApiFunctionRole")]


@pytest.mark.lens("F14-02")
def test_the_function_runs_in_the_private_network_and_reaches_the_runtime_only(stack: cdk.Stack) -> None:
    serve(stack)
    made = template(stack)
    group = made.id("AWS::EC2::SecurityGroup", "ApiFunctionSecurityGroup")
    placed = made.one(FUNCTION, "ApiFunction")["VpcConfig"]
    assert placed["SecurityGroupIds"] == [{"Fn::GetAtt": [group, "GroupId"]}]
    assert len(placed["SubnetIds"]) == 2
    assert not made.resources("AWS::EC2::InternetGateway", "AWS::EC2::NatGateway")
    # The one rule in the group leads nowhere, and the one beside it to the endpoints.
    assert [rule["CidrIp"] for rule in made.resources()[group]["SecurityGroupEgress"]] == ["127.0.0.1/32"]
    assert "SecurityGroupIngress" not in made.resources()[group]
    (out,) = [
        rule
        for rule in made.resources("AWS::EC2::SecurityGroupEgress").values()
        if rule["GroupId"] == {"Fn::GetAtt": [group, "GroupId"]}
    ]
    assert out["DestinationSecurityGroupId"] == {
        "Fn::GetAtt": [made.id("AWS::EC2::SecurityGroup", "NetworkEndpointSecurityGroup"), "GroupId"]
    }
    assert (out["FromPort"], out["ToPort"]) == (443, 443)
    names = [text(each["ServiceName"]) for each in made.resources("AWS::EC2::VPCEndpoint").values()]
    assert [name for name in names if name.endswith("sagemaker.runtime")]


@pytest.mark.lens("F14-02")
def test_lambda_connects_the_function_and_its_code_may_not(stack: cdk.Stack) -> None:
    serve(stack)
    made = template(stack)
    role = made.id(ROLE, "ApiFunctionRole")
    allowed = [each for each in made.statements(role) if each.effect == "Allow"]
    (denied,) = [each for each in made.statements(role) if each.effect == "Deny"]
    assert denied.condition == {"Null": {"lambda:SourceFunctionArn": "false"}}
    connecting = {action for each in allowed for action in each.actions if action.startswith("ec2:")}
    assert connecting <= denied.actions
    (creating,) = [each for each in allowed if "ec2:CreateNetworkInterface" in each.actions]
    kinds = sorted(arn.rpartition(":")[2].partition("/")[0] for arn in creating.resources)
    assert kinds == ["network-interface", "security-group", "subnet", "subnet"]
    assert made.actions(role) == {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sagemaker:InvokeEndpoint",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
    assert "ManagedPolicyArns" not in made.resources()[role]


@pytest.mark.lens("F14-10", "IAM-07")
def test_tokens_of_a_user_pool_need_one_of_the_scopes(stack: cdk.Stack) -> None:
    pool = cognito.UserPool(stack, "Pool")
    api = serve(stack, access=ApiAccess.cognito(pool, scopes=["churn/predict"]))
    with pytest.raises(PropError, match="app client"):
        api.grant_invoke(shop(stack))
    made = template(stack)
    (method,) = made.resources(METHOD).values()
    assert method["AuthorizationType"] == "COGNITO_USER_POOLS"
    assert method["AuthorizationScopes"] == ["churn/predict"]
    authorizer = made.only("AWS::ApiGateway::Authorizer")
    assert authorizer["ProviderARNs"] == [{"Fn::GetAtt": [made.id("AWS::Cognito::UserPool", "Pool"), "Arn"]}]
    line = made.only("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"]
    assert "claims.client_id" in line


def policy(made: Template) -> list[dict[str, Any]]:
    return [dict(each) for each in made.only(API)["Policy"]["Statement"]]


@pytest.mark.lens("IAM-08")
def test_callers_from_elsewhere_are_denied_whoever_they_are(stack: cdk.Stack) -> None:
    serve(stack, options=ApiOptions(reach=ApiReach.internet(ip_ranges=["203.0.113.0/24", "2001:db8::/32"])))
    allowing, denying = policy(template(stack))
    assert denying["Effect"] == "Deny"
    assert denying["Principal"] == "*"
    assert denying["Resource"] == "execute-api:/*"
    assert denying["Condition"] == {"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}}
    # An allowance for everybody would let every role of the account in, granted or not.
    assert text(allowing["Principal"]).endswith(":<AWS::AccountId>:root")
    assert allowing["Resource"] == "execute-api:/v1/POST/predictions"


@pytest.mark.lens("IAM-08", "IAM-09")
def test_a_private_api_is_reached_by_named_endpoints_only(stack: cdk.Stack) -> None:
    reach = ApiReach.private(
        vpc_endpoints=[DOOR, NEXT_DOOR], vpcs=["vpc-0123456789abcdef0"], ip_ranges=["10.1.0.0/16"]
    )
    serve(stack, access=ApiAccess.iam(accounts=["111122223333"]), options=ApiOptions(reach=reach))
    made = template(stack)
    assert made.only(API)["EndpointConfiguration"]["Types"] == ["PRIVATE"]
    allowing, *denials = policy(made)
    assert [each["Condition"] for each in denials] == [
        {"StringNotEquals": {"aws:SourceVpce": [DOOR, NEXT_DOOR]}},
        {"StringNotEquals": {"aws:SourceVpc": ["vpc-0123456789abcdef0"]}},
        {"NotIpAddress": {"aws:VpcSourceIp": ["10.1.0.0/16"]}},
    ]
    assert {each["Effect"] for each in denials} == {"Deny"}
    ours, theirs = [text(each) for each in allowing["Principal"]["AWS"]]
    assert ours.endswith(":<AWS::AccountId>:root")
    assert theirs.endswith(":111122223333:root")


def test_tokens_name_no_account_so_the_policy_allows_whoever_shows_one(stack: cdk.Stack) -> None:
    serve(
        stack,
        access=ApiAccess.cognito(cognito.UserPool(stack, "Pool"), scopes=["churn/predict"]),
        options=ApiOptions(reach=ApiReach.private(vpc_endpoints=[DOOR])),
    )
    allowing, denying = policy(template(stack))
    assert allowing["Principal"] == "*"
    assert denying["Condition"] == {"StringNotEquals": {"aws:SourceVpce": [DOOR]}}


@pytest.mark.lens("IAM-05")
def test_roles_of_another_account_may_be_let_in_by_that_account(stack: cdk.Stack) -> None:
    serve(stack, access=ApiAccess.iam(accounts=["111122223333"]))
    (allowing,) = policy(template(stack))
    assert [text(each).split(":")[-2] for each in allowing["Principal"]["AWS"]] == [
        "AccountId>",
        "111122223333",
    ]


class Kept:
    """A table as ``Outcomes`` and ``Experiment`` have one."""

    days = 45

    def __init__(self, stack: cdk.Stack, id: str) -> None:
        self.table = dynamodb.Table(
            stack, id, partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
        )

    def grant_record_predictions(self, grantee: iam.IGrantable) -> iam.Grant:
        return grant(grantee, ["dynamodb:PutItem"], self.table.table_arn)

    def grant_read_assignment(self, grantee: iam.IGrantable) -> iam.Grant:
        return grant(grantee, ["dynamodb:GetItem"], self.table.table_arn)


def test_outcomes_and_experiments_are_reached_by_the_gateway_of_the_network(stack: cdk.Stack) -> None:
    outcomes, experiment = Kept(stack, "Outcomes"), Kept(stack, "Experiment")
    serve(stack, options=ApiOptions(outcomes=outcomes, experiment=experiment))
    made = template(stack)
    variables = made.one(FUNCTION, "ApiFunction")["Environment"]["Variables"]
    assert variables["OUTCOMES_TABLE"] == {"Ref": made.id("AWS::DynamoDB::Table", "Outcomes")}
    assert variables["OUTCOMES_DAYS"] == "45"
    assert variables["EXPERIMENT_TABLE"] == {"Ref": made.id("AWS::DynamoDB::Table", "Experiment")}
    assert function_says(made, "dynamodb:PutItem")
    assert function_says(made, "dynamodb:GetItem")
    names = [text(each["ServiceName"]) for each in made.resources("AWS::EC2::VPCEndpoint").values()]
    assert [name for name in names if name.endswith("dynamodb")]
    group = made.one("AWS::EC2::SecurityGroup", "ApiFunctionSecurityGroup")
    assert [(rule["CidrIp"], rule["FromPort"]) for rule in group["SecurityGroupEgress"]] == [
        ("0.0.0.0/0", 443)
    ]


def deployable(app: cdk.App, posture: Posture) -> None:
    """One API of every kind, as an app would have them."""
    stack = cdk.Stack(app, "Serving", tags=posture.tags)
    everything = serve(
        stack,
        posture=posture,
        throttle=Throttle(daily_quota=1000),
        options=ApiOptions(
            account_logging=True,
            reach=ApiReach.internet(ip_ranges=["203.0.113.0/24"]),
            web_acl_arn="arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/front/0f1e2d3c",
        ),
    )
    everything.consumer_key("ShopKey")
    everything.grant_invoke(shop(stack))
    pool = cognito.UserPool(stack, "Pool")
    tokens = serve(
        stack, id="Tokens", posture=posture, access=ApiAccess.cognito(pool, scopes=["churn/predict"])
    )
    private = serve(
        stack,
        id="Private",
        posture=posture,
        options=ApiOptions(reach=ApiReach.private(vpc_endpoints=[DOOR])),
    )
    alarms = [alarm for each in (everything, tokens, private) for alarm in each.alarms]
    AlarmTopic(stack, "Tell", posture=posture).tell_of(alarms)


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_the_packs_find_nothing_in_an_api(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path, validated=True)
    deployable(app, posture)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        # The model of the tests has none of what the app around it would add.
        app.synth()
    ours = [
        found
        for found in findings(tmp_path)
        if any(f" Serving/{name}" in found for name in ("Api", "Tokens", "Private", "Shop"))
    ]
    assert ours == []


@pytest.mark.parametrize("posture", [SANDBOX, PRODUCTION], ids=lambda posture: posture.name)
def test_cfn_lint_finds_nothing(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path)
    deployable(app, posture)
    body = json.dumps(templates(app)["Serving"].body)
    found = lint(body, list(get_rules([], [], [], {}, False)), regions=["eu-west-1"])
    assert [str(match) for match in found if match.rule.id != REDUNDANT_DEPENDS_ON] == []
