"""What one resource leaves open matters to those that ask about it, in each branch, and to nobody else."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ml_lens.rules import RULES
from ml_lens.rules.alarms import alarms_on_endpoint
from ml_lens.rules.assumptions import MOST_RUNS
from ml_lens.rules.buckets import has_role, roles_of
from ml_lens.rules.engine import judge
from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.options import Options
from ml_lens.rules.policies import role
from ml_lens.rules.role_uses import is_workplace, runs_pipeline
from ml_lens.rules.triggers import triggers_of
from ml_lens.rules.verdicts import Verdict, fails, passes
from tests.benchmarks.learning_app import template
from tests.rules.apps import app, node, read

CONDITIONS = {f"C{number}": {"Fn::Equals": ["a", "b"]} for number in range(40)}
INTRINSICS = ("Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::If")
VPC = {"Type": "AWS::EC2::VPC"}
SUBNET = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}}}
NOTEBOOK = {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"SubnetId": {"Ref": "Subnet"}}}
ENDPOINT = {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": "churn"}}


def either(condition: str, this: Any, other: Any) -> dict[str, Any]:
    return {"Fn::If": [condition, this, other]}


def of(resources: dict[str, Any]) -> Graph:
    return app({"Resources": resources, "Conditions": CONDITIONS})


def runs(graph: Graph, ask: Any) -> list[Any]:
    """Return what ``ask`` answers in each run of a rule that asks it."""
    answers = []

    def judged() -> Iterator[Verdict]:
        answers.append(ask())
        yield passes(next(iter(graph.all_nodes)))

    graph.assumptions.explore(judged)
    return answers


def found(rule_name: str, resources: dict[str, Any]) -> set[tuple[str | None, str]]:
    (rule,) = [each for each in RULES if each.name == rule_name]
    body = {"Resources": resources, "Conditions": CONDITIONS}
    return {(each.finding, each.resource) for each in judge([read("App", body)], Options(), [rule])}


def alarm(endpoint: Any, **more: Any) -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": endpoint}]
    properties = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": dimensions}
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": {**properties, **more}}


def name_of(endpoint: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [endpoint, "EndpointName"]}


# -- what a question costs --------------------------------------------------------------------------------------


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a document that may stand behind a condition."""
    if isinstance(value, dict) and not (len(value) == 1 and next(iter(value)) in INTRINSICS):
        for key in value:
            yield value, key
            yield from places(value[key])
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield value, index
            yield from places(element)


def sprinkled(conditions: int) -> dict[str, Any]:
    """Return an app of 300 resources, with conditions at places all over it; both branches are the same."""
    body = template(300)
    body["Conditions"].update({name: CONDITIONS[name] for name in list(CONDITIONS)[:conditions]})
    every = [place for each in body["Resources"].values() for place in places(each.get("Properties", {}))]
    for number in range(conditions):
        holder, key = every[number * (len(every) // conditions)]
        holder[key] = either(f"C{number}", holder[key], copy.deepcopy(holder[key]))
    return body


def judged_calls(body: dict[str, Any]) -> tuple[int, set[tuple[str, str]]]:
    """Return how often rules were run on the template, and what they found."""
    calls = 0

    def counted(judging: Any) -> Any:
        def run(target: Any) -> Any:
            nonlocal calls
            calls += 1
            return judging(target)

        return run

    rules = [replace(each, judge=counted(each.judge)) for each in RULES]
    findings = judge([read("App", body)], Options(), rules)
    return calls, {(each.id, each.resource) for each in findings}


def test_forty_conditions_all_over_an_app_cost_a_few_runs_each() -> None:
    plain, expected = judged_calls(template(300))
    calls = {}
    for conditions in (10, 20, 40):
        calls[conditions], told = judged_calls(sprinkled(conditions))
        assert told == expected
    more = {conditions: count - plain for conditions, count in calls.items()}
    assert more[10] > 0
    assert more[40] <= 5 * more[10], more
    assert more[40] <= 15 * 40, more


def test_who_asks_for_one_key_does_not_depend_on_what_another_leaves_open() -> None:
    others = {
        f"Alarm{number}": alarm(either(f"C{number}", name_of("Other"), "elsewhere")) for number in range(20)
    }
    graph = of({"Endpoint": ENDPOINT, "Other": ENDPOINT, "Own": alarm(name_of("Endpoint")), **others})
    endpoint = node(graph, "Endpoint")
    assert [
        [each.node.logical_id for each in run] for run in runs(graph, lambda: alarms_on_endpoint(endpoint))
    ] == [["Own"]]


def test_a_fork_that_does_not_decide_whether_a_resource_belongs_is_none() -> None:
    metric = either("C1", "ModelLatency", "Invocation5XXErrors")
    graph = of({"Endpoint": ENDPOINT, "Alarm": alarm(name_of("Endpoint"), Unit=metric)})
    assert len(runs(graph, lambda: alarms_on_endpoint(node(graph, "Endpoint")))) == 1


def test_a_question_that_was_asked_in_one_branch_is_answered_for_the_other_too() -> None:
    graph = of({"Role": {"Type": "AWS::IAM::Role"}, "Other": {"Type": "AWS::IAM::Role"}})
    switch = {"Type": "T", "Properties": {"X": either("C1", "a", "b")}}
    place = either("C1", {"Ref": "Role"}, {"Ref": "Other"})
    work = {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"RoleArn": place}}
    graph = of({"Role": {"Type": "AWS::IAM::Role"}, "Switch": switch, "Notebook": work})
    asked = node(graph, "Role")
    told = runs(graph, lambda: (node(graph, "Switch")["X"].literal, is_workplace(asked)))
    assert told[-2:] == [("a", True), ("b", False)]


# -- what is true in one branch only --------------------------------------------------------------------------


def test_an_alarm_of_one_branch_is_missing_in_the_other() -> None:
    graph = of({"Endpoint": ENDPOINT, "Alarm": alarm(either("C1", name_of("Endpoint"), "elsewhere"))})
    told = runs(graph, lambda: len(alarms_on_endpoint(node(graph, "Endpoint"))))
    assert sorted(told) == [0, 1]


@pytest.mark.parametrize("branches", [("Vpc", "Elsewhere"), ("Elsewhere", "Vpc"), ("Vpc", "Vpc")])
def test_a_flow_log_of_one_branch_is_missing_in_the_other(branches: tuple[str, str]) -> None:
    where = either("C1", *({"Ref": branch} for branch in branches))
    log = {"Type": "AWS::EC2::FlowLog", "Properties": {"ResourceId": where, "TrafficType": "ALL"}}
    resources = {"Vpc": VPC, "Elsewhere": VPC, "Subnet": SUBNET, "Notebook": NOTEBOOK, "Log": log}
    expected = set() if branches == ("Vpc", "Vpc") else {(None, "Vpc")}
    assert found("SEC02-MlVpcFlowLogs", resources) == expected


def test_each_network_is_judged_for_its_own_conditions() -> None:
    resources: dict[str, Any] = {}
    for number in range(12):
        vpc, subnet = f"Vpc{number}", f"Subnet{number}"
        traffic = either(f"C{number}", "ALL", "REJECT" if number == 7 else "ALL")
        resources |= {
            vpc: VPC,
            subnet: {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": vpc}}},
            f"Notebook{number}": {**NOTEBOOK, "Properties": {"SubnetId": {"Ref": subnet}}},
            f"Log{number}": {
                "Type": "AWS::EC2::FlowLog",
                "Properties": {"ResourceId": {"Ref": vpc}, "TrafficType": traffic},
            },
        }
    assert found("SEC02-MlVpcFlowLogs", resources) == {(None, "Log7")}


def test_a_policy_attached_in_one_branch_counts_there() -> None:
    statement = {"Effect": "Allow", "Action": "sagemaker:CreateEndpoint", "Resource": "*"}
    policy = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "Roles": [either("C1", {"Ref": "Role"}, {"Ref": "Other"})],
            "PolicyDocument": {"Statement": [statement]},
        },
    }
    iam_role = {"Type": "AWS::IAM::Role"}
    graph = of({"Role": iam_role, "Other": iam_role, "Policy": policy})
    for name in ("Role", "Other"):
        told = runs(graph, lambda name=name: role(node(graph, name)).may("sagemaker:CreateEndpoint"))
        assert sorted(told) == [False, True]


def test_a_role_of_a_pipeline_in_one_branch_is_none_in_the_other() -> None:
    build = {
        "Type": "AWS::CodeBuild::Project",
        "Properties": {"ServiceRole": either("C1", {"Ref": "Role"}, "x")},
    }
    graph = of({"Role": {"Type": "AWS::IAM::Role"}, "Build": build})
    assert sorted(runs(graph, lambda: runs_pipeline(node(graph, "Role")))) == [False, True]


def test_a_use_of_a_bucket_in_one_branch_is_none_in_the_other() -> None:
    url = either("C1", {"Fn::Sub": "s3://${Bucket}/model.tar.gz"}, "s3://elsewhere/model.tar.gz")
    model = {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": {"ModelDataUrl": url}}}
    graph = of({"Bucket": {"Type": "AWS::S3::Bucket"}, "Model": model})
    bucket = node(graph, "Bucket")
    assert sorted(runs(graph, lambda: has_role(bucket, "model-artifacts"))) == [False, True]
    assert sorted(map(sorted, runs(graph, lambda: roles_of(bucket)))) == [[], ["model-artifacts"]]


def test_a_trigger_of_one_branch_starts_nothing_in_the_other() -> None:
    machine = {"Type": "AWS::StepFunctions::StateMachine"}
    schedule = {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {"Target": {"Arn": either("C1", {"Ref": "Machine"}, {"Ref": "Other"})}},
    }
    graph = of({"Machine": machine, "Other": machine, "Schedule": schedule})
    assert sorted(runs(graph, lambda: len(triggers_of(node(graph, "Machine"))))) == [0, 1]


def test_a_resource_with_more_conditions_than_can_be_tried_is_asked_again_in_each_run() -> None:
    names = [either(f"C{number}", name_of("Endpoint"), "elsewhere") for number in range(9)]
    several = [{"Name": "EndpointName", "Value": name} for name in names]
    metrics = [
        {"MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M", "Dimensions": [each]}}}
        for each in several
    ]
    graph = of(
        {
            "Endpoint": ENDPOINT,
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": metrics}},
        }
    )
    assert 2 ** len(names) > MOST_RUNS
    endpoint: Node = node(graph, "Endpoint")

    def watched() -> Iterator[Verdict]:
        yield passes(endpoint) if alarms_on_endpoint(endpoint) else fails(endpoint, "is not watched")

    assert [each.message for each in graph.assumptions.explore(watched) if each.message] == ["is not watched"]


def test_an_allowed_value_that_decides_a_join_leaves_the_answer_open() -> None:
    where = {"Fn::FindInMap": ["Places", {"Ref": "Stage"}, "vpc"]}
    log = {"Type": "AWS::EC2::FlowLog", "Properties": {"ResourceId": where, "TrafficType": "ALL"}}
    body = {
        "Resources": {"Vpc": VPC, "Subnet": SUBNET, "Notebook": NOTEBOOK, "Log": log},
        "Parameters": {"Stage": {"Type": "String", "AllowedValues": ["dev", "prod"]}},
        "Mappings": {"Places": {"dev": {"vpc": {"Ref": "Vpc"}}, "prod": {"vpc": "vpc-1"}}},
    }
    (rule,) = [each for each in RULES if each.name == "SEC02-MlVpcFlowLogs"]
    told = judge([read("App", body)], Options(), [rule])
    assert [str(each.level) for each in told] == ["warning"]
