"""How a rollout goes about it, and what a candidate has to keep to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration

from ml_lens.foundation.props import PropChecks, PropError
from ml_lens.hosting.outcomes import Outcomes

_SHORTEST, _LONGEST = Duration.minutes(3), Duration.days(1)
_LONGEST_ANSWER_MS = 60_000


@dataclass(frozen=True, kw_only=True)
class RolloutPlan:
    """The steps in which traffic moves to a candidate. Use one of the class methods.

    Lens: F8-04, F8-07, F10-01, F10-02, F10-03.
    """

    steps: Sequence[tuple[int, Duration]]
    """Share of the traffic in percent, and how long it is watched; the last one is all of it."""

    @classmethod
    def blue_green(cls, *, bake: Duration) -> "RolloutPlan":
        """Move all traffic once the probes are answered well, and watch for ``bake``."""
        return cls._checked("blue_green", [(100, bake)])

    @classmethod
    def canary(cls, *, percent: int, wait: Duration, bake: Duration) -> "RolloutPlan":
        """Move ``percent`` of the traffic, watch for ``wait``, move the rest and watch for ``bake``."""
        return cls._checked("canary", [(percent, wait), (100, bake)])

    @classmethod
    def linear(cls, *, step: int, interval: Duration, bake: Duration) -> "RolloutPlan":
        """Move ``step`` percent more at a time, watch for ``interval`` after each and for ``bake`` after the last."""
        checks = PropChecks()
        checks.whole_number("step", step, low=5, high=50, unit="percent", way_out="10 is common")
        if checks.problems:
            raise PropError("RolloutPlan.linear", checks.problems)
        shares = [min(step * number, 100) for number in range(1, math.ceil(100 / step) + 1)]
        return cls._checked("linear", [(share, bake if share == 100 else interval) for share in shares])

    @classmethod
    def _checked(cls, name: str, steps: Sequence[tuple[int, Duration]]) -> "RolloutPlan":
        checks = PropChecks()
        for number, (share, wait) in enumerate(steps):
            checks.whole_number(
                "percent",
                share,
                low=1,
                high=50 if number == 0 and len(steps) > 1 else 100,
                unit="percent",
                way_out="a first step that reaches more than half of the callers is no canary: use blue_green()",
            )
            if wait.is_unresolved():
                checks.refuse(
                    "wait or bake",
                    "is a token, and must be known when the template is made; give Duration.minutes(10)",
                )
                continue
            checks.number(
                "wait or bake",
                wait.to_seconds(integral=False),
                low=_SHORTEST.to_seconds(),
                high=_LONGEST.to_seconds(),
                unit="seconds",
                way_out="metrics need three minutes to show anything, and a day is an experiment",
            )
        if checks.problems:
            raise PropError(f"RolloutPlan.{name}", list(dict.fromkeys(checks.problems)))
        return cls(steps=tuple(steps))


@dataclass(frozen=True, kw_only=True)
class RolloutChecks:
    """What a candidate has to keep to, before and while it has live traffic.

    Lens: F8-03, F8-05, CHG-15.
    """

    latency_slo: Duration
    """Time within which it answers 95 of 100 probes and 99 of 100 live calls."""
    error_percent: float = 1.0
    """Share of the calls that may fail beyond those that fail with the live version, too, as callers may send what no
    version understands; 0 to 50 percent. Default: one percent."""
    least_accuracy: float = 0.5
    """Share of the probes' instances that it has to be right about. Default: half."""
    accuracy_loss: float = 0.01
    """By how much it may be right less often than the live version. Default: by a hundredth."""
    least_calls: int = 100
    """Live calls to judge a step by; with fewer, it is watched for longer. Default: 100."""
    least_outcomes: int = 0
    """Outcomes to judge a step by. Default: none is waited for, and those that came are judged all the same."""
    outcomes: Outcomes | None = None
    """What became of live answers. Default: only errors and latency are judged with live traffic."""
    outcome_loss: float = 0.0
    """By how much outcomes may be worse on average, beyond what chance explains. Default: by nothing."""
    slowdown: float | None = None
    """How many times as long as the live version it may take for 99 of 100 live calls. Default: only ``latency_slo``
    counts."""

    def check(self, props: PropChecks) -> None:
        """Refuse numbers that say nothing."""
        props.require(
            self.outcomes is not None or self.least_outcomes == 0,
            "checks.least_outcomes",
            f"{self.least_outcomes} would be waited for in vain, as there are no outcomes; give checks.outcomes",
        )
        if self.latency_slo.is_unresolved():
            props.refuse(
                "checks.latency_slo",
                "is a token, and must be known when the template is made; give Duration.millis(200)",
            )
        else:
            milliseconds = self.latency_slo.to_milliseconds(integral=False)
            props.require(
                1 <= milliseconds <= _LONGEST_ANSWER_MS,
                "checks.latency_slo",
                f"{milliseconds:g} ms is out of range; allowed are 1 to {_LONGEST_ANSWER_MS} ms, after which SageMaker "
                "gives a call up: give what the endpoint promises",
            )
        for name, value, low, high in (
            ("error_percent", self.error_percent, 0, 50),
            ("least_accuracy", self.least_accuracy, 0, 1),
            ("accuracy_loss", self.accuracy_loss, 0, 1),
            ("least_calls", self.least_calls, 1, 10**9),
            ("least_outcomes", self.least_outcomes, 0, 10**9),
            ("outcome_loss", self.outcome_loss, 0, 1),
            ("slowdown", 1 if self.slowdown is None else self.slowdown, 1, 1000),
        ):
            props.number(
                f"checks.{name}",
                value,
                low=low,
                high=high,
                unit="",
                way_out="see RolloutChecks for what it means",
            )
