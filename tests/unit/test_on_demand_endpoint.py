"""An endpoint that exists while it is needed: what creates it, what asks it, and what deletes it whatever happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events as events

from ml_lens.foundation import Posture, PropError
from ml_lens.hosting import (
    BatchSource,
    ModelArtifact,
    ModelImage,
    OnDemandEndpoint,
    OnDemandFleet,
    ServedModel,
)
from tests.stacks.state_machines import definitions, problems
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template
from tests.unit.workflows import MACHINE, ROLE, RULE, Place, allowed, catchers, complaints, states

CONFIG, MODEL, FUNCTION = "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Model", "AWS::Lambda::Function"
ALARM = "AWS::CloudWatch::Alarm"
USE, DELETE = "Use the endpoint", "Delete the endpoint"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(new_app(tmp_path), Posture.production())


def demand(place: Place, **props: Any) -> OnDemandEndpoint:
    settings = {
        "posture": place.posture,
        "model": ServedModel(
            image=ModelImage.xgboost(),
            artifact=ModelArtifact.in_bucket(place.models, "churn/1/model.tar.gz"),
            version="1.0.0",
        ),
        "network": place.network,
        "source": BatchSource(bucket=place.files.bucket),
        "results": place.results,
        **props,
    }
    return OnDemandEndpoint(place.stack, "Churn", **settings)


def template(place: Place) -> Template:
    app = place.stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)[place.stack.node.id]


def next_of(state: Any) -> list[str]:
    """Return every state to which one may lead, errors included."""
    choices = [each["Next"] for each in state.get("Choices", ())]
    ways = [
        state.get("Next"),
        state.get("Default"),
        *choices,
        *(each["Next"] for each in state.get("Catch", ())),
    ]
    return [each for each in ways if each]


@pytest.mark.lens("ODE-01", "CIN-01")
def test_nothing_runs_until_a_run_creates_the_endpoint(place: Place) -> None:
    demand(place)
    made = template(place)
    assert made.resources("AWS::SageMaker::Endpoint") == {}
    (variant,) = made.only(CONFIG)["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)
    create = states(made)["Create the endpoint"]
    assert create["Resource"].endswith(":aws-sdk:sagemaker:createEndpoint")
    assert "EndpointConfigName" in create["Arguments"]


@pytest.mark.lens("ODE-01")
def test_a_run_creates_waits_asks_and_deletes_in_this_order(place: Place) -> None:
    demand(place)
    found = states(template(place))
    assert found["Create the endpoint"]["Next"] == USE
    inside = found[USE]["Branches"][0]["States"]
    assert inside["Look at the endpoint"]["Next"] == "Is it in service?"
    service = inside["Is it in service?"]["Choices"][0]
    assert service["Condition"] == "{% $states.input.status = 'InService' %}"
    assert service["Next"] == "Share the objects out"
    assert found[USE]["Next"] == DELETE
    assert found[DELETE]["Resource"].endswith(":aws-sdk:sagemaker:deleteEndpoint")


@pytest.mark.lens("ODE-02")
def test_every_way_from_creation_to_an_end_goes_through_the_deletion(place: Place) -> None:
    demand(place)
    (definition,) = definitions(template(place).body).values()
    top = json.loads(definition)["States"]
    waiting, seen = ["Create the endpoint"], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name == DELETE:
            continue
        seen.add(name)
        assert next_of(top[name]), f"{name} ends a run with its endpoint there"
        assert top[name]["Type"] not in ("Task", "Parallel", "Map") or catchers(top[name]) == [DELETE]
        # What is no task and can fail nevertheless is inside of one that catches.
        assert top[name]["Type"] in ("Task", "Parallel")
        waiting += next_of(top[name])
    assert seen == {"Create the endpoint", USE}


@pytest.mark.lens("ODE-02")
def test_a_deletion_that_is_refused_is_tried_for_long_and_then_left_to_the_reaper(place: Place) -> None:
    demand(place)
    found = states(template(place))
    assert catchers(found[DELETE]) == ["Is it gone?"]
    gone, again = found["Is it gone?"]["Choices"]
    assert "Could not find" in gone["Condition"]
    assert gone["Next"] == "Did the run succeed?"
    wait = found[again["Next"]]
    assert (wait["Seconds"], wait["Next"]) == (60, DELETE)
    assert again["Condition"] == "{% $deletes < 45 %}"
    assert found[found["Is it gone?"]["Default"]]["Next"] == "Tell"


def test_a_run_fails_for_its_own_reason_even_though_the_deletion_went_well(place: Place) -> None:
    demand(place)
    found = states(template(place))
    (worked,) = found["Did the run succeed?"]["Choices"]
    assert worked["Condition"] == "{% $failure.Error = '' %}"
    assert found[worked["Next"]]["Type"] == "Succeed"
    assert found["Did the run succeed?"]["Default"] == "Tell"
    for name in ("Create the endpoint", USE):
        assert found[name]["Catch"][-1]["Assign"]["failure"]["Error"] == "{% $states.errorOutput.Error %}"


def test_an_endpoint_that_never_comes_into_service_ends_the_run_with_its_reason(place: Place) -> None:
    demand(place)
    found = states(template(place))
    again = found["Is it in service?"]["Choices"][1]
    assert again["Condition"] == "{% $states.input.status = 'Creating' and $looks < 80 %}"
    never = found[found["Is it in service?"]["Default"]]
    assert never["Type"] == "Fail"
    assert "$states.input.reason" in never["Cause"]


@pytest.mark.lens("ODE-02")
def test_the_reaper_knows_the_endpoints_of_runs_by_the_same_name(place: Place) -> None:
    made_demand = demand(place)
    made = template(place)
    name = states(made)["Name the endpoint"]["Assign"]["endpoint"]
    assert name == (
        f"{{% '{made_demand.endpoint_prefix}-' & $substring($hash($states.context.Execution.Id, 'SHA-256'), 0, 16) %}}"
    )
    variables = made.one(FUNCTION, "ChurnReaperFunction")["Environment"]["Variables"]
    assert variables["PREFIX"] == made_demand.endpoint_prefix
    assert variables["STATE_MACHINE_ARN"] == {"Ref": made.id(MACHINE, "ChurnWorkflow")}
    assert len(made_demand.endpoint_prefix) + 1 + 16 <= 63
    assert made_demand.endpoint_prefix == made_demand.endpoint_prefix.lower()


@pytest.mark.lens("ODE-02")
def test_the_reaper_is_called_by_the_clock_and_by_every_run_that_ends_badly(place: Place) -> None:
    demand(place, fleet=OnDemandFleet(time_limit=cdk.Duration.hours(2)))
    made = template(place)
    rules = made.resources(RULE).values()
    assert sorted(each.get("ScheduleExpression", "") for each in rules) == ["", "rate(15 minutes)"]
    (ends,) = [each["EventPattern"] for each in rules if "EventPattern" in each]
    assert ends["detail"] == {
        "stateMachineArn": [{"Ref": made.id(MACHINE, "ChurnWorkflow")}],
        "status": ["ABORTED", "FAILED", "TIMED_OUT"],
    }
    function = made.id(FUNCTION, "ChurnReaperFunction")
    assert {each["Targets"][0]["Arn"]["Fn::GetAtt"][0] for each in rules} == {function}
    # No run is older than its endpoint may become.
    assert made.resources()[function]["Environment"]["Variables"]["MAX_AGE_SECONDS"] == str(3 * 3600)


@pytest.mark.lens("ODE-02")
def test_it_rings_when_the_reaper_had_to_act_and_when_it_could_not(place: Place) -> None:
    made_demand = demand(place)
    made = template(place)
    for alarm, metric in (("Reaped", "EndpointsReaped"), ("NotReaped", "EndpointsNotReaped")):
        found = made.one(ALARM, f"ChurnReaper{alarm}Alarm")
        assert (found["MetricName"], found["Threshold"]) == (metric, 0)
        dimensions = {each["Name"]: each["Value"] for each in found["Dimensions"]}
        assert dimensions == {"service": "endpoint_reaper", "Endpoints": made_demand.endpoint_prefix}
    assert len(made_demand.alarms) == 1 + 2 + 4


@pytest.mark.lens("ODE-02")
def test_the_reaper_reaches_the_endpoints_of_this_construct_only(place: Place) -> None:
    made_demand = demand(place)
    made = template(place)
    role = "ChurnReaperFunctionRole"
    (deleting,) = allowed(made, role, "sagemaker:DeleteEndpoint")
    assert [arn.rpartition(":")[2] for arn in deleting.resources] == [
        f"endpoint/{made_demand.endpoint_prefix}-*"
    ]
    starred = {
        action
        for each in made.statements(made.id(ROLE, role))
        if "*" in each.resources
        for action in each.actions
    }
    assert {each for each in starred if not each.startswith("xray:")} == {
        "logs:DescribeLogGroups",
        "sagemaker:ListEndpoints",
    }
    (listing,) = allowed(made, role, "states:ListExecutions")
    assert listing.resources == (f"<{made.id(MACHINE, 'ChurnWorkflow')}>",)


def test_only_the_state_machine_creates_endpoints_and_only_from_this_configuration(place: Place) -> None:
    made_demand = demand(place)
    made = template(place)
    creating = allowed(made, "ChurnWorkflowRole", "sagemaker:CreateEndpoint")
    resources = [arn.rpartition(":")[2] for each in creating for arn in each.resources]
    config = f"<{made.id(CONFIG, 'ChurnConfig')}>"
    assert set(resources) == {f"endpoint/{made_demand.endpoint_prefix}-*", config}
    everybody = [id for id in made.resources(ROLE) if "sagemaker:CreateEndpoint" in made.actions(id)]
    assert everybody == [made.id(ROLE, "ChurnWorkflowRole")]


def test_the_function_that_asks_runs_in_the_private_network_and_reaches_nothing_else(place: Place) -> None:
    made_demand = demand(place)
    made = template(place)
    function = made.one(FUNCTION, "ChurnPredict")
    assert len(function["VpcConfig"]["SubnetIds"]) == 2
    role = made.id(ROLE, "ChurnPredictRole")
    (asking,) = allowed(made, "ChurnPredictRole", "sagemaker:InvokeEndpoint")
    assert [arn.rpartition(":")[2] for arn in asking.resources] == [
        f"endpoint/{made_demand.endpoint_prefix}-*"
    ]
    assert {action for action in made.actions(role) if action.startswith("s3:")} == {
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    }


def test_the_logs_of_every_endpoint_are_encrypted_and_expire_before_it_is_there(place: Place) -> None:
    demand(place)
    made = template(place)
    found = states(made)
    make, keep = found["Make the log"], found["Let the log expire"]
    assert make["Arguments"]["LogGroupName"] == "{% '/aws/sagemaker/Endpoints/' & $endpoint %}"
    assert "KmsKeyId" in make["Arguments"]
    assert keep["Arguments"]["RetentionInDays"] == 365
    assert (make["Next"], keep["Next"]) == ("Let the log expire", "Create the endpoint")
    # Without a log group of ours, SageMaker would make one of its own.
    assert (catchers(make), catchers(keep)) == (["Tell"], ["Tell"])


def test_the_objects_are_shared_out_among_as_many_functions_as_were_asked_for(place: Place) -> None:
    demand(place, fleet=OnDemandFleet(shares=7, calls_at_once=3))
    made = template(place)
    share = states(made)["Share the objects out"]
    assert share["Items"] == "{% [$range(0, 6, 1)] %}"
    assert (share["MaxConcurrency"], share["ItemSelector"]["of"]) == (7, 7)
    assert made.one(FUNCTION, "ChurnPredict")["Environment"]["Variables"]["PARALLEL_CALLS"] == "3"
    done = states(made)["Is the share done?"]
    assert done["Default"] == "Predict"


def test_container_volumes_and_captured_calls_are_shielded(place: Place) -> None:
    demand(place)
    made = template(place)
    model, config = made.only(MODEL), made.only(CONFIG)
    assert model["EnableNetworkIsolation"] is True
    assert len(model["VpcConfig"]["Subnets"]) == 2
    assert config["KmsKeyId"] == {"Fn::GetAtt": [made.id("AWS::KMS::Key", "ChurnKey"), "Arn"]}
    assert config["DataCaptureConfig"]["KmsKeyId"] == {
        "Fn::GetAtt": [made.id("AWS::KMS::Key", "ResultsKey"), "Arn"]
    }


def test_a_schedule_starts_runs_and_a_start_that_fails_is_kept(place: Place) -> None:
    made_demand = demand(place)
    made_demand.start_on_schedule("Daily", events.Schedule.rate(cdk.Duration.days(1)))
    made = template(place)
    rule = made.one(RULE, "ChurnStartsDaily")
    assert "DeadLetterConfig" in rule["Targets"][0]
    assert len(made_demand.alarms) == 8


def test_the_definition_is_sound(place: Place, tmp_path: Path) -> None:
    demand(place)
    (definition,) = definitions(template(place).body).values()
    assert problems(definition, tmp_path) == ""


@pytest.mark.parametrize("posture", [Posture.sandbox(), Posture.production()], ids=lambda each: each.name)
def test_no_pack_has_anything_to_say(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path)
    demand(Place(app, posture)).start_on_schedule("Daily", events.Schedule.rate(cdk.Duration.days(1)))
    assert complaints(app) == []


@pytest.mark.parametrize(
    ("fleet", "problem"),
    [
        ({"type": "m5.large"}, "fleet.type: 'm5.large' is no instance type"),
        ({"type": "ml.c7g.large"}, "model.image: AWS makes sagemaker-xgboost"),
        ({"instances": 0}, "fleet.instances: 0 is out of range"),
        ({"shares": 41}, "fleet.shares: 41 is out of range"),
        ({"calls_at_once": 65}, "fleet.calls_at_once: 65 is out of range"),
        ({"time_limit": cdk.Duration.minutes(5)}, "fleet.time_limit: 300 is out of range"),
    ],
)
def test_fleets_that_cannot_work_are_refused(place: Place, fleet: dict[str, Any], problem: str) -> None:
    with pytest.raises(PropError) as raised:
        demand(place, fleet=OnDemandFleet(**fleet))
    (found,) = raised.value.problems
    assert found.startswith(problem)
    assert place.stack.node.try_find_child("Churn") is None
