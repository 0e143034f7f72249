"""How a new version of a model takes over from the old one."""

import math
from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.foundation.props import PropChecks, PropError

_PERCENT = "CAPACITY_PERCENT"
_SHORTEST_WATCH = Duration.minutes(3)
_LONGEST_WAIT = Duration.hours(1)
_LONGEST_DEPLOYMENT_IN_SECONDS = 8 * 3600
_TO_START_A_FLEET_IN_SECONDS = 3600


class _Traffic(StrEnum):
    """The types of SageMaker's traffic routing, and the two ways that do without."""

    UNGUARDED = "UNGUARDED"
    ALL_AT_ONCE = "ALL_AT_ONCE"
    CANARY = "CANARY"
    LINEAR = "LINEAR"
    ROLLING = "ROLLING"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Says how an endpoint moves to a new model, and how long the alarms watch before the old one goes.

    Use one of the class methods. All but :meth:`standard` are rolled back by SageMaker itself as soon as an alarm
    of the endpoint goes off. The first deployment of an endpoint has nothing to replace: they act on updates.

    Every version has to keep the name of the variant, which :class:`HostedModel` sees to.

    Lens: F8-06, F8-07, F9-02, F9-06.
    """

    name: str
    """What it is called when spoken of, for example ``canary``."""
    traffic: str
    """How traffic moves, as SageMaker names it."""
    percent: int = 100
    """Percent of the instances that one step moves."""
    wait: Duration | None = None
    """Time for which the alarms watch between two steps. Default: there is one step only."""
    bake: Duration | None = None
    """Time for which the alarms watch, and the old instances stay, after the last step. Default: none."""

    @classmethod
    def standard(cls) -> "Deployment":
        """Replace the old version without waiting: no alarm is asked, and nothing is rolled back later."""
        return cls(name="standard", traffic=_Traffic.UNGUARDED)

    @classmethod
    def all_at_once(cls) -> "Deployment":
        """Move all traffic in one step, and keep the old instances for five minutes more."""
        return cls(name="all_at_once", traffic=_Traffic.ALL_AT_ONCE, bake=Duration.minutes(5))

    @classmethod
    def blue_green(cls, *, bake: Duration | None = None) -> "Deployment":
        """Move all traffic to a complete second fleet in one step, and keep the first one for ``bake``.

        Args:
            bake: Time for which the old fleet stays, three minutes to one hour. Default: thirty minutes.

        Raises:
            PropError: ``bake`` is out of range.
        """
        bake = bake or Duration.minutes(30)
        checks = PropChecks()
        _must_be_a_watch(checks, "bake", bake)
        return cls._checked(
            checks, cls(name="blue_green", traffic=_Traffic.ALL_AT_ONCE, bake=bake), "blue_green"
        )

    @classmethod
    def canary(cls, *, percent: int, wait: Duration, bake: Duration | None = None) -> "Deployment":
        """Move ``percent`` of the traffic, watch for ``wait``, then move the rest.

        Args:
            percent: Share of the new instances that get traffic first, 1 to 50 percent.
            wait: Time to watch the canary, three minutes to one hour.
            bake: Time for which the old fleet stays after that. Default: five minutes.

        Raises:
            PropError: A value is out of range.
        """
        bake = bake or Duration.minutes(5)
        checks = PropChecks()
        checks.whole_number(
            "percent",
            percent,
            low=1,
            high=50,
            unit="percent",
            way_out="10 shows most problems to few callers",
        )
        _must_be_a_watch(checks, "wait", wait)
        _must_be_a_watch(checks, "bake", bake)
        made = cls(name="canary", traffic=_Traffic.CANARY, percent=percent, wait=wait, bake=bake)
        return cls._checked(checks, made, "canary")

    @classmethod
    def linear(cls, *, step: int, interval: Duration, bake: Duration | None = None) -> "Deployment":
        """Move ``step`` percent of the traffic at a time, and watch for ``interval`` after each.

        Args:
            step: Share of the new instances that one step adds, 10 to 50 percent.
            interval: Time to watch after each step, three minutes to one hour.
            bake: Time for which the old fleet stays after the last step. Default: five minutes.

        Raises:
            PropError: A value is out of range, or all steps together take longer than SageMaker allows.
        """
        bake = bake or Duration.minutes(5)
        checks = PropChecks()
        checks.whole_number(
            "step",
            step,
            low=10,
            high=50,
            unit="percent",
            way_out="use Deployment.canary() for a smaller first step",
        )
        _must_be_a_watch(checks, "interval", interval)
        _must_be_a_watch(checks, "bake", bake)
        made = cls(name="linear", traffic=_Traffic.LINEAR, percent=step, wait=interval, bake=bake)
        return cls._checked(checks, made, "linear")

    @classmethod
    def rolling(cls, *, batch: int, wait: Duration) -> "Deployment":
        """Replace ``batch`` percent of the instances at a time: it never needs a second fleet.

        Args:
            batch: Share of the instances that are replaced together, 5 to 50 percent.
            wait: Time to watch after each batch, three minutes to one hour.

        Raises:
            PropError: A value is out of range, or all batches together take longer than SageMaker allows.
        """
        checks = PropChecks()
        checks.whole_number(
            "batch",
            batch,
            low=5,
            high=50,
            unit="percent",
            way_out="use Deployment.all_at_once() to replace more",
        )
        _must_be_a_watch(checks, "wait", wait)
        made = cls(name="rolling", traffic=_Traffic.ROLLING, percent=batch, wait=wait)
        return cls._checked(checks, made, "rolling")

    @property
    def needs_two_instances(self) -> bool:
        """Whether one step moves a part of the instances, of which one instance has none."""
        return self.traffic in (_Traffic.CANARY, _Traffic.LINEAR, _Traffic.ROLLING)

    @property
    def is_rolling(self) -> bool:
        """Whether instances are replaced in batches, which serverless inference cannot do."""
        return self.traffic == _Traffic.ROLLING

    @property
    def is_guarded(self) -> bool:
        """Whether alarms can roll the update back."""
        return self.traffic != _Traffic.UNGUARDED

    @property
    def spoken(self) -> str:
        """The deployment in a few words, for example ``a canary of 10 %``."""
        match self.traffic:
            case _Traffic.CANARY:
                return f"a canary of {self.percent} %"
            case _Traffic.LINEAR:
                return f"a linear deployment by {self.percent} %"
            case _Traffic.ROLLING:
                return f"a rolling deployment by {self.percent} %"
            case _:
                return f"Deployment.{self.name}()"

    def to_config(
        self, alarms: list[cloudwatch.Alarm]
    ) -> sagemaker.CfnEndpoint.DeploymentConfigProperty | None:
        """Return the ``DeploymentConfig`` of an endpoint that ``alarms`` watch; ``None`` for :meth:`standard`."""
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
                canary_size=size if self.traffic == _Traffic.CANARY else None,
                linear_step_size=size if self.traffic == _Traffic.LINEAR else None,
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
        return min(
            self._waits_in_seconds() + self._starts() * _TO_START_A_FLEET_IN_SECONDS,
            _LONGEST_DEPLOYMENT_IN_SECONDS,
        )

    def _waits_in_seconds(self) -> int:
        steps = 1 if self.traffic == _Traffic.CANARY else math.ceil(100 / self.percent)
        return steps * _seconds(self.wait) + _seconds(self.bake)

    def _starts(self) -> int:
        return math.ceil(100 / self.percent) if self.is_rolling else 1

    @classmethod
    def _checked(cls, checks: PropChecks, made: "Deployment", spoken: str) -> "Deployment":
        if not checks.problems:
            waits = made._waits_in_seconds()
            checks.require(
                waits + _TO_START_A_FLEET_IN_SECONDS <= _LONGEST_DEPLOYMENT_IN_SECONDS,
                "interval" if spoken == "linear" else "wait",
                f"all steps together wait for {waits // 60} minutes; SageMaker ends a deployment after 480 minutes, of "
                "which instances may need 60 to start: take larger steps or shorter waits",
            )
        if checks.problems:
            raise PropError(f"Deployment.{spoken}", checks.problems)
        return made


def _seconds(duration: Duration | None) -> int:
    return 0 if duration is None else int(duration.to_seconds())


def _must_be_a_watch(checks: PropChecks, prop: str, duration: Duration) -> None:
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
