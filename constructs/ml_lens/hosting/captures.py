"""What an endpoint records of its calls."""

from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.foundation.audit import AuditTrail
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks
from ml_lens.foundation.storage import DerivedDataBucket
from ml_lens.hosting.endpoint_config import Recording

CAPTURE_PREFIX = "captured/"
"""Where captured calls go in their bucket."""


@dataclass(frozen=True, kw_only=True)
class DataCapture:
    """Records requests and answers, so that drift of data and model can be measured.

    They are copies of what callers sent: keep few people near them. ``DataCapture.off()`` records nothing.
    """

    percent: int = 100
    """Share of the calls that is recorded, 1 to 100 percent. Default: all."""
    bucket: DerivedDataBucket | None = None
    """Takes them, below ``captured/``. Default: a new bucket with a key of its own."""
    audit: AuditTrail | None = None
    """Records access to the new bucket. Default: access is not recorded here, and the finding AwsSolutions-S1 stands
    until it is recorded elsewhere."""
    enabled: bool = True
    """Whether anything is recorded. Default: it is."""

    @classmethod
    def off(cls) -> "DataCapture":
        """Record nothing. Nobody will be able to tell whether data or model have drifted."""
        return cls(enabled=False)

    def check(self, props: PropChecks) -> None:
        """Refuse what SageMaker cannot record."""
        props.whole_number(
            "capture.percent",
            self.percent,
            low=1,
            high=100,
            unit="percent",
            way_out="or use DataCapture.off()",
        )
        props.require(
            self.bucket is None or self.audit is None,
            "capture.audit",
            "the bucket that is given is not made here; hand the audit trail to the DerivedDataBucket itself",
        )

    def bind(
        self, scope: Construct, *, posture: Posture, role: iam.Role, endpoint_name: str
    ) -> Recording | None:
        """Return where the calls of an endpoint go, and let ``role`` add them; ``None`` when nothing is recorded."""
        if not self.enabled:
            return None
        bucket = self.bucket or DerivedDataBucket(scope, "Captured", posture=posture, audit=self.audit)
        prefix = f"{CAPTURE_PREFIX}{endpoint_name}/"
        bucket.grant_add_in_parts(role, prefix)
        return Recording(bucket=bucket, prefix=prefix, percent=self.percent)
