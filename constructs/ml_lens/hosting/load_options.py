"""What a load test sends, and how it rises."""

from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Duration, Token
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.artifacts import StoredArtifact

_SUFFIXES = (".jsonl", ".csv", ".txt")
_MOST_LEVELS = 40
THREADS = 20
"""Requests that one worker has under way at the most; more need more workers."""


@dataclass(frozen=True, kw_only=True)
class LoadPayloads:
    """Names the requests that are sent: a text with one request in each line. Use one of the class methods."""

    bucket: s3.IBucket | None = None
    """Where it is. Default: on this machine."""
    key: str = ""
    """The object's key."""
    path: Path | None = None
    """The file on this machine. Default: in S3."""
    content_type: str = "application/json"
    """Media type of a request."""

    @classmethod
    def in_bucket(
        cls, bucket: s3.IBucket, key: str, *, content_type: str = "application/json"
    ) -> "LoadPayloads":
        """Take the object ``key`` of ``bucket``. Let it be like the real requests, in size and in kind."""
        return cls(bucket=bucket, key=key, content_type=content_type)

    @classmethod
    def from_file(cls, path: Path, *, content_type: str = "application/json") -> "LoadPayloads":
        """Take a file of this machine, which the CDK uploads."""
        return cls(path=path, content_type=content_type)

    def check(self, props: PropChecks) -> None:
        """Refuse what holds no requests."""
        name = str(self.path) if self.path else self.key
        if not Token.is_unresolved(name):
            props.require(
                name.endswith(_SUFFIXES),
                "payloads",
                f"{name!r} holds no requests line by line; give a text that ends in {', '.join(_SUFFIXES)}",
            )
        if self.path is not None and name.endswith(_SUFFIXES):
            props.require(
                self.path.is_file() and bool(self.path.read_text("utf-8").strip()),
                "payloads",
                f"there is no request in {name!r}; write a few real ones into it, one in a line",
            )

    def bind(self, scope: Construct) -> StoredArtifact:
        """Return the object where workers find it."""
        if self.bucket is not None:
            return StoredArtifact(bucket=self.bucket, key=self.key)
        asset = assets.Asset(scope, "Payloads", path=str(self.path))
        return StoredArtifact(bucket=asset.bucket, key=asset.s3_object_key)


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """Says how the load rises: level by level, each with more requests at a time."""

    start: int = 1
    """Requests at a time at the first level. Default: one."""
    step: int = 2
    """Requests more at every level. Default: two."""
    most: int = 20
    """Requests at a time at the last level, up to 1000. Default: twenty."""
    seconds: int = 60
    """Seconds that each level is measured, 1 to 600. Default: a minute."""
    warm_up_seconds: int = 5
    """Seconds at the beginning of each level that do not count. Default: five."""
    latency_slo: Duration | None = None
    """Time within which 99 of 100 calls are to be answered. Default: one second, as of ``HostedModel``."""
    error_budget_percent: float = 0.1
    """Share of the calls that may fail at a level that holds. Default: one in a thousand."""
    stop_percent: float = 5
    """Share of failed calls above which the test ends. Default: one in twenty."""
    headroom_percent: float = 50
    """Room that the suggestion leaves, for the time that a new instance takes to start. Default: half."""
    on_production: bool = False
    """Whether a production endpoint may be driven, with its callers on it. Default: it is refused."""

    @property
    def levels(self) -> list[int]:
        """The requests at a time of every level; the last is ``most``."""
        return [*range(self.start, self.most, self.step), self.most]

    @property
    def promised(self) -> Duration:
        """The time within which answers are to come."""
        return self.latency_slo or Duration.seconds(1)

    @property
    def time_limit(self) -> Duration:
        """Time within which the test is over."""
        return Duration.seconds(900 + len(self.levels) * (2 * (self.seconds + self.warm_up_seconds) + 120))

    def workers(self) -> list[list[int]]:
        """Return for every level how many threads each of its workers has."""
        return [[min(THREADS, level - begun) for begun in range(0, level, THREADS)] for level in self.levels]

    def check(self, props: PropChecks, posture: Posture) -> None:
        """Refuse a load that says nothing, or that would hit callers."""
        props.require(
            not posture.keeps_data or self.on_production,
            "plan.on_production",
            "the endpoint is in production, and a load test takes capacity from its callers; test a copy in a sandbox "
            "with the same instances, or say LoadPlan(on_production=True)",
        )
        for name, value, low, high, unit, way_out in (
            ("start", self.start, 1, 1000, "requests", "begin with one"),
            ("step", self.step, 1, 1000, "requests", "a tenth of most gives ten levels"),
            ("most", self.most, max(self.start, 1), 1000, "requests", "give at least start"),
            ("seconds", self.seconds, 1, 600, "seconds", "a minute shows what an hour would"),
            (
                "warm_up_seconds",
                self.warm_up_seconds,
                0,
                60,
                "seconds",
                "five make connections and load code",
            ),
        ):
            props.whole_number(f"plan.{name}", value, low=low, high=high, unit=unit, way_out=way_out)
        for name, percent, high, way_out in (
            ("error_budget_percent", self.error_budget_percent, 50, "what your users would not notice"),
            ("stop_percent", self.stop_percent, 100, "five ends the test before it hurts"),
            ("headroom_percent", self.headroom_percent, 90, "half is what AWS advises"),
        ):
            props.number(f"plan.{name}", percent, low=0, high=high, unit="percent", way_out=way_out)
        if self.step > 0 and self.start <= self.most:
            props.require(
                len(range(self.start, self.most, max(1, self.step))) < _MOST_LEVELS,
                "plan.step",
                f"{self.step} makes more than {_MOST_LEVELS} levels between {self.start} and {self.most}; raise it",
            )
