"""The template of figure 14, asked whether it is the figure."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from jobs.churn.features import SCHEMA
from ml_lens.foundation import PropError
from tests.stacks.serving_scenario import ACL, GUARDED, add_serving, serving
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Statement, Template
from tests.stacks.test_snapshots import shape

METHOD, STAGE, API = (f"AWS::ApiGateway::{kind}" for kind in ("Method", "Stage", "RestApi"))
ENDPOINT, MODEL = "AWS::SageMaker::Endpoint", "AWS::SageMaker::Model"
FUNCTION, ROLE = "AWS::Lambda::Function", "AWS::IAM::Role"


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return serving(tmp_path_factory.mktemp("trial"))


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return serving(tmp_path_factory.mktemp("lasting"), posture="production")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return serving(tmp_path_factory.mktemp("guarded"), **GUARDED)


@pytest.fixture(params=["trial", "lasting", "guarded"])
def each(request: pytest.FixtureRequest) -> Template:
    """Every variant in turn."""
    template: Template = request.getfixturevalue(request.param)
    return template


def function(template: Template) -> tuple[str, Mapping[str, Any]]:
    (found,) = [
        (id, made)
        for id, made in template.resources(FUNCTION).items()
        if made["Handler"] == "inference_api.handler"
    ]
    return found


def role_of_function(template: Template) -> str:
    return str(function(template)[1]["Role"]["Fn::GetAtt"][0])


def holders(template: Template, action: str) -> set[str]:
    """Return the roles that may do ``action``."""
    return {role for role in template.resources(ROLE) if action in template.actions(role)}


@pytest.mark.lens("F14-01", "F14-03")
def test_consumers_post_to_an_api(each: Template) -> None:
    posts = [made for made in each.resources(METHOD).values() if made["HttpMethod"] == "POST"]
    (post,) = posts
    resource = each.resources("AWS::ApiGateway::Resource")[post["ResourceId"]["Ref"]]
    assert resource["PathPart"] == "predictions"
    assert post["RestApiId"] == resource["RestApiId"]


@pytest.mark.lens("F14-04", "F14-08")
def test_the_api_hands_requests_to_the_function_and_its_answers_back(each: Template) -> None:
    (post,) = [made for made in each.resources(METHOD).values() if made["HttpMethod"] == "POST"]
    assert post["Integration"]["Type"] == "AWS_PROXY"
    assert function(each)[0] in json.dumps(post["Integration"]["Uri"])
    allowed = each.resources("AWS::Lambda::Permission").values()
    assert {made["Principal"] for made in allowed if function(each)[0] in json.dumps(made)} == {
        "apigateway.amazonaws.com"
    }


@pytest.mark.lens("F14-02", "MDL-04")
def test_function_and_model_run_in_private_subnets_of_one_network(each: Template) -> None:
    subnets = each.resources("AWS::EC2::Subnet")
    assert not any(made.get("MapPublicIpOnLaunch") for made in subnets.values())
    assert not each.resources("AWS::EC2::InternetGateway", "AWS::EC2::NatGateway")
    placed = [function(each)[1]["VpcConfig"]["SubnetIds"], each.only(MODEL)["VpcConfig"]["Subnets"]]
    for given in placed:
        ids = {subnet["Ref"] for subnet in given}
        assert len(ids) == 2
        assert ids <= subnets.keys()
    names = json.dumps([made["ServiceName"] for made in each.resources("AWS::EC2::VPCEndpoint").values()])
    assert "sagemaker.runtime" in names
    assert each.only(MODEL)["EnableNetworkIsolation"] is True


@pytest.mark.lens("IAM-05", "IAM-07", "MDL-08")
def test_only_the_function_may_call_the_endpoint_and_only_consumers_the_api(each: Template) -> None:
    assert holders(each, "sagemaker:InvokeEndpoint") == {role_of_function(each)}
    consumers = each.id(ROLE, "Consumers")
    assert holders(each, "execute-api:Invoke") == {consumers}
    assert each.actions(consumers) == {"execute-api:Invoke"}
    (said,) = each.statements(consumers)
    (resource,) = said.resources
    assert resource.endswith("/POST/predictions")
    assert "*" not in resource
    (post,) = [made for made in each.resources(METHOD).values() if made["HttpMethod"] == "POST"]
    assert post["AuthorizationType"] == "AWS_IAM"


@pytest.mark.lens("IAM-06")
def test_the_function_calls_this_endpoint_and_no_other(each: Template) -> None:
    (said,) = [
        made
        for made in each.statements(role_of_function(each))
        if "sagemaker:InvokeEndpoint" in made.actions and made.effect == "Allow"
    ]
    (endpoint,) = each.resources(ENDPOINT)
    assert said.actions == {"sagemaker:InvokeEndpoint"}
    assert said.resources == (f"<{endpoint}>",)


@pytest.mark.lens("IAM-08")
def test_who_is_elsewhere_is_refused_where_addresses_are_given(trial: Template, guarded: Template) -> None:
    policy = guarded.only(API)["Policy"]
    denied = [said for said in map(Statement.of, policy["Statement"]) if said.effect == "Deny"]
    assert "203.0.113.0/24" in json.dumps([said.condition for said in denied])
    assert "aws:SourceIp" in json.dumps([said.condition for said in denied])
    assert "aws:SourceIp" not in json.dumps(trial.only(API))


@pytest.mark.lens("F14-10")
def test_calls_are_throttled_validated_and_logged(each: Template) -> None:
    stage = each.only(STAGE)
    (settings,) = [made for made in stage["MethodSettings"] if made["HttpMethod"] == "*"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (20, 40)
    destination = json.dumps(stage["AccessLogSetting"]["DestinationArn"])
    assert any(f'"{group}"' in destination for group in each.resources("AWS::Logs::LogGroup"))
    validator = each.only("AWS::ApiGateway::RequestValidator")
    assert validator["ValidateRequestBody"] is True
    (post,) = [made for made in each.resources(METHOD).values() if made["HttpMethod"] == "POST"]
    model = each.resources("AWS::ApiGateway::Model")[post["RequestModels"]["application/json"]["Ref"]]
    customer = SCHEMA["properties"]["instances"]["items"]["properties"]
    assert model["Schema"]["properties"]["instances"]["items"]["properties"].keys() == customer.keys()


def test_a_firewall_stands_before_the_api_where_one_is_given(trial: Template, guarded: Template) -> None:
    association = guarded.only("AWS::WAFv2::WebACLAssociation")
    assert association["WebACLArn"] == ACL
    assert not trial.resources("AWS::WAFv2::WebACLAssociation")


@pytest.mark.lens("F14-09", "HST-07")
def test_the_container_and_the_function_are_told_the_version(each: Template) -> None:
    assert each.only(MODEL)["PrimaryContainer"]["Environment"] == {
        "MODEL_VERSION": "1.0.0",
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    assert function(each)[1]["Environment"]["Variables"]["MODEL_VERSIONS"] == '{"AllTraffic": "1.0.0"}'
    assert each.body["Outputs"]["ModelVersion"]["Value"] == "1.0.0"


def test_the_artifact_is_the_same_wherever_and_whenever_it_is_packed(tmp_path: Path) -> None:
    packed = []
    for name in ("one", "two"):
        app = new_app(tmp_path / name)
        add_serving(app)
        templates(app)
        (artifact,) = (tmp_path / name).glob("asset.*.gz")
        packed.append((artifact.name, hashlib.sha256(artifact.read_bytes()).hexdigest()))
    assert packed[0] == packed[1]


def test_another_version_is_another_artifact(trial: Template, tmp_path: Path) -> None:
    newer = serving(tmp_path, version="2.0.0")
    urls = [made.only(MODEL)["PrimaryContainer"]["ModelDataUrl"] for made in (trial, newer)]
    assert urls[0] != urls[1]
    assert newer.only(MODEL)["PrimaryContainer"]["Environment"]["MODEL_VERSION"] == "2.0.0"


def test_a_version_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PropError) as raised:
        add_serving(new_app(tmp_path), version="9.9.9")
    assert raised.value.problems == (
        "version: there is no '9.9.9'; give one of 1.0.0, 2.0.0, broken, narrow",
    )


@pytest.mark.parametrize("name", ["trial", "lasting", "guarded"])
def test_the_template_is_as_it_was(
    name: str, request: pytest.FixtureRequest, snapshot: SnapshotAssertion
) -> None:
    assert shape(request.getfixturevalue(name)) == snapshot(name=name).use_extension(JSONSnapshotExtension)


def test_a_second_synthesis_makes_the_same_template(trial: Template, tmp_path: Path) -> None:
    assert serving(tmp_path).body == trial.body


def test_a_scenario_can_be_deployed_twice_in_one_account(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    add_serving(app, "East")
    add_serving(app, "West")
    east, west = templates(app).values()
    assert len(east.resources()) == len(west.resources())
    for type, name in ((ENDPOINT, "EndpointName"), (API, "Name")):
        assert east.only(type)[name] != west.only(type)[name]
    names = [
        {str(made.get("LogGroupName")) for made in each.resources("AWS::Logs::LogGroup").values()} - {"None"}
        for each in (east, west)
    ]
    assert not {name for name in names[0] & names[1] if not name.startswith("{")}


def test_outputs_name_what_a_person_needs(each: Template) -> None:
    assert set(each.body["Outputs"]) == {
        "PredictionsUrl",
        "ConsumerRole",
        "EndpointName",
        "ModelVersion",
        "CapturedCalls",
        "FunctionLogs",
        "EndpointLogs",
        "CallsAtOnce",
        "AlarmTopic",
    }
    assert not any("Export" in output for output in each.body["Outputs"].values())


def test_production_runs_two_instances_and_keeps_what_was_captured(
    trial: Template, lasting: Template
) -> None:
    counts = [
        made.only("AWS::SageMaker::EndpointConfig")["ProductionVariants"][0]["InitialInstanceCount"]
        for made in (trial, lasting)
    ]
    assert counts == [1, 2]
    assert trial.body["Outputs"].keys() == lasting.body["Outputs"].keys()
