"""The functions of a rollout: one asks probes, one judges, and one deletes what runs have made with the stack."""

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.function_networks import FunctionNetwork
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.network import MlNetwork
from ml_lens.foundation.posture import Posture
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.probes import Probes
from ml_lens.hosting.rollout_plan import RolloutChecks

_REACHES = (ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME, ec2.GatewayVpcEndpointAwsService.S3)


def probing_function(
    scope: Construct,
    *,
    posture: Posture,
    key: kms.IKey,
    model: HostedModel,
    checks: RolloutChecks,
    probes: Probes,
    network: MlNetwork,
) -> PythonFunction:
    """Create the function that asks a variant what the answers to are known."""
    made = PythonFunction(
        scope,
        "Probe",
        posture=posture,
        code=function_code("rollout_probe"),
        log_key=key,
        timeout=Duration.minutes(10),
        environment={
            "LATENCY_MS": str(checks.latency_slo.to_milliseconds()),
            "LEAST_ACCURACY": str(checks.least_accuracy),
            "ACCURACY_LOSS": str(checks.accuracy_loss),
        },
        network=FunctionNetwork(network=network, reaches=_REACHES),
    )
    for name, value in probes.bind(scope, made.role).items():
        made.function.add_environment(name, value)
    model.grant_invoke(made.role)
    return made


def judging_function(
    scope: Construct, *, posture: Posture, key: kms.IKey, checks: RolloutChecks
) -> PythonFunction:
    """Create the function that looks at what a variant did with live traffic."""
    outcomes = checks.outcomes
    made = PythonFunction(
        scope,
        "Judge",
        posture=posture,
        code=function_code("rollout_judge"),
        log_key=key,
        timeout=Duration.minutes(1),
        looks_at=["cloudwatch:GetMetricData"],
        environment={
            "LATENCY_MS": str(checks.latency_slo.to_milliseconds()),
            "ERROR_PERCENT": str(checks.error_percent),
            "LEAST_CALLS": str(checks.least_calls),
            "LEAST_OUTCOMES": str(checks.least_outcomes),
            "OUTCOME_LOSS": str(checks.outcome_loss),
            **({"SLOWDOWN": str(checks.slowdown)} if checks.slowdown is not None else {}),
            **({"OUTCOMES_TABLE": outcomes.table.table_name} if outcomes else {}),
        },
    )
    if outcomes is not None:
        outcomes.grant_read_summary(made.role)
    return made


def forgetting_function(
    scope: Construct, *, posture: Posture, key: kms.IKey, model: HostedModel, prefix: str
) -> PythonFunction:
    """Create the function that deletes models and configurations of runs when the stack is deleted."""
    made = PythonFunction(
        scope,
        "Forget",
        posture=posture,
        code=function_code("forget_rollouts"),
        log_key=key,
        timeout=Duration.minutes(5),
        looks_at=["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"],
        # It runs while the stack is deleted: an error fails the deletion before the eyes of who asked for it.
        watched=False,
    )
    forgotten = CustomResource(
        scope,
        "Forgotten",
        resource_type="Custom::ForgottenRollouts",
        service_token=made.function.function_arn,
        properties={"Prefix": prefix},
    )
    forgotten.node.add_dependency(made.role)
    # Deleted after the endpoint, which may serve one of them.
    model.endpoint.node.add_dependency(forgotten)
    return made
