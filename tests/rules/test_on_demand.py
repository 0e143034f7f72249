"""Every way through a workflow that creates an endpoint for one run."""

from typing import Any

import pytest

from tests.rules.cases.operations import may
from tests.rules.cases.spending import FUNCTION, allowed
from tests.rules.cases.workflows import CREATE, DELETE, catch, machine, task
from tests.rules.fixtures import said, template, told

Resources = dict[str, Any]
Told = list[tuple[str | None, str, str]]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def finds(rule: str, resources: Resources, **options: Any) -> Told:
    return told(said(rule, template(resources), options))


ON_DEMAND = {"MLLens": {"Role": "on-demand"}}
LEFT = "COST04-OnDemandEndpointDeleted"


def runs(states: dict[str, Any], start: str = "Create", **beside: Any) -> Told:
    return finds(LEFT, {"Runs": machine(states, start, **beside)})


FAILS = [(None, "error", "Runs")]


def test_a_deployment_may_keep_its_endpoint() -> None:
    tested = {"Create": CREATE, "Describe": task("sagemakerruntime:invokeEndpoint", End=True)}
    assert runs(tested) == FAILS
    assert runs(tested, Metadata={"MLLens": {"Role": "deployment"}}) == []
    assert (
        runs({"Create": {**CREATE, "Next": "Check"}, "Check": task("sagemaker:describeEndpoint", End=True)})
        == []
    )


def test_a_workflow_that_deletes_its_endpoint_when_all_goes_well_has_to_when_it_does_not() -> None:
    steps = {
        "Create": CREATE,
        "Describe": task("lambda:invoke", Next="Delete"),
        "Delete": DELETE,
    }
    assert runs(steps) == FAILS
    assert runs({**steps, "Describe": {**steps["Describe"], "Catch": catch()}}) == []


def test_a_deployment_that_deletes_another_endpoint_is_none_on_demand() -> None:
    old = {**DELETE, "Parameters": {"EndpointName": "previous"}}
    assert runs({"Create": CREATE, "Describe": task("lambda:invoke", Next="Delete"), "Delete": old}) == []


def test_a_catch_of_task_failures_is_enough_without_a_time_limit() -> None:
    caught = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Delete"}]
    for more, expected in (({}, []), ({"TimeoutSeconds": 60}, FAILS)):
        predict = task("sagemakerruntime:invokeEndpoint", Next="Delete", Catch=caught, **more)
        assert runs({"Create": CREATE, "Describe": predict, "Delete": DELETE}) == expected


def nested(kind: str, states: dict[str, Any], *others: dict[str, Any], **more: Any) -> dict[str, Any]:
    bodies = [{"StartAt": next(iter(each)), "States": each} for each in (states, *others)]
    inner = {"Branches": bodies} if kind == "Parallel" else {"ItemProcessor": bodies[0]}
    return {"Type": kind, **inner, **more}


INSIDE = {"Create": {**CREATE, "Next": "Ask"}, "Ask": task("sagemakerruntime:invokeEndpoint", End=True)}
CLEANED = {
    **INSIDE,
    "Ask": task("sagemakerruntime:invokeEndpoint", Next="Delete", Catch=catch()),
    "Delete": DELETE,
}
FALLIBLE = {"Other": task("dynamodb:putItem", End=True)}


@pytest.mark.parametrize("kind", ["Parallel", "Map"])
def test_what_is_created_inside_may_be_deleted_around(kind: str) -> None:
    around = {"All": nested(kind, INSIDE, Catch=catch(), Next="Delete"), "Delete": DELETE}
    assert runs(around, "All") == []
    assert runs({**around, "All": nested(kind, INSIDE, Next="Delete")}, "All") == FAILS
    assert runs({**around, "All": nested(kind, INSIDE, Catch=catch(), End=True)}, "All") == FAILS
    assert runs({"All": nested(kind, CLEANED, End=True)}, "All") == []


def test_another_branch_that_fails_ends_the_one_with_the_endpoint() -> None:
    assert runs({"All": nested("Parallel", CLEANED, FALLIBLE, End=True)}, "All") == FAILS
    calm = {"Other": {"Type": "Wait", "Seconds": 1, "End": True}}
    assert runs({"All": nested("Parallel", CLEANED, calm, End=True)}, "All") == []


def test_what_is_created_before_may_be_deleted_inside() -> None:
    asked = {"Ask": task("sagemakerruntime:invokeEndpoint", Next="Delete", Catch=catch()), "Delete": DELETE}
    for kind in ("Parallel", "Map"):
        assert runs({"Create": {**CREATE, "Next": "All"}, "All": nested(kind, asked, End=True)}) == []
        unsafe = {**asked, "Ask": task("sagemakerruntime:invokeEndpoint", Next="Delete")}
        assert runs({"Create": {**CREATE, "Next": "All"}, "All": nested(kind, unsafe, End=True)}) == FAILS


def test_a_failure_inside_is_caught_around() -> None:
    inside = {
        "Create": {**CREATE, "Next": "Ask"},
        "Ask": task(
            "sagemakerruntime:invokeEndpoint", Next="Delete", Catch=[{**catch()[0], "Next": "Broken"}]
        ),
        "Delete": DELETE,
        "Broken": {"Type": "Fail"},
    }
    around = {"All": nested("Parallel", inside, Catch=catch(), End=True), "Delete": DELETE}
    assert runs(around, "All") == []


def test_a_catch_around_what_cannot_fail_is_no_path() -> None:
    inside = {"Create": {**CREATE, "Next": "Note"}, "Note": {"Type": "Pass", "End": True}}
    aside = [{"ErrorEquals": ["States.ALL"], "Next": "Broken"}]
    around = {
        "All": nested("Parallel", inside, Catch=aside, Next="Delete"),
        "Delete": DELETE,
        "Broken": {"Type": "Fail"},
    }
    assert runs(around, "All", Metadata=ON_DEMAND) == []
    fallible = {**inside, "Note": task("dynamodb:putItem", End=True)}
    around["All"] = nested("Parallel", fallible, Catch=aside, Next="Delete")
    assert runs(around, "All", Metadata=ON_DEMAND) == FAILS


def test_names_that_are_computed_differently_tell_of_no_run_on_demand() -> None:
    created = {**CREATE, "Parameters": {"EndpointName.$": "$.new"}}
    deleted = {**DELETE, "Parameters": {"EndpointName.$": "$.old"}}
    steps = {"Create": created, "Describe": task("lambda:invoke", Next="Delete"), "Delete": deleted}
    assert runs(steps) == []
    assert runs({**steps, "Delete": {**deleted, "Parameters": {"EndpointName.$": "$.new"}}}) == FAILS


def test_a_loop_that_comes_to_the_deletion_is_no_leak() -> None:
    turned = {
        "Create": {**CREATE, "Next": "Ask"},
        "Ask": task("sagemakerruntime:invokeEndpoint", Next="More", Catch=catch()),
        "More": {"Type": "Choice", "Choices": [{"Next": "Ask"}], "Default": "Delete"},
        "Delete": DELETE,
    }
    assert runs(turned) == []
    endless = {**turned, "More": {"Type": "Pass", "Next": "Again"}, "Again": {"Type": "Pass", "Next": "More"}}
    assert runs(endless) == FAILS


def test_every_endpoint_of_a_workflow_is_deleted() -> None:
    second = {**CREATE, "Parameters": {"EndpointName": "second"}, "Next": "Delete", "Catch": catch()}
    both = {
        "Create": {**CREATE, "Next": "Second"},
        "Second": second,
        "Delete": {**DELETE, "End": False, "Next": "DeleteSecond"},
        "DeleteSecond": {**DELETE, "Parameters": {"EndpointName": "second"}},
    }
    assert runs(both, Metadata=ON_DEMAND) == FAILS  # the deletion of the first has no Catch
    both["Delete"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "DeleteSecond"}]
    assert runs(both, Metadata=ON_DEMAND) == []
    del both["Delete"]["Next"]
    both["Delete"]["End"] = True
    assert runs(both, Metadata=ON_DEMAND) == FAILS


def test_a_function_that_may_delete_endpoints_deletes() -> None:
    cleans = {"Type": "Task", "Resource": {"Fn::GetAtt": ["Cleans", "Arn"]}, "End": True}
    for action, expected in (("sagemaker:DeleteEndpoint", []), ("sagemaker:*", FAILS)):
        app = {
            "May": allowed(action),
            "Cleans": FUNCTION,
            "Runs": machine(
                {"Create": {**CREATE, "Next": "Clean"}, "Clean": cleans}, "Create", Metadata=ON_DEMAND
            ),
        }
        assert finds(LEFT, app) == expected


def test_an_endpoint_is_told_with_the_state_that_leaves_it() -> None:
    body = template({"Runs": machine(INSIDE, "Create")})
    message = said(LEFT, body, {})[0].message
    assert "the endpoint of Create is left behind when Ask ends the workflow" in message
    assert (
        "the endpoint of Create is left behind when Ask fails, and no Catch leads to a deleteEndpoint"
        in message
    )


def test_a_body_that_cannot_be_read_is_told_only_of_what_may_create_and_ask() -> None:
    stored = {"DefinitionS3Location": {"Bucket": "b", "Key": "k"}, "RoleArn": {"Fn::GetAtt": ["Held", "Arn"]}}
    hidden = {"Runs": resource("StepFunctions::StateMachine", **stored)}
    both = may("sagemaker:CreateEndpoint", "sagemaker:InvokeEndpoint", on="*")
    assert finds(LEFT, {**hidden, "Held": both}) == [("unresolved:DefinitionS3Location", "warning", "Runs")]
    assert finds(LEFT, {**hidden, "Held": may("sagemaker:CreateEndpoint", on="*")}) == []
