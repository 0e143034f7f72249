"""The network in which machine learning runs: what leaves it and where to, and what it is made of."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint
from cfnlint.core import get_rules

from ml_lens.foundation import MlNetwork, Perimeter, Posture, PropError
from ml_lens.rules.pack import MLLensChecks
from tests.stacks.synthesis import findings, new_app, templates
from tests.stacks.template import Properties, Statement, Template, references

SANDBOX = Posture.sandbox()
S3_ONLY = Perimeter(gateway_prefix_lists=["pl-6da54004"])
GATEWAY, INTERFACE = ec2.GatewayVpcEndpointAwsService, ec2.InterfaceVpcEndpointAwsService
HTTPS = ("tcp", 443, 443)
NOWHERE = ("127.0.0.1/32", HTTPS)
ALWAYS = {"kms", "logs", "s3", "sagemaker.api", "sagemaker.runtime", "sts"}
IMAGES = {"ecr.api", "ecr.dkr"}
RULES = (
    "SEC02-MlVpcFlowLogs",
    "SEC02-MlVpcEndpoints",
    "SEC02-VpcEndpointPolicyRestricted",
    "EndpointMultiAz",
)


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Net")


def network(stack: cdk.Stack, **props: Any) -> MlNetwork:
    return MlNetwork(stack, "Network", **{"posture": SANDBOX, **props})


def existing(stack: cdk.Stack, **changes: Any) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Existing",
        **{
            "vpc_id": "vpc-0123456789abcdef0",
            "vpc_cidr_block": "10.20.0.0/16",
            "availability_zones": ["eu-west-1a", "eu-west-1b"],
            "private_subnet_ids": ["subnet-a", "subnet-b"],
            "private_subnet_route_table_ids": ["rtb-a", "rtb-b"],
            **changes,
        },
    )


def template(stack: cdk.Stack) -> Template:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)["Net"]


def endpoints(made: Template) -> dict[str, Properties]:
    """Return the endpoints by their services, without the Region and what stands before it."""
    found: dict[str, Properties] = {}
    for endpoint in made.resources("AWS::EC2::VPCEndpoint").values():
        before, region, service = endpoint["ServiceName"]["Fn::Join"][1]
        assert region == {"Ref": "AWS::Region"}
        assert before in ("com.amazonaws.", "aws.sagemaker.")
        assert service not in found, f"two endpoints for {service}"
        found[service.removeprefix(".")] = endpoint
    return found


def policy(endpoint: Properties) -> dict[str, Statement]:
    statements = endpoint["PolicyDocument"]["Statement"]
    return {statement["Sid"]: Statement.of(statement) for statement in statements}


def rules_of(made: Template, group: str, direction: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the peer and the ports of every rule of a security group, wherever it is written."""
    inline = made.resources("AWS::EC2::SecurityGroup")[group].get(f"SecurityGroup{direction}", [])
    apart = [
        rule
        for rule in made.resources(f"AWS::EC2::SecurityGroup{direction}").values()
        if group in references(rule["GroupId"])
    ]
    for rule in [*inline, *apart]:
        side = "Destination" if direction == "Egress" else "Source"
        peer = rule.get("CidrIp") or rule.get(f"{side}PrefixListId") or rule[f"{side}SecurityGroupId"]
        name = peer if isinstance(peer, str) else next(references(peer))
        yield name, (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"))


def group_id(made: Template, path: str) -> str:
    return made.id("AWS::EC2::SecurityGroup", path)


def problems(make: Callable[[], object]) -> list[str]:
    with pytest.raises(PropError) as raised:
        make()
    return list(raised.value.problems)


# What it is made of


def test_it_has_private_subnets_in_two_zones_and_no_gateway_to_the_internet(stack: cdk.Stack) -> None:
    network(stack).connect_hosting()
    made = template(stack)
    subnets = made.resources("AWS::EC2::Subnet").values()
    assert [subnet["AvailabilityZone"] for subnet in subnets] == [
        {"Fn::Select": [zone, {"Fn::GetAZs": ""}]} for zone in (0, 1)
    ]
    assert [subnet["CidrBlock"] for subnet in subnets] == ["10.0.0.0/19", "10.0.32.0/19"]
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    vpc = made.only("AWS::EC2::VPC")
    assert (vpc["EnableDnsHostnames"], vpc["EnableDnsSupport"]) == (True, True)
    kinds = {resource["Type"] for resource in made.body["Resources"].values()}
    assert {kind for kind in kinds if kind.startswith("AWS::EC2::")} == {
        "AWS::EC2::FlowLog",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCEndpoint",
    }
    assert not {kind for kind in kinds if kind.startswith("Custom::")}


def test_another_zone_leaves_the_subnets_as_they_are(tmp_path: Path) -> None:
    made = []
    for zones in (2, 5):
        stack = cdk.Stack(new_app(tmp_path / str(zones)), "Net")
        network(stack, zones=zones, cidr="10.1.0.0/20")
        made.append(template(stack).resources("AWS::EC2::Subnet"))
    two, five = made
    assert len(five) == 5
    assert {id: five[id] for id in two} == two


def test_zones_can_be_named(stack: cdk.Stack) -> None:
    network(stack, zones=["us-east-1b", "us-east-1d"])
    subnets = template(stack).resources("AWS::EC2::Subnet").values()
    assert [subnet["AvailabilityZone"] for subnet in subnets] == ["us-east-1b", "us-east-1d"]


def test_nothing_is_looked_up_when_the_stack_names_account_and_region(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    env = cdk.Environment(account="111122223333", region="eu-west-1")
    network(cdk.Stack(app, "Net", env=env), zones=3).connect_notebooks()
    app.synth()
    assert "missing" not in json.loads((tmp_path / "manifest.json").read_text())


@pytest.mark.lens("NB-03")
@pytest.mark.parametrize("posture", [SANDBOX, Posture.production()])
def test_all_traffic_is_recorded_in_an_encrypted_log_group(stack: cdk.Stack, posture: Posture) -> None:
    network(stack, posture=posture)
    made = template(stack)
    flow_log = made.only("AWS::EC2::FlowLog")
    assert (flow_log["ResourceType"], flow_log["TrafficType"]) == ("VPC", "ALL")
    assert flow_log["ResourceId"] == {"Ref": made.id("AWS::EC2::VPC", "Network")}
    ((group, kept),) = made.resources("AWS::Logs::LogGroup").items()
    assert flow_log["LogGroupName"] == {"Ref": group}
    assert kept["RetentionInDays"] == posture.audit_retention_days
    assert next(references(kept["KmsKeyId"])) == made.id("AWS::KMS::Key", "NetworkKey")
    assert made.body["Resources"][group]["DeletionPolicy"] == ("Retain" if posture.keeps_data else "Delete")


def test_the_key_lets_the_log_groups_use_it(stack: cdk.Stack) -> None:
    network(stack)
    statements = template(stack).only("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    assert "LogGroups" in [statement.get("Sid") for statement in statements]


def test_the_role_of_the_flow_logs_may_write_to_their_group_and_nothing_else(stack: cdk.Stack) -> None:
    network(stack)
    made = template(stack)
    role = made.only("AWS::IAM::Role")
    (written,) = role["Policies"]
    (statement,) = map(Statement.of, written["PolicyDocument"]["Statement"])
    (group,) = made.resources("AWS::Logs::LogGroup")
    assert statement.resources == (f"<{group}.Arn>",)
    assert statement.actions == {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}
    (trust,) = map(Statement.of, role["AssumeRolePolicyDocument"]["Statement"])
    assert trust.principal == "vpc-flow-logs.amazonaws.com"
    assert trust.condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert "vpc-flow-log/*" in json.dumps(trust.condition["ArnLike"]["aws:SourceArn"])
    assert not made.resources("AWS::IAM::Policy")


def test_a_key_of_ones_own_encrypts_the_flow_logs(stack: cdk.Stack) -> None:
    network(stack, key=kms.Key(stack, "Ours", enable_key_rotation=True))
    made = template(stack)
    assert next(references(made.only("AWS::Logs::LogGroup")["KmsKeyId"])) == made.id("AWS::KMS::Key", "Ours")
    assert len(made.resources("AWS::KMS::Key")) == 1


# Endpoints


def test_only_the_gateway_to_s3_is_there_until_something_needs_more(stack: cdk.Stack) -> None:
    network(stack)
    made = endpoints(template(stack))
    assert {service: endpoint["VpcEndpointType"] for service, endpoint in made.items()} == {"s3": "Gateway"}


@pytest.mark.parametrize(
    ("connect", "services"),
    [
        pytest.param("connect_hosting", ALWAYS | IMAGES, marks=pytest.mark.lens("MDL-03")),
        pytest.param("connect_training", ALWAYS | IMAGES, marks=pytest.mark.lens("TRN-02", "TRN-06")),
        pytest.param("connect_notebooks", ALWAYS | {"notebook"}, marks=pytest.mark.lens("NB-06")),
        pytest.param("connect_studio", ALWAYS | {"studio"}),
    ],
)
def test_each_use_brings_the_endpoints_it_needs(stack: cdk.Stack, connect: str, services: set[str]) -> None:
    getattr(network(stack), connect)()
    made = template(stack)
    tables = [{"Ref": id} for id in made.resources("AWS::EC2::RouteTable")]
    subnets = [{"Ref": id} for id in made.resources("AWS::EC2::Subnet")]
    found = endpoints(made)
    assert set(found) == services
    gateway = found.pop("s3")
    assert gateway["RouteTableIds"] == tables
    for service, endpoint in found.items():
        assert (endpoint["VpcEndpointType"], endpoint["PrivateDnsEnabled"]) == ("Interface", True), service
        assert endpoint["SubnetIds"] == subnets, service


@pytest.mark.parametrize("service", ["notebook", "studio"])
def test_people_come_in_by_endpoints_of_sagemakers_own_name(stack: cdk.Stack, service: str) -> None:
    one = network(stack)
    one.connect_notebooks()
    one.connect_studio()
    name = endpoints(template(stack))[service]["ServiceName"]
    assert name == {"Fn::Join": ["", ["aws.sagemaker.", {"Ref": "AWS::Region"}, f".{service}"]]}


def test_every_endpoint_is_created_once_in_whatever_order(tmp_path: Path) -> None:
    uses = ["connect_hosting", "connect_training", "connect_notebooks", "connect_studio"]
    made: list[Mapping[str, Any]] = []
    for order in (uses, [*reversed(uses), *uses]):
        stack = cdk.Stack(new_app(tmp_path / str(len(made))), "Net")
        one = network(stack)
        for use in order:
            getattr(one, use)()
        made.append(template(stack).body["Resources"])
    assert made[0] == made[1]


def test_an_endpoint_that_is_there_is_what_one_is_given(stack: cdk.Stack) -> None:
    one = network(stack)
    one.connect_to(INTERFACE.KMS)
    assert one.add_endpoint(INTERFACE.KMS) is one.add_endpoint(INTERFACE.KMS)
    assert set(endpoints(template(stack))) == {"s3", "kms"}


def test_dynamodb_is_reached_by_a_gateway_when_asked_for(stack: cdk.Stack) -> None:
    network(stack).connect_to(GATEWAY.DYNAMODB)
    made = endpoints(template(stack))
    assert {service: each["VpcEndpointType"] for service, each in made.items()} == dict.fromkeys(
        ["s3", "dynamodb"], "Gateway"
    )
    assert set(policy(made["dynamodb"])) == {"OwnPrincipalsAndResources"}


# What passes through them


@pytest.mark.lens("LAKE-15")
def test_data_leaves_to_no_other_account(stack: cdk.Stack) -> None:
    one = network(stack)
    one.connect_training()
    one.connect_to(GATEWAY.DYNAMODB, INTERFACE.STEP_FUNCTIONS)
    account = {"Ref": "AWS::AccountId"}
    own = {"StringEquals": {"aws:PrincipalAccount": account, "aws:ResourceAccount": account}}
    reads = {"s3:GetObject"} | {
        f"ecr:{action}"
        for action in (
            "BatchCheckLayerAvailability",
            "BatchGetImage",
            "GetAuthorizationToken",
            "GetDownloadUrlForLayer",
        )
    }
    found = endpoints(template(stack))
    assert len(found) == 10
    for service, endpoint in found.items():
        for said in policy(endpoint).values():
            assert said.condition == own or said.actions <= reads, (service, said)


@pytest.mark.lens("TRN-02")
def test_images_are_pulled_from_elsewhere_and_pushed_nowhere(stack: cdk.Stack) -> None:
    network(stack).connect_training()
    found = endpoints(template(stack))
    layers = policy(found["s3"])["ImageLayers"]
    assert layers.principal == "*"
    assert layers.actions == {"s3:GetObject"}
    assert layers.resources == ("arn:<AWS::Partition>:s3:::prod-<AWS::Region>-starport-layer-bucket/*",)
    for service in IMAGES:
        pull = policy(found[service])["PullImages"]
        assert pull.condition == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
        assert not {action for action in pull.actions if "Put" in action or "Upload" in action}


def test_people_reach_the_notebooks_and_domains_of_this_account_only(stack: cdk.Stack) -> None:
    network(stack).connect_notebooks()
    (said,) = policy(endpoints(template(stack))["notebook"]).values()
    assert said.resources == ("arn:<AWS::Partition>:sagemaker:<AWS::Region>:<AWS::AccountId>:*",)
    assert said.condition == {}


def test_an_organization_counts_as_ones_own(stack: cdk.Stack) -> None:
    network(stack, perimeter=Perimeter(organization_id="o-a1b2c3d4e5")).connect_training()
    found = endpoints(template(stack))
    own = {"aws:PrincipalOrgID": "o-a1b2c3d4e5", "aws:ResourceOrgID": "o-a1b2c3d4e5"}
    for service, endpoint in found.items():
        assert policy(endpoint)["OwnPrincipalsAndResources"].condition == {"StringEquals": own}, service
    assert policy(found["ecr.api"])["PullImages"].condition == {
        "StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}
    }


def test_buckets_elsewhere_are_read_when_named(stack: cdk.Stack) -> None:
    network(stack, perimeter=Perimeter(readable_buckets=["jumpstart-cache-prod-eu-west-1"]))
    said = policy(endpoints(template(stack))["s3"])["ReadableBuckets"]
    assert said.actions == {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"}
    arn = "arn:<AWS::Partition>:s3:::jumpstart-cache-prod-eu-west-1"
    assert said.resources == (arn, f"{arn}/*")


# Security groups


@pytest.mark.lens("TRN-03")
def test_what_runs_here_talks_to_endpoints_and_nobody_talks_to_it(stack: cdk.Stack) -> None:
    network(stack).connect_training()
    made = template(stack)
    workloads, doors = (group_id(made, f"Network{each}SecurityGroup") for each in ("", "Endpoint"))
    assert list(rules_of(made, workloads, "Ingress")) == []
    # No network has another route than to itself and to the gateway endpoints.
    assert list(rules_of(made, workloads, "Egress")) == [("0.0.0.0/0", HTTPS), (doors, HTTPS)]
    assert list(rules_of(made, doors, "Ingress")) == [(workloads, HTTPS)]
    assert [peer for peer, _ in rules_of(made, doors, "Egress")] == ["255.255.255.255/32"]
    assert not made.resources("AWS::EC2::Route")
    for service, endpoint in endpoints(made).items():
        if service != "s3":
            assert endpoint["SecurityGroupIds"] == [{"Fn::GetAtt": [doors, "GroupId"]}]


def test_https_leaves_to_the_addresses_of_s3_when_their_list_is_named(stack: cdk.Stack) -> None:
    network(stack, perimeter=S3_ONLY)
    made = template(stack)
    rules = rules_of(made, group_id(made, "NetworkSecurityGroup"), "Egress")
    assert list(rules) == [NOWHERE, ("pl-6da54004", HTTPS)]
    # A group without a rule in itself would let everything out.
    assert made.only("AWS::EC2::SecurityGroup")["SecurityGroupEgress"]


@pytest.mark.lens("NB-04", "TRN-04")
def test_a_database_or_a_proxy_is_reached_once_it_is_named(stack: cdk.Stack) -> None:
    one = network(stack, perimeter=S3_ONLY)
    database = ec2.SecurityGroup(stack, "Database", vpc=one.vpc, description="Rows")
    database.connections.allow_from(one, ec2.Port.tcp(5439))
    proxy = ec2.SecurityGroup(stack, "Proxy", vpc=one.vpc, description="The way out")
    one.connections.allow_to(proxy, ec2.Port.tcp(3128))
    made = template(stack)
    workloads, rows, way_out = (
        group_id(made, each) for each in ("NetworkSecurityGroup", "Database", "Proxy")
    )
    assert list(rules_of(made, workloads, "Egress")) == [
        NOWHERE,
        ("pl-6da54004", HTTPS),
        (rows, ("tcp", 5439, 5439)),
        (way_out, ("tcp", 3128, 3128)),
    ]
    assert list(rules_of(made, rows, "Ingress")) == [(workloads, ("tcp", 5439, 5439))]
    assert list(rules_of(made, way_out, "Ingress")) == [(workloads, ("tcp", 3128, 3128))]


def test_instances_of_a_distributed_job_reach_each_other_and_can_encrypt(stack: cdk.Stack) -> None:
    one = network(stack, perimeter=S3_ONLY)
    one.connect_training(distributed=True)
    one.connect_training(distributed=True)
    made = template(stack)
    workloads = group_id(made, "NetworkSecurityGroup")
    between = [("tcp", 0, 65535), ("udp", 500, 500), ("50", None, None)]
    assert list(rules_of(made, workloads, "Ingress")) == [(workloads, ports) for ports in between]
    assert [ports for peer, ports in rules_of(made, workloads, "Egress") if peer == workloads] == between


def test_what_depends_on_the_network_waits_for_all_its_endpoints(stack: cdk.Stack) -> None:
    one = network(stack)
    job = cdk.CfnResource(stack, "Job", type="AWS::CloudFormation::WaitConditionHandle")
    job.node.add_dependency(one)
    one.connect_training()
    made = template(stack)
    waits = made.body["Resources"]["Job"]["DependsOn"]
    assert set(made.resources("AWS::EC2::VPCEndpoint")) <= set(waits)


# An existing VPC


def test_an_existing_vpc_is_used_as_it_is(stack: cdk.Stack) -> None:
    one = network(stack, vpc=existing(stack), perimeter=S3_ONLY)
    for connect in (one.connect_hosting, one.connect_notebooks, one.connect_studio, one.connect_training):
        connect()
    one.connect_to(INTERFACE.ATHENA)
    assert one.subnet_ids == ["subnet-a", "subnet-b"]
    made = template(stack)
    kinds = [resource["Type"] for resource in made.body["Resources"].values()]
    assert kinds == ["AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupEgress"]
    workloads = group_id(made, "NetworkSecurityGroup")
    assert made.only("AWS::EC2::SecurityGroup")["VpcId"] == "vpc-0123456789abcdef0"
    assert set(rules_of(made, workloads, "Egress")) == {
        NOWHERE,
        ("10.20.0.0/16", HTTPS),
        ("pl-6da54004", HTTPS),
    }


def test_an_existing_vpc_gets_what_is_asked_for(stack: cdk.Stack) -> None:
    vpc = existing(
        stack,
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-a1", "subnet-b1", "subnet-a2", "subnet-b2"],
        private_subnet_route_table_ids=["rtb-a1", "rtb-b1", "rtb-a2", "rtb-b2"],
    )
    one = network(stack, vpc=vpc, perimeter=S3_ONLY)
    one.add_endpoint(GATEWAY.S3)
    one.add_endpoint(INTERFACE.KMS)
    assert one.add_flow_logs() is one.add_flow_logs()
    made = template(stack)
    found = endpoints(made)
    assert found["s3"]["RouteTableIds"] == ["rtb-a1", "rtb-b1", "rtb-a2", "rtb-b2"]
    assert found["kms"]["SubnetIds"] == ["subnet-a1", "subnet-b1"], "EC2 takes one subnet of a zone"
    assert made.only("AWS::EC2::FlowLog")["ResourceId"] == "vpc-0123456789abcdef0"


def test_subnets_of_an_existing_vpc_can_be_chosen(stack: cdk.Stack) -> None:
    vpc = existing(
        stack,
        isolated_subnet_ids=["subnet-c", "subnet-d"],
        isolated_subnet_route_table_ids=["rtb-c", "rtb-d"],
    )
    isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    assert network(stack, vpc=vpc, subnets=isolated, perimeter=S3_ONLY).subnet_ids == ["subnet-c", "subnet-d"]


# What is refused


@pytest.mark.parametrize(
    ("props", "problem"),
    [
        ({"zones": 1}, "zones: 1 is out of range; allowed are 2 to 6 zones"),
        ({"zones": 7}, "zones: 7 is out of range"),
        ({"zones": 2.5}, "zones: 2.5 is not a whole number"),
        ({"zones": True}, "zones: True is not a number"),
        ({"zones": "eu-west-1a"}, "zones: 'eu-west-1a' is one zone"),
        ({"zones": ["eu-west-1a"]}, "zones: ['eu-west-1a'] are not two to 6 different zones"),
        ({"zones": ["eu-west-1a", "eu-west-1a"]}, "zones: ['eu-west-1a', 'eu-west-1a'] are not two"),
        ({"cidr": "10.0.0.0"}, "cidr: '10.0.0.0' does not begin where its addresses do"),
        (
            {"cidr": "10.0.0.5/16"},
            "cidr: '10.0.0.5/16' does not begin where its addresses do; did you mean '10.0.",
        ),
        ({"cidr": "ten"}, "cidr: 'ten' names no addresses"),
        ({"cidr": "fd00::/16"}, "cidr: 'fd00::/16' names no addresses"),
        ({"cidr": "10.0.0.0/8"}, "cidr: 10.0.0.0/8 has 16777216 addresses"),
        ({"cidr": "10.0.0.0/25"}, "cidr: 10.0.0.0/25 has 128 addresses"),
        ({"cidr": cdk.Aws.STACK_NAME}, "cidr: is a token"),
        ({"zones": cdk.Token.as_number(cdk.Aws.REGION)}, "zones: is a token"),
        (
            {"subnets": ec2.SubnetSelection()},
            "subnets: are chosen from an existing VPC; give that as vpc as well",
        ),
        (
            {"perimeter": Perimeter(organization_id="111122223333")},
            "perimeter.organization_id: '111122223333' is not",
        ),
        (
            {"perimeter": Perimeter(gateway_prefix_lists=["s3"])},
            "perimeter.gateway_prefix_lists: 's3' is not the id",
        ),
        (
            {"perimeter": Perimeter(readable_buckets="one")},
            "perimeter.readable_buckets: 'one' is a text; give a list",
        ),
        (
            {"perimeter": Perimeter(readable_buckets=["s3://one"])},
            "perimeter.readable_buckets: 's3://one' is not",
        ),
    ],
)
def test_what_no_network_can_be_made_of_is_refused(
    stack: cdk.Stack, props: Mapping[str, Any], problem: str
) -> None:
    (told,) = problems(lambda: network(stack, **props))
    assert told.startswith(problem)
    assert stack.node.try_find_child("Network") is None


@pytest.mark.parametrize(
    ("changes", "props", "problem"),
    [
        ({}, {"perimeter": None}, "perimeter: an existing VPC may have ways out"),
        ({}, {"zones": 2}, "zones: is decided by the existing VPC"),
        ({}, {"cidr": "10.0.0.0/16"}, "cidr: is decided by the existing VPC"),
        ({"vpc_cidr_block": None}, {}, "vpc: was imported without its addresses"),
        (
            {"availability_zones": ["eu-west-1a"]},
            {},
            "subnets: are all in eu-west-1a; choose private subnets in two zones or more",
        ),
        (
            {},
            {"subnets": ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)},
            "subnets: select nothing: There are no 'Isolated' subnet groups in this VPC.",
        ),
        (
            {
                "private_subnet_ids": None,
                "private_subnet_route_table_ids": None,
                "public_subnet_ids": ["subnet-p", "subnet-q"],
            },
            {},
            "subnets: are public; choose private ones",
        ),
    ],
)
def test_what_does_not_go_with_an_existing_vpc_is_refused(
    stack: cdk.Stack, changes: Mapping[str, Any], props: Mapping[str, Any], problem: str
) -> None:
    vpc = existing(stack, **changes)
    (told,) = problems(lambda: network(stack, **{"vpc": vpc, "perimeter": S3_ONLY, **props}))
    assert told.startswith(problem)
    assert "\n" not in told


def test_every_problem_is_named_at_once(stack: cdk.Stack) -> None:
    told = problems(
        lambda: network(
            stack, zones=1, cidr="ten", perimeter=Perimeter(organization_id="x", gateway_prefix_lists=["y"])
        )
    )
    assert [each.partition(":")[0] for each in told] == [
        "perimeter.organization_id",
        "perimeter.gateway_prefix_lists",
        "zones",
        "cidr",
    ]


def test_tokens_pass_where_deployment_may_tell(stack: cdk.Stack) -> None:
    told = cdk.CfnParameter(stack, "Told").value_as_string
    network(
        stack, perimeter=Perimeter(organization_id=told, gateway_prefix_lists=[told], readable_buckets=[told])
    )
    assert template(stack).resources("AWS::EC2::VPC")


# All of it together


def with_users(app: cdk.App, *, connected: bool = True) -> None:
    """Add a stack in which a notebook and a model run in the network."""
    stack = cdk.Stack(app, "Net")
    cdk.Tags.of(stack).add("mllens:environment", "prod")
    one = network(stack, posture=Posture.production())
    if connected:
        one.connect_notebooks()
        one.connect_hosting()
        one.connect_training(distributed=True)
    role = iam.Role(stack, "Runs", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")).role_arn
    sagemaker.CfnNotebookInstance(
        stack,
        "Notebook",
        instance_type="ml.t3.medium",
        role_arn=role,
        subnet_id=one.subnet_ids[0],
        security_group_ids=one.security_group_ids,
        direct_internet_access="Disabled",
        root_access="Disabled",
    )
    model = sagemaker.CfnModel(
        stack,
        "Model",
        execution_role_arn=role,
        primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
            image=f"{stack.account}.dkr.ecr.{stack.region}.{stack.url_suffix}/churn:1"
        ),
        vpc_config=sagemaker.CfnModel.VpcConfigProperty(
            subnets=one.subnet_ids, security_group_ids=one.security_group_ids
        ),
    )
    sagemaker.CfnEndpointConfig(
        stack,
        "Config",
        production_variants=[
            sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                variant_name="All",
                model_name=model.attr_model_name,
                instance_type="ml.m5.large",
                initial_instance_count=2,
                initial_variant_weight=1,
            )
        ],
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):  # the notebook and the model are no examples
        app.synth()


def about_the_network(folder: Path) -> list[str]:
    return [
        found for found in findings(folder) if " Net/Network" in found or any(rule in found for rule in RULES)
    ]


def test_the_rule_packs_and_the_cdk_have_nothing_to_say_of_it(tmp_path: Path) -> None:
    with_users(new_app(tmp_path, validated=True))
    assert about_the_network(tmp_path) == []


def test_the_rules_see_what_nobody_connected(tmp_path: Path) -> None:
    with_users(new_app(tmp_path), connected=False)
    assert about_the_network(tmp_path) == ["MLLens-SEC02-MlVpcEndpoints Net/Network/Resource"]


def test_cfn_lint_finds_nothing(stack: cdk.Stack) -> None:
    one = network(stack, perimeter=Perimeter(readable_buckets=["jumpstart-cache-prod-eu-west-1"]))
    for connect in (one.connect_hosting, one.connect_notebooks, one.connect_studio):
        connect()
    one.connect_training(distributed=True)
    one.connect_to(GATEWAY.DYNAMODB)
    found = lint(
        json.dumps(template(stack).body), list(get_rules([], [], [], {}, False)), regions=["eu-west-1"]
    )
    assert [str(match) for match in found] == []


def test_two_networks_live_in_one_stack_and_nothing_has_a_name_of_our_choosing(tmp_path: Path) -> None:
    made = []
    for number in range(2):
        stack = cdk.Stack(new_app(tmp_path / str(number)), "Net")
        for name in ("Training", "Serving"):
            MlNetwork(stack, name, posture=SANDBOX).connect_hosting()
        made.append(template(stack))
    assert made[0].body == made[1].body
    assert len(made[0].resources("AWS::EC2::VPC")) == 2
    # The VPCEndpoint's ServiceName and the FlowLog's LogGroupName say what they are for.
    chosen = {"GroupName", "RoleName", "AliasName", "VpcEndpointName"}
    for properties in made[0].resources().values():
        assert not chosen & set(properties)
    assert not [
        group for group in made[0].resources("AWS::Logs::LogGroup").values() if "LogGroupName" in group
    ]
