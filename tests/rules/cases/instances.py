"""Instance families and accelerators."""

from typing import Any

from tests.rules.cases.jobs import AT, STEP, TRAINING, TRANSFORM, TUNING, app, machine, state, steps_app
from tests.rules.fixtures import MAYBE_EMPTY, OPEN_PARAMETER, Case, Change

RETIRED, FIT = "PER01-NoRetiredAccelerator", "PER01-InstanceFamilyFit"
VARIANTS = f"{AT}.ProductionVariants"


def config(instance_type: str) -> dict[str, Any]:
    variant = {
        "VariantName": "blue",
        "ModelName": "churn",
        "InstanceType": instance_type,
        "InitialInstanceCount": 2,
    }
    return {
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}}
    }


def warned(resource: str, path: str, *values: Any) -> tuple[Change, ...]:
    return tuple(Change(resource, path, value, None, "warning") for value in values)


_RETIRED = (
    Case(
        RETIRED,
        {
            "Notebook": {
                "Type": "AWS::SageMaker::NotebookInstance",
                "Properties": {"InstanceType": "ml.t3.medium"},
            }
        },
        (Change("Notebook", "AcceleratorTypes", ["ml.eia1.medium"]),),
        (Change("Notebook", "AcceleratorTypes", MAYBE_EMPTY, "unresolved:AcceleratorTypes", "warning"),),
        name="notebook",
    ),
    Case(
        RETIRED,
        config("ml.m6i.large"),
        (Change("Config", "ProductionVariants.0.AcceleratorType", "ml.eia2.medium"),),
        (
            Change(
                "Config",
                "ProductionVariants.0.AcceleratorType",
                MAYBE_EMPTY,
                "unresolved:ProductionVariants.AcceleratorType",
                "warning",
            ),
        ),
        name="configuration",
    ),
    Case(
        RETIRED,
        {
            "Machine": machine(
                "createEndpointConfig",
                {"ProductionVariants": [{"VariantName": "blue", "ModelName": "churn"}]},
            )
        },
        (Change("Machine", f"{VARIANTS}.0.AcceleratorType", "ml.eia2.medium"),),
        (
            Change(
                "Machine",
                f"{VARIANTS}.0.AcceleratorType",
                "{% $accelerator %}",
                f"unresolved:{VARIANTS}.AcceleratorType",
                "warning",
            ),
        ),
        name="state",
    ),
)

INSTANCE = "ProductionVariants.0.InstanceType"
NOT_KNOWN = Change(
    "Config", INSTANCE, OPEN_PARAMETER, "unresolved:ProductionVariants.InstanceType", "warning"
)
_FIT = (
    Case(
        FIT,
        config("ml.m6i.24xlarge"),
        warned(
            "Config",
            INSTANCE,
            *("ml.p4d.24xlarge", "ml.trn1.32xlarge", "ml.p6-b200.48xlarge", "ml.m4.xlarge", "ml.c4.large"),
            *("ml.t2.medium", "ml.p2.xlarge", "ml.p3.2xlarge"),
        ),
        (NOT_KNOWN,),
    ),
    Case(
        FIT,
        config("ml.m6i.xlarge"),
        warned("Config", INSTANCE, "ml.m6i.2xlarge", "ml.g5.48xlarge", "ml.p4d.24xlarge"),
        (NOT_KNOWN,),
        options={"environment": "dev"},
        name="development",
    ),
    Case(
        FIT,
        config("ml.m6i.large"),
        warned("Config", INSTANCE, "ml.m6i.xlarge"),
        (NOT_KNOWN,),
        options={"environment": "dev", "development_size": "large"},
        name="development-size",
    ),
    Case(
        FIT,
        app("createTrainingJob", TRAINING),
        (
            state("ResourceConfig.InstanceType", "ml.p3.8xlarge", None, "warning"),
            state("ResourceConfig.InstanceType", "ml.m4.xlarge", None, "warning"),
        ),
        (
            Change(
                "Machine",
                f"{AT}.ResourceConfig.InstanceType",
                "{% $type %}",
                f"unresolved:{AT}.ResourceConfig.InstanceType",
                "warning",
            ),
        ),
        name="training",
    ),
    Case(
        FIT,
        app("createHyperParameterTuningJob", TUNING),
        (state("TrainingJobDefinition.ResourceConfig.InstanceType", "ml.p2.xlarge", None, "warning"),),
        (
            Change(
                "Machine",
                f"{AT}.TrainingJobDefinition.ResourceConfig.InstanceType",
                OPEN_PARAMETER,
                f"unresolved:{AT}.TrainingJobDefinition.ResourceConfig.InstanceType",
                "warning",
            ),
        ),
        name="tuning",
    ),
    Case(
        FIT,
        steps_app("Transform", TRANSFORM),
        (Change("Pipeline", f"{STEP}.TransformResources.InstanceType", "ml.m4.xlarge", None, "warning"),),
        (
            Change(
                "Pipeline",
                f"{STEP}.TransformResources.InstanceType",
                {"Get": "Parameters.Type"},
                f"unresolved:{STEP.replace('.0', '')}.TransformResources.InstanceType",
                "warning",
            ),
        ),
        name="transform",
    ),
)

CASES = (*_RETIRED, *_FIT)
