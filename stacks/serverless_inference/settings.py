"""What can be set for this scenario, under the key ``ServerlessInference``."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServerlessInferenceSettings:
    """Settings of the scenario; each is explained where the constructs take it."""

    version: str = "1.0.0"
    owner: str = "not named"
    latency_slo_ms: int = 200
    instance_type: str | None = None
    least_instances: int | None = None
    most_instances: int | None = None
    calls_per_second: float = 20.0
    calls_at_once: int = 40
    ip_ranges: tuple[str, ...] = ()
    web_acl_arn: str | None = None
    account_logging: bool = False
    consumer_principal_arn: str | None = None
