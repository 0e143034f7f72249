"""What can be set for this scenario, under the key ``ModelRollout``."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelRolloutSettings:
    """Settings of the scenario; each is explained where the constructs take it."""

    version: str = "1.0.0"
    strategy: str = "canary"
    percent: int = 20
    wait_minutes: int = 5
    bake_minutes: int = 10
    latency_slo_ms: int = 500
    least_calls: int = 20
    least_outcomes: int = 40
    owner: str = "not named"
    consumer_principal_arn: str | None = None
    releaser_principal_arn: str | None = None
    publisher_principal_arn: str | None = None
