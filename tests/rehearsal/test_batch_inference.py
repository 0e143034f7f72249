"""Batch inference in the sandbox: the job runs for real, and what goes wrong is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs

from ml_lens.foundation import DerivedDataBucket, MlNetwork, Posture, TemporaryInputBucket
from ml_lens.hosting import BatchInference, BatchJobs, BatchSource, EndpointNetwork
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.churn_model import churn_model
from tests.rehearsal.assemblies import DeployedStack, app_in, deployed
from tests.rehearsal.made_to_measure import eventually, messages

pytestmark = pytest.mark.xdist_group("sandbox")

LEAVES = "12,70.5,3,month-to-month,card,1,10.5,2"
STAYS = "40,20,0,two-year,card,0,3,0"


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedStack]:
    app = app_in(tmp_path_factory.mktemp("batch"))
    place = cdk.Stack(app, "Batch", tags=Posture.sandbox().tags)
    posture = Posture.sandbox()
    files = TemporaryInputBucket(place, "Files", posture=posture)
    results = DerivedDataBucket(place, "Results", posture=posture)
    network = MlNetwork(place, "Network", posture=posture)

    def inference(id: str, *, slow: bool = False, **props: Any) -> BatchInference:
        model = churn_model(place, "1.0.0")
        delay = {"ML_LENS_SANDBOX_DELAY_MS": "3000"} if slow else {}
        return BatchInference(
            place,
            id,
            posture=posture,
            model=replace(model, environment={**model.environment, **delay}),
            network=EndpointNetwork.within(network),
            source=BatchSource(bucket=files.bucket),
            results=results,
            **props,
        )

    batch = inference("Churn", jobs=BatchJobs(accept="text/csv"))
    batch.start_on_manifests()
    followed = inference("Followed", jobs=BatchJobs(accept="text/csv", capture=True), topic=batch.topic)
    slow = inference("Slow", slow=True, topic=batch.topic)
    told = sqs.Queue(place, "Told")
    batch.topic.topic.add_subscription(subscriptions.SqsSubscription(told, raw_message_delivery=True))
    for name, value in {
        "Machine": batch.state_machine_arn,
        "Slow": slow.state_machine_arn,
        "Following": followed.state_machine_arn,
        "Files": files.bucket.bucket_name,
        "Told": told.queue_url,
        "Prefix": batch.job_prefix,
        "Role": batch.role.role_name,
        "Results": results.bucket.bucket_name,
    }.items():
        cdk.CfnOutput(place, f"Out{name}", value=value).override_logical_id(name)
    with deployed(sandbox, app, "Batch") as there:
        yield there


@pytest.fixture(autouse=True)
def no_objects(stack: DeployedStack) -> Iterator[None]:
    yield
    s3 = stack.sandbox.client("s3")
    for each in s3.list_objects_v2(Bucket=stack.outputs["Files"]).get("Contents", []):
        s3.delete_object(Bucket=stack.outputs["Files"], Key=each["Key"])


def put(stack: DeployedStack, key: str, content: str) -> None:
    stack.sandbox.client("s3").put_object(Bucket=stack.outputs["Files"], Key=key, Body=content.encode())


def read(stack: DeployedStack, place: str) -> str:
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return str(stack.sandbox.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def jobs(stack: DeployedStack) -> dict[str, str]:
    """Return the status of every job by its name."""
    found = stack.sandbox.client("sagemaker").list_transform_jobs()["TransformJobSummaries"]
    return {each["TransformJobName"]: each["TransformJobStatus"] for each in found}


def told(stack: DeployedStack) -> dict[str, Any]:
    """Return the newest message of the topic."""
    found = eventually(lambda: messages(stack.sandbox, stack.outputs["Told"]))
    stack.sandbox.client("sqs").purge_queue(QueueUrl=stack.outputs["Told"])
    message: dict[str, Any] = json.loads(found[-1]["Body"])
    return message


@contextmanager
def denied(stack: DeployedStack, action: str) -> Iterator[None]:
    """Take a right away from the job."""
    iam = stack.sandbox.client("iam")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    name = stack.outputs["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="fault", PolicyDocument=json.dumps(document))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="fault")


@pytest.mark.lens("BTR-01", "BTR-02")
def test_a_run_answers_the_whole_source_and_records_what_it_did(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", f"{LEAVES}\n{STAYS}\n")
    put(stack, "batches/new/b.csv", STAYS)
    done = stack.output(stack.runs(stack.outputs["Machine"]))
    assert done["records"] == {"input": 3, "results": 3}
    assert (done["complete"], done["model_version"]) == (True, "1.0.0")
    leaves, stays = map(float, read(stack, f"{done['results']}a.csv.out").split())
    assert leaves > stays
    assert float(read(stack, f"{done['results']}new/b.csv.out")) == stays
    assert json.loads(read(stack, done["record"]))["job"] == done["job"]
    assert jobs(stack)[done["job"]] == "Completed"


@pytest.mark.lens("BTR-01")
def test_a_manifest_starts_a_job_for_what_it_names(stack: DeployedStack) -> None:
    before = set(jobs(stack))
    put(stack, "batches/a.csv", LEAVES)
    put(stack, "batches/b.csv", STAYS)
    manifest = [{"prefix": f"s3://{stack.outputs['Files']}/batches/"}, "b.csv"]
    put(stack, "manifests/today.json", json.dumps(manifest))
    (job,) = eventually(lambda: [name for name in jobs(stack) if name not in before])
    eventually(lambda: jobs(stack)[job] == "Completed")
    s3, prefix = stack.sandbox.client("s3"), f"predictions/{stack.outputs['Prefix']}/{job.split('-')[-2]}/"

    def written() -> list[str]:
        found = s3.list_objects_v2(Bucket=stack.outputs["Results"], Prefix=prefix).get("Contents", [])
        return [each["Key"].removeprefix(prefix) for each in found]

    assert written() == ["b.csv.out"]


def test_an_event_that_comes_twice_gets_one_job(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", LEAVES)
    put(
        stack,
        "manifests/twice.txt",
        json.dumps([{"prefix": f"s3://{stack.outputs['Files']}/batches/"}, "a.csv"]),
    )
    given = {"manifest": "manifests/twice.txt", "event": "0055AED6DCD90281E5"}
    runs = [stack.start(stack.outputs["Machine"], **given) for _ in range(2)]
    one, other = (stack.output(stack.ended(run)) for run in runs)
    assert one["job"] == other["job"]
    assert one["results"] == other["results"]


@pytest.mark.lens("BTR-01")
def test_a_job_that_fails_is_told_with_its_reason(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", "nonsense\n")
    run = stack.runs(stack.outputs["Machine"])
    assert run["status"] == "FAILED"
    message = told(stack)
    assert message["run"] == run["executionArn"]
    assert jobs(stack)[message["job"]] == "Failed"
    assert "the model answered 400" in message["reason"]


def test_a_job_that_is_followed_ends_its_run_in_the_same_way(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", f"{LEAVES}\n{STAYS}\n")
    assert stack.output(stack.runs(stack.outputs["Following"]))["records"] == {"input": 2, "results": 2}
    put(stack, "batches/a.csv", "nonsense\n")
    assert stack.runs(stack.outputs["Following"])["status"] == "FAILED"
    assert "the model answered 400" in told(stack)["reason"]


@pytest.mark.lens("MDL-07")
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "kms:GenerateDataKey"])
def test_a_job_has_no_right_that_it_does_not_need(stack: DeployedStack, action: str) -> None:
    put(stack, "batches/a.csv", LEAVES)
    with denied(stack, action):
        run = stack.runs(stack.outputs["Machine"])
    assert run["status"] == "FAILED"
    assert action in told(stack)["reason"]


@pytest.mark.lens("BTR-02")
def test_a_run_that_is_stopped_stops_its_job(stack: DeployedStack) -> None:
    put(stack, "batches/a.csv", f"{LEAVES}\n")
    before = set(jobs(stack))
    run = stack.start(stack.outputs["Slow"])
    (job,) = eventually(lambda: [name for name in jobs(stack) if name not in before])
    stack.sandbox.client("stepfunctions").stop_execution(executionArn=run)
    assert eventually(lambda: jobs(stack)[job] != "InProgress" and jobs(stack)[job]) == "Stopped"


@pytest.mark.parametrize("given", [{"prefix": "others/"}, {"prefix": 7}, {"manifest": "batches/a.json"}])
def test_what_is_not_in_the_source_is_not_read(stack: DeployedStack, given: dict[str, Any]) -> None:
    run = stack.runs(stack.outputs["Machine"], **given)
    assert (run["status"], run["error"]) == ("FAILED", "BatchInference.Refused")
    assert told(stack)["error"] == "BatchInference.Refused"
