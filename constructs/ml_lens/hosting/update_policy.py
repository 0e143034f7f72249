"""How SageMaker replaces the instances of an endpoint, and how long its alarms watch."""

import math
from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.foundation.props import PropChecks

LONGEST_DEPLOYMENT_IN_SECONDS = 8 * 3600
TO_START_A_FLEET_IN_SECONDS = 3600
_PERCENT = "CAPACITY_PERCENT"
_SHORTEST_WATCH = Duration.minutes(3)
_LONGEST_WAIT = Duration.hours(1)


class Traffic(StrEnum):
    """The types of SageMaker's traffic routing, and the two ways that do without."""

    UNGUARDED = "UNGUARDED"
    ALL_AT_ONCE = "ALL_AT_ONCE"
    CANARY = "CANARY"
    LINEAR = "LINEAR"
    ROLLING = "ROLLING"


@dataclass(frozen=True, kw_only=True)
class UpdatePolicy:
    """What SageMaker does when the configuration of an endpoint is another one."""

    traffic: str
    """How traffic moves, as SageMaker names it."""
    percent: int = 100
    """Percent of the instances that one step moves."""
    wait: Duration | None = None
    """Time for which the alarms watch between two steps. Default: there is one step only."""
    bake: Duration | None = None
    """Time for which the alarms watch, and the old instances stay, after the last step. Default: none."""

    @property
    def needs_two_instances(self) -> bool:
        """Whether one step moves a part of the instances, of which one instance has none."""
        return self.traffic in (Traffic.CANARY, Traffic.LINEAR, Traffic.ROLLING)

    @property
    def is_rolling(self) -> bool:
        """Whether instances are replaced in batches, which serverless inference cannot do."""
        return self.traffic == Traffic.ROLLING

    @property
    def is_guarded(self) -> bool:
        """Whether alarms can roll the update back."""
        return self.traffic != Traffic.UNGUARDED

    @property
    def waits_in_seconds(self) -> int:
        """All waits together."""
        steps = 1 if self.traffic == Traffic.CANARY else math.ceil(100 / self.percent)
        return steps * _seconds(self.wait) + _seconds(self.bake)

    def to_config(
        self, alarms: list[cloudwatch.Alarm]
    ) -> sagemaker.CfnEndpoint.DeploymentConfigProperty | None:
        """Return the ``DeploymentConfig`` of an endpoint that ``alarms`` watch; ``None`` where nothing guards it."""
        if not self.is_guarded:
            return None
        return sagemaker.CfnEndpoint.DeploymentConfigProperty(
            auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
                alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in alarms]
            ),
            blue_green_update_policy=None if self.is_rolling else self._blue_green_policy(),
            rolling_update_policy=self._rolling_policy() if self.is_rolling else None,
        )

    def _blue_green_policy(self) -> sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty:
        size = sagemaker.CfnEndpoint.CapacitySizeProperty(type=_PERCENT, value=self.percent)
        return sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
            maximum_execution_timeout_in_seconds=self._timeout_in_seconds(),
            termination_wait_in_seconds=_seconds(self.bake),
            traffic_routing_configuration=sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
                type=str(self.traffic),
                wait_interval_in_seconds=_seconds(self.wait),
                canary_size=size if self.traffic == Traffic.CANARY else None,
                linear_step_size=size if self.traffic == Traffic.LINEAR else None,
            ),
        )

    def _rolling_policy(self) -> sagemaker.CfnEndpoint.RollingUpdatePolicyProperty:
        return sagemaker.CfnEndpoint.RollingUpdatePolicyProperty(
            maximum_batch_size=sagemaker.CfnEndpoint.CapacitySizeProperty(type=_PERCENT, value=self.percent),
            wait_interval_in_seconds=_seconds(self.wait),
            maximum_execution_timeout_in_seconds=self._timeout_in_seconds(),
        )

    def _timeout_in_seconds(self) -> int:
        """Return the time after which SageMaker gives up: all waits, and an hour in which instances start."""
        starts = math.ceil(100 / self.percent) if self.is_rolling else 1
        return min(
            self.waits_in_seconds + starts * TO_START_A_FLEET_IN_SECONDS, LONGEST_DEPLOYMENT_IN_SECONDS
        )


def must_be_a_watch(checks: PropChecks, prop: str, duration: Duration) -> None:
    """Refuse a time in which no alarm goes off, or that SageMaker does not wait."""
    if duration.is_unresolved():
        checks.refuse(
            prop, "is a token, and must be known when the template is made; give Duration.minutes(10)"
        )
        return
    seconds = duration.to_seconds(integral=False)
    checks.require(
        _seconds(_SHORTEST_WATCH) <= seconds <= _seconds(_LONGEST_WAIT) and seconds == int(seconds),
        prop,
        f"{duration.to_human_string()} is out of range; allowed are 3 minutes, in which an alarm can go off, to "
        "1 hour, after which SageMaker waits no longer: give for example Duration.minutes(10)",
    )


def _seconds(duration: Duration | None) -> int:
    return 0 if duration is None else int(duration.to_seconds())
