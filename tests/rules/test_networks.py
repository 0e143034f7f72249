"""Networks over several templates, networks that are not part of the app, and what the CDK really writes."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import read_templates
from tests.rules.apps import read
from tests.rules.cases.networks import (
    EVERYTHING,
    NETWORK,
    NOTEBOOK,
    VPC,
    endpoints,
    flow_log,
    gateway,
    interface,
    machine,
    policy,
    subnet,
)
from tests.rules.fixtures import OPEN_PARAMETER, said, template, told

FLOW_LOGS = "SEC02-MlVpcFlowLogs"
ENDPOINTS = "SEC02-MlVpcEndpoints"
POLICIES = "SEC02-VpcEndpointPolicyRestricted"
APP: dict[str, Any] = {"Notebook": NOTEBOOK, "SubnetA": subnet(), "SubnetB": subnet(), "Vpc": VPC}
IMPORTED: dict[str, Any] = {
    "Notebook": {
        "Type": "AWS::SageMaker::NotebookInstance",
        "Properties": {"SubnetId": "subnet-1", "SecurityGroupIds": [{"Fn::GetAtt": ["Group", "GroupId"]}]},
    }
}
GROUP = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"VpcId": "vpc-1"}}
Told = list[tuple[str | None, str, str]]


def found(rule: str, resources: Mapping[str, Any], **sections: Any) -> Told:
    return told(said(rule, template(resources, **sections), {}))


def found_together(rule: str, **templates: Mapping[str, Any]) -> Told:
    files = [read(name, body) for name, body in templates.items()]
    return told([each for each in judge(files, Options()) if each.rule == f"MLLens-{rule}"])


def message(rule: str, resources: Mapping[str, Any]) -> str:
    (only,) = said(rule, template(resources), {})
    return only.message


def role(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    document = {"Statement": [statement]}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"Policies": [{"PolicyName": "p", "PolicyDocument": document}]},
    }


# --- which networks are judged --------------------------------------------------------------------


def test_a_network_without_machine_learning_is_not_judged() -> None:
    web = {"Vpc": VPC, "SubnetA": subnet(), "S3": gateway(), "Given": gateway(OPEN_PARAMETER)}
    for rule in (FLOW_LOGS, ENDPOINTS, POLICIES):
        assert found(rule, web) == []


@pytest.mark.parametrize(("action", "judged"), [("sagemaker:InvokeEndpoint", True), ("s3:GetObject", False)])
def test_a_function_counts_if_it_may_invoke_endpoints(action: str, judged: bool) -> None:
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "VpcConfig": {"SubnetIds": [{"Ref": "SubnetA"}], "SecurityGroupIds": ["sg-1"]},
        },
    }
    app = {"Function": function, "Role": role(action), "SubnetA": subnet(), "Vpc": VPC}
    assert found(FLOW_LOGS, app) == ([(None, "error", "Vpc")] if judged else [])


def test_a_job_that_is_told_its_whole_network_while_it_runs_names_none() -> None:
    computed = machine("createTrainingJob", {"VpcConfig.$": "$.network"})
    assert found(FLOW_LOGS, {"Machine": computed}) == []


def test_a_job_that_is_told_its_subnets_while_it_runs_leaves_its_network_open() -> None:
    computed = machine("createTrainingJob", {"VpcConfig": {"Subnets.$": "$.subnets"}})
    path = "DefinitionString.States.Work.Parameters.VpcConfig.Subnets"
    for rule in (FLOW_LOGS, ENDPOINTS):
        assert found(rule, {"Machine": computed}) == [(f"unresolved:{path}", "warning", "Machine")]


def test_a_list_of_nothing_names_no_network() -> None:
    nothing = {"VpcConfig": {"Subnets": [{"Ref": "AWS::NoValue"}]}}
    for rule in (FLOW_LOGS, ENDPOINTS):
        assert found(rule, {"Model": {"Type": "AWS::SageMaker::Model", "Properties": nothing}}) == []


def test_two_networks_are_judged_apart() -> None:
    second = {
        "Other": VPC,
        "SubnetO": subnet({"Ref": "Other"}),
        "OtherNotebook": {"Type": NOTEBOOK["Type"], "Properties": {"SubnetId": {"Ref": "SubnetO"}}},
    }
    assert found(FLOW_LOGS, {**APP, **second, "Log": flow_log({"Ref": "Vpc"})}) == [(None, "error", "Other")]


def test_a_subnet_that_names_its_vpc_in_a_circle_leaves_it_open() -> None:
    circle = {**APP, "SubnetA": subnet({"Fn::GetAtt": ["SubnetA", "VpcId"]})}
    assert found(FLOW_LOGS, circle) == [("unresolved:SubnetId", "warning", "Notebook")]


def test_both_branches_of_a_condition_are_judged() -> None:
    other = {"Other": VPC, "SubnetO": subnet({"Ref": "Other"}), "Log": flow_log({"Ref": "Vpc"})}
    app = {**copy.deepcopy(APP), **other}
    app["Notebook"]["Properties"]["SubnetId"] = {"Fn::If": ["C", {"Ref": "SubnetA"}, {"Ref": "SubnetO"}]}
    assert found(FLOW_LOGS, app, Conditions={"C": {"Fn::Equals": ["a", "b"]}}) == [(None, "error", "Other")]


# --- flow logs ------------------------------------------------------------------------------------


def test_one_flow_log_of_all_traffic_is_enough() -> None:
    vpc = {"Ref": "Vpc"}
    assert found(FLOW_LOGS, {**APP, "Refused": flow_log(vpc, "REJECT"), "All": flow_log(vpc)}) == []
    subnets = {"Refused": flow_log(vpc, "REJECT"), "OfSubnet": flow_log({"Ref": "SubnetA"})}
    assert found(FLOW_LOGS, {**APP, **subnets}) == []
    assert found(FLOW_LOGS, {**APP, "Refused": flow_log(vpc, "REJECT")}) == [(None, "error", "Refused")]


def test_a_flow_log_may_name_the_vpc_by_way_of_a_subnet() -> None:
    assert found(FLOW_LOGS, {**APP, "Log": flow_log({"Fn::GetAtt": ["SubnetB", "VpcId"]})}) == []


def test_a_flow_log_of_a_known_network_is_not_taken_for_another_one() -> None:
    """The parameter names the network of one notebook, so it is not the one without a flow log."""
    second = {
        "SubnetO": subnet(OPEN_PARAMETER),
        "Other": {"Type": NOTEBOOK["Type"], "Properties": {"SubnetId": {"Ref": "SubnetO"}}},
        "Log": flow_log(OPEN_PARAMETER),
    }
    assert found(FLOW_LOGS, {**APP, **second}) == [(None, "error", "Vpc")]


# --- networks that are not part of the app --------------------------------------------------------


def test_the_user_of_an_imported_subnet_gets_one_warning() -> None:
    assert found(FLOW_LOGS, IMPORTED) == [("unresolved:SubnetId", "warning", "Notebook")]
    assert found(ENDPOINTS, IMPORTED) == [("unresolved:SubnetId", "warning", "Notebook")]


def test_a_domain_with_several_imported_subnets_gets_one_warning() -> None:
    properties = {"VpcId": "vpc-1", "SubnetIds": ["subnet-1", "subnet-2"]}
    domain = {"Domain": {"Type": "AWS::SageMaker::Domain", "Properties": properties}}
    assert found(FLOW_LOGS, domain) == [("unresolved:SubnetIds", "warning", "Domain")]
    assert found(ENDPOINTS, domain) == [("unresolved:SubnetIds", "warning", "Domain")]
    assert message(ENDPOINTS, domain).startswith(
        "SubnetIds is subnet-1, in a network that is not part of the app;"
    )


@pytest.mark.parametrize(
    "other",
    [
        {"Group": GROUP},
        {
            "Domain": {
                "Type": "AWS::SageMaker::Domain",
                "Properties": {"VpcId": "vpc-1", "SubnetIds": ["subnet-1"]},
            }
        },
        {"Queue": interface("sqs", "vpc-1", SubnetIds=["subnet-1", "subnet-2"])},
    ],
)
def test_an_imported_network_is_known_by_what_names_it_beside_the_subnet(other: dict[str, Any]) -> None:
    app = {**IMPORTED, **other, **endpoints("vpc-1"), "Log": flow_log("vpc-1")}
    assert found(FLOW_LOGS, app) == []
    assert found(ENDPOINTS, app) == []
    elsewhere = {**IMPORTED, **other, **endpoints("vpc-2"), "Log": flow_log("vpc-2")}
    assert ("unresolved:SubnetId", "warning", "Notebook") in found(FLOW_LOGS, elsewhere)
    assert ("unresolved:SubnetId", "warning", "Notebook") in found(ENDPOINTS, elsewhere)


def test_flow_logs_of_imported_subnets_are_found_by_their_ids() -> None:
    assert found(FLOW_LOGS, {**IMPORTED, "Log": flow_log("subnet-1")}) == []


def test_all_subnets_of_one_user_are_in_the_same_network() -> None:
    mixed = {"VpcConfig": {"Subnets": ["subnet-1", {"Ref": "SubnetA"}]}}
    app = {"Model": {"Type": "AWS::SageMaker::Model", "Properties": mixed}, "SubnetA": subnet(), "Vpc": VPC}
    assert found(FLOW_LOGS, {**app, "Log": flow_log({"Ref": "Vpc"})}) == []
    assert found(FLOW_LOGS, app) == [(None, "error", "Vpc")]


# --- endpoints ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "com.amazonaws.eu-west-1.sts",
        "com.amazonaws.us-east-1.sts-fips",
        "cn.com.amazonaws.cn-north-1.sts",
        {"Fn::Sub": "com.amazonaws.${AWS::Region}.sts"},
        {"Fn::Join": [".", ["com.amazonaws", {"Ref": "AWS::Region"}, "sts"]]},
    ],
)
def test_a_service_is_known_by_the_end_of_its_name(name: Any) -> None:
    app = {**APP, **endpoints(), "Sts": interface("", ServiceName=name)}
    assert found(ENDPOINTS, app) == []


@pytest.mark.parametrize("name", ["com.amazonaws.eu-west-1.s3express", "com.amazonaws.s3-global.accesspoint"])
def test_a_service_with_a_similar_name_is_another_one(name: str) -> None:
    app = {**APP, **endpoints(), "S3": gateway(ServiceName=name)}
    assert found(ENDPOINTS, app) == [(None, "error", "Vpc")]


def test_what_is_missing_is_named() -> None:
    app = {
        name: body
        for name, body in {**APP, **endpoints()}.items()
        if name not in ("Kms", "Notebooks", "Studio")
    }
    assert message(ENDPOINTS, app) == "has no VPC endpoint for kms, notebook"


def test_a_network_of_spark_alone_needs_no_endpoint_of_sagemaker() -> None:
    cluster = {"Type": "AWS::EMR::Cluster", "Properties": {"Instances": {"Ec2SubnetId": {"Ref": "SubnetA"}}}}
    app = {name: body for name, body in {**APP, "Notebook": cluster}.items() if name != "SubnetB"}
    assert message(ENDPOINTS, app) == "has no VPC endpoint for s3, logs, kms, sts"


def test_a_service_of_which_only_the_end_is_known_is_hidden() -> None:
    partly = interface("", ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.${NobodyKnows}ts"})
    assert found(ENDPOINTS, {**APP, **endpoints(), "Sts": partly}) == [
        ("unresolved:ServiceName", "warning", "Sts")
    ]


def test_one_hidden_service_cannot_be_two_missing_ones() -> None:
    hidden = {**APP, **endpoints(), "Kms": interface("", ServiceName=OPEN_PARAMETER)}
    assert found(ENDPOINTS, hidden) == [("unresolved:ServiceName", "warning", "Kms")]
    del hidden["Sts"]
    assert found(ENDPOINTS, hidden) == [(None, "error", "Vpc")]


def test_one_endpoint_with_private_dns_is_enough_for_a_service() -> None:
    assert found(ENDPOINTS, {**APP, **endpoints(), "Old": interface("kms", PrivateDnsEnabled=False)}) == []


def test_s3_may_be_reached_by_an_interface_with_private_dns() -> None:
    for private, expected in ((True, []), (False, [(None, "error", "S3")])):
        assert (
            found(ENDPOINTS, {**APP, **endpoints(), "S3": interface("s3", PrivateDnsEnabled=private)})
            == expected
        )
    beside = {"Interface": interface("s3", PrivateDnsEnabled=False)}
    assert found(ENDPOINTS, {**APP, **endpoints(), **beside}) == []


def test_private_dns_of_other_services_is_not_asked_for() -> None:
    assert (
        found(ENDPOINTS, {**APP, **endpoints(), "Api": interface("execute-api", PrivateDnsEnabled=False)})
        == []
    )


def test_a_private_image_of_a_job_needs_the_endpoints_of_the_registry() -> None:
    image = {"TrainingImage": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:7"}
    job = machine("createTrainingJob", {**NETWORK, "AlgorithmSpecification": image})
    app = {"Machine": job, "SubnetA": subnet(), "SubnetB": subnet(), "Vpc": VPC, **endpoints()}
    assert message(ENDPOINTS, app) == "has no VPC endpoint for ecr.api, ecr.dkr"
    assert found(ENDPOINTS, {**app, "Api": interface("ecr.api"), "Dkr": interface("ecr.dkr")}) == []


def test_an_open_image_does_not_matter_where_the_endpoints_of_the_registry_are() -> None:
    model = {
        "Type": "AWS::SageMaker::Model",
        "Properties": {**NETWORK, "PrimaryContainer": {"Image": OPEN_PARAMETER}},
    }
    app = {"Model": model, "SubnetA": subnet(), "SubnetB": subnet(), "Vpc": VPC, **endpoints()}
    assert found(ENDPOINTS, app) == [("unresolved:PrimaryContainer.Image", "warning", "Model")]
    assert found(ENDPOINTS, {**app, "Api": interface("ecr.api"), "Dkr": interface("ecr.dkr")}) == []


# --- policies of endpoints ------------------------------------------------------------------------


def test_a_single_statement_counts_as_a_list_of_one() -> None:
    wide_open = gateway(PolicyDocument={"Statement": EVERYTHING})
    assert found(POLICIES, {**APP, "S3": wide_open}) == [(None, "warning", "S3")]


@pytest.mark.parametrize(
    "restricted",
    [
        policy(Effect="Deny"),
        policy(Principal={"AWS": "arn:aws:iam::111122223333:root"}),
        policy(Principal={"AWS": {"Fn::GetAtt": ["Role", "Arn"]}}),
        policy(Principal={"Service": "sagemaker.amazonaws.com"}),
        policy(Action="s3:Get*"),
        policy(Resource="arn:aws:s3:::data-*"),
        policy(Resource={"Fn::Join": ["", [{"Fn::GetAtt": ["Data", "Arn"]}, "/*"]]}),
        policy(Condition=OPEN_PARAMETER),
        policy(Principal=OPEN_PARAMETER, Action="s3:GetObject"),
    ],
)
def test_a_policy_that_names_somebody_or_something_restricts(restricted: dict[str, Any]) -> None:
    data = {"Data": {"Type": "AWS::S3::Bucket"}, "Role": role("s3:GetObject")}
    assert found(POLICIES, {**APP, **data, "S3": gateway(PolicyDocument=restricted)}) == []


def test_endpoints_of_other_networks_are_not_judged() -> None:
    assert found(POLICIES, {**APP, "S3": gateway("vpc-of-others")}) == []


# --- several templates ----------------------------------------------------------------------------


def exported(name: str, value: Any) -> dict[str, Any]:
    return {name: {"Value": value, "Export": {"Name": f"Net:{name}"}}}


@pytest.mark.parametrize(
    "subnet_id",
    [
        {"Fn::ImportValue": "Net:Subnet"},
        {"Fn::GetStackOutput": {"StackName": "Net", "OutputName": "Subnet"}},
        {"Fn::Select": [1, {"Fn::Split": [",", {"Fn::ImportValue": "Net:Subnets"}]}]},
    ],
)
def test_a_network_of_another_stack_is_found(subnet_id: Any) -> None:
    both = {"Fn::Join": [",", [{"Ref": "SubnetB"}, {"Ref": "SubnetA"}]]}
    net = {
        "Resources": {"Vpc": VPC, "SubnetA": subnet(), "SubnetB": subnet()},
        "Outputs": {**exported("Subnet", {"Ref": "SubnetA"}), **exported("Subnets", both)},
    }
    use = {"Resources": {"Notebook": {"Type": NOTEBOOK["Type"], "Properties": {"SubnetId": subnet_id}}}}
    assert found_together(FLOW_LOGS, Net=net, Use=use) == [(None, "error", "Vpc")]
    net["Resources"]["Log"] = flow_log({"Ref": "Vpc"})
    assert found_together(FLOW_LOGS, Net=net, Use=use) == []


def test_a_network_of_a_stack_outside_the_run_is_left_open() -> None:
    elsewhere = {"Fn::GetStackOutput": {"StackName": "Elsewhere", "OutputName": "Subnet"}}
    use = {"Resources": {"Notebook": {"Type": NOTEBOOK["Type"], "Properties": {"SubnetId": elsewhere}}}}
    assert found_together(FLOW_LOGS, Use=use) == [("unresolved:SubnetId", "warning", "Notebook")]


# --- what the CDK writes --------------------------------------------------------------------------

SERVICES = (
    "SAGEMAKER_API",
    "SAGEMAKER_RUNTIME",
    "CLOUDWATCH_LOGS",
    "KMS",
    "STS",
    "SAGEMAKER_NOTEBOOK",
    "SAGEMAKER_STUDIO",
)


def network(scope: cdk.Stack, *, complete: bool = True) -> ec2.Vpc:
    isolated = ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    vpc = ec2.Vpc(scope, "Vpc", nat_gateways=0, max_azs=2, subnet_configuration=[isolated])
    if complete:
        vpc.add_flow_log("FlowLog")
        vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        for service in SERVICES:
            vpc.add_interface_endpoint(service, service=getattr(ec2.InterfaceVpcEndpointAwsService, service))
    return vpc


def users(scope: cdk.Stack, vpc: ec2.IVpc) -> None:
    subnets = [each.subnet_id for each in vpc.isolated_subnets]
    role_arn = "arn:aws:iam::111122223333:role/people"
    sagemaker.CfnNotebookInstance(
        scope, "Notebook", instance_type="ml.t3.medium", role_arn=role_arn, subnet_id=subnets[0]
    )
    settings = sagemaker.CfnDomain.UserSettingsProperty(execution_role=role_arn)
    sagemaker.CfnDomain(
        scope,
        "Domain",
        auth_mode="IAM",
        domain_name="team",
        vpc_id=vpc.vpc_id,
        subnet_ids=subnets,
        default_user_settings=settings,
    )


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = cdk.App(
        outdir=str(tmp_path_factory.mktemp("networks")),
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
    )
    for name, complete in (("Whole", True), ("Bare", False)):
        one = cdk.Stack(app, f"{name}One")
        users(one, network(one, complete=complete))
        users(cdk.Stack(app, f"{name}Users"), network(cdk.Stack(app, f"{name}Network"), complete=complete))
        outer = cdk.Stack(app, f"{name}Outer")
        inner = network(cdk.NestedStack(outer, "Inner"), complete=complete)
        users(cdk.NestedStack(outer, "InnerUsers"), inner)
        below = cdk.Stack(app, f"{name}Above")
        users(cdk.NestedStack(below, "Below"), network(below, complete=complete))
        china = cdk.Stack(
            app, f"{name}China", env=cdk.Environment(account="111122223333", region="cn-north-1")
        )
        users(china, network(china, complete=complete))
    return Path(app.synth().directory)


@pytest.mark.xdist_group("networks")
def test_networks_of_the_cdk_are_judged_wherever_their_users_are(assembly: Path) -> None:
    judged = judge(read_templates([assembly]), Options())
    for rule in (FLOW_LOGS, ENDPOINTS):
        places = sorted(
            (each.template.split(".")[0].rstrip("0123456789ABCDEF"), each.finding, each.resource[:3])
            for each in judged
            if each.rule == f"MLLens-{rule}"
        )
        bare = ("BareAbove", "BareChina", "BareNetwork", "BareOne", "BareOuterInner")
        assert places == [(name, None, "Vpc") for name in bare]
