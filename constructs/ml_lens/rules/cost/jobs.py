"""Rules on what jobs may cost: spot capacity and an end in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.rule import ERROR, TRAINING_TASK, WARNING, rule
from ml_lens.rules.tasks import Task, about, open_request
from ml_lens.rules.verdicts import (
    FAIL,
    UNKNOWN,
    Verdict,
    fails,
    must_be_at_most,
    must_equal,
    must_exist,
    passes,
    unknown,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

# What SageMaker takes for MaxRuntimeInSeconds when a job does not say.
DEFAULT_RUNTIME = 86_400


@rule(
    "COST03-ManagedSpotWithCheckpoint",
    number=61,
    weight=WARNING,
    on=TRAINING_TASK,
    title="Training uses spot capacity, and keeps its progress.",
    why="Spot capacity costs a fraction, but a job that is interrupted without a checkpoint starts again.",
    fix=(
        "Set EnableManagedSpotTraining, CheckpointConfig.S3Uri, and a MaxWaitTimeInSeconds that is not shorter than "
        "MaxRuntimeInSeconds."
    ),
    cloudformation="""
Type: AWS::StepFunctions::StateMachine
Properties:
  RoleArn: !GetAtt WorkflowRole.Arn
  Definition:
    StartAt: Train
    States:
      Train:
        Type: Task
        End: true
        Resource: arn:aws:states:::sagemaker:createTrainingJob.sync
        Parameters:
          EnableManagedSpotTraining: true
          CheckpointConfig: {S3Uri: !Sub "s3://${Models}/checkpoints"}
          StoppingCondition: {MaxRuntimeInSeconds: 3600, MaxWaitTimeInSeconds: 7200}
""",
    lens2020="MLCOST 03",
    lens2025="MLCOST04-BP10",
    settled=(
        "Only training and tuning jobs can use spot capacity.",
        "A job without spot capacity is a warning; a spot job that keeps no checkpoint or may not wait as long as it "
        "may run is an error.",
        "Without MaxRuntimeInSeconds, SageMaker's default of one day is compared.",
        "A job on a training plan, with a list of preferred instance types, or serverless cannot use spot capacity, "
        "and is not judged.",
    ),
)
def training_uses_spot_and_keeps_checkpoints(task: Task) -> Iterator[Verdict]:
    """Demand spot capacity, and of a spot job a checkpoint and time to wait."""
    if task.kind not in ("training", "tuning"):
        return
    open_verdict = open_request(task)
    if open_verdict is not None:
        yield open_verdict
        return
    for job in task.jobs:
        if not _cannot_use_spot(job):
            for verdict in _spot(job):
                yield about(task, verdict)


@rule(
    "COST03-BoundedRuntime",
    number=62,
    weight=ERROR,
    on=(TRAINING_TASK, "AWS::SageMaker::ProcessingJob"),
    title="Jobs end by themselves.",
    why="A job that hangs keeps its cluster, and is paid for, until somebody notices.",
    fix=(
        "Set StoppingCondition.MaxRuntimeInSeconds; for tuning also ResourceLimits.MaxNumberOfTrainingJobs and "
        "TrainingJobEarlyStoppingType: Auto; for AutoML CompletionCriteria.MaxAutoMLJobRuntimeInSeconds. The option "
        "max_runtime_seconds is the limit."
    ),
    cloudformation="""
Type: AWS::StepFunctions::StateMachine
Properties:
  RoleArn: !GetAtt WorkflowRole.Arn
  Definition:
    StartAt: Train
    States:
      Train:
        Type: Task
        End: true
        Resource: arn:aws:states:::sagemaker:createTrainingJob.sync
        Parameters:
          StoppingCondition: {MaxRuntimeInSeconds: 3600}
""",
    lens2020="MLCOST 03",
    lens2025=("MLCOST04-BP06", "MLCOST04-BP11"),
    settled=(
        "Transform and labeling jobs have no limit of time in their API, and are not judged.",
        "AutoML jobs have MaxAutoMLJobRuntimeInSeconds in its place.",
        "A tuning job needs the number of its jobs, whatever else bounds it; Hyperband stops early by itself, and "
        "may not be told to.",
        "The default of one day is not enough: the limit has to be written down.",
    ),
)
def job_is_bounded(subject: Node | Task) -> Iterator[Verdict]:
    """Demand the limit of time that the API of each kind of job has."""
    if not isinstance(subject, Task):
        yield _within(subject["StoppingCondition"]["MaxRuntimeInSeconds"])
        return
    if subject.kind in ("transform", "labeling"):
        return
    open_verdict = open_request(subject)
    if open_verdict is not None:
        yield open_verdict
        return
    for verdict in _bounds(subject):
        yield about(subject, verdict)


RULES = (training_uses_spot_and_keeps_checkpoints, job_is_bounded)


def _cannot_use_spot(job: Value) -> bool:
    resources = job["ResourceConfig"]
    return bool(
        job["ServerlessJobConfig"] or resources["TrainingPlanArn"] or resources["InstancePreferences"]
    )


def _spot(job: Value) -> Iterator[Verdict]:
    spot = must_equal(job["EnableManagedSpotTraining"], True)
    yield spot
    if spot.answer is FAIL:
        return
    for verdict in (
        must_exist(job["CheckpointConfig"]["S3Uri"]),
        _waits_long_enough(job["StoppingCondition"]),
    ):
        # Where nobody knows whether the job uses spot capacity, nobody knows whether this matters.
        if spot.answer is not UNKNOWN:
            yield verdict.as_error()


def _waits_long_enough(stopping: Value) -> Verdict:
    waits, runs = stopping["MaxWaitTimeInSeconds"], stopping["MaxRuntimeInSeconds"]
    demand = "must not be shorter than MaxRuntimeInSeconds"
    if not waits:
        return fails(waits.node, f"{waits.path} is missing, {demand}", path=waits.path)
    shortest, longest = waits.bounds
    least, most = runs.bounds if runs else (DEFAULT_RUNTIME, DEFAULT_RUNTIME)
    if shortest >= most or (waits.is_open and waits.identity is not None and waits.identity == runs.identity):
        return passes(waits.node)
    if longest < least:
        shown = f"{runs.shown} seconds" if runs else f"the default of {DEFAULT_RUNTIME} seconds"
        return fails(waits.node, f"{waits.path} is {waits.shown}, {demand}, {shown}", path=waits.path)
    unsure = waits if waits.is_open else runs
    return unknown(
        unsure.node,
        f"{unsure.path} is {unsure.shown}, which the template leaves open; {waits.path} {demand}",
        path=unsure.path,
    )


def _within(value: Value) -> Verdict:
    return must_be_at_most(value, value.node.options.max_runtime_seconds)


def _bounds(task: Task) -> Iterator[Verdict]:
    if task.kind == "automl":
        yield _within(_automl_criteria(task)["MaxAutoMLJobRuntimeInSeconds"])
        return
    for job in task.jobs:
        yield _within(job["StoppingCondition"]["MaxRuntimeInSeconds"])
    if task.kind == "tuning":
        tuning = task["HyperParameterTuningJobConfig"]
        yield must_exist(tuning["ResourceLimits"]["MaxNumberOfTrainingJobs"])
        if tuning["Strategy"].literal != "Hyperband":
            yield must_equal(tuning["TrainingJobEarlyStoppingType"], "Auto")


def _automl_criteria(task: Task) -> Value:
    for _, problem in task["AutoMLProblemTypeConfig"].members:
        return problem["CompletionCriteria"]
    problem = task["AutoMLProblemTypeConfig"]
    return (problem if problem else task["AutoMLJobConfig"])["CompletionCriteria"]
