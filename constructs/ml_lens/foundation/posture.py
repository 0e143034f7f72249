"""What kind of place a scenario is deployed to, decided once."""

from dataclasses import dataclass

from aws_cdk import Annotations, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from constructs import Construct

DESTROY_DATA_FLAG = "ml-lens:destroy-data"


@dataclass(frozen=True, kw_only=True)
class Posture:
    """Decides what outlives a stack, how long records are kept and how much is logged.

    Use :meth:`sandbox` or :meth:`production`; every construct of this library takes the result.
    """

    name: str
    """``sandbox`` or ``production``."""
    keeps_data: bool
    """Whether data and keys outlive ``cdk destroy``."""
    log_retention: logs.RetentionDays
    """How long log groups keep their events."""
    audit_retention_days: int
    """How long audit records are kept, and in production cannot be deleted by anyone."""
    log_level: str
    """The level at which functions log."""

    @classmethod
    def sandbox(cls) -> "Posture":
        """Leave nothing behind on ``cdk destroy``, keep logs for a week."""
        return cls(
            name="sandbox",
            keeps_data=False,
            log_retention=logs.RetentionDays.ONE_WEEK,
            audit_retention_days=7,
            log_level="DEBUG",
        )

    @classmethod
    def production(cls) -> "Posture":
        """Keep data and keys, keep logs and audit records for a year, lock the audit records."""
        return cls(
            name="production",
            keeps_data=True,
            log_retention=logs.RetentionDays.ONE_YEAR,
            audit_retention_days=365,
            log_level="INFO",
        )

    @classmethod
    def named(cls, name: str) -> "Posture":
        """Return the posture called ``name``.

        Raises:
            KeyError: There is none of that name; :data:`POSTURES` lists them.
        """
        return POSTURES[name]

    @property
    def tags(self) -> dict[str, str]:
        """The tags of a stack of this posture; by ``mllens:environment`` the rules know production."""
        return {"mllens:environment": "prod" if self.keeps_data else self.name}

    def removes_data(self, scope: Construct) -> bool:
        """Whether data in ``scope`` goes with its stack.

        In production this takes two keys: the posture says keep, and only the context flag
        ``ml-lens:destroy-data`` overrules it, with a warning at synthesis.
        """
        if not self.keeps_data:
            return True
        if scope.node.try_get_context(DESTROY_DATA_FLAG) in (True, "true"):
            Annotations.of(Stack.of(scope)).add_warning_v2(
                "ml-lens:destroy-data",
                f"production data will be deleted with this stack, because the context flag "
                f"{DESTROY_DATA_FLAG} is set; remove the flag to keep it",
            )
            return True
        return False

    def removal_policy(self, scope: Construct) -> RemovalPolicy:
        """Return the removal policy of whatever in ``scope`` holds data, records or keys."""
        return RemovalPolicy.DESTROY if self.removes_data(scope) else RemovalPolicy.RETAIN


POSTURES = {posture.name: posture for posture in (Posture.sandbox(), Posture.production())}
"""Every posture by its name."""
