"""How a new version of a model takes over from the old one, or runs beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration

from ml_lens.foundation.props import PropChecks, PropError
from ml_lens.hosting.endpoint_models import Served
from ml_lens.hosting.update_policy import (
    LONGEST_DEPLOYMENT_IN_SECONDS,
    TO_START_A_FLEET_IN_SECONDS,
    Traffic,
    UpdatePolicy,
    must_be_a_watch,
)

_EQUAL = (1, 1)
_TWO = 2


@dataclass(frozen=True, kw_only=True)
class Deployment(UpdatePolicy):
    """Says how an endpoint moves to a new model, and how long the alarms watch before the old one goes.

    Use one of the class methods. All but :meth:`standard` are rolled back by SageMaker itself as soon as an alarm
    of the endpoint goes off. The first deployment of an endpoint has nothing to replace: they act on updates.

    Most of them replace the only variant, ``AllTraffic``, whose name every version keeps. :meth:`ab_test` gives the
    endpoint two variants that share the traffic, and :meth:`shadow` one more that gets copies of the calls.

    Lens: F8-06, F8-07, F9-02, F9-06, AB-01, AB-03, CHG-13, HST-03, HST-09.
    """

    name: str
    """What it is called when spoken of, for example ``canary``."""
    champion: Served | None = None
    """The model that was there before, if this names it. Default: ``HostedModel.model``."""
    beside: Served | None = None
    """The model that runs beside it. Default: there is none."""
    weights: Sequence[float] = _EQUAL
    """How traffic is shared between the two models of a test."""
    sampling: int = 0
    """Percent of the calls that a shadow gets copies of. Default: none; what runs beside answers callers."""

    @classmethod
    def standard(cls) -> "Deployment":
        """Replace the old version without waiting: no alarm is asked, and nothing is rolled back later."""
        return cls(name="standard", traffic=Traffic.UNGUARDED)

    @classmethod
    def all_at_once(cls) -> "Deployment":
        """Move all traffic in one step, and keep the old instances for five minutes more."""
        return cls(name="all_at_once", traffic=Traffic.ALL_AT_ONCE, bake=Duration.minutes(5))

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
        must_be_a_watch(checks, "bake", bake)
        return cls._checked(
            checks, cls(name="blue_green", traffic=Traffic.ALL_AT_ONCE, bake=bake), "blue_green"
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
        must_be_a_watch(checks, "wait", wait)
        must_be_a_watch(checks, "bake", bake)
        made = cls(name="canary", traffic=Traffic.CANARY, percent=percent, wait=wait, bake=bake)
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
        must_be_a_watch(checks, "interval", interval)
        must_be_a_watch(checks, "bake", bake)
        made = cls(name="linear", traffic=Traffic.LINEAR, percent=step, wait=interval, bake=bake)
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
        must_be_a_watch(checks, "wait", wait)
        made = cls(name="rolling", traffic=Traffic.ROLLING, percent=batch, wait=wait)
        return cls._checked(checks, made, "rolling")

    @classmethod
    def ab_test(
        cls,
        *,
        b: Served,
        a: Served | None = None,
        weights: Sequence[float] = _EQUAL,
        bake: Duration | None = None,
        guarded: bool = True,
    ) -> "Deployment":
        """Let two models share the callers, as the variants ``A`` and ``B``, on instances of one kind.

        An ``Experiment`` finds out which is better. Weights that it, or anybody, has set are kept by later
        deployments; those given here are the first ones.

        Args:
            b: The challenger.
            a: The model that was there before. Default: ``HostedModel.model``, which is then not given twice.
            weights: Shares of the traffic of ``a`` and ``b``, in any unit. Default: equal ones.
            bake: Time for which the old fleets stay when a model of a running test is replaced, three minutes to one
                hour. Default: thirty minutes.
            guarded: Whether alarms roll an update back. Default: they do. SageMaker guards no update that changes the
                names of variants: say ``False`` for the one that makes a test of an endpoint with one variant.

        Raises:
            PropError: There are not two weights, or one is no share, or ``bake`` is out of range.
        """
        checks = PropChecks()
        _check_weights(checks, weights)
        return cls._beside("ab_test", checks, guarded, bake, champion=a, beside=b, weights=tuple(weights))

    @classmethod
    def shadow(
        cls, *, candidate: Served, sampling: int = 100, bake: Duration | None = None, guarded: bool = True
    ) -> "Deployment":
        """Send copies of the calls to a candidate, the variant ``Shadow``, whose answers nobody gets.

        Callers are answered by ``AllTraffic`` as before. The answers of the shadow are recorded with those of
        ``AllTraffic`` where calls are recorded, and ``dashboard`` compares the two.

        Args:
            candidate: The model that is tried.
            sampling: Percent of the calls that are copied, 1 to 100. Default: all.
            bake: Time for which the old fleets stay when a model is replaced, three minutes to one hour. Default:
                thirty minutes.
            guarded: Whether alarms on ``AllTraffic`` roll an update back. Default: they do.

        Raises:
            PropError: ``sampling`` or ``bake`` is out of range.
        """
        checks = PropChecks()
        checks.whole_number(
            "sampling",
            sampling,
            low=1,
            high=100,
            unit="percent",
            way_out="a shadow without calls shows nothing",
        )
        return cls._beside("shadow", checks, guarded, bake, beside=candidate, sampling=sampling)

    @property
    def is_shadow(self) -> bool:
        """Whether what runs beside the model gets copies of calls, and answers nobody."""
        return self.sampling > 0

    @property
    def spoken(self) -> str:
        """The deployment in a few words, for example ``a canary of 10 %``."""
        match self.traffic:
            case Traffic.CANARY:
                return f"a canary of {self.percent} %"
            case Traffic.LINEAR:
                return f"a linear deployment by {self.percent} %"
            case Traffic.ROLLING:
                return f"a rolling deployment by {self.percent} %"
            case _:
                return f"Deployment.{self.name}()"

    @classmethod
    def _beside(
        cls,
        name: str,
        checks: PropChecks,
        guarded: bool,
        bake: Duration | None,
        *,
        beside: Served,
        champion: Served | None = None,
        weights: Sequence[float] = _EQUAL,
        sampling: int = 0,
    ) -> "Deployment":
        checks.require(
            guarded or bake is None,
            "bake",
            "nothing watches while the old fleets stay; leave it out, or leave guarded out",
        )
        bake = (bake or Duration.minutes(30)) if guarded else None
        if bake is not None:
            must_be_a_watch(checks, "bake", bake)
        made = cls(
            name=name,
            traffic=Traffic.ALL_AT_ONCE if guarded else Traffic.UNGUARDED,
            bake=bake,
            champion=champion,
            beside=beside,
            weights=weights,
            sampling=sampling,
        )
        return cls._checked(checks, made, name)

    @classmethod
    def _checked(cls, checks: PropChecks, made: "Deployment", spoken: str) -> "Deployment":
        if not checks.problems:
            waits = made.waits_in_seconds
            checks.require(
                waits + TO_START_A_FLEET_IN_SECONDS <= LONGEST_DEPLOYMENT_IN_SECONDS,
                "interval" if spoken == "linear" else "wait",
                f"all steps together wait for {waits // 60} minutes; SageMaker ends a deployment after 480 minutes, of "
                "which instances may need 60 to start: take larger steps or shorter waits",
            )
        if checks.problems:
            raise PropError(f"Deployment.{spoken}", checks.problems)
        return made


def _check_weights(checks: PropChecks, weights: Sequence[float]) -> None:
    if checks.require(
        len(weights) == _TWO,
        "weights",
        f"there are {len(weights)} for two models; give (50, 50), A's share first",
    ):
        checks.require(
            all(math.isfinite(weight) and weight >= 0 for weight in weights) and sum(weights) > 0,
            "weights",
            f"{tuple(weights)} are no shares of the traffic; give two numbers, none below zero and one above, such as "
            "(50, 50)",
        )
