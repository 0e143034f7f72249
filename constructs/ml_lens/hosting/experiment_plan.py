"""What the states of an experiment speak of."""

from dataclasses import dataclass

from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.hosting.experiment_options import ExperimentRules
from ml_lens.hosting.experiment_shares import SharedEndpoint

_EQUAL = 50


@dataclass(frozen=True, kw_only=True)
class ExperimentPlan:
    """What the states speak of."""

    endpoint: SharedEndpoint
    """The endpoint."""
    rules: ExperimentRules
    """When there is a winner."""
    verdict: PythonFunction
    """Judges."""
    topic: AlarmTopic
    """Is told how the experiment ended."""

    @property
    def equal(self) -> dict[str, int]:
        """Equal weights (Lens: AB-03)."""
        return dict.fromkeys(self.endpoint.variants, _EQUAL)

    @property
    def equally(self) -> str:
        """Return JSONata for equal weights."""
        first, second = self.endpoint.variants
        return f"{{'{first}': {_EQUAL}, '{second}': {_EQUAL}}}"

    def all_to(self, winner: str) -> str:
        """Return JSONata that gives all traffic to the variant that an expression names."""
        first, second = self.endpoint.variants
        return (
            f"({winner} = '{first}' ? {{'{first}': 100, '{second}': 0}} : {{'{first}': 0, '{second}': 100}})"
        )
