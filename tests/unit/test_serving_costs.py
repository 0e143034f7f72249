"""What serving costs is computed from the templates of today."""

from collections.abc import Mapping
from typing import Any

import pytest

from docs.scenario_graph import ROOT
from docs.serving import runs_in_vpc, serving_edges
from docs.serving_costs import Design, idle, per_million, tables

README = ROOT / "stacks" / "serverless_inference" / "README.md"
DESIGN = Design(
    instances=2,
    instance_type="ml.m5.large",
    interface_endpoints=14,
    keys=7,
    alarmed_metrics=20,
    dashboards=1,
    memory_gib=0.5,
)


def test_the_costs_are_those_of_today() -> None:
    page = README.read_text("utf-8")
    for table in tables():
        assert table in page, "the costs have changed: put in what python -m docs.serving_costs prints"


def test_what_stands_costs_money_by_the_hour() -> None:
    assert idle(DESIGN) == pytest.approx(
        {
            "Instances of the endpoint": 0.23,
            "Interface endpoints": 0.14,
            "Keys": 7 / 730,
            "Alarms, dashboards": 5 / 730,
        }
    )


def test_few_large_calls_cost_less_than_many_small_ones() -> None:
    small, large = (per_million(DESIGN, customers) for customers in (1, 100))
    assert small["API Gateway"] == pytest.approx(3.50)
    assert large["API Gateway"] == pytest.approx(0.035)
    assert all(large[name] < small[name] for name in small)


def resources(**changes: Any) -> Mapping[str, Any]:
    return {
        "Api": {"Type": "AWS::ApiGateway::RestApi"},
        "Path": {"Type": "AWS::ApiGateway::Resource", "Properties": {"PathPart": "predictions"}},
        "Post": {
            "Type": "AWS::ApiGateway::Method",
            "Properties": {
                "HttpMethod": "POST",
                "RestApiId": {"Ref": "Api"},
                "ResourceId": {"Ref": "Path"},
                "Integration": {"Uri": {"Fn::GetAtt": ["Function", "Arn"]}},
            },
        },
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {"VpcConfig": {}}},
        "Captured": {"Type": "AWS::S3::Bucket"},
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": {"VpcConfig": {}}},
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {
                "ProductionVariants": [{"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}}],
                "DataCaptureConfig": {"DestinationS3Uri": {"Ref": "Captured"}},
            },
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
        },
        **changes,
    }


def named(value: Any) -> list[str]:
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return [name]
    return []


def test_the_way_of_a_prediction_is_drawn_from_the_template() -> None:
    edges = [(edge.source, edge.target, edge.label) for edge in serving_edges(resources(), named)]
    assert edges == [
        ("Api", "Function", "POST /predictions"),
        ("Endpoint", "Captured", "captured calls"),
    ]


def test_what_runs_in_the_network_is_said_to_and_nothing_else() -> None:
    outside = resources(
        Function={"Type": "AWS::Lambda::Function", "Properties": {}},
        Model={"Type": "AWS::SageMaker::Model", "Properties": {}},
    )
    for logical_id in ("Function", "Endpoint"):
        assert runs_in_vpc(resources(), logical_id)
        assert not runs_in_vpc(outside, logical_id)
