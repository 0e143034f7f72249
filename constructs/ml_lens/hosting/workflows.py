"""State machines of hosting: each with a role, a log and alarms of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.log_groups import kept_log_group
from ml_lens.foundation.observability import AlarmTopic, quiet_alarm
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.storage import grant

_STARRED = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
)
_LAMBDA_IS_BUSY = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
)
_FOUR_TIMES = 4
ANY_ERROR = ["States.ALL"]
"""What a ``Catch`` names that lets nothing through but a lost history."""


class Workflow(Construct):
    """Runs a state machine that says what it does: traced, logged under a key, and with an alarm when a run goes wrong.

    What runs pass from state to state are names, places and counts, never records: nothing secret is in a history.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        key: kms.IKey,
        start: sfn.IChainable,
        time_limit: Duration,
        what: str,
        declared: str | None = None,
        looks_at: Sequence[str] = (),
    ) -> None:
        """Create the state machine, its role and its log group.

        Args:
            scope: Where it belongs.
            id: Its construct id.
            posture: Decides how long logs are kept.
            key: Encrypts the log group; CloudWatch Logs must be allowed to use it.
            start: The first state, with all that follow it.
            time_limit: Time after which a run is ended.
            declared: What the rule pack is told that it is for. Default: nothing.
            looks_at: Actions that it is granted on everything, because they know no resources. Default: none.
            what: What a run is called when the alarm speaks of it, for example ``Batch inference``.
        """
        super().__init__(scope, id)
        self.log_group = kept_log_group(self, posture=posture, key=key)
        self.machine = sfn.StateMachine(
            self,
            "Resource",
            definition_body=sfn.DefinitionBody.from_chainable(start),
            query_language=sfn.QueryLanguage.JSONATA,
            timeout=time_limit,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False
            ),
        )
        resource = self.machine.node.default_child
        if declared and isinstance(resource, sfn.CfnStateMachine):
            resource.add_metadata("MLLens", {"Role": declared})
        self.role = self.machine.role
        if looks_at:
            self.role.add_to_principal_policy(iam.PolicyStatement(actions=list(looks_at), resources=["*"]))
        acknowledge(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            f"{', '.join((*_STARRED, *looks_at))} cannot be narrowed: CloudWatch, CloudWatch Logs and X-Ray accept no "
            "resource for them, or for all that they tell, but the star.",
        )
        self.alarms = [_runs_alarm(self, self.machine, what)]

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start runs, and neither see nor stop them."""
        return grant(grantee, ["states:StartExecution"], self.machine.state_machine_arn)

    def may_call(self, *functions: PythonFunction) -> None:
        """Let the state machine call ``functions``."""
        for each in functions:
            grant(self.role, ["lambda:InvokeFunction"], each.function.function_arn)


def retention_days(group: logs.LogGroup) -> int:
    """Return how many days a log group keeps its events."""
    resource = group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)  # noqa: S101  (for the type checker)
    return int(resource.retention_in_days or 0)


def call(
    scope: Construct,
    id: str,
    api: str,
    arguments: Mapping[str, Any] | str,
    *,
    retry: Sequence[Mapping[str, Any]] = (),
    **fields: Any,
) -> sfn.CustomState:
    """Return a task that calls ``api``, with nothing granted: what it needs, its workflow grants by name.

    Args:
        scope: Where the state belongs.
        id: Name of the state.
        api: What follows ``states:::`` in the ARN of the integration, such as ``aws-sdk:sagemaker:deleteEndpoint``.
        arguments: The request; JSONata between ``{%`` and ``%}``.
        retry: Retriers, most special first. Default: none.
        fields: More of the state, such as ``Output``, ``Assign`` and ``TimeoutSeconds``.
    """
    retries = {"Retry": list(retry)} if retry else {}
    return sfn.CustomState(
        scope,
        id,
        state_json={
            "Type": "Task",
            "Resource": f"arn:{Aws.PARTITION}:states:::{api}",
            "Arguments": arguments,
            **retries,
            **fields,
        },
    )


def call_function(
    scope: Construct, id: str, function: PythonFunction, payload: Mapping[str, Any] | str, **fields: Any
) -> sfn.CustomState:
    """Return a task that calls a function; ``$states.result.Payload`` is its answer."""
    fields = {"Output": "{% $states.result.Payload %}", **fields}
    return call(
        scope,
        id,
        "lambda:invoke",
        {"FunctionName": function.function.function_arn, "Payload": payload},
        retry=[backing_off(_LAMBDA_IS_BUSY)],
        **fields,
    )


def tell_of_failure(
    scope: Construct, topic: AlarmTopic, subject: str, about: Mapping[str, str]
) -> sfn.IChainable:
    """Return the end of a run that failed: the topic gets the variable ``failure`` with its reason, then it fails."""
    reason = "{% $substring($failure.Cause, 0, 30000) %}"
    failed = sfn.Fail.jsonata(scope, "Failed", error="{% $failure.Error %}", cause=reason)
    tell = call(
        scope,
        "Tell",
        "sns:publish",
        {
            "TopicArn": topic.topic.topic_arn,
            "Subject": subject,
            "Message": {
                **about,
                "run": "{% $states.context.Execution.Id %}",
                "error": "{% $failure.Error %}",
                "reason": reason,
            },
        },
        retry=[backing_off(ANY_ERROR)],
    )
    # Without a message, the run still fails for its own reason.
    tell.add_catch(failed, errors=ANY_ERROR)
    return tell.next(failed)


def let_tell(role: iam.IRole, topic: AlarmTopic) -> None:
    """Let a state machine publish to ``topic``."""
    grant(role, ["sns:Publish"], topic.topic.topic_arn)
    grant(role, ["kms:Decrypt", "kms:GenerateDataKey"], topic.key.key_arn)


def caught() -> dict[str, Any]:
    """Return what a ``Catch`` assigns: the variable ``failure`` with the error and its cause."""
    return {
        "failure": {
            "Error": "{% $states.errorOutput.Error %}",
            "Cause": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}",
        }
    }


def refusal(scope: Construct, id: str, error: str, cause: str) -> sfn.Pass:
    """Return a state that makes up the variable ``failure``."""
    return sfn.Pass.jsonata(scope, id, assign={"failure": {"Error": error, "Cause": cause}})


def begins(variable: str, text: str) -> str:
    """Return JSONata that says whether a variable is a text that begins with ``text``."""
    return f"($type({variable}) = 'string' ? $substring({variable}, 0, {len(text)}) = '{text}' : false)"


def backing_off(
    errors: Sequence[str], *, attempts: int = _FOUR_TIMES, first: int = 2, longest: int = 60
) -> dict[str, Any]:
    """Return a retrier that waits twice as long after every attempt, and a random part of that.

    Args:
        errors: Names of errors.
        attempts: Retries at the most.
        first: Longest wait before the first one, in seconds.
        longest: Longest wait of all, in seconds.
    """
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": first,
        "BackoffRate": 2,
        "MaxDelaySeconds": longest,
        "MaxAttempts": attempts,
        "JitterStrategy": "FULL",
    }


def _runs_alarm(scope: Construct, machine: sfn.StateMachine, what: str) -> cloudwatch.Alarm:
    lost = cloudwatch.MathExpression(
        expression="FILL(failed, 0) + FILL(late, 0) + FILL(stopped, 0)",
        using_metrics={
            "failed": machine.metric_failed(),
            "late": machine.metric_timed_out(),
            "stopped": machine.metric_aborted(),
        },
        label="runs without a result",
    )
    return quiet_alarm(
        scope,
        "RunsAlarm",
        metric=lost,
        above=0,
        because=f"{what} failed, took too long or was stopped. The execution tells the reason; when it is mended, "
        "start it again.",
    )
