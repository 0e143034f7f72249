"""What is agreed before an experiment begins."""

from dataclasses import dataclass, field

from aws_cdk import Duration

from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks

_DAY_IN_SECONDS = 86_400
_LONGEST = 90 * _DAY_IN_SECONDS
_CHECKS = 1000
_BETTER = ("higher", "lower")
_WHOLE = 100


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Says how the winner gets the traffic. Use one of the class methods.

    Lens: AB-07.
    """

    step: int
    """Percent of the traffic that one step moves."""
    every: Duration
    """Time for which the winner is watched after each step, the last one included."""

    @classmethod
    def gradually(cls, *, step: int = 20, every: Duration | None = None) -> "Shift":
        """Give the winner every multiple of ``step`` above one half: 60, 80 and 100 percent with steps of 20.

        Args:
            step: Percent of the traffic, 5 to 50. Default: 20.
            every: Time to watch after each step, five minutes to seven days. Default: one hour.
        """
        return cls(step=step, every=every or Duration.hours(1))

    @classmethod
    def at_once(cls, *, watch: Duration | None = None) -> "Shift":
        """Give the winner everything in one step. It has to bear twice the calls before its scaling sees them.

        Args:
            watch: Time to watch afterwards, five minutes to seven days. Default: one hour.
        """
        return cls(step=_WHOLE, every=watch or Duration.hours(1))

    @property
    def shares(self) -> list[int]:
        """What the winner gets, in percent, step by step."""
        return sorted({*range(self.step, _WHOLE, self.step), _WHOLE} - set(range(_WHOLE // 2 + 1)))

    def check(self, props: PropChecks) -> None:
        """Record what cannot be used."""
        if self.step != _WHOLE:
            props.whole_number(
                "rules.then",
                self.step,
                low=5,
                high=50,
                unit="percent",
                way_out="20 makes three steps of it; Shift.at_once() makes one",
            )
        props.number(
            "rules.then",
            self.every.to_seconds(),
            low=300,
            high=7 * _DAY_IN_SECONDS,
            unit="seconds to watch after a step",
            way_out="an hour shows most problems; metrics come some minutes late",
        )


@dataclass(frozen=True, kw_only=True)
class ExperimentRules:
    """Says when an experiment has a winner, and what becomes of it. Nothing of this changes while one runs.

    A difference is looked for ``looks`` times, evenly from the minimum to the maximum duration, and no more often:
    ``significance`` is the chance that any of the looks finds a difference where there is none. It is spent on the
    looks as O'Brien and Fleming do, hardly any at first and most at the end: an early winner has to be a clear one.

    Lens: AB-05, AB-06, AB-07.
    """

    minimum_duration: Duration = field(default_factory=lambda: Duration.days(14))
    """Time before which there is no winner: whole weeks, where weekdays differ. Default: 14 days. In production one day
    at the least."""
    maximum_duration: Duration | None = None
    """Time after which the experiment ends without a winner, 90 days at the most. Default: twice the minimum."""
    minimum_outcomes: int = 1000
    """Outcomes of each variant before which there is no winner, 30 at the least. Default: 1000. To find 12 %
    where there were 10 % takes about 4000."""
    significance: float = 0.05
    """Chance of a winner that is no better, 0.001 to 0.2. Default: 0.05."""
    looks: int = 5
    """How often a difference is looked for, 1 to 10. With one look, that is at the end. Default: five times."""
    better: str = "higher"
    """Which outcomes are better: ``higher`` or ``lower``. Default: ``higher``."""
    then: Shift = field(default_factory=Shift.gradually)
    """How the winner, or A if there is none, gets the traffic. Default: 60, 80 and 100 percent, an hour apart."""
    errors_percent: float = 1.0
    """Share of the calls of a variant that may fail; with more, the experiment ends and the other variant gets the
    traffic. Default: one percent."""
    latency_slo: Duration = field(default_factory=lambda: Duration.seconds(1))
    """Time within which a variant answers 99 of 100 calls; later ones end the experiment as well. Default: one
    second."""

    @property
    def longest(self) -> Duration:
        """Time after which the experiment ends."""
        return self.maximum_duration or Duration.seconds(2 * self.minimum_duration.to_seconds())

    @property
    def checked_every(self) -> Duration:
        """Time between two checks of the variants' health: a history has no room for more than some thousand."""
        longest = int(self.longest.to_seconds())
        return Duration.seconds(max(300, 60 * round(longest / _CHECKS / 60)))

    def to_json(self) -> dict[str, object]:
        """Return what a verdict goes by, and a record tells of."""
        return {
            "minimum_seconds": self.minimum_duration.to_seconds(),
            "maximum_seconds": self.longest.to_seconds(),
            "minimum_outcomes": self.minimum_outcomes,
            "significance": self.significance,
            "looks": self.looks,
            "better": self.better,
        }

    def check(self, props: PropChecks, posture: Posture) -> None:
        """Record what cannot be used."""
        self._check_durations(props, posture)
        props.whole_number(
            "rules.minimum_outcomes",
            self.minimum_outcomes,
            low=30,
            high=1_000_000_000,
            unit="outcomes of each variant",
            way_out="fewer say nothing, and the tests do not hold for them",
        )
        props.number(
            "rules.significance", self.significance, low=0.001, high=0.2, unit="", way_out="0.05 is usual"
        )
        props.whole_number(
            "rules.looks", self.looks, low=1, high=10, unit="looks", way_out="more looks find little more"
        )
        props.require(
            self.better in _BETTER,
            "rules.better",
            f"{self.better!r} is no direction; outcomes are better when 'higher' or when 'lower'",
        )
        props.number(
            "rules.errors_percent",
            self.errors_percent,
            low=0,
            high=50,
            unit="percent",
            way_out="1 forgives what every endpoint does at times",
        )
        props.number(
            "rules.latency_slo",
            self.latency_slo.to_milliseconds(),
            low=1,
            high=60_000,
            unit="milliseconds",
            way_out="give the 99th percentile you promise, for example Duration.millis(200)",
        )
        self.then.check(props)

    def _check_durations(self, props: PropChecks, posture: Posture) -> None:
        least, longest = self.minimum_duration.to_seconds(), self.longest.to_seconds()
        props.number(
            "rules.minimum_duration",
            least,
            low=_DAY_IN_SECONDS if posture.keeps_data else 600,
            high=_LONGEST,
            unit="seconds",
            way_out="outcomes of one day differ from those of the next; give Duration.days(14), or use "
            "Posture.sandbox() to try it out",
        )
        props.number(
            "rules.maximum_duration",
            longest,
            low=least,
            high=_LONGEST,
            unit="seconds",
            way_out="it is no less than the minimum; what takes longer than 90 days is not found by waiting",
        )
