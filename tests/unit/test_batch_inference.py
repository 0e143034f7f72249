"""Predictions for a whole data set: the job, its rights, and what becomes of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam

from ml_lens.foundation import Posture, PropError
from ml_lens.hosting import (
    BatchInference,
    BatchJobs,
    BatchSource,
    EndpointNetwork,
    ModelArtifact,
    ModelImage,
    ServedModel,
)
from tests.stacks.state_machines import definitions, problems
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template, text
from tests.unit.workflows import (
    MACHINE,
    ROLE,
    RULE,
    Place,
    allowed,
    catchers,
    complaints,
    raw_states,
    states,
)

MODEL, QUEUE, ALARM = "AWS::SageMaker::Model", "AWS::SQS::Queue", "AWS::CloudWatch::Alarm"
NOBODY_RUNS = ("AWS::SageMaker::Endpoint", "AWS::SageMaker::EndpointConfig")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(new_app(tmp_path), Posture.production())


def batch(place: Place, **props: Any) -> BatchInference:
    model = ServedModel(
        image=ModelImage.xgboost(),
        artifact=ModelArtifact.in_bucket(place.models, "churn/2.1.0/model.tar.gz"),
        version="2.1.0",
    )
    settings = {
        "posture": place.posture,
        "model": model,
        "network": EndpointNetwork.within(place.network),
        "source": BatchSource(bucket=place.files.bucket),
        "results": place.results,
        **props,
    }
    return BatchInference(place.stack, "Churn", **settings)


def template(place: Place) -> Template:
    app = place.stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)[place.stack.node.id]


def request(place: Place, **props: Any) -> dict[str, Any]:
    batch(place, **props)
    found: dict[str, Any] = states(template(place))["Transform"]["Arguments"]
    return found


@pytest.mark.lens("BTR-01", "CIN-01")
def test_a_transform_job_works_off_the_whole_source_and_nothing_runs_between_jobs(place: Place) -> None:
    batch(place)
    made = template(place)
    transform = states(made)["Transform"]
    assert transform["Resource"].endswith(":states:::sagemaker:createTransformJob.sync")
    source = transform["Arguments"]["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3DataType"] == "{% $manifest = '' ? 'S3Prefix' : 'ManifestFile' %}"
    assert states(made)["Read the request"]["Assign"]["prefix"].endswith(": 'batches/' %}")
    assert made.resources(*NOBODY_RUNS) == {}


@pytest.mark.lens("BTR-02")
def test_instances_end_with_the_job_and_the_job_with_its_time(place: Place) -> None:
    job = batch(place, jobs=BatchJobs(time_limit=cdk.Duration.hours(1)))
    made = template(place)
    found = states(made)
    # A job has no limit of its own: when the state gives up, the job is stopped by its name.
    assert found["Transform"]["TimeoutSeconds"] == 3600
    assert catchers(found["Transform"]) == ["Why did it fail?"]
    assert found["Why did it fail?"]["Default"] == "Stop the job"
    stop = found["Stop the job"]
    assert stop["Resource"].endswith(":aws-sdk:sagemaker:stopTransformJob")
    assert stop["Arguments"]["TransformJobName"] == found["Transform"]["Arguments"]["TransformJobName"]
    # Even with every attempt as long as it may be, the run is there to stop the last one.
    assert '"TimeoutSeconds":21600,' in raw_states(made)
    (stopping,) = allowed(made, "ChurnWorkflowRole", "sagemaker:StopTransformJob")
    assert [arn.rpartition(":")[2] for arn in stopping.resources] == [f"transform-job/{job.job_prefix}-*"]


@pytest.mark.lens("MDL-07")
def test_the_job_is_as_shielded_as_an_endpoint(place: Place) -> None:
    batch(place)
    made = template(place)
    model = made.only(MODEL)
    assert model["EnableNetworkIsolation"] is True
    assert len(model["VpcConfig"]["Subnets"]) == 2
    assert len(model["VpcConfig"]["SecurityGroupIds"]) == 1
    raw = raw_states(made)
    assert f'"VolumeKmsKeyId":"<{made.id("AWS::KMS::Key", "ChurnKey")}.Arn>"' in raw
    results_key = made.id("AWS::KMS::Key", "ResultsKey")
    assert f'"AssembleWith":"Line","KmsKeyId":"<{results_key}.Arn>"' in raw


def test_instances_whose_hardware_encrypts_their_disks_take_no_key(place: Place) -> None:
    resources = request(place, jobs=BatchJobs(type="ml.m5d.large"))["TransformResources"]
    assert resources == {"InstanceType": "ml.m5d.large", "InstanceCount": 1}


@pytest.mark.lens("MDL-07", "MDL-01")
def test_the_role_of_jobs_reads_its_source_and_its_artifact_and_writes_results_and_nothing_else(
    place: Place,
) -> None:
    job = batch(place)
    made = template(place)
    files = made.id("AWS::S3::Bucket", "Files")
    results = made.id("AWS::S3::Bucket", "Results")
    reading = [arn for each in allowed(made, "ChurnRole", "s3:GetObject") for arn in each.resources]
    assert sorted(reading) == sorted(
        [
            f"<{files}.Arn>/batches/*",
            f"<{files}.Arn>/manifests/*",
            "arn:<AWS::Partition>:s3:::models-of-ours/churn/2.1.0/model.tar.gz",
        ]
    )
    writing = [arn for each in allowed(made, "ChurnRole", "s3:PutObject") for arn in each.resources]
    assert writing == [f"<{results}.Arn>/predictions/{job.job_prefix}/*"]
    listing = allowed(made, "ChurnRole", "s3:ListBucket")
    assert [each.condition for each in listing] == [
        {"StringLike": {"s3:prefix": f"{prefix}/*"}} for prefix in ("batches", "manifests")
    ]
    actions = made.actions(made.id(ROLE, "ChurnRole"))
    assert not [
        action for action in actions if action.startswith(("sagemaker:", "s3:Delete")) or "*" in action
    ]


def test_the_state_machine_may_run_its_own_jobs_and_pass_no_role(place: Place) -> None:
    batch(place)
    made = template(place)
    role = made.id(ROLE, "ChurnWorkflowRole")
    actions = made.actions(role)
    assert {each for each in actions if each.startswith("sagemaker:")} == {
        f"sagemaker:{name}"
        for name in ("AddTags", "CreateTransformJob", "DescribeTransformJob", "ListTags", "StopTransformJob")
    }
    assert not {each for each in actions if each.startswith(("iam:", "s3:"))}
    # Only what logs and traces has no resources.
    starred = {
        action.partition(":")[0]
        for each in made.statements(role)
        if "*" in each.resources
        for action in each.actions
    }
    assert starred == {"logs", "xray"}


def test_a_request_that_comes_twice_gets_one_job(place: Place) -> None:
    batch(place)
    found = states(template(place))
    request = found["Read the request"]["Assign"]["request"]
    # A manifest's event is the same in every delivery; other runs are told apart by their execution.
    assert "$string($states.input.manifest) & ' ' & $string($states.input.event)" in request
    assert "$states.context.Execution.Id" in request
    name = found["Transform"]["Arguments"]["TransformJobName"]
    assert name.endswith("-' & $request & '-' & $string($attempt) %}")
    first = found["Why did it fail?"]["Choices"][0]
    assert "already exists" in first["Condition"]
    assert first["Next"] == "Follow the job"


def test_throttling_and_missing_capacity_are_tried_again_ever_later_and_by_chance(place: Place) -> None:
    batch(place, jobs=BatchJobs(attempts=4))
    found = states(template(place))
    throttled = found["Transform"]["Retry"][0]
    assert "SageMaker.ThrottlingException" in throttled["ErrorEquals"]
    assert (throttled["BackoffRate"], throttled["JitterStrategy"]) == (2, "FULL")
    capacity = found["Why did it fail?"]["Choices"][1]
    assert capacity["Condition"].startswith("{% $attempt < 3 and ")
    assert "CapacityError" in capacity["Condition"]
    wait = found[capacity["Next"]]
    assert "$power(2, $attempt)" in wait["Seconds"]
    assert "$random()" in wait["Seconds"]
    assert wait["Assign"] == {"attempt": "{% $attempt + 1 %}", "looks": 0}
    assert wait["Next"] == "Transform"


def test_every_failure_is_told_with_its_reason(place: Place) -> None:
    batch(place)
    found = states(template(place))
    ways = [
        found["Stop the job"]["Next"],
        *catchers(found["Stop the job"]),
        *catchers(found["Count"]),
        found["Records are missing"]["Next"],
        found["Not ours to read"]["Next"],
    ]
    assert set(ways) == {"Tell"}
    assert catchers(found["Follow the job"]) == [found["Too late"]["Next"]] == ["Stop the job"]
    assert found["Tell"]["Arguments"]["Message"]["reason"] == "{% $substring($failure.Cause, 0, 30000) %}"
    assert (found["Tell"]["Next"], found["Failed"]["Type"]) == ("Failed", "Fail")
    # Without the topic, the run still fails for its own reason.
    assert catchers(found["Tell"]) == ["Failed"]


def test_a_run_that_ends_badly_rings_whatever_ended_it(place: Place) -> None:
    made_batch = batch(place)
    made = template(place)
    alarm = made.one(ALARM, "ChurnWorkflowRunsAlarm")
    metrics = {
        each["MetricStat"]["Metric"]["MetricName"] for each in alarm["Metrics"] if "MetricStat" in each
    }
    assert metrics == {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (0, "notBreaching")
    assert len(made_batch.alarms) == 3


def test_only_what_lies_in_the_source_can_be_asked_for(place: Place) -> None:
    batch(place)
    check = states(template(place))["May it be read?"]
    (may,) = check["Choices"]
    assert "$substring($prefix, 0, 8) = 'batches/'" in may["Condition"]
    assert "$substring($manifest, 0, 10) = 'manifests/'" in may["Condition"]
    assert (may["Next"], check["Default"]) == ("Transform", "Not ours to read")


def test_a_manifest_starts_a_run_and_a_start_that_fails_is_kept(place: Place) -> None:
    made_batch = batch(place)
    made_batch.start_on_manifests()
    made = template(place)
    rule = made.only(RULE)
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "manifests/*.json"}]}
    (target,) = rule["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {
        "detail-object-key": "$.detail.object.key",
        "detail-object-sequencer": "$.detail.object.sequencer",
    }
    letters = made.id(QUEUE, "ChurnStartsDeadLetters")
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": [letters, "Arn"]}
    assert made.resources()[letters]["MessageRetentionPeriod"] == 14 * 86_400
    assert made.one(ALARM, "ChurnStartsDeadLettersAlarm")["Threshold"] == 0
    assert len(made_batch.alarms) == 4
    (starting,) = allowed(made, "ChurnStartsRole", "states:StartExecution")
    assert starting.resources == (f"<{made.id(MACHINE, 'ChurnWorkflow')}>",)


def test_a_schedule_works_off_the_whole_source(place: Place) -> None:
    batch(place).start_on_schedule("Nightly", events.Schedule.cron(hour="2", minute="0"))
    rule = template(place).only(RULE)
    assert rule["ScheduleExpression"] == "cron(0 2 * * ? *)"
    assert rule["Targets"][0]["Input"] == "{}"


def test_whoever_may_start_a_run_may_do_nothing_else(place: Place) -> None:
    role = iam.Role(place.stack, "Starter", assumed_by=iam.AccountRootPrincipal())
    batch(place).grant_start(role)
    made = template(place)
    (statement,) = made.statements(made.id(ROLE, "Starter"))
    assert statement.actions == {"states:StartExecution"}
    assert statement.resources == (f"<{made.id(MACHINE, 'ChurnWorkflow')}>",)


@pytest.mark.parametrize(
    ("source", "strategy", "split"),
    [
        ({}, "MultiRecord", "Line"),
        ({"content_type": "application/json"}, "SingleRecord", "Line"),
        ({"by_line": False}, "SingleRecord", "None"),
    ],
)
def test_lines_go_together_only_where_the_format_allows(
    place: Place, source: dict[str, Any], strategy: str, split: str
) -> None:
    found = request(place, source=BatchSource(bucket=place.files.bucket, **source))
    assert found["BatchStrategy"] == strategy
    assert (found["TransformInput"]["SplitType"], found["TransformOutput"]["AssembleWith"]) == (split, split)


def test_answers_can_stand_behind_their_records_without_what_the_model_must_not_see(place: Place) -> None:
    jobs = BatchJobs(
        joined=True, input_filter="$[1:]", output_filter="$[0,-1]", experiment="churn", accept="text/csv"
    )
    found = request(place, jobs=jobs)
    assert found["DataProcessing"] == {
        "JoinSource": "Input",
        "InputFilter": "$[1:]",
        "OutputFilter": "$[0,-1]",
    }
    assert found["ExperimentConfig"] == {"ExperimentName": "churn"}
    assert found["TransformOutput"]["Accept"] == "text/csv"


def test_nothing_is_captured_or_joined_unasked(place: Place) -> None:
    found = request(place)
    assert not {"DataCaptureConfig", "DataProcessing", "ExperimentConfig"} & set(found)
    assert {"Key": "mllens:model-version", "Value": "2.1.0"} in found["Tags"]


def test_a_job_that_is_captured_is_begun_and_followed_until_its_time_is_over(place: Place) -> None:
    job = batch(place, jobs=BatchJobs(capture=True, time_limit=cdk.Duration.minutes(90)))
    made = template(place)
    found = states(made)
    # Of the requests that Step Functions waits for, it knows no data capture.
    assert found["Transform"]["Resource"].endswith(":aws-sdk:sagemaker:createTransformJob")
    assert "DataCaptureConfig" in found["Transform"]["Arguments"]
    assert (found["Transform"]["Next"], found["Wait for the job"]["Seconds"]) == ("Follow the job", 60)
    late = found["How is the job?"]["Choices"][2]
    assert (late["Condition"], late["Next"]) == ("{% $looks >= 90 %}", "Too late")
    writing = [arn for each in allowed(made, "ChurnRole", "s3:PutObject") for arn in each.resources]
    assert [f"captured/{job.job_prefix}/*" in each for each in writing] == [True, False]


@pytest.mark.lens("LOG-02", "LOG-03")
def test_the_logs_of_jobs_are_encrypted_and_expire(place: Place) -> None:
    batch(place)
    made = template(place)
    group = made.one("AWS::Logs::LogGroup", "MLLensTransformLogs")
    assert group["LogGroupName"] == "/aws/sagemaker/TransformJobs"
    assert group["RetentionInDays"] == 365
    assert text(group["KmsKeyId"]) == f"<{made.id('AWS::KMS::Key', 'MLLensTransformLogsKey')}.Arn>"
    for each in made.resources("AWS::Logs::LogGroup").values():
        assert each["KmsKeyId"]
        assert each["RetentionInDays"] == 365


def test_a_log_group_that_is_there_already_is_not_made_again(place: Place) -> None:
    batch(place, jobs=BatchJobs(has_log_group=True))
    names = [each.get("LogGroupName") for each in template(place).resources("AWS::Logs::LogGroup").values()]
    assert "/aws/sagemaker/TransformJobs" not in names


def test_runs_are_traced_and_logged_without_their_data(place: Place) -> None:
    batch(place)
    machine = template(place).only(MACHINE)
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


def test_the_definition_is_sound(place: Place, tmp_path: Path) -> None:
    batch(place)
    (definition,) = definitions(template(place).body).values()
    assert problems(definition, tmp_path) == ""


@pytest.mark.parametrize("posture", [Posture.sandbox(), Posture.production()], ids=lambda each: each.name)
def test_no_pack_has_anything_to_say(tmp_path: Path, posture: Posture) -> None:
    app = new_app(tmp_path)
    made = batch(Place(app, posture))
    made.start_on_manifests()
    made.start_on_schedule("Nightly", events.Schedule.rate(cdk.Duration.days(1)))
    assert complaints(app) == []


@pytest.mark.parametrize(
    ("props", "problem"),
    [
        ({"jobs": BatchJobs(type="m5.large")}, "jobs.type: 'm5.large' is no instance type"),
        ({"jobs": BatchJobs(type="ml.c7g.large")}, "model.image: AWS makes sagemaker-xgboost"),
        ({"jobs": BatchJobs(instances=0)}, "jobs.instances: 0 is out of range"),
        ({"jobs": BatchJobs(attempts=9)}, "jobs.attempts: 9 is out of range"),
        ({"jobs": BatchJobs(payload_mib=101)}, "jobs.payload_mib: 101 is out of range"),
        ({"jobs": BatchJobs(requests_at_once=2000)}, "jobs.requests_at_once: 2000 is out of range"),
        ({"jobs": BatchJobs(time_limit=cdk.Duration.seconds(5))}, "jobs.time_limit: 5 is out of range"),
    ],
)
def test_jobs_that_sagemaker_would_refuse_are_refused(
    place: Place, props: dict[str, Any], problem: str
) -> None:
    with pytest.raises(PropError) as raised:
        batch(place, **props)
    (found,) = raised.value.problems
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("source", "jobs", "problem"),
    [
        ({"prefix": "batches"}, {}, "source.prefix: 'batches' is no folder"),
        ({"prefix": "/batches/"}, {}, "source.prefix: '/batches/' is no folder"),
        ({"prefix": "it's/"}, {}, 'source.prefix: "it\'s/" holds signs'),
        ({"manifests": "batches/manifests/"}, {}, "source.manifests: 'batches/manifests/' and the prefix"),
        ({"by_line": False}, {"many_records_at_once": True}, "jobs.many_records_at_once: there is one"),
        ({"content_type": "image/png"}, {"joined": True}, "jobs.joined: SageMaker joins CSV and JSON only"),
    ],
)
def test_records_that_nobody_could_find_or_send_are_refused(
    place: Place, source: dict[str, Any], jobs: dict[str, Any], problem: str
) -> None:
    with pytest.raises(PropError) as raised:
        batch(place, source=BatchSource(bucket=place.files.bucket, **source), jobs=BatchJobs(**jobs))
    (found,) = raised.value.problems
    assert found.startswith(problem)
    assert place.stack.node.try_find_child("Churn") is None
