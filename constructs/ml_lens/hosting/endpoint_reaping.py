"""What deletes endpoints that a run has left behind."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.acknowledgements import acknowledge_wildcard
from ml_lens.foundation.functions import METRICS_NAMESPACE, PythonFunction
from ml_lens.foundation.observability import quiet_alarm
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.storage import grant
from ml_lens.hosting.on_demand_workflow import LOG_PREFIX
from ml_lens.hosting.workflows import Workflow

_LOOKS_EVERY = Duration.minutes(15)


class EndpointReaper(Construct):
    """Deletes endpoints whose run is over, or that are older than any run can be.

    It is called when a run ends without success, and every quarter of an hour. It reaches the endpoints of one
    workflow, which it knows by the beginning of their names, and no others. ``alarms`` tell when it had something to
    do, since then a run went wrong in a way of its own, and when it could not do it.

    Lens: ODE-02.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        key: kms.IKey,
        workflow: Workflow,
        prefix: str,
        max_age: Duration,
        log_days: int,
    ) -> None:
        """Create the function, and what calls it.

        Args:
            scope: Where it belongs.
            id: Its construct id.
            posture: Decides how long logs are kept.
            key: Encrypts the log group; CloudWatch Logs must be allowed to use it.
            workflow: Creates the endpoints.
            prefix: What their names begin with, up to a dash.
            max_age: Age at which an endpoint is deleted even if its run seems to go on.
            log_days: How long the logs of endpoints are kept; a log group whose events have all expired is deleted.
        """
        super().__init__(scope, id)
        machine = workflow.machine
        self.function = PythonFunction(
            self,
            "Function",
            posture=posture,
            code=function_code("endpoint_reaper"),
            log_key=key,
            timeout=Duration.minutes(5),
            looks_at=["logs:DescribeLogGroups", "sagemaker:ListEndpoints"],
            environment={
                "PREFIX": prefix,
                "STATE_MACHINE_ARN": machine.state_machine_arn,
                "MAX_AGE_SECONDS": str(max_age.to_seconds()),
                "LOG_PREFIX": LOG_PREFIX,
                "LOGS_KEPT_DAYS": str(log_days),
            },
        )
        self._grant(prefix, machine.state_machine_arn)
        target = targets.LambdaFunction(self.function.function)
        events.Rule(self, "Schedule", schedule=events.Schedule.rate(_LOOKS_EVERY), targets=[target])
        events.Rule(
            self,
            "Ends",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [machine.state_machine_arn],
                    "status": ["ABORTED", "FAILED", "TIMED_OUT"],
                },
            ),
            targets=[target],
        )
        self.alarms = [
            *self.function.alarms,
            quiet_alarm(
                self,
                "ReapedAlarm",
                metric=_metric("EndpointsReaped", prefix),
                above=0,
                because="A run left its endpoint behind, and it was deleted now. Somebody stopped the run, or it took "
                "longer than it may: look at its execution.",
            ),
            quiet_alarm(
                self,
                "NotReapedAlarm",
                metric=_metric("EndpointsNotReaped", prefix),
                above=0,
                for_periods=3,
                because="An endpoint that nobody needs cannot be deleted, and is paid for. The function's log names it "
                "and the cause; delete it by hand.",
            ),
        ]

    def _grant(self, prefix: str, machine_arn: str) -> None:
        role, stack = self.function.role, Stack.of(self)
        endpoints = stack.format_arn(service="sagemaker", resource="endpoint", resource_name=f"{prefix}-*")
        acknowledge_wildcard(
            role,
            endpoints,
            "Every run makes an endpoint of its own, whose name begins with this construct's; the star stands for the "
            "rest of it.",
        )
        iam.Grant.add_to_principal(
            grantee=role,
            actions=["sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint"],
            resource_arns=[endpoints],
        )
        grant(role, ["states:ListExecutions"], machine_arn)
        let_handle_logs(role, ["logs:DeleteLogGroup"], prefix)


def let_handle_logs(role: iam.IRole, actions: list[str], prefix: str) -> None:
    """Allow ``actions`` on the log groups of endpoints whose names begin with ``prefix`` and a dash."""
    stack = Stack.of(role)
    groups = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{LOG_PREFIX}{prefix}-*"
    acknowledge_wildcard(
        role,
        groups,
        "SageMaker names the log group of an endpoint after it, and every run makes one whose name begins with this "
        "construct's; the star stands for the rest of it.",
    )
    iam.Grant.add_to_principal(grantee=role, actions=actions, resource_arns=[groups])


def _metric(name: str, prefix: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=METRICS_NAMESPACE,
        metric_name=name,
        dimensions_map={"service": "endpoint_reaper", "Endpoints": prefix},
        statistic="Maximum",
    )
