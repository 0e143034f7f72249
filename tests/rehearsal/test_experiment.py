"""Two models compared by what customers did: the better one gets the traffic, and only when that is sure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from jobs.churn.customers import draw
from ml_lens.assets import job_code
from ml_lens.foundation import MlNetwork, Posture
from ml_lens.hosting import (
    ApiOptions,
    DataCapture,
    Deployment,
    EndpointNetwork,
    Experiment,
    ExperimentRules,
    HostedModel,
    InferenceApi,
    Outcomes,
    Shift,
)
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.churn_model import churn_model
from tests.rehearsal.assemblies import DeployedStack, app_in, deployed
from tests.rehearsal.made_to_measure import eventually, messages

pytestmark = pytest.mark.xdist_group("sandbox")

LEAST = 50
SHARES = [60, 80, 100]
EQUAL, ALL_TO_A, ALL_TO_B = {"A": 50, "B": 50}, {"A": 100, "B": 0}, {"A": 0, "B": 100}
# Most of them have a contract.
CUSTOMERS, LEFT = draw("B", 160, seed=7)


def two_models(place: cdk.Stack, network: MlNetwork) -> HostedModel:
    """A knows customers without a contract only; B knows all."""
    return HostedModel(
        place,
        "Churn",
        posture=Posture.sandbox(),
        model=churn_model(place, "narrow"),
        network=EndpointNetwork.within(network),
        deployment=Deployment.ab_test(b=churn_model(place, "2.0.0")),
        capture=DataCapture.off(),
    )


@cache
def _client(sandbox: Sandbox, service: str) -> Any:
    return sandbox.client(service)


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStack]:
    app = app_in(tmp_path_factory.mktemp("experiment"))
    place = cdk.Stack(app, "Experiments", tags=Posture.sandbox().tags)
    posture = Posture.sandbox()
    network = MlNetwork(place, "Network", posture=posture)
    churn = two_models(place, network)
    outcomes = Outcomes(place, "Outcomes", posture=posture)
    experiment = Experiment(
        place,
        "Test",
        posture=posture,
        model=churn,
        outcomes=outcomes,
        rules=ExperimentRules(
            minimum_duration=Duration.hours(1),
            maximum_duration=Duration.hours(3),
            looks=3,
            minimum_outcomes=LEAST,
            latency_slo=Duration.seconds(20),
            then=Shift.gradually(step=20, every=Duration.minutes(5)),
        ),
    )
    api = InferenceApi(
        place,
        "Api",
        posture=posture,
        model=churn,
        network=network,
        request_schema=json.loads((job_code("churn") / "features.json").read_text()),
        options=ApiOptions(outcomes=outcomes, experiment=experiment),
    )
    told = sqs.Queue(place, "Told")
    experiment.topic.topic.add_subscription(subscriptions.SqsSubscription(told, raw_message_delivery=True))
    for name, value in {
        "Machine": experiment.state_machine_arn,
        "Endpoint": churn.endpoint_name,
        "Table": outcomes.table.table_name,
        "Queue": outcomes.queue.queue.queue_url,
        "Api": api.function.function.function_name,
        "Told": told.queue_url,
    }.items():
        cdk.CfnOutput(place, f"Out{name}", value=value).override_logical_id(name)
    with deployed(sandbox, app, "Experiments") as there:
        yield there


@dataclass(frozen=True)
class Shop:
    """Asks for predictions, and sees later whether the customer left."""

    stack: DeployedStack

    def client(self, service: str) -> Any:
        """Return a client, which takes longer to make than most calls."""
        return _client(self.stack.sandbox, service)

    def ask(self, number: int) -> dict[str, Any]:
        """Ask about a customer through the function of the API, as the gateway hands the call over."""
        event = {
            "requestContext": {"requestId": f"request-{number}"},
            "headers": {"content-type": "application/json", "x-subject": f"customer-{number}"},
            "body": json.dumps({"instances": [CUSTOMERS[number]]}),
        }
        answer = self.client("lambda").invoke(
            FunctionName=self.stack.outputs["Api"], Payload=json.dumps(event).encode()
        )
        response = json.loads(answer["Payload"].read())
        assert response["statusCode"] == 200, response
        prediction: dict[str, Any] = json.loads(response["body"])
        return prediction

    def ask_all(self, numbers: range) -> dict[int, dict[str, Any]]:
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(numbers, pool.map(self.ask, numbers), strict=True))

    def report(self, inference_id: str, value: int, times: int = 2, **more: str) -> None:
        """Report an outcome, as often as a queue may deliver it."""
        body = {
            "endpoint": self.stack.outputs["Endpoint"],
            "inference_id": inference_id,
            "value": value,
            "at": datetime.now(UTC).isoformat(),
            **more,
        }
        for _ in range(times):
            self.client("sqs").send_message(
                QueueUrl=self.stack.outputs["Queue"], MessageBody=json.dumps(body)
            )

    def counted(self) -> Counter[str]:
        """Return how many outcomes are in the sums of each variant."""
        found: Counter[str] = Counter()
        for variant in "AB":
            answer = self.client("dynamodb").query(
                TableName=self.stack.outputs["Table"],
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={
                    ":pk": {"S": f"summary#{self.stack.outputs['Endpoint']}#{variant}"}
                },
            )
            found[variant] = sum(int(item["n"]["N"]) for item in answer["Items"])
        return found

    def weights(self) -> dict[str, int]:
        told = self.client("sagemaker").describe_endpoint(EndpointName=self.stack.outputs["Endpoint"])
        return {each["VariantName"]: int(each["CurrentWeight"]) for each in told["ProductionVariants"]}

    def done(self, run: str, api: str) -> list[Any]:
        """Return what tasks of a run have answered that call ``api``."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=run)
        return [
            json.loads(event["taskSucceededEventDetails"]["output"])
            for page in pages
            for event in page["events"]
            if event["type"] == "TaskSucceeded"
            and event["taskSucceededEventDetails"]["resource"].endswith(api)
        ]

    def begin(self) -> str:
        """Start an experiment, and return its run once outcomes count for it."""
        run = self.stack.start(self.stack.outputs["Machine"])
        eventually(lambda: self.done(run, "lambda:invoke"))
        return run

    def ended(self, run: str) -> dict[str, Any]:
        """Return how a run ended, once it has."""
        states = self.client("stepfunctions")
        eventually(lambda: states.describe_execution(executionArn=run)["status"] != "RUNNING", seconds=120)
        return self.stack.ended(run)

    def item(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client("dynamodb").get_item(
            TableName=self.stack.outputs["Table"],
            Key={"pk": {"S": f"experiment#{self.stack.outputs['Endpoint']}"}, "sk": {"S": "-"}},
        )["Item"]
        return found

    def record(self, run: str) -> dict[str, str]:
        """Return the record of a run."""
        answer = self.client("dynamodb").query(
            TableName=self.stack.outputs["Table"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"experiment#{self.stack.outputs['Endpoint']}"}},
        )
        (found,) = [item for item in answer["Items"] if item.get("run", {}).get("S") == run]
        return {name: value["S"] for name, value in found.items()}

    def told(self) -> dict[str, Any]:
        """Return the newest message of the topic."""
        found = eventually(lambda: messages(self.stack.sandbox, self.stack.outputs["Told"]))
        self.client("sqs").purge_queue(QueueUrl=self.stack.outputs["Told"])
        message: dict[str, Any] = json.loads(found[-1]["Body"])
        return message


@pytest.fixture
def shop(stack: DeployedStack) -> Shop:
    return Shop(stack)


@pytest.mark.lens("AB-03", "AB-05", "AB-06", "AB-07", "AB-08", "CHG-06", "CHG-13", "MON-07")
def test_the_better_model_wins_after_the_minimum_and_gets_the_traffic_in_steps(shop: Shop) -> None:
    run = shop.begin()
    assert shop.weights() == EQUAL
    first = shop.ask_all(range(len(CUSTOMERS)))
    again = shop.ask_all(range(30))
    # The same customer gets the same variant every time, and both get about one half.
    assert [first[each]["variant"] for each in again] == [each["variant"] for each in again.values()]
    by_variant = Counter(each["variant"] for each in first.values())
    assert min(by_variant.values()) > LEAST
    for number, prediction in first.items():
        leaves = prediction["predictions"][0]["probability"] > 0.5
        shop.report(prediction["inference_id"], int(leaves == bool(LEFT[number])))
    eventually(lambda: shop.counted() == by_variant, seconds=60)
    done = shop.stack.output(shop.ended(run))
    # All were delivered twice, and each was counted once.
    assert shop.counted() == by_variant
    assert (done["decision"], done["winner"]) == ("winner", "B")
    verdict = done["verdict"]
    # The last ones may have come in after the verdict.
    for name, told in verdict["outcomes"].items():
        assert LEAST <= told["n"] <= by_variant[name]
    assert verdict["p_value"] < verdict["level"] < 0.05
    assert verdict["elapsed"] >= 3600
    assert shop.weights() == done["traffic"] == ALL_TO_B
    looks = [each["Payload"]["verdict"] for each in shop.done(run, "invoke") if "verdict" in each["Payload"]]
    # Once in five minutes, of which none before the twelfth could find a winner.
    assert [each["decision"] for each in looks] == ["wait"] * (len(looks) - 1) + ["winner"]
    assert len(looks) >= 12
    assert len(shop.done(run, "updateEndpointWeightsAndCapacities")) == 1 + len(SHARES)
    record = shop.record(run)
    assert (record["decision"], record["winner"]) == ("winner", "B")
    assert json.loads(record["verdict"]) == verdict
    assert json.loads(record["versions"]) == {"A": "narrow", "B": "2.0.0"}
    assert record["config"] in [
        each["EndpointConfigName"]
        for each in shop.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    ]
    assert (shop.told()["decision"], "holder" in shop.item()) == ("winner", False)
    # Nobody is assigned any more: everybody gets the winner.
    assert "weights" not in shop.item()
    assert Counter(each["variant"] for each in shop.ask_all(range(20)).values()) == {"B": 20}


@pytest.mark.lens("AB-06")
def test_without_a_difference_the_first_variant_is_kept(shop: Shop) -> None:
    before = shop.counted()
    run = shop.begin()
    for number in range(2 * LEAST):
        variant = "AB"[number % 2]
        shop.report(f"made-up-{number}", number // 2 % 2, times=1, variant=variant)
    eventually(lambda: shop.counted() - before == {"A": LEAST, "B": LEAST}, seconds=30)
    done = shop.stack.output(shop.ended(run))
    assert (done["decision"], done["winner"]) == ("no_difference", "A")
    assert {name: told["n"] for name, told in done["verdict"]["outcomes"].items()} == {
        "A": LEAST,
        "B": LEAST,
    }
    assert done["verdict"]["elapsed"] >= 3 * 3600
    assert shop.weights() == ALL_TO_A
    assert shop.told()["decision"] == "no_difference"


def test_a_second_experiment_is_refused_and_one_that_is_stopped_leaves_equal_shares(shop: Shop) -> None:
    states = shop.client("stepfunctions")
    run = shop.begin()
    refused = shop.stack.runs(shop.stack.outputs["Machine"])
    assert (refused["status"], refused["error"]) == ("FAILED", "Experiment.Running")
    assert shop.item()["holder"]["S"] == run
    shop.client("sqs").purge_queue(QueueUrl=shop.stack.outputs["Told"])
    shop.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=shop.stack.outputs["Endpoint"],
        DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredWeight": 80}],
    )
    states.stop_execution(executionArn=run)
    eventually(lambda: "holder" not in shop.item(), seconds=30)
    assert shop.weights() == EQUAL
    assert shop.item()["weights"] == {"M": {name: {"N": "50"} for name in "AB"}}
    assert shop.told()["decision"] == "stopped"


def test_a_variant_that_fails_ends_the_experiment_and_the_other_gets_everything(shop: Shop) -> None:
    run = shop.begin()
    dimensions = [
        {"Name": "EndpointName", "Value": shop.stack.outputs["Endpoint"]},
        {"Name": "VariantName", "Value": "A"},
    ]
    shop.client("cloudwatch").put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {"MetricName": name, "Dimensions": dimensions, "Value": 1.0, "Unit": "None"}
            for name in ["Invocations", "Invocation5XXErrors"] * 20
        ],
    )
    done = shop.stack.output(shop.ended(run))
    assert (done["decision"], done["winner"]) == ("unhealthy", "B")
    assert done["verdict"]["reason"].startswith("A: 20 of ")
    assert shop.weights() == done["traffic"] == ALL_TO_B
    assert len(shop.done(run, "updateEndpointWeightsAndCapacities")) == 2
    assert "holder" not in shop.item()
