"""What is measured on an endpoint, and when somebody is told."""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from ml_lens.foundation.observability import quiet_alarm
from ml_lens.hosting.capacity import Serverless, Sizing
from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.execution_role import METRICS_NAMESPACE

_ONE_MINUTE = Duration.minutes(1)
_BUSY = 85
_REFUSED_PERCENT = 10


@dataclass(frozen=True, kw_only=True)
class EndpointMetrics:
    """The metrics of one variant, each over one minute."""

    endpoint_name: str
    """Name of the endpoint."""
    variant: str
    """Name of the variant."""
    is_shadow: bool = False
    """Whether nobody gets its answers. Default: callers do."""

    @property
    def spoken(self) -> str:
        """What answers, as alarms speak of it."""
        if self.is_shadow:
            return "the shadow, whose answers nobody gets"
        return "the endpoint" if self.variant == VARIANT else f"variant {self.variant}"

    def invocation(self, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
        """Return a metric of the calls."""
        return self._metric("AWS/SageMaker", name, statistic)

    def instance(self, name: str) -> cloudwatch.Metric:
        """Return a metric of the instances, averaged over them, in percent."""
        return self._metric(METRICS_NAMESPACE, name, "Average")

    def _metric(self, namespace: str, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            dimensions_map={"EndpointName": self.endpoint_name, "VariantName": self.variant},
            statistic=statistic,
            period=_ONE_MINUTE,
        )


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is measured on one variant, and the alarms on it."""

    metrics: EndpointMetrics
    """Its metrics."""
    answers: list[cloudwatch.Alarm]
    """Tell of failing calls and late answers."""
    others: list[cloudwatch.Alarm]
    """Tell of refused requests and busy instances."""


def watch(
    scope: Construct, metrics: EndpointMetrics, *, size: Sizing | Serverless, latency_slo: Duration
) -> Watch:
    """Create the alarms on a variant.

    Args:
        scope: Where the alarms belong.
        metrics: Its metrics.
        size: What it runs on.
        latency_slo: What is promised for 99 of 100 calls.
    """
    return Watch(
        metrics=metrics,
        answers=answer_alarms(scope, metrics, latency_slo=latency_slo),
        others=[caller_alarm(scope, metrics), *health_alarms(scope, metrics, size)],
    )


def answer_alarms(
    scope: Construct, metrics: EndpointMetrics, *, latency_slo: Duration
) -> list[cloudwatch.Alarm]:
    """Create the alarms that roll a deployment back: calls fail, or answers are late."""
    return [
        quiet_alarm(
            scope,
            "ErrorsAlarm",
            metric=metrics.invocation("Invocation5XXErrors"),
            above=0,
            for_periods=2,
            because=f"For two minutes calls have failed on the side of {metrics.spoken}. The log group says why"
            + (
                "."
                if metrics.is_shadow
                else "; if a new version was just deployed, SageMaker goes back to the old one."
            ),
        ),
        quiet_alarm(
            scope,
            "LatencyAlarm",
            metric=metrics.invocation("ModelLatency", "p99"),
            # SageMaker counts in microseconds.
            above=1000 * latency_slo.to_milliseconds(),
            for_periods=2,
            because=f"For two minutes one answer in a hundred has taken longer than {latency_slo.to_human_string()}"
            f"{_by(metrics)}. The model is slower than before, or there are too few instances.",
        ),
    ]


def _by(metrics: EndpointMetrics) -> str:
    return "" if metrics.variant == VARIANT else f", from {metrics.spoken}"


def caller_alarm(scope: Construct, metrics: EndpointMetrics) -> cloudwatch.Alarm:
    """Create the alarm that tells of callers whose requests the model refuses."""
    refused = cloudwatch.MathExpression(
        expression="100 * FILL(refused, 0) / calls",
        using_metrics={
            "refused": metrics.invocation("Invocation4XXErrors"),
            "calls": metrics.invocation("Invocations"),
        },
        period=_ONE_MINUTE,
        label="refused calls in percent",
    )
    return quiet_alarm(
        scope,
        "RefusedAlarm",
        metric=refused,
        above=_REFUSED_PERCENT,
        for_periods=5,
        because=f"For five minutes more than {_REFUSED_PERCENT} % of the calls were refused as wrong{_by(metrics)}: a "
        "caller sends what the model does not understand, or the model expects something new.",
    )


def health_alarms(
    scope: Construct, metrics: EndpointMetrics, size: Sizing | Serverless
) -> list[cloudwatch.Alarm]:
    """Create the alarms on what the model runs on."""
    if isinstance(size, Serverless):
        return serverless_alarms(scope, metrics)
    return instance_alarms(scope, metrics, size)


def instance_alarms(scope: Construct, metrics: EndpointMetrics, size: Sizing) -> list[cloudwatch.Alarm]:
    """Create the alarms on CPU, memory, disk and GPUs of the instances.

    Args:
        scope: Where the alarms belong.
        metrics: The metrics of the variant.
        size: The instances, of whose cores and GPUs SageMaker adds up the percents.
    """
    watched = [
        (
            "CPU",
            "CPU",
            size.cores,
            "Scaling is too late or has reached its end: look at calls_per_minute and most.",
        ),
        ("Memory", "memory", 1, "The container may be killed soon: take an instance with more."),
        ("Disk", "disk", 1, "Larger models need larger volumes, or models that are deleted when unused."),
    ]
    if size.gpus:
        watched += [
            ("GPU", "GPUs", size.gpus, "Scaling counts calls, and these take more: lower calls_per_minute."),
            ("GPUMemory", "memory of the GPUs", size.gpus, "The next model or a longer request may not fit."),
        ]
    return [
        quiet_alarm(
            scope,
            f"{what}Alarm",
            metric=metrics.instance(f"{what}Utilization"),
            above=_BUSY * times,
            for_periods=5,
            because=f"For five minutes more than {_BUSY} % of the {told} was in use. {then}",
        )
        for what, told, times, then in watched
    ]


def serverless_alarms(scope: Construct, metrics: EndpointMetrics) -> list[cloudwatch.Alarm]:
    """Create the alarms on memory and on calls at the same time."""
    return [
        quiet_alarm(
            scope,
            "MemoryAlarm",
            metric=metrics.instance("MemoryUtilization"),
            above=_BUSY,
            for_periods=5,
            because=f"For five minutes more than {_BUSY} % of the memory was in use: raise memory_mib.",
        ),
        quiet_alarm(
            scope,
            "ConcurrencyAlarm",
            # A share between 0 and 1.
            metric=metrics.invocation("ServerlessConcurrentExecutionsUtilization", "Maximum"),
            above=_BUSY / 100,
            for_periods=5,
            because=f"For five minutes more than {_BUSY} % of the calls that are possible at the same time were under "
            "way; SageMaker will refuse more: raise at_once.",
        ),
    ]
