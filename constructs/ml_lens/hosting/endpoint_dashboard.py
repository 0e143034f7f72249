"""What is seen of an endpoint at a glance."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from ml_lens.hosting.endpoint_watch import EndpointMetrics

_THIRD = 8


def dashboard(
    scope: Construct,
    variants: Sequence[EndpointMetrics],
    *,
    latency_slo: Duration,
    gpus: bool = False,
    library: bool = False,
) -> cloudwatch.Dashboard:
    """Create the dashboard of an endpoint: calls and errors, latency beside its promise, instances.

    Args:
        scope: Where the dashboard belongs.
        variants: The metrics of every variant; several are shown beside each other first, and then each by itself.
        latency_slo: What is promised for 99 of 100 calls.
        gpus: Whether the instances have any. Default: they have none.
        library: Whether the variants serve libraries. Default: they do not.
    """
    made = cloudwatch.Dashboard(scope, "Dashboard", default_interval=Duration.hours(3))
    if len(variants) > 1:
        made.add_widgets(*_compared(variants, latency_slo))
    for metrics in variants:
        made.add_widgets(
            *_variant(metrics, latency_slo, gpus, f"{metrics.variant}: " if len(variants) > 1 else "")
        )
        if library:
            made.add_widgets(*_library(metrics))
    return made


def _compared(variants: Sequence[EndpointMetrics], latency_slo: Duration) -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.GraphWidget(title="Calls", width=_THIRD, left=_each(variants, "Invocations")),
        cloudwatch.GraphWidget(
            title="Calls that failed or were refused",
            width=_THIRD,
            left=[
                *_each(variants, "Invocation5XXErrors", what="failed"),
                *_each(variants, "Invocation4XXErrors", what="refused"),
            ],
        ),
        cloudwatch.GraphWidget(
            title="Latency in microseconds, of 99 %",
            width=_THIRD,
            left=_each(variants, "ModelLatency", "p99"),
            left_annotations=[_promise(latency_slo)],
        ),
    ]


def _each(
    variants: Sequence[EndpointMetrics], name: str, statistic: str = "Sum", what: str = ""
) -> list[cloudwatch.IMetric]:
    return [
        metrics.invocation(name, statistic).with_(label=f"{metrics.variant} {what}".rstrip())
        for metrics in variants
    ]


def _variant(
    metrics: EndpointMetrics, latency_slo: Duration, gpus: bool, of: str
) -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.GraphWidget(
            title=f"{of}Calls and errors",
            width=_THIRD,
            left=[
                metrics.invocation(name)
                for name in ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
            ],
        ),
        cloudwatch.GraphWidget(
            title=f"{of}Latency in microseconds",
            width=_THIRD,
            left=[
                metrics.invocation("ModelLatency", "p50"),
                metrics.invocation("ModelLatency", "p99"),
                metrics.invocation("OverheadLatency", "p99"),
            ],
            left_annotations=[_promise(latency_slo)],
        ),
        cloudwatch.GraphWidget(
            title=f"{of}Instances in percent",
            width=_THIRD,
            left=[
                metrics.instance(f"{what}Utilization")
                for what in ("CPU", "Memory", "Disk", *(("GPU", "GPUMemory") if gpus else ()))
            ],
        ),
    ]


def _library(metrics: EndpointMetrics) -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.GraphWidget(
            title="Models on the instances",
            width=_THIRD,
            left=[metrics.instance("LoadedModelCount")],
        ),
        cloudwatch.GraphWidget(
            title="Share of the calls whose model was there",
            width=_THIRD,
            left=[metrics.invocation("ModelCacheHit", "Average")],
        ),
        cloudwatch.GraphWidget(
            title="Wait for a model in microseconds",
            width=_THIRD,
            left=[metrics.invocation("ModelLoadingWaitTime", "p99")],
        ),
    ]


def _promise(latency_slo: Duration) -> cloudwatch.HorizontalAnnotation:
    return cloudwatch.HorizontalAnnotation(
        value=1000 * latency_slo.to_milliseconds(), label="promised for 99 %"
    )
