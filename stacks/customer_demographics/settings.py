"""What can be set for this scenario, under the key ``CustomerDemographics``."""

from dataclasses import dataclass, field

SAMPLE_PURPOSE = "Evaluation with consenting volunteers and public-domain pictures"
"""The purpose in cdk.json, which is true of an evaluation and of nothing else."""


@dataclass(frozen=True, kw_only=True)
class CustomerDemographicsSettings:
    """Settings of the scenario; each is explained where the constructs take it."""

    purpose: str
    age_range_threshold: float = 95.0
    gender_threshold: float = 95.0
    emotion_thresholds: dict[str, float] = field(default_factory=dict)
    batch_size: int = 100
    gather_seconds: int = 60
    batches_at_once: int = 2
    parallel_calls: int = 8
    quota_per_second: float = 5.0
    camera_principal_arn: str | None = None
    analyst_principal_arn: str | None = None
    dashboard_principal_arn: str | None = None
    data_use_opt_out: str | None = None
