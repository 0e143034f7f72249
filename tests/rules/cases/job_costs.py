"""What jobs may cost: spot capacity and an end in time."""

from tests.rules.cases.jobs import (
    AT,
    AUTOML,
    FIRST_AUTOML,
    PROCESSING,
    PROCESSING_JOB,
    STEP,
    TRAINING,
    TUNING,
    app,
    computed,
    parameter,
    state,
    steps_app,
)
from tests.rules.fixtures import GONE, OPEN_PARAMETER, Case, Change

IN_TUNING = "TrainingJobDefinition."

_SPOT = (
    Case(
        "COST03-ManagedSpotWithCheckpoint",
        app("createTrainingJob", TRAINING),
        (
            state("EnableManagedSpotTraining", GONE, None, "warning"),
            state("EnableManagedSpotTraining", False, None, "warning"),
            state("CheckpointConfig", GONE),
            state("CheckpointConfig.S3Uri", ""),
            state("StoppingCondition.MaxWaitTimeInSeconds", GONE),
            state("StoppingCondition.MaxWaitTimeInSeconds", 3599),
            state("StoppingCondition.MaxRuntimeInSeconds", 7201),
            state("StoppingCondition.MaxRuntimeInSeconds", GONE),
        ),
        (
            computed("EnableManagedSpotTraining"),
            computed("StoppingCondition.MaxWaitTimeInSeconds"),
            computed("CheckpointConfig.S3Uri"),
            parameter("StoppingCondition.MaxRuntimeInSeconds"),
            Change("Machine", AT, "{% $request %}", f"unresolved:{AT}", "warning"),
        ),
    ),
    Case(
        "COST03-ManagedSpotWithCheckpoint",
        app("createHyperParameterTuningJob", TUNING),
        (
            state(f"{IN_TUNING}EnableManagedSpotTraining", GONE, None, "warning"),
            state(f"{IN_TUNING}CheckpointConfig", GONE),
            state(f"{IN_TUNING}StoppingCondition.MaxWaitTimeInSeconds", 60),
        ),
        (computed(f"{IN_TUNING}EnableManagedSpotTraining"),),
        name="tuning",
    ),
    Case(
        "COST03-ManagedSpotWithCheckpoint",
        steps_app("Training", TRAINING),
        (
            Change("Pipeline", f"{STEP}.EnableManagedSpotTraining", GONE, None, "warning"),
            Change("Pipeline", f"{STEP}.CheckpointConfig", GONE),
        ),
        (
            Change(
                "Pipeline",
                f"{STEP}.CheckpointConfig",
                {"Get": "Parameters.Checkpoints"},
                f"unresolved:{STEP.replace('.0', '')}.CheckpointConfig.S3Uri",
                "warning",
            ),
        ),
        name="step",
    ),
)

_BOUNDED = (
    Case(
        "COST03-BoundedRuntime",
        app("createTrainingJob", TRAINING),
        (
            state("StoppingCondition", GONE),
            state("StoppingCondition.MaxRuntimeInSeconds", GONE),
            state("StoppingCondition.MaxRuntimeInSeconds", 86_401),
        ),
        (
            computed("StoppingCondition.MaxRuntimeInSeconds"),
            parameter("StoppingCondition.MaxRuntimeInSeconds"),
        ),
    ),
    Case(
        "COST03-BoundedRuntime",
        app("createTrainingJob", TRAINING),
        (state("StoppingCondition.MaxRuntimeInSeconds", 3601),),
        (computed("StoppingCondition.MaxRuntimeInSeconds"),),
        options={"max_runtime_seconds": 3600},
        name="shorter-limit",
    ),
    Case(
        "COST03-BoundedRuntime",
        app("createHyperParameterTuningJob", TUNING),
        (
            state(f"{IN_TUNING}StoppingCondition", GONE),
            state("HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs", GONE),
            state("HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType", "Off"),
            state("HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType", GONE),
        ),
        (computed("HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType"),),
        name="tuning",
    ),
    Case(
        "COST03-BoundedRuntime",
        app("createProcessingJob", PROCESSING),
        (state("StoppingCondition", GONE), state("StoppingCondition.MaxRuntimeInSeconds", 100_000)),
        (computed("StoppingCondition.MaxRuntimeInSeconds"),),
        name="processing",
    ),
    Case(
        "COST03-BoundedRuntime",
        app("createAutoMLJobV2", AUTOML),
        (state("AutoMLProblemTypeConfig.TabularJobConfig.CompletionCriteria", GONE),),
        (
            computed(
                "AutoMLProblemTypeConfig.TabularJobConfig.CompletionCriteria.MaxAutoMLJobRuntimeInSeconds"
            ),
        ),
        name="automl",
    ),
    Case(
        "COST03-BoundedRuntime",
        app("createAutoMLJob", FIRST_AUTOML),
        (state("AutoMLJobConfig.CompletionCriteria", GONE),),
        (computed("AutoMLJobConfig.CompletionCriteria.MaxAutoMLJobRuntimeInSeconds"),),
        name="automl-first-version",
    ),
    Case(
        "COST03-BoundedRuntime",
        PROCESSING_JOB,
        (
            Change("Job", "StoppingCondition", GONE),
            Change("Job", "StoppingCondition.MaxRuntimeInSeconds", 86_401),
        ),
        (
            Change(
                "Job",
                "StoppingCondition.MaxRuntimeInSeconds",
                OPEN_PARAMETER,
                "unresolved:StoppingCondition.MaxRuntimeInSeconds",
                "warning",
            ),
        ),
        name="resource",
    ),
)

CASES = (*_SPOT, *_BOUNDED)
