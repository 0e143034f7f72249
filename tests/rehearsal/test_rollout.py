"""Releasing a model beside the old one: what takes over, what is sent back, and who cleans up after a stopped run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from jobs.churn import pack
from ml_lens.assets import job_code
from ml_lens.foundation import MlNetwork, Posture
from ml_lens.hosting import (
    DataCapture,
    EndpointNetwork,
    HostedModel,
    Instances,
    Probes,
    Rollout,
    RolloutChecks,
    RolloutPlan,
)
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.churn_model import churn_model
from stacks.model_rollout.samples import market, probes
from stacks.model_rollout.traffic import Count, Traffic
from tests.rehearsal.assemblies import DeployedStack, app_in, deployed
from tests.rehearsal.made_to_measure import eventually, messages

pytestmark = pytest.mark.xdist_group("sandbox")

LIVE, STACK, GROUP = "AllTraffic", "Releases", "churn"


@cache
def _client(sandbox: Sandbox, service: str) -> Any:
    return sandbox.client(service)


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStack]:
    app = app_in(tmp_path_factory.mktemp("releases"))
    posture = Posture.sandbox()
    place = cdk.Stack(app, STACK, tags=posture.tags)
    network = MlNetwork(place, "Network", posture=posture)
    churn = HostedModel(
        place,
        "Churn",
        posture=posture,
        model=churn_model(place, "1.0.0"),
        network=EndpointNetwork.within(network),
        capacity=Instances(least=2),
        capture=DataCapture.off(),
    )
    file = tmp_path_factory.mktemp("probes") / "probes.jsonl"
    file.write_text(probes(), encoding="utf-8")
    rollout = Rollout(
        place,
        "Rollout",
        posture=posture,
        model=churn,
        plan=RolloutPlan.canary(percent=20, wait=Duration.minutes(10), bake=Duration.minutes(3)),
        checks=RolloutChecks(latency_slo=Duration.seconds(20), least_calls=10, accuracy_loss=0.05),
        probes=Probes.from_file(file),
        network=network,
    )
    rollout.release_approved(GROUP)
    told = sqs.Queue(place, "Told")
    rollout.topic.topic.add_subscription(subscriptions.SqsSubscription(told, raw_message_delivery=True))
    for name, value in {
        "Machine": rollout.workflow.machine.state_machine_arn,
        "Endpoint": churn.endpoint_name,
        "Candidates": rollout.candidates.bucket.bucket_name,
        "Records": rollout.records.table_name,
        "Told": told.queue_url,
        "Prefix": rollout.prefix,
    }.items():
        cdk.CfnOutput(place, f"Out{name}", value=value).override_logical_id(name)
    with deployed(sandbox, app, STACK) as there:
        yield there


@dataclass(frozen=True)
class Releases:
    """Publishes candidates, releases them, and looks at what became of them."""

    stack: DeployedStack

    def client(self, service: str) -> Any:
        return _client(self.stack.sandbox, service)

    @property
    def endpoint(self) -> str:
        return self.stack.outputs["Endpoint"]

    def publish(self, version: str, model: str = "2.0.0") -> dict[str, str]:
        """Put an artifact into the bucket of candidates, and return what a run is given."""
        text = (job_code("churn") / "models" / model / "model.json").read_bytes()
        key = f"churn/{version}/model.tar.gz"
        put = self.client("s3").put_object(
            Bucket=self.stack.outputs["Candidates"], Key=key, Body=pack.packed_model(text, version)
        )
        assert put["VersionId"]
        return {"artifact": f"s3://{self.stack.outputs['Candidates']}/{key}", "version": version}

    def start(self, **given: Any) -> str:
        return self.stack.start(self.stack.outputs["Machine"], **given)

    def ended(self, run: str) -> dict[str, Any]:
        states = self.client("stepfunctions")
        eventually(lambda: states.describe_execution(executionArn=run)["status"] != "RUNNING", seconds=120)
        return self.stack.ended(run)

    def released(self, **given: Any) -> tuple[dict[str, Any], Count]:
        """Release something while customers ask, and return how the run ended and what became of the requests."""
        traffic = Traffic(self.client("sagemaker-runtime"), self.endpoint, market(), report=lambda *_: None)
        with traffic:
            ended = self.ended(self.start(**given))
        return ended, traffic.count

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client("sagemaker").describe_endpoint(EndpointName=self.endpoint)
        return found

    def config(self) -> str:
        return str(self.described()["EndpointConfigName"])

    def weights(self) -> dict[str, float]:
        return {each["VariantName"]: each["CurrentWeight"] for each in self.described()["ProductionVariants"]}

    def variants(self) -> list[str]:
        return list(self.weights())

    def made(self) -> list[str]:
        """Return the names of the models that runs have made and not deleted."""
        pages = self.client("sagemaker").get_paginator("list_models").paginate()
        names = [each["ModelName"] for page in pages for each in page["Models"]]
        return [name for name in names if name.startswith(self.stack.outputs["Prefix"])]

    def items(self) -> list[dict[str, str]]:
        answer = self.client("dynamodb").query(
            TableName=self.stack.outputs["Records"],
            KeyConditionExpression="endpoint = :endpoint",
            ExpressionAttributeValues={":endpoint": {"S": self.endpoint}},
        )
        return [{name: str(*value.values()) for name, value in item.items()} for item in answer["Items"]]

    def record(self, version: str) -> dict[str, str]:
        return [item for item in self.items() if item.get("version") == version][-1]

    def is_free(self) -> bool:
        return all(item["record"] != "lock" for item in self.items())

    def told(self, word: str) -> bool:
        """Whether the topic has told of something since the last time."""
        told = [each["Body"] for each in messages(self.stack.sandbox, self.stack.outputs["Told"])]
        return any(word in each for each in told)

    def hear_anew(self) -> None:
        self.client("sqs").purge_queue(QueueUrl=self.stack.outputs["Told"])

    def watching(self) -> bool:
        """Whether a candidate has traffic now."""
        return any(name != LIVE and weight for name, weight in self.weights().items())


@pytest.fixture
def releases(stack: DeployedStack) -> Releases:
    made = Releases(stack)
    made.hear_anew()
    return made


def reason(ended: dict[str, Any]) -> str:
    return f"{ended['status']} {ended.get('error', '')}: {ended.get('cause', '')}"


@pytest.mark.lens(
    "F8-04", "F8-05", "F9-02", "F9-03", "F9-04", "F10-02", "CHG-01", "CHG-02", "CHG-08", "CHG-12", "CHG-17"
)
def test_a_good_candidate_takes_over_and_its_record_says_how(releases: Releases) -> None:
    before = releases.config()
    given = releases.publish("2.0.0")
    ended, count = releases.released(**given)
    assert ended["status"] == "SUCCEEDED", reason(ended)
    assert count.is_complete()
    assert not count.failed
    assert releases.variants() == [LIVE]
    record = releases.record("2.0.0")
    key = given["artifact"].partition("s3://")[2].partition("/")[2]
    stored = releases.client("s3").head_object(Bucket=releases.stack.outputs["Candidates"], Key=key)
    assert record["artifact_version"] == stored["VersionId"]
    assert (record["outcome"], record["previous_config"]) == ("live", before)
    assert record["config"] == releases.config() != before
    assert record["execution"] == ended["executionArn"]
    assert [step["percent"] for step in json.loads(record["verdicts"])] == [20, 100]
    assert json.loads(record["probed"])["passed"]
    assert releases.is_free()
    assert releases.told("2.0.0 is about to be released")
    assert releases.told("2.0.0 is live")


@pytest.mark.lens("F10-04")
def test_it_has_as_many_instances_as_the_old_version_had(releases: Releases) -> None:
    counts = {
        each["VariantName"]: each["CurrentInstanceCount"]
        for each in releases.described()["ProductionVariants"]
    }
    assert counts == {LIVE: 2}


def test_what_is_live_already_is_not_released_again_and_no_instance_starts_anew(releases: Releases) -> None:
    before = releases.described()
    ended, _ = releases.released(**releases.publish("2.0.0"))
    assert ended["error"] == "AlreadyLive", reason(ended)
    after = releases.described()
    assert after["EndpointConfigName"] == before["EndpointConfigName"]
    assert after["LastModifiedTime"] == before["LastModifiedTime"]
    assert releases.is_free()


@pytest.mark.lens("F8-03", "F8-06", "F10-05", "CHG-05")
def test_a_broken_candidate_is_sent_back_and_leaves_nothing(releases: Releases) -> None:
    before, made = releases.config(), releases.made()
    ended, count = releases.released(**releases.publish("3.0.0", model="broken"))
    assert (ended["status"], ended["error"]) == ("FAILED", "ProbesFailed"), reason(ended)
    assert not count.failed
    assert (releases.config(), releases.variants(), releases.made()) == (before, [LIVE], made)
    record = releases.record("3.0.0")
    assert (record["outcome"], record["reason"]) == ("returned", ended["cause"])
    assert releases.is_free()
    assert releases.told(f"3.0.0 was sent back: {ended['cause']}")


@pytest.mark.lens("CHG-02", "HST-01")
@pytest.mark.parametrize(
    ("given", "error", "word"),
    [
        ({}, "NoCandidate", "model_package_arn"),
        ({"artifact": "s3://elsewhere/model.tar.gz", "version": "9"}, "NoCandidate", "where candidates are"),
        ({"artifact": "s3://{bucket}/model.zip", "version": "9"}, "NoCandidate", "tar.gz"),
        ({"artifact": "s3://{bucket}/model.tar.gz"}, "NoCandidate", "version"),
        ({"artifact": "s3://{bucket}/nowhere.tar.gz", "version": "9"}, "S3.", ""),
    ],
)
def test_what_is_no_candidate_is_refused_before_anything_is_changed(
    releases: Releases, given: dict[str, str], error: str, word: str
) -> None:
    before, items = releases.config(), releases.items()
    bucket = releases.stack.outputs["Candidates"]
    ended = releases.ended(
        releases.start(**{name: value.replace("{bucket}", bucket) for name, value in given.items()})
    )
    assert ended["status"] == "FAILED"
    assert ended["error"].startswith(error), reason(ended)
    assert word in ended["cause"]
    assert (releases.config(), releases.items()) == (before, items)


@pytest.mark.lens("F8-06", "CHG-05")
def test_a_run_that_is_stopped_is_cleaned_up_after(releases: Releases) -> None:
    before, made = releases.config(), releases.made()
    run = releases.start(**releases.publish("4.0.0"))
    eventually(releases.watching, seconds=60)
    second = releases.ended(releases.start(**releases.publish("4.1.0")))
    assert second["error"] == "RolloutUnderWay", reason(second)
    releases.client("stepfunctions").stop_execution(executionArn=run)
    eventually(releases.is_free, seconds=60)
    assert (releases.config(), releases.variants(), releases.made()) == (before, [LIVE], made)
    record = releases.record("4.0.0")
    assert record["outcome"] == "returned"
    assert run in record["reason"]
    eventually(lambda: releases.told("4.0.0 was sent back: A run was stopped from outside"))


@pytest.mark.lens("CHG-05")
def test_a_run_that_nobody_cleaned_up_after_is_by_the_next_one(releases: Releases) -> None:
    before = releases.config()
    events = releases.client("events")
    rules = [
        each["Name"]
        for each in events.list_rules()["Rules"]
        if each["Name"].startswith(STACK) and "Stopped" in each["Name"]
    ]
    assert len(rules) == 1
    events.disable_rule(Name=rules[0])
    try:
        run = releases.start(**releases.publish("5.0.0"))
        eventually(releases.watching, seconds=60)
        releases.client("stepfunctions").stop_execution(executionArn=run)
        following = releases.publish("5.1.0")
        ended = releases.ended(releases.start(**following))
    finally:
        events.enable_rule(Name=rules[0])
    assert ended["error"] == "RolloutStopped", reason(ended)
    assert "start this one again" in ended["cause"]
    assert (releases.config(), releases.variants()) == (before, [LIVE])
    assert releases.record("5.0.0")["outcome"] == "returned"
    ended, _ = releases.released(**following)
    assert ended["status"] == "SUCCEEDED", reason(ended)


def test_a_lock_of_a_run_that_is_long_forgotten_holds_nobody_off(releases: Releases) -> None:
    machine = releases.stack.outputs["Machine"]
    releases.client("dynamodb").put_item(
        TableName=releases.stack.outputs["Records"],
        Item={
            "endpoint": {"S": releases.endpoint},
            "record": {"S": "lock"},
            "execution": {"S": f"{machine.replace(':stateMachine:', ':execution:')}:forgotten"},
            "run": {"S": "2025-01-01T00:00:00Z 01234567"},
        },
    )
    ended, _ = releases.released(**releases.publish("5.2.0"))
    assert ended["status"] == "SUCCEEDED", reason(ended)
    assert releases.record("5.2.0")["outcome"] == "live"
    assert releases.is_free()


@pytest.mark.lens("CHG-04", "CHG-19")
def test_an_approval_in_a_registry_starts_a_rollout(releases: Releases) -> None:
    sagemaker = releases.client("sagemaker")
    live = sagemaker.describe_endpoint_config(EndpointConfigName=releases.config())["ProductionVariants"][0]
    image = sagemaker.describe_model(ModelName=live["ModelName"])["PrimaryContainer"]["Image"]
    artifact = releases.publish("6.0.0")["artifact"]
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    package = sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties={"version": "6.0.0"},
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": artifact}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )["ModelPackageArn"]
    refused = releases.ended(releases.start(model_package_arn=package))
    assert (refused["error"], refused["cause"][:18]) == ("NoCandidate", "It is not approved"), reason(refused)
    traffic = Traffic(
        releases.client("sagemaker-runtime"), releases.endpoint, market(), report=lambda *_: None
    )
    with traffic:
        sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
        eventually(lambda: any(item.get("version") == "6.0.0" for item in releases.items()), seconds=30)
        eventually(releases.is_free, seconds=120)
    record = releases.record("6.0.0")
    assert (record["outcome"], record["package"], record["artifact"]) == ("live", package, artifact), record
    sagemaker.delete_model_package(ModelPackageName=package)
    sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)
