"""What a rollout may do, and on what."""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from ml_lens.foundation.acknowledgements import acknowledge_wildcard
from ml_lens.foundation.storage import grant
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.workflows import Workflow


def let_change(role: iam.IRole, model: HostedModel, prefix: str) -> None:
    """Let ``role`` put a candidate beside what ``model`` serves, and make and delete what begins with ``prefix``."""
    grant(
        role,
        [
            "sagemaker:DescribeEndpoint",
            "sagemaker:UpdateEndpoint",
            "sagemaker:UpdateEndpointWeightsAndCapacities",
        ],
        model.endpoint.ref,
    )
    for kind, described, own in (
        (
            "endpoint-config",
            ["DescribeEndpointConfig", "UpdateEndpoint"],
            ["CreateEndpointConfig", "DeleteEndpointConfig"],
        ),
        ("model", ["DescribeModel"], ["CreateModel", "DeleteModel"]),
    ):
        every = _arn(role, kind, "*")
        acknowledge_wildcard(
            role,
            every,
            "SageMaker names the model and the configuration that CloudFormation makes, and makes new names with "
            "every change of the template.",
        )
        grant(role, [f"sagemaker:{action}" for action in described], every)
        grant_own(role, kind, prefix, *(f"sagemaker:{action}" for action in [*own, "AddTags"]))
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[model.role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )
    )


def let_see_runs(scope: Construct, workflow: Workflow) -> None:
    """Let a workflow see whether its other runs go on."""
    runs = Stack.of(scope).format_arn(
        service="states",
        resource="execution",
        resource_name=f"{workflow.machine.state_machine_name}:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    # In a policy of its own: the state machine waits for that of its role, which thus cannot name the state machine.
    policy = iam.Policy(scope, "SeeRuns", roles=[workflow.role])
    policy.add_statements(iam.PolicyStatement(actions=["states:DescribeExecution"], resources=[runs]))
    acknowledge_wildcard(
        workflow.role,
        runs,
        "Step Functions names the runs of a state machine; the star stands for those of one.",
        on=policy,
    )


def let_read_packages(role: iam.IRole, group: str) -> None:
    """Let ``role`` read the model packages of a group."""
    packages = _arn(role, "model-package", f"{group}/*")
    acknowledge_wildcard(
        role,
        packages,
        "SageMaker numbers the packages of a group as they are registered; the star stands for the numbers of one "
        "group.",
    )
    grant(role, ["sagemaker:DescribeModelPackage"], packages)


def grant_own(role: iam.IRole, kind: str, prefix: str, *actions: str) -> None:
    """Allow ``actions`` on what runs have made."""
    own = _arn(role, kind, f"{prefix}*")
    acknowledge_wildcard(
        role,
        own,
        "A rollout names what it makes after itself; the star stands for the names of one endpoint.",
    )
    grant(role, list(actions), own)


def _arn(scope: IConstruct, kind: str, name: str) -> str:
    return Stack.of(scope).format_arn(
        service="sagemaker", resource=kind, resource_name=name, arn_format=ArnFormat.SLASH_RESOURCE_NAME
    )
