"""References are followed through every function of CloudFormation, over all templates of a run."""

from typing import Any

import pytest

from tests.rules.apps import app, graph, node, read, value

HOLDER = {"Type": "AWS::SageMaker::Model"}


def holding(raw: Any) -> dict[str, Any]:
    return {"Holder": {**HOLDER, "Properties": {"Value": raw}}}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        (7, "7"),
        (True, "true"),
        ({"Ref": "Bucket"}, "${Bucket}"),
        ({"Fn::GetAtt": ["Endpoint", "EndpointName"]}, "${Endpoint.EndpointName}"),
        ({"Fn::GetAtt": "Endpoint.EndpointName"}, "${Endpoint.EndpointName}"),
        ({"Fn::Sub": "a-${Bucket}-b"}, "a-${Bucket}-b"),
        ({"Fn::Sub": "a-${!Bucket}"}, "a-${Bucket}"),
        (
            {"Fn::Sub": ["${X}/${Endpoint.EndpointName}", {"X": "endpoint"}]},
            "endpoint/${Endpoint.EndpointName}",
        ),
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::x"}, "arn:${AWS::Partition}:s3:::x"),
        ({"Fn::Join": ["/", ["a", {"Ref": "Bucket"}, "c"]]}, "a/${Bucket}/c"),
        ({"Fn::Join": ["", ["Dis", "abled"]]}, "Disabled"),
        ({"Fn::Join": [",", ["a", {"Fn::Join": ["-", ["b", "c"]]}]]}, "a,b-c"),
        ({"Fn::Select": [1, ["a", "b"]]}, "b"),
        ({"Fn::Select": ["0", {"Fn::Split": ["/", "x/y"]}]}, "x"),
        ({"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::Sub": "x/${Bucket}/z"}]}]}, "${Bucket}"),
        ({"Ref": "AWS::StackName"}, "App"),
        ({"Fn::FindInMap": ["M", "a", "b"]}, "mapped"),
    ],
)
def test_a_value_is_read_as_far_as_it_is_known(raw: Any, text: str) -> None:
    assert value(raw, Mappings={"M": {"a": {"b": "mapped"}}}).text == text


@pytest.mark.parametrize("raw", [None, "", {"Ref": "AWS::NoValue"}, [], {}])
def test_nothing_is_absent_and_so_is_everything_in_it(raw: Any) -> None:
    absent = value(raw)
    assert not absent
    assert not absent["A"]["B"]
    assert absent["A"].path == "Value.A"
    assert absent["A"].elements == []


@pytest.mark.parametrize(
    "raw",
    [
        {"Ref": "Nobody"},
        {"Fn::GetAtt": ["Nobody", "Arn"]},
        {"Fn::ImportValue": "elsewhere"},
        {"Fn::GetStackOutput": {"StackName": "Elsewhere", "OutputName": "X"}},
        {"Fn::Cidr": ["10.0.0.0/16", 4, 8]},
        {"Fn::Transform": {"Name": "Macro"}},
        {"Fn::NewFunction": 1},
        {"Fn::FindInMap": ["Missing", "a", "b"]},
        {"Fn::FindInMap": ["M", "missing", "b"]},
        {"Fn::Select": [9, ["a"]]},
        {"Fn::Join": ["", {"Ref": "Nobody"}]},
        {"Fn::If": ["only two", "a"]},
        {"Fn::Sub": 7},
        {"Fn::Sub": ["${A}", "not a map"]},
        {"Fn::GetAtt": 3},
        {"Ref": ["list"]},
        "{{resolve:ssm:/some/parameter}}",
    ],
)
def test_what_nobody_knows_is_open_and_so_is_everything_in_it(raw: Any) -> None:
    found = value(raw, Mappings={"M": {"a": {"b": "mapped"}}})
    assert found
    assert found.is_open
    assert found["Deeper"].is_open


def test_a_list_leaves_out_what_is_absent() -> None:
    assert [each.text for each in value(["a", {"Ref": "AWS::NoValue"}, {"Ref": "Bucket"}]).elements] == [
        "a",
        "${Bucket}",
    ]


def test_a_single_value_is_a_list_of_one() -> None:
    assert [each.text for each in value("a").elements] == ["a"]


def test_a_nested_stack_sees_what_its_parent_passes() -> None:
    parent = read(
        "Parent",
        {
            "Resources": {
                "Key": {"Type": "AWS::KMS::Key"},
                "Child": {
                    "Type": "AWS::CloudFormation::Stack",
                    "Metadata": {"aws:asset:path": "Child.template.json"},
                    "Properties": {"Parameters": {"KeyArn": {"Fn::GetAtt": ["Key", "Arn"]}}},
                },
            }
        },
    )
    child = read(
        "Child", {"Parameters": {"KeyArn": {"Type": "String"}}, "Resources": holding({"Ref": "KeyArn"})}
    )
    both = graph(parent, child)
    found = node(both, "Holder")["Value"]
    assert found.reference is node(both, "Key")
    assert found.attribute == "Arn"


def test_a_parent_sees_the_outputs_of_its_nested_stack() -> None:
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "./Child.template.json"}}
    parent = read(
        "Parent", {"Resources": {"Child": nested, **holding({"Fn::GetAtt": ["Child", "Outputs.Name"]})}}
    )
    child = read(
        "Child",
        {
            "Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}},
            "Outputs": {"Name": {"Value": {"Ref": "Bucket"}}},
        },
    )
    both = graph(parent, child)
    assert node(both, "Holder")["Value"].reference is node(both, "Bucket")


def test_a_template_that_two_stacks_nest_is_two_sets_of_resources() -> None:
    def nested(name: str) -> dict[str, Any]:
        return {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": "Child.template.json", "Parameters": {"Name": name}},
        }

    parent = read("Parent", {"Resources": {"One": nested("one"), "Two": nested("two")}})
    child = read("Child", {"Parameters": {"Name": {"Type": "String"}}, "Resources": holding({"Ref": "Name"})})
    both = graph(parent, child)
    assert [each["Value"].literal for each in both.nodes("AWS::SageMaker::Model")] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("network-vpc", "network-vpc"),
        ({"Fn::Sub": "${AWS::StackName}-vpc"}, "Network-vpc"),
        ({"Fn::Sub": "${AWS::StackName}-vpc"}, {"Fn::Join": ["-", ["Network", "vpc"]]}),
    ],
)
def test_an_import_is_the_export_of_another_template(name: Any, imported: Any) -> None:
    outputs = {"Vpc": {"Value": {"Ref": "Vpc"}, "Export": {"Name": name}}}
    network = read("Network", {"Resources": {"Vpc": {"Type": "AWS::EC2::VPC"}}, "Outputs": outputs})
    both = graph(network, read("App", {"Resources": holding({"Fn::ImportValue": imported})}))
    assert node(both, "Holder")["Value"].reference is node(both, "Vpc")


def test_a_weak_reference_is_the_output_of_the_stack_of_that_name() -> None:
    outputs = {"Vpc": {"Value": {"Ref": "Vpc"}}}
    network = read("Network", {"Resources": {"Vpc": {"Type": "AWS::EC2::VPC"}}, "Outputs": outputs})
    weak = {"Fn::GetStackOutput": {"StackName": "Network", "OutputName": "Vpc"}}
    both = graph(network, read("App", {"Resources": holding(weak)}))
    assert node(both, "Holder")["Value"].reference is node(both, "Vpc")


def test_equal_logical_ids_in_two_templates_are_two_resources() -> None:
    one = read("One", {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}, **holding({"Ref": "Bucket"})}})
    two = read("Two", {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})
    both = graph(one, two)
    first, second = both.nodes("AWS::S3::Bucket")
    assert node(both, "Holder")["Value"].reference is first
    assert first is not second


def test_references_in_a_circle_are_open() -> None:
    one = read("One", {"Outputs": {"A": {"Value": {"Fn::ImportValue": "b"}, "Export": {"Name": "a"}}}})
    two = read("Two", {"Outputs": {"B": {"Value": {"Fn::ImportValue": "a"}, "Export": {"Name": "b"}}}})
    user = read("User", {"Resources": holding({"Fn::ImportValue": "a"})})
    assert node(graph(one, two, user), "Holder")["Value"].is_open


def test_outputs_that_double_each_other_are_followed_once_and_not_for_ever() -> None:
    templates = [read("S0", {"Outputs": {"Text": {"Value": "long", "Export": {"Name": "text-0"}}}})]
    for number in range(1, 60):
        before = {"Fn::ImportValue": f"text-{number - 1}"}
        doubled = {"Fn::Join": ["", [before, {"Ref": "AWS::Region"}, before]]}
        exported = {"Value": doubled, "Export": {"Name": f"text-{number}"}}
        templates.append(read(f"S{number}", {"Outputs": {"Text": exported}}))
    user = read("User", {"Resources": holding({"Fn::ImportValue": "text-59"})})
    assert node(graph(*templates, user), "Holder")["Value"].is_open


def test_mappings_that_double_each_other_are_followed_once_and_not_for_ever() -> None:
    def twice(number: int) -> dict[str, Any]:
        before = {"Fn::FindInMap": ["Texts", f"text{number - 1}", "value"]}
        return {"Fn::Join": ["", [before, {"Ref": "AWS::Region"}, before]]}

    texts: dict[str, Any] = {"text0": {"value": "long"}}
    texts.update({f"text{number}": {"value": twice(number)} for number in range(1, 60)})
    last = {"Fn::FindInMap": ["Texts", "text59", "value"]}
    assert value(last, Mappings={"Texts": texts}).is_open


def test_templates_that_nest_each_other_are_still_read() -> None:
    def nesting(name: str, other: str) -> Any:
        stack = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": f"{other}.template.json"},
        }
        return read(name, {"Resources": {"Other": stack, f"Bucket{name}": {"Type": "AWS::S3::Bucket"}}})

    both = graph(nesting("A", "B"), nesting("B", "A"))
    assert {each.logical_id for each in both.nodes("AWS::S3::Bucket")} == {"BucketA", "BucketB"}


@pytest.mark.parametrize(
    "raw",
    [
        {"Ref": "Endpoint"},
        {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
        "churn",
        "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/churn",
        {"Fn::Sub": "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/${Endpoint.EndpointName}"},
        {"Fn::Join": ["", ["arn:aws:sagemaker:", {"Ref": "AWS::Region"}, ":1:endpoint/churn"]]},
    ],
)
def test_a_resource_is_found_by_reference_in_an_arn_and_by_its_name(raw: Any) -> None:
    named = value(raw)
    found = named.node.graph.target(named, "AWS::SageMaker::Endpoint")
    assert found is not None
    assert found.logical_id == "Endpoint"


@pytest.mark.parametrize("raw", ["other", {"Ref": "Bucket"}, {"Ref": "Nobody"}, ["churn"], None])
def test_what_does_not_name_a_resource_finds_none(raw: Any) -> None:
    named = value(raw)
    assert named.node.graph.target(named, "AWS::SageMaker::Endpoint") is None


def test_one_unknown_name_used_twice_is_the_same_name() -> None:
    resources = {
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointName": {"Ref": "Name"}}},
        **holding({"Ref": "Name"}),
    }
    both = app({"Parameters": {"Name": {"Type": "String"}}, "Resources": resources})
    assert both.target(node(both, "Holder")["Value"], "AWS::SageMaker::Endpoint") is node(both, "Endpoint")


@pytest.mark.parametrize(
    ("option", "stack_tag", "own_tag", "strict"),
    [
        (None, None, None, True),
        (None, None, "dev", False),
        (None, "prod", "dev", True),
        (None, "dev", "prod", False),
        ("prod", "dev", "dev", True),
        ("staging", "prod", "prod", False),
        (None, "Production", None, True),
    ],
)
def test_production_is_told_by_option_then_stack_then_resource_then_assumed(
    option: str | None, stack_tag: str | None, own_tag: str | None, strict: bool
) -> None:
    tags = {"mllens:environment": stack_tag} if stack_tag else {}
    own = [{"Key": "mllens:environment", "Value": own_tag}] if own_tag else []
    body = {"Resources": {"Holder": {**HOLDER, "Properties": {"Tags": own}}}}
    assert node(graph(read("App", body, tags=tags), environment=option), "Holder").in_production is strict
