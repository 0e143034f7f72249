"""Files that arrive one by one, analysed by an AI service in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.keys import let_log_groups_use
from ml_lens.foundation.messaging import WorkQueue
from ml_lens.foundation.observability import quiet_alarm
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props
from ml_lens.foundation.storage import DerivedDataBucket, TemporaryInputBucket

_ERASURE_TIMEOUT = Duration.minutes(1)


@dataclass(frozen=True, kw_only=True)
class ServiceMetrics:
    """The metrics that an AI service publishes about the calls of this account."""

    namespace: str
    """CloudWatch namespace, for example ``AWS/Rekognition``."""
    successes: str
    """Name of the metric that counts answered calls."""
    throttles: str
    """Name of the metric that counts refused calls."""
    dimensions: Mapping[str, str]
    """Dimensions that select the operation."""

    def calls(self, name: str) -> cloudwatch.Metric:
        """Return the sum of metric ``name`` over one minute."""
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=name,
            dimensions_map=dict(self.dimensions),
            statistic="Sum",
            period=Duration.minutes(1),
        )


@dataclass(frozen=True, kw_only=True)
class Analyser:
    """The part of the pattern that knows an AI service; swap it to handle other media (Lens: AIS-06).

    The code gets ``RESULTS_BUCKET``, ``IMAGE_QUEUE_URL`` and ``ERASE_QUEUE_URL`` in its environment.
    """

    code: Path
    """Folder of the function."""
    actions: Sequence[str]
    """IAM actions of the AI service that the code calls, for services that have no resource types."""
    metrics: ServiceMetrics
    """Where the service counts these calls."""
    writes_to: Sequence[str]
    """Prefixes of the results bucket that the code writes below."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables. Default: none."""
    memory_mib: int = 1024
    """Memory of the function in MiB. Default: 1024."""


@dataclass(frozen=True, kw_only=True)
class Burst:
    """How a burst of uploads is shaped before it reaches the AI service.

    At most ``batches_at_once`` times ``parallel_calls`` calls are under way at a time.
    """

    batch_size: int = 100
    """Files in one batch at the most, and so in one result object. Default: 100."""
    gather_for: Duration = field(default_factory=lambda: Duration.minutes(1))
    """Time to gather a batch. Default: one minute."""
    batches_at_once: int = 2
    """Batches handled at the same time, two or more. Default: two."""
    parallel_calls: int = 8
    """Calls to the AI service at the same time in one batch, 1 to 32. Default: eight."""
    quota_per_second: float = 5
    """The account's quota for the call, per second. Default: 5, the least that any Region starts with."""


class UploadAnalysis(Construct):
    """Analyses every file that arrives in a bucket, and erases it once its result is safe.

    "Object Created" events wait in a queue that shields the AI service from bursts. The analysing function
    may read the files, call the service and add results; another function may erase, and nothing else.
    What fails is tried again and then set aside in a dead-letter queue; what is throttled goes back to the
    queue and does not count as failed.

    Lens: AIS-01, AIS-05, AIS-06, F2-05, F2-10, F2-12, F2-14, F2-31, QTA-01, QTA-02.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        files: TemporaryInputBucket,
        results: DerivedDataBucket,
        analyser: Analyser,
        burst: Burst | None = None,
    ) -> None:
        """Connect ``files`` to ``results`` through ``analyser``.

        Args:
            scope: Where the analysis belongs.
            id: Its construct id.
            posture: Decides what outlives the stack, and how much is logged.
            files: Where files arrive.
            results: Where results go.
            analyser: The function that calls the AI service.
            burst: How bursts are shaped. Default: ``Burst()``.

        Raises:
            PropError: A number in ``burst`` is out of range.
        """
        burst = burst or Burst()
        with checked_props(self, id) as props:
            way_out = "see Burst for what each number does"
            for name, value, low, high in (
                ("batch_size", burst.batch_size, 1, 1000),
                ("batches_at_once", burst.batches_at_once, 2, 1000),
                ("parallel_calls", burst.parallel_calls, 1, 32),
            ):
                props.whole_number(f"burst.{name}", value, low=low, high=high, unit="", way_out=way_out)
            props.number(
                "burst.gather_for",
                burst.gather_for.to_seconds(),
                low=1 if burst.batch_size > 10 else 0,
                high=300,
                unit="seconds",
                way_out="Lambda gathers batches of more than ten for up to five minutes",
            )
            props.number(
                "burst.quota_per_second",
                burst.quota_per_second,
                low=1,
                high=10_000,
                unit="calls",
                way_out=way_out,
            )
        super().__init__(scope, id)
        timeout = Duration.minutes(2) if burst.batch_size <= 200 else Duration.minutes(10)
        let_log_groups_use(files.key)
        self.uploads = WorkQueue(self, "Uploads", posture=posture, key=files.key, handled_within=timeout)
        self.erasures = WorkQueue(
            self, "Erasures", posture=posture, key=files.key, handled_within=_ERASURE_TIMEOUT
        )
        self._announce(files)
        self.function = PythonFunction(
            self,
            "Analyse",
            posture=posture,
            code=analyser.code,
            log_key=files.key,
            timeout=timeout,
            memory_mib=analyser.memory_mib,
            environment={
                "RESULTS_BUCKET": results.bucket.bucket_name,
                "IMAGE_QUEUE_URL": self.uploads.queue.queue_url,
                "ERASE_QUEUE_URL": self.erasures.queue.queue_url,
                "PARALLEL_CALLS": str(burst.parallel_calls),
                **analyser.environment,
            },
        )
        self._let_analyse(files, results, analyser)
        self.function.work_off(
            self.uploads, batch_size=burst.batch_size, wait=burst.gather_for, at_once=burst.batches_at_once
        )
        self.eraser = PythonFunction(
            self,
            "Erase",
            posture=posture,
            code=function_code("erase_images"),
            log_key=files.key,
            timeout=_ERASURE_TIMEOUT,
        )
        files.grant_erase_only(self.eraser.role)
        self.eraser.work_off(self.erasures, batch_size=100, wait=Duration.seconds(5))
        self._stop_writing_before(files, results)
        self.alarms = [
            *self.uploads.alarms,
            *self.erasures.alarms,
            *self.function.alarms,
            *self.eraser.alarms,
            *self._quota_alarms(analyser.metrics, burst),
        ]

    def _announce(self, files: TemporaryInputBucket) -> None:
        rule = events.Rule(
            self,
            "ObjectCreated",
            description="A file arrived and waits for its analysis",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [files.bucket.bucket_name]}},
            ),
        )
        self.uploads.take_events_of(rule)

    def _stop_writing_before(self, *holders: TemporaryInputBucket | DerivedDataBucket) -> None:
        """Have the analysis deleted before its buckets are emptied: a late batch would fill them again."""
        for holder in holders:
            emptied = holder.bucket.node.try_find_child("Emptied")
            if emptied:
                self.function.node.add_dependency(emptied)

    def _let_analyse(
        self, files: TemporaryInputBucket, results: DerivedDataBucket, analyser: Analyser
    ) -> None:
        role = self.function.role
        files.grant_read_only(role)
        for prefix in analyser.writes_to:
            results.grant_add(role, prefix)
        for work in (self.uploads, self.erasures):
            iam.Grant.add_to_principal(
                grantee=role, actions=["sqs:SendMessage"], resource_arns=[work.queue.queue_arn]
            )
        iam.Grant.add_to_principal(
            grantee=role, actions=["kms:GenerateDataKey"], resource_arns=[files.key.key_arn]
        )
        role.add_to_policy(iam.PolicyStatement(actions=list(analyser.actions), resources=["*"]))
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            f"{', '.join(analyser.actions)} cannot be narrowed: the service has no resource type for it and accepts "
            "no resource but the star.",
        )

    def _quota_alarms(self, service: ServiceMetrics, burst: Burst) -> list[cloudwatch.Alarm]:
        used = cloudwatch.MathExpression(
            expression=f"100 * (FILL(successes, 0) + FILL(throttles, 0)) / 60 / {burst.quota_per_second:g}",
            using_metrics={
                "successes": service.calls(service.successes),
                "throttles": service.calls(service.throttles),
            },
            period=Duration.minutes(1),
            label="calls in percent of the quota",
        )
        return [
            quiet_alarm(
                self,
                "QuotaAlarm",
                metric=used,
                above=80,
                for_periods=5,
                because=f"For five minutes more than 80 % of the quota of {burst.quota_per_second:g} calls a second "
                "was used. Ask for a higher quota, or lower batches_at_once.",
            ),
            quiet_alarm(
                self,
                "ServiceThrottlesAlarm",
                metric=service.calls(service.throttles),
                above=0,
                for_periods=5,
                because="The AI service has refused calls for five minutes. Nothing is lost: refused files wait "
                "and are tried again. Ask for a higher quota, or lower batches_at_once.",
            ),
        ]
