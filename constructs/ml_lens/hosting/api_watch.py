"""What is measured on an API, and when somebody is told."""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from ml_lens.foundation.functions import METRICS_NAMESPACE
from ml_lens.foundation.observability import quiet_alarm

_ONE_MINUTE = Duration.minutes(1)
_FAILED_PERCENT, _REFUSED_PERCENT = 1, 25


@dataclass(frozen=True, kw_only=True)
class ApiMetrics:
    """The metrics of one API, each over one minute."""

    api: apigateway.RestApi
    """The API."""
    service: str
    """Name under which its function publishes metrics."""
    endpoint_name: str
    """The endpoint that the function calls."""

    def gateway(self, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
        """Return a metric of the gateway."""
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            dimensions_map={
                "ApiName": self.api.rest_api_name,
                "Stage": self.api.deployment_stage.stage_name,
            },
            statistic=statistic,
            period=_ONE_MINUTE,
        )

    def function(self, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
        """Return a metric that the function publishes."""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self.service, "Endpoint": self.endpoint_name},
            statistic=statistic,
            period=_ONE_MINUTE,
        )

    def share(self, name: str, label: str) -> cloudwatch.MathExpression:
        """Return the share of the calls that ``name`` counts, in percent."""
        return cloudwatch.MathExpression(
            expression="100 * FILL(counted, 0) / calls",
            using_metrics={"counted": self.gateway(name), "calls": self.gateway("Count")},
            period=_ONE_MINUTE,
            label=label,
        )


def api_alarms(scope: Construct, metrics: ApiMetrics, *, slow: Duration) -> list[cloudwatch.Alarm]:
    """Create the alarms of an API.

    Args:
        scope: Where the alarms belong.
        metrics: The metrics of the API.
        slow: The 99th percentile of the time to answer above which somebody is told.
    """
    return [
        quiet_alarm(
            scope,
            "FailuresAlarm",
            metric=metrics.share("5XXError", "failed calls in percent"),
            above=_FAILED_PERCENT,
            for_periods=3,
            because=f"For three minutes more than {_FAILED_PERCENT} % of the calls have failed on this side. The log "
            "of the function names the cause of each; the execution log does where the function was not reached.",
        ),
        quiet_alarm(
            scope,
            "AwayAlarm",
            metric=metrics.function("EndpointAway"),
            above=0,
            for_periods=3,
            because="For three minutes the function has not reached the endpoint, or found it busy, after trying "
            "again. Look whether the endpoint is in service, its instances are too few, or a right is gone.",
        ),
        quiet_alarm(
            scope,
            "LatencyAlarm",
            metric=metrics.gateway("Latency", "p99"),
            above=slow.to_milliseconds(),
            for_periods=3,
            because=f"For three minutes one answer in a hundred has taken longer than {slow.to_human_string()}. "
            "Compare EndpointTime: the model is slow, or the function waits for its turn.",
        ),
        quiet_alarm(
            scope,
            "RefusedAlarm",
            metric=metrics.share("4XXError", "refused calls in percent"),
            above=_REFUSED_PERCENT,
            for_periods=5,
            because=f"For five minutes more than {_REFUSED_PERCENT} % of the calls were refused or throttled. The "
            "access log says which: 429 asks for a higher throttle, 400 for a word with the caller, 403 for a look at "
            "who it is.",
        ),
    ]
