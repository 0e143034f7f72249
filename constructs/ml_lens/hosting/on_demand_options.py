"""What an endpoint for one run runs on."""

from dataclasses import dataclass, field

from aws_cdk import Duration

from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.capacity import Sizing
from ml_lens.instance_types import is_instance_type


@dataclass(frozen=True, kw_only=True)
class OnDemandFleet:
    """Says what an endpoint for one run runs on, and how hard it is asked."""

    type: str = "ml.m5.large"
    """Instance type. Default: ``ml.m5.large``."""
    instances: int = 1
    """Instances. Default: one, whose loss fails the run."""
    shares: int = 2
    """Functions that share the objects out among them, 1 to 40. Default: two."""
    calls_at_once: int = 8
    """Calls that each of them makes at the same time, 1 to 64. Default: eight."""
    time_limit: Duration = field(default_factory=lambda: Duration.hours(4))
    """Time after which a run is ended and its endpoint deleted. Default: four hours."""
    accept: str | None = None
    """Media type of the answers. Default: what the container likes best."""

    @property
    def size(self) -> Sizing:
        """The instances, of which there are always as many."""
        return Sizing(type=self.type, least=self.instances, most=self.instances)

    def check(self, props: PropChecks) -> None:
        """Refuse what SageMaker does not start, or what would ask too hard."""
        props.require(
            is_instance_type(self.type),
            "fleet.type",
            f"{self.type!r} is no instance type of SageMaker; they begin with 'ml.', for example 'ml.m5.large'",
        )
        for name, value, high, unit, way_out in (
            ("instances", self.instances, 100, "instances", "one suits most runs"),
            ("shares", self.shares, 40, "functions", "more objects than functions are worked off in turn"),
            ("calls_at_once", self.calls_at_once, 64, "calls", "take more shares instead"),
        ):
            props.whole_number(f"fleet.{name}", value, low=1, high=high, unit=unit, way_out=way_out)
        props.number(
            "fleet.time_limit",
            self.time_limit.to_seconds(),
            low=1800,
            high=5 * 86_400,
            unit="seconds",
            way_out="half of the first half hour is spent on starting instances; use BatchInference for days of work",
        )
