"""Who may do what for batch inference: the job itself, its log, and the state machine that runs it."""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge_wildcard
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.log_groups import kept_log_group
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.storage import grant
from ml_lens.hosting.batch_options import BatchSource
from ml_lens.hosting.batch_request import BatchPlan
from ml_lens.hosting.execution_role import execution_role, let_start_volumes_under, let_use_volumes_under
from ml_lens.hosting.workflows import let_tell

METRICS_NAMESPACE = "/aws/sagemaker/TransformJobs"
"""Where the instances of jobs publish their metrics."""
LOG_GROUP = "/aws/sagemaker/TransformJobs"
"""The one log group of all transform jobs of an account in a Region."""
_LOGS = "MLLensTransformLogs"
# Step Functions waits for jobs by this rule, which it makes itself, once for an account.
_AWAITS = "StepFunctionsGetEventsForSageMakerTransformJobsRule"


def job_role(scope: Construct, *, name: str, source: BatchSource, volume_key: kms.IKey | None) -> iam.Role:
    """Create the role of jobs: it reads ``source`` and its manifests, logs, and encrypts volumes."""
    role = execution_role(scope, "Role", connects=True)
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
        )
    )
    _let_log(role, name)
    source.grant_read(role)
    source.grant_read_manifests(role)
    if volume_key is not None:
        let_use_volumes_under(volume_key, role)
    return role


def let_run_jobs(role: iam.IRole, plan: BatchPlan, *, topic: AlarmTopic) -> None:
    """Let the state machine run jobs of this name with this model, and tell ``topic``."""
    stack = Stack.of(role)
    jobs = stack.format_arn(service="sagemaker", resource="transform-job", resource_name=f"{plan.name}-*")
    acknowledge_wildcard(
        role,
        jobs,
        "SageMaker takes a name for a job only once, so every run makes a new one; the star stands for the end of a "
        "name that begins with this construct's own.",
    )
    iam.Grant.add_to_principal(
        grantee=role,
        actions=[
            "sagemaker:AddTags",
            "sagemaker:CreateTransformJob",
            "sagemaker:DescribeTransformJob",
            "sagemaker:ListTags",
            "sagemaker:StopTransformJob",
        ],
        resource_arns=[jobs],
    )
    grant(
        role,
        ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
        stack.format_arn(service="events", resource="rule", resource_name=_AWAITS),
    )
    if not plan.jobs.has_disks:
        let_start_volumes_under(plan.volume_key, role)
    let_tell(role, topic)


class TransformLogs(Construct):
    """Keeps the logs of all transform jobs of an account in a Region: SageMaker has one group for them, of this name.

    They repeat the records that containers complain of, so they are encrypted, and expire.

    Lens: LOG-02, LOG-03.
    """

    def __init__(self, scope: Construct, id: str, *, posture: Posture) -> None:
        """Create the group and its key. In production it outlives the stack."""
        super().__init__(scope, id)
        self.key = customer_key(self, "Key", posture=posture, purpose="logs of transform jobs")
        let_log_groups_use(self.key)
        self.log_group = kept_log_group(self, posture=posture, key=self.key, name=LOG_GROUP)

    @classmethod
    def in_stack_of(cls, scope: Construct, *, posture: Posture) -> "TransformLogs":
        """Return the group of the stack of ``scope``, which the first call creates."""
        stack = Stack.of(scope)
        there = stack.node.try_find_child(_LOGS)
        return there if isinstance(there, cls) else cls(stack, _LOGS, posture=posture)


def _let_log(role: iam.Role, name: str) -> None:
    def arn(streams: str) -> str:
        return Stack.of(role).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{LOG_GROUP}{streams}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    streams = arn(f":log-stream:{name}-*")
    acknowledge_wildcard(
        role,
        streams,
        "SageMaker names the log streams of a job after the job and its instances; the star stands for the end of a "
        "name that begins with this construct's own.",
    )
    grant(role, ["logs:DescribeLogStreams"], arn(""))
    grant(role, ["logs:CreateLogStream", "logs:PutLogEvents"], streams)
