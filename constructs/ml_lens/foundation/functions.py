"""Python functions, each with a role, a log group and alarms of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.function_networks import LOOK_AT_NETWORKS, FunctionNetwork, let_lambda_connect
from ml_lens.foundation.log_groups import kept_log_group
from ml_lens.foundation.messaging import WorkQueue
from ml_lens.foundation.observability import quiet_alarm
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props

METRICS_NAMESPACE = "MLLens"
_RUNTIME = lambda_.Runtime.PYTHON_3_14
_POWERTOOLS_PARAMETER = "/aws/service/powertools/python/arm64/python3.14/latest"
_NOT_CODE = ["__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache", ".pytest_cache"]


class PythonFunction(Construct):
    """Runs one folder of Python code, with the rights it is granted and no others.

    Python 3.14 on arm64, JSON logs in an encrypted group of its own, active tracing, Powertools for AWS
    Lambda from the public layer of the Region. Work comes from a queue (:meth:`work_off`), whose
    dead-letter queue takes what fails, or from asynchronous calls, whose failures go to ``on_failure``.

    Lens: AIS-05, F2-31.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        code: Path,
        log_key: kms.IKey,
        timeout: Duration,
        memory_mib: int = 256,
        environment: Mapping[str, str] | None = None,
        on_failure: lambda_.IDestination | None = None,
        powertools_layer: lambda_.ILayerVersion | None = None,
        watched: bool = True,
        network: FunctionNetwork | None = None,
        looks_at: Sequence[str] = (),
    ) -> None:
        """Create function, role and log group.

        Args:
            scope: Where the function belongs.
            id: Its construct id.
            posture: Decides log level and retention.
            code: The folder that becomes the import root. It holds ``<folder name>.py`` with a ``handler``.
            log_key: Encrypts the log group; CloudWatch Logs must be allowed to use it.
            timeout: Longest time one call may take, up to fifteen minutes.
            memory_mib: Memory in MiB, 128 to 10240, which also decides the share of CPU. Default: 256.
            environment: Environment variables. Default: only those of Powertools.
            on_failure: Takes events of asynchronous calls that failed for good. Default: none, as
                a queue's dead letters are the queue's.
            watched: Whether ``alarms`` tell of errors and throttles. Default: they do.
            network: The private network it runs in, and what it reaches from there. Default: none; it runs in a
                network of Lambda's, which reaches the internet.
            looks_at: Actions that it is granted on everything, because they know no resources. Default: none.
            powertools_layer: Layer with Powertools. Default: the newest public one, looked up at deployment.

        Raises:
            PropError: ``code`` has no handler, ``timeout`` or ``memory_mib`` is out of Lambda's range, or
                ``network`` reaches nothing.
        """
        with checked_props(self, id) as props:
            module = code / f"{code.name}.py"
            props.require(
                module.is_file(),
                "code",
                f"{code} has no {module.name}; name the module with the handler after its folder",
            )
            props.number(
                "timeout",
                timeout.to_seconds(),
                low=1,
                high=900,
                unit="seconds",
                way_out="split work that takes longer, or run it in a state machine",
            )
            props.whole_number(
                "memory_mib", memory_mib, low=128, high=10_240, unit="MiB", way_out="256 suits most handlers"
            )
            if network is not None:
                network.check(props)
        super().__init__(scope, id)
        self.timeout = timeout
        self._service = code.name
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group = kept_log_group(self, posture=posture, key=log_key)
        self.log_group.grant_write(self.role)
        self.security_group = network.security_group(self) if network else None
        """What the function may reach; ``None`` outside of a network."""
        self.function = lambda_.Function(
            self,
            "Resource",
            runtime=_RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"{code.name}.handler",
            code=lambda_.Code.from_asset(str(code), exclude=_NOT_CODE),
            role=self.role,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # Left out, Lambda drops what the handler logs below INFO.
            application_log_level_v2=lambda_.ApplicationLogLevel(posture.log_level),
            tracing=lambda_.Tracing.ACTIVE,
            timeout=timeout,
            memory_size=memory_mib,
            layers=[powertools_layer or self._public_powertools()],
            on_failure=on_failure,
            vpc=network.network.vpc if network else None,
            vpc_subnets=network.network.subnets if network else None,
            security_groups=[self.security_group] if self.security_group else None,
            environment={
                "POWERTOOLS_SERVICE_NAME": code.name,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": posture.log_level,
                **(environment or {}),
            },
        )
        self._let_look_around(network, looks_at)
        self.alarms = self._watch(code.name) if watched else []

    def _let_look_around(self, network: FunctionNetwork | None, looks_at: Sequence[str]) -> None:
        """Grant what cannot be narrowed; the CDK itself grants what traces need."""
        starred = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", *looks_at]
        if looks_at:
            self.role.add_to_policy(iam.PolicyStatement(actions=list(looks_at), resources=["*"]))
        if network is not None and self.security_group is not None:
            let_lambda_connect(self.role, network, self.security_group)
            # The function calls over the endpoints: they have to be there first, and to leave last.
            self.function.node.add_dependency(network.network)
            starred += LOOK_AT_NETWORKS
        acknowledge(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            f"{', '.join(starred)} have no resource type: the services accept no resource for them but the star.",
        )

    def work_off(
        self, work: WorkQueue, *, batch_size: int, wait: Duration | None = None, at_once: int | None = None
    ) -> None:
        """Handle the messages of a queue in batches, and report failures message by message.

        Args:
            work: The queue. Its ``handled_within`` should be this function's timeout.
            batch_size: Messages in one call at the most, up to 10 without and 10000 with ``wait``.
            wait: Time to gather a batch. Default: a call as soon as there is a message.
            at_once: Calls at the same time at the most, two or more, which shields what the function calls.
                Default: as many as Lambda likes.
        """
        # CDK's own event source also grants ChangeMessageVisibility and GetQueueUrl, which Lambda does not use.
        iam.Grant.add_to_principal(
            grantee=self.role,
            actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            resource_arns=[work.queue.queue_arn],
        )
        iam.Grant.add_to_principal(
            grantee=self.role, actions=["kms:Decrypt"], resource_arns=[work.key.key_arn]
        )
        lambda_.EventSourceMapping(
            self,
            f"{work.node.id}Source",
            target=self.function,
            event_source_arn=work.queue.queue_arn,
            batch_size=batch_size,
            max_batching_window=wait,
            max_concurrency=at_once,
            report_batch_item_failures=True,
        )

    def metric(self, name: str, *, statistic: str = "Sum") -> cloudwatch.Metric:
        """Return a metric that the handler publishes through Powertools, over five minutes."""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self._service},
            statistic=statistic,
        )

    def _watch(self, name: str) -> list[cloudwatch.Alarm]:
        return [
            quiet_alarm(
                self,
                "ErrorsAlarm",
                metric=self.function.metric_errors(),
                above=0,
                for_periods=2,
                because=f"Calls of {name} end in errors. The log group says why; what it worked on is "
                "tried again and then set aside.",
            ),
            quiet_alarm(
                self,
                "ThrottlesAlarm",
                metric=self.function.metric_throttles(),
                above=0,
                for_periods=3,
                because=f"Lambda holds calls of {name} back: the account's concurrency is used up.",
            ),
        ]

    def _public_powertools(self) -> lambda_.ILayerVersion:
        return lambda_.LayerVersion.from_layer_version_arn(
            self, "Powertools", ssm.StringParameter.value_for_string_parameter(self, _POWERTOOLS_PARAMETER)
        )
