"""State machines that host models: their tasks do what the role may, and fail under the names that states catch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.hosted import BODY, NAME, Hosting
from tests.rehearsal.made_to_measure import Role, eventually

pytestmark = pytest.mark.xdist_group("sandbox")
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
ASK = {
    "Resource": "arn:aws:states:::aws-sdk:sagemakerruntime:invokeEndpoint",
    "Arguments": {"EndpointName": NAME, "ContentType": "application/json", "Body": json.loads(BODY)},
}
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(sandbox: Sandbox, role: Callable[..., Role]) -> Run:
    """Run a machine of one task after the other, and return how it ended."""
    states, iam = sandbox.client("stepfunctions"), sandbox.client("iam")

    def start(tasks: list[dict[str, Any]], *may: dict[str, Any]) -> dict[str, Any]:
        made = role(*may)
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "states.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        iam.update_assume_role_policy(
            RoleName=made.name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
        ends = [{"Next": f"{number + 1}"} for number in range(len(tasks) - 1)] + [{"End": True}]
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": "0",
            "States": {
                f"{number}": {"Type": "Task", **task, **end}
                for number, (task, end) in enumerate(zip(tasks, ends, strict=True))
            },
        }
        machine = states.create_state_machine(
            name=made.name, definition=json.dumps(definition), roleArn=made.arn
        )["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=machine)["executionArn"]

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return dict(eventually(look, 30))

    return start


def test_a_task_asks_an_endpoint_and_reads_its_answer(run: Run, hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0")))
    ended = run([ASK], {"Action": "sagemaker:InvokeEndpoint", "Resource": f"{ARN}:endpoint/{NAME}"})
    answer = json.loads(ended["output"])
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert json.loads(answer["Body"])["model_version"] == "1.0.0"


def test_a_task_without_the_right_fails_with_the_words_of_sagemaker(run: Run) -> None:
    ended = run([ASK], {"Action": "sagemaker:InvokeEndpoint", "Resource": f"{ARN}:endpoint/other"})
    assert ended["error"] == "SageMakerRuntime.SageMakerRuntimeException"
    assert "not authorized to perform: sagemaker:InvokeEndpoint" in ended["cause"]


def test_a_model_that_fails_is_caught_by_its_name(run: Run, hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("2.0.0", key="broken")))
    ended = run([ASK], {"Action": "sagemaker:InvokeEndpoint", "Resource": "*"})
    assert ended["error"] == "SageMakerRuntime.ModelErrorException"


def test_the_integration_creates_a_model_and_updates_an_endpoint(run: Run, hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0")))
    variant = hosting.variant("AllTraffic", "second")
    made = [
        (
            "createModel",
            {
                "ModelName": "second",
                "ExecutionRoleArn": hosting.role,
                "PrimaryContainer": hosting.definition("2.0.0"),
            },
        ),
        ("createEndpointConfig", {"EndpointConfigName": "second", "ProductionVariants": [variant]}),
        ("updateEndpoint", {"EndpointName": NAME, "EndpointConfigName": "second"}),
    ]
    tasks = [{"Resource": f"arn:aws:states:::sagemaker:{api}", "Arguments": given} for api, given in made]
    ended = run(
        tasks,
        {"Action": "sagemaker:*", "Resource": "*"},
        {"Action": "iam:PassRole", "Resource": hosting.role},
    )
    assert json.loads(ended["output"]) == {"EndpointArn": f"{ARN}:endpoint/{NAME}"}
    hosting.settled()
    assert hosting.ask() == ("AllTraffic", "2.0.0")
    again = run(tasks[:1], {"Action": ["sagemaker:*", "iam:PassRole"], "Resource": "*"})
    assert again["error"] == "SageMaker.AmazonSageMakerException"
    assert "Cannot create already existing model" in again["cause"]
    hosting.made("model", "second")
    hosting.made("endpoint_config", "second")
