"""How much load an endpoint takes: the plan, the states, and who may do what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from ml_lens.foundation import AlarmTopic, Posture, PropError
from ml_lens.hosting import (
    DataCapture,
    EndpointNetwork,
    HostedModel,
    LoadPayloads,
    LoadPlan,
    LoadTest,
    ModelArtifact,
    ModelImage,
    ServedModel,
)
from tests.stacks.state_machines import definitions, problems
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template
from tests.unit.workflows import ROLE, Place, allowed, complaints, raw_states, states

FUNCTION = "AWS::Lambda::Function"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(new_app(tmp_path / "out"), Posture.sandbox())


def endpoint(place: Place) -> HostedModel:
    return HostedModel(
        place.stack,
        "Churn",
        posture=place.posture,
        model=ServedModel(
            image=ModelImage.xgboost(),
            artifact=ModelArtifact.in_bucket(place.models, "churn/1/model.tar.gz"),
            version="1.0.0",
        ),
        network=EndpointNetwork.within(place.network),
        capture=DataCapture(bucket=place.results),
    )


def load_test(place: Place, **props: Any) -> LoadTest:
    settings = {
        "posture": place.posture,
        "model": props.get("model") or endpoint(place),
        "network": place.network,
        "payloads": LoadPayloads.in_bucket(place.files.bucket, "batches/calls.jsonl"),
        "results": place.results,
        **props,
    }
    return LoadTest(place.stack, "Load", **settings)


def template(place: Place) -> Template:
    app = place.stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)[place.stack.node.id]


@pytest.mark.lens("SCL-03", "SCL-11")
@pytest.mark.parametrize(
    ("plan", "levels", "workers"),
    [
        (LoadPlan(start=1, step=2, most=5), [1, 3, 5], [[1], [3], [5]]),
        (LoadPlan(start=1, step=2, most=4), [1, 3, 4], [[1], [3], [4]]),
        (LoadPlan(start=8, step=8, most=8), [8], [[8]]),
        (LoadPlan(start=10, step=35, most=45), [10, 45], [[10], [20, 20, 5]]),
    ],
)
def test_the_load_rises_level_by_level_and_large_levels_have_many_workers(
    plan: LoadPlan, levels: list[int], workers: list[list[int]]
) -> None:
    assert plan.levels == levels
    assert plan.workers() == workers
    assert [sum(each) for each in workers] == levels


@pytest.mark.lens("SCL-03")
def test_every_level_is_summed_up_before_the_next(place: Place) -> None:
    load_test(place, plan=LoadPlan(start=2, step=2, most=6))
    found = states(template(place))
    assert [each["concurrency"] for each in found["Begin"]["Assign"]["plan"]] == [2, 4, 6]
    assert found["Load"]["Items"] == "{% [$plan[$level].threads] %}"
    assert (found["Load"]["Next"], found["Sum up"]["Next"]) == ("Sum up", "Does the test go on?")
    on = found["Does the test go on?"]["Choices"][1]
    assert (on["Condition"], on["Next"]) == ("{% $level < 2 %}", "More load")
    assert found["More load"]["Next"] == "Look at the alarms"
    assert found["Does the test go on?"]["Default"] == "Report"


@pytest.mark.lens("SCL-03")
def test_too_many_errors_or_an_alarm_end_the_test_and_are_reported(place: Place) -> None:
    load_test(place, plan=LoadPlan(stop_percent=3))
    made = template(place)
    found = states(made)
    errors = found["Does the test go on?"]["Choices"][0]
    assert errors["Condition"] == "{% $states.input.stop = true %}"
    (rings,) = found["Does one ring?"]["Choices"]
    assert rings["Condition"] == "{% $states.input.ringing != '' %}"
    for stop in (found[errors["Next"]], found[rings["Next"]]):
        assert "stopped" in stop["Assign"]
        assert stop["Next"] == "Report"
    look = found["Look at the alarms"]["Arguments"]
    assert look["StateValue"] == "ALARM"
    assert len(look["AlarmNames"]) == len(place.stack.node.find_child("Churn").alarms)  # type: ignore[attr-defined]
    assert made.one(FUNCTION, "LoadReport")["Environment"]["Variables"]["STOP_PERCENT"] == "3"


def test_without_alarms_none_is_looked_at(place: Place) -> None:
    load_test(place, stop_on=[])
    made = template(place)
    assert "Look at the alarms" not in states(made)
    assert "cloudwatch:DescribeAlarms" not in made.actions(made.id(ROLE, "LoadWorkflowRole"))


@pytest.mark.lens("SCL-02", "SCL-11")
def test_what_is_reported_counts_instances_level_by_level(place: Place) -> None:
    load_test(place, plan=LoadPlan(latency_slo=cdk.Duration.millis(150), headroom_percent=40))
    made = template(place)
    found = states(made)
    assert found["Count instances"]["Resource"].endswith(":aws-sdk:sagemaker:describeEndpoint")
    assert found["Sum up"]["Arguments"]["Payload"]["instances"] == "{% $instances %}"
    variables = made.one(FUNCTION, "LoadReport")["Environment"]["Variables"]
    assert (variables["SLO_MS"], variables["HEADROOM_PERCENT"]) == ("150", "40")


@pytest.mark.lens("SCL-03")
def test_production_is_driven_only_if_somebody_says_so(tmp_path: Path) -> None:
    place = Place(new_app(tmp_path), Posture.production())
    churn = endpoint(place)
    with pytest.raises(PropError) as raised:
        load_test(place, model=churn)
    (problem,) = raised.value.problems
    assert problem.startswith("plan.on_production: the endpoint is in production")
    assert load_test(place, model=churn, plan=LoadPlan(on_production=True)).alarms


def test_workers_invoke_this_endpoint_from_the_private_network_and_read_their_payloads(place: Place) -> None:
    load_test(place)
    made = template(place)
    worker = made.one(FUNCTION, "LoadWorker")
    assert len(worker["VpcConfig"]["SubnetIds"]) == 2
    role = made.id(ROLE, "LoadWorkerRole")
    (asking,) = allowed(made, "LoadWorkerRole", "sagemaker:InvokeEndpoint")
    assert asking.resources == (f"<{made.id('AWS::SageMaker::Endpoint', 'Churn')}>",)
    (reading,) = allowed(made, "LoadWorkerRole", "s3:GetObject")
    assert reading.resources == (f"<{made.id('AWS::S3::Bucket', 'Files')}.Arn>/batches/calls.jsonl",)
    assert {action for action in made.actions(role) if action.startswith(("s3:", "sagemaker:"))} == {
        "s3:GetObject",
        "sagemaker:InvokeEndpoint",
    }


def test_the_report_is_added_and_nothing_else_is_touched(place: Place) -> None:
    load_test(place)
    made = template(place)
    role = made.id(ROLE, "LoadReportRole")
    (adding,) = allowed(made, "LoadReportRole", "s3:PutObject")
    (prefix,) = adding.resources
    assert "/load-tests/" in prefix
    assert {action for action in made.actions(role) if action.startswith("s3:")} == {"s3:PutObject"}


def test_the_state_machine_looks_and_calls_and_changes_nothing(place: Place) -> None:
    load_test(place)
    made = template(place)
    role = made.id(ROLE, "LoadWorkflowRole")
    actions = {each for each in made.actions(role) if not each.startswith(("logs:", "xray:"))}
    assert actions == {"lambda:InvokeFunction", "sagemaker:DescribeEndpoint", "cloudwatch:DescribeAlarms"}
    (looking,) = allowed(made, "LoadWorkflowRole", "sagemaker:DescribeEndpoint")
    assert looking.resources == (f"<{made.id('AWS::SageMaker::Endpoint', 'Churn')}>",)


def test_a_worker_has_time_for_its_level_and_the_test_for_all(place: Place) -> None:
    load_test(place, plan=LoadPlan(start=1, step=1, most=10, seconds=300, warm_up_seconds=10))
    made = template(place)
    assert made.one(FUNCTION, "LoadWorker")["Timeout"] == 430
    limit = int(raw_states(made).rpartition('"TimeoutSeconds":')[2].partition(",")[0])
    assert limit >= 10 * 310


def test_payloads_of_this_machine_are_uploaded(place: Place, tmp_path: Path) -> None:
    calls = tmp_path / "calls.jsonl"
    calls.write_text('{"instances": []}\n')
    load_test(place, payloads=LoadPayloads.from_file(calls, content_type="application/json"))
    variables = template(place).one(FUNCTION, "LoadWorker")["Environment"]["Variables"]
    assert variables["PAYLOAD_KEY"].endswith(".jsonl")
    assert variables["CONTENT_TYPE"] == "application/json"


def test_the_definition_is_sound(place: Place, tmp_path: Path) -> None:
    load_test(place)
    (definition,) = definitions(template(place).body).values()
    assert problems(definition, tmp_path) == ""


@pytest.mark.parametrize("posture", [Posture.sandbox(), Posture.production()], ids=lambda each: each.name)
def test_no_pack_has_anything_to_say(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path)
    place = Place(app, posture)
    churn = endpoint(place)
    AlarmTopic(place.stack, "Alarms", posture=posture).tell_of(churn.alarms)
    load_test(place, model=churn, plan=LoadPlan(on_production=True))
    # What is said of the endpoint is not the business of whoever drives it.
    assert [each for each in complaints(app) if " Serving/Churn/" not in each] == []


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({"start": 0}, "plan.start: 0 is out of range"),
        ({"step": 0}, "plan.step: 0 is out of range"),
        ({"start": 9, "most": 8}, "plan.most: 8 is out of range"),
        ({"most": 2000}, "plan.most: 2000 is out of range"),
        ({"seconds": 601}, "plan.seconds: 601 is out of range"),
        ({"seconds": 1.5}, "plan.seconds: 1.5 is not a whole number"),
        ({"warm_up_seconds": -1}, "plan.warm_up_seconds: -1 is out of range"),
        ({"stop_percent": 101}, "plan.stop_percent: 101 is out of range"),
        ({"headroom_percent": 95}, "plan.headroom_percent: 95 is out of range"),
        ({"step": 1, "most": 100}, "plan.step: 1 makes more than 40 levels"),
    ],
)
def test_a_plan_that_says_nothing_is_refused(place: Place, plan: dict[str, Any], problem: str) -> None:
    with pytest.raises(PropError) as raised:
        load_test(place, plan=LoadPlan(**plan))
    assert any(each.startswith(problem) for each in raised.value.problems)
    assert place.stack.node.try_find_child("Load") is None


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("calls.json", "{}", "holds no requests line by line"),
        ("calls.jsonl", " \n", "there is no request in"),
        ("calls.jsonl", None, "there is no request in"),
    ],
)
def test_payloads_that_hold_no_requests_are_refused(
    place: Place, tmp_path: Path, name: str, content: str | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(PropError, match=problem):
        load_test(place, payloads=LoadPayloads.from_file(tmp_path / name))
