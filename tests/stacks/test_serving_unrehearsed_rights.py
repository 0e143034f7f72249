"""Rights for serving that the sandbox does not enforce, proven to be there and narrow from the template alone.

``tests/rehearsal/test_serving_rights.py`` takes every other right away and sees a call or a new model fail.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.stacks.serving_scenario import serving
from tests.stacks.template import Statement, Template, text

ROLE, MODEL, FUNCTION = "AWS::IAM::Role", "AWS::SageMaker::Model", "AWS::Lambda::Function"
CONFIG, FLOW_LOG = "AWS::SageMaker::EndpointConfig", "AWS::EC2::FlowLog"
HERE = "arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:"
INTERFACES = f"{HERE}network-interface/*"

TRACING = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")
LOOKING_AT_NETWORKS = (
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
PULLING = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
DELIVERING = {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}


@pytest.fixture(scope="module", params=["sandbox", "production"])
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Every posture in turn."""
    return serving(tmp_path_factory.mktemp(request.param), posture=request.param)


def server(template: Template) -> str:
    """Return the role under which the model is served."""
    return str(template.only(MODEL)["ExecutionRoleArn"]["Fn::GetAtt"][0])


def allowing(template: Template, action: str) -> dict[str, list[Statement]]:
    """Return the statements that allow ``action``, by their roles."""
    found = {
        role: [
            said for said in template.statements(role) if said.effect == "Allow" and action in said.actions
        ]
        for role in template.resources(ROLE)
    }
    return {role: said for role, said in found.items() if said}


def resources_of_server(template: Template, action: str) -> set[str]:
    return {each for said in allowing(template, action)[server(template)] for each in said.resources}


def placed(template: Template) -> Mapping[str, Any]:
    network: Mapping[str, Any] = template.only(MODEL)["VpcConfig"]
    return network


def subnets_of(template: Template) -> set[str]:
    return {f"{HERE}subnet/{text(subnet)}" for subnet in placed(template)["Subnets"]}


@pytest.mark.parametrize("action", TRACING)
def test_only_functions_that_are_traced_send_traces(each: Template, action: str) -> None:
    traced = {
        made["Role"]["Fn::GetAtt"][0]
        for made in each.resources(FUNCTION).values()
        if made.get("TracingConfig") == {"Mode": "Active"}
    }
    assert traced
    assert allowing(each, action).keys() == traced


@pytest.mark.parametrize("action", PULLING)
def test_only_the_server_pulls_images_and_only_from_the_repository_of_its_own(
    each: Template, action: str
) -> None:
    assert allowing(each, action).keys() == {server(each)}
    (repository,) = resources_of_server(each, action)
    account, name = repository.rpartition(":")[0], repository.rpartition(":repository/")[2]
    image = text(each.only(MODEL)["PrimaryContainer"]["Image"])
    assert "MLLensImageAccounts" in account
    assert "MLLensImageAccounts" in image
    assert image.partition("/")[2].partition(":")[0] == name


def test_only_the_server_logs_in_to_registries(each: Template) -> None:
    assert allowing(each, "ecr:GetAuthorizationToken").keys() == {server(each)}
    assert resources_of_server(each, "ecr:GetAuthorizationToken") == {"*"}


def test_the_server_puts_interfaces_into_the_subnets_of_the_model_with_its_groups(each: Template) -> None:
    groups = {f"{HERE}security-group/{text(group)}" for group in placed(each)["SecurityGroupIds"]}
    assert resources_of_server(each, "ec2:CreateNetworkInterface") == {
        INTERFACES,
        *subnets_of(each),
        *groups,
    }


@pytest.mark.parametrize("action", ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"])
def test_the_server_hands_on_and_takes_away_interfaces_of_those_subnets_alone(
    each: Template, action: str
) -> None:
    (said,) = allowing(each, action)[server(each)]
    assert said.resources == (INTERFACES,)
    assert said.condition.keys() == {"ArnEquals"}
    assert {text(subnet) for subnet in said.condition["ArnEquals"]["ec2:Subnet"]} == subnets_of(each)


@pytest.mark.parametrize("action", LOOKING_AT_NETWORKS)
def test_the_server_looks_at_networks_where_no_resource_can_be_named(each: Template, action: str) -> None:
    (said,) = allowing(each, action)[server(each)]
    assert said.resources == ("*",)
    assert said.actions <= {*LOOKING_AT_NETWORKS, "ecr:GetAuthorizationToken"}


@pytest.mark.parametrize("action", ["kms:CreateGrant", "kms:DescribeKey"])
def test_only_the_server_hands_on_the_key_of_its_volumes(each: Template, action: str) -> None:
    assert allowing(each, action).keys() == {server(each)}
    assert resources_of_server(each, action) == {key_of_volumes(each)}


def test_the_key_of_volumes_is_handed_on_to_services_only(each: Template) -> None:
    (said,) = allowing(each, "kms:CreateGrant")[server(each)]
    assert said.actions == {"kms:CreateGrant"}
    assert said.condition == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:GenerateDataKey"])
def test_only_the_server_uses_keys_and_only_those_of_its_volumes_and_recorded_calls(
    each: Template, action: str
) -> None:
    recorded = each.key_of(each.id("AWS::S3::Bucket", "ChurnCaptured"))
    assert allowing(each, action).keys() == {server(each)}
    assert resources_of_server(each, action) == {key_of_volumes(each), f"<{recorded}.Arn>"}


def key_of_volumes(template: Template) -> str:
    return text(template.only(CONFIG)["KmsKeyId"]).replace(">", ".Arn>").replace(".Arn.Arn", ".Arn")


def test_only_the_server_publishes_metrics_and_only_those_of_instances_of_endpoints(each: Template) -> None:
    publishing = allowing(each, "cloudwatch:PutMetricData")
    assert publishing.keys() == {server(each)}
    (said,) = publishing[server(each)]
    assert said.condition == {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}}


def test_the_server_looks_for_its_streams_in_the_log_it_writes(each: Template) -> None:
    assert allowing(each, "logs:DescribeLogStreams").keys() == {server(each)}
    written = resources_of_server(each, "logs:PutLogEvents")
    assert resources_of_server(each, "logs:DescribeLogStreams") == written
    assert written == {f"<{each.id('AWS::Logs::LogGroup', 'ChurnLogs')}.Arn>"}


def test_flow_logs_deliver_to_their_log_and_may_do_nothing_else(each: Template) -> None:
    flow_log = each.only(FLOW_LOG)
    role = flow_log["DeliverLogsPermissionArn"]["Fn::GetAtt"][0]
    assert each.statements(role) == []
    (policy,) = each.resources(ROLE)[role]["Policies"]
    (said,) = map(Statement.of, policy["PolicyDocument"]["Statement"])
    assert said.actions == DELIVERING
    assert said.resources == (f"<{flow_log['LogGroupName']['Ref']}.Arn>",)
