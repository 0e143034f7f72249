"""What batch inference reads, and how its jobs run."""

import re
from dataclasses import dataclass, field

from aws_cdk import Duration, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from ml_lens.foundation.props import PropChecks
from ml_lens.foundation.storage import grant, grant_objects
from ml_lens.instance_types import has_graviton, has_local_disks, is_instance_type

_SAFE_IN_AN_EXPRESSION = re.compile(r"[\w!.()/ =+@,-]+")
_MANY_RECORDS = ("text/csv", "application/jsonlines", "application/x-recordio-protobuf")
_LONGEST_JOB = Duration.days(5)


@dataclass(frozen=True, kw_only=True)
class BatchSource:
    """Names the records that a model works off: objects below one prefix of one bucket."""

    bucket: s3.IBucket
    """The bucket. If a key of yours encrypts it, import it with ``encryption_key``."""
    prefix: str = "batches/"
    """What the keys of the objects begin with, up to a slash. Default: ``batches/``."""
    manifests: str = "manifests/"
    """Where manifests are, which name some of the objects. Default: ``manifests/``."""
    content_type: str = "text/csv"
    """Media type of the objects, or of their lines. Default: ``text/csv``."""
    by_line: bool = True
    """Whether every line is a record; otherwise every object is one. Default: every line is."""

    def check(self, props: PropChecks) -> None:
        """Refuse prefixes that name more than a folder, or that JSONata would not take as they are."""
        for name, prefix in (("prefix", self.prefix), ("manifests", self.manifests)):
            if Token.is_unresolved(prefix):
                props.refuse(
                    f"source.{name}", "is a token, and must be known when the template is made; write it out"
                )
                continue
            props.require(
                prefix.endswith("/") and not prefix.startswith("/") and len(prefix) > 1,
                f"source.{name}",
                f"{prefix!r} is no folder; it ends in a slash and begins with none, for example 'batches/'",
            )
            props.require(
                _SAFE_IN_AN_EXPRESSION.fullmatch(prefix) is not None,
                f"source.{name}",
                f"{prefix!r} holds signs that have a meaning elsewhere; use letters, digits and !.()/ =+@,-_",
            )
        props.require(
            not (self.manifests.startswith(self.prefix) or self.prefix.startswith(self.manifests)),
            "source.manifests",
            f"{self.manifests!r} and the prefix {self.prefix!r} lie in each other, and manifests would be taken for "
            "records; give each a folder of its own",
        )

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Let ``grantee`` find and read these objects, and decrypt them."""
        self._grant_prefix(grantee, self.prefix)
        if self.bucket.encryption_key is not None:
            grant(grantee, ["kms:Decrypt"], self.bucket.encryption_key.key_arn)

    def grant_read_manifests(self, grantee: iam.IGrantable) -> None:
        """Let ``grantee`` find and read manifests as well."""
        self._grant_prefix(grantee, self.manifests)

    def _grant_prefix(self, grantee: iam.IGrantable, prefix: str) -> None:
        grant_objects(grantee, ["s3:GetObject"], self.bucket, prefix)
        grant_list(grantee, self.bucket, prefix)


@dataclass(frozen=True, kw_only=True)
class BatchJobs:
    """Says how transform jobs run: on what, for how long, and what they do with each record.

    SageMaker starts the instances with the job and ends them with it. A new account has no quota for most types: ask
    for "*type* for transform job usage" first.
    """

    type: str = "ml.m5.large"
    """Instance type. Default: ``ml.m5.large``."""
    instances: int = 1
    """Instances of one job; SageMaker shares the objects out among them. Default: one."""
    time_limit: Duration = field(default_factory=lambda: Duration.hours(6))
    """Time after which a job is stopped, as SageMaker itself has no limit. Default: six hours."""
    attempts: int = 3
    """Jobs tried for one run when SageMaker has no instances to give, with a pause that doubles. Default: three."""
    many_records_at_once: bool | None = None
    """Whether a request holds as many lines as fit into it. Default: so for CSV and JSON Lines only."""
    payload_mib: int = 6
    """Largest request in MiB, 1 to 100. Default: six."""
    requests_at_once: int | None = None
    """Requests that one instance answers at the same time. Default: what the container says."""
    accept: str | None = None
    """Media type of the answers. Default: what the container likes best."""
    joined: bool = False
    """Whether every answer stands behind its record, for CSV and JSON. Default: answers stand alone."""
    input_filter: str | None = None
    """JSONPath of the part of a record that the model sees, such as ``$[1:]`` without an id. Default: all of it."""
    output_filter: str | None = None
    """JSONPath of the part that is kept of what came out, record included if joined. Default: all of it."""
    capture: bool = False
    """Whether SageMaker notes below ``captured/`` what was asked and answered, for drift jobs. Step Functions hands
    that to no job that it waits for, so the run looks after the job itself: one that somebody stops lets its job go on.
    Default: nothing is noted."""
    has_log_group: bool = False
    """Whether the account has the log group of all transform jobs already, ``/aws/sagemaker/TransformJobs``. Default:
    the stack makes it, encrypted, once for all that it holds."""
    experiment: str | None = None
    """Name of the SageMaker experiment that lists the jobs. Default: none."""

    @property
    def has_disks(self) -> bool:
        """Whether the instances have NVMe disks, which their hardware encrypts and no key of KMS can."""
        return has_local_disks(self.type)

    @property
    def has_arm(self) -> bool:
        """Whether the instances have Graviton processors, which need images of their own."""
        return has_graviton(self.type)

    def sends_many(self, source: BatchSource) -> bool:
        """Return whether a request holds many records."""
        if self.many_records_at_once is not None:
            return self.many_records_at_once
        return source.by_line and source.content_type in _MANY_RECORDS

    def check(self, props: PropChecks, source: BatchSource) -> None:
        """Refuse what SageMaker does not take."""
        props.require(
            is_instance_type(self.type),
            "jobs.type",
            f"{self.type!r} is no instance type of SageMaker; they begin with 'ml.', for example 'ml.m5.large'",
        )
        for name, value, high, unit, way_out in (
            ("instances", self.instances, 100, "instances", "one suits a few gigabytes"),
            ("attempts", self.attempts, 5, "jobs", "when there is no capacity for hours, take another type"),
            ("payload_mib", self.payload_mib, 100, "MiB", "six suits most containers"),
            ("requests_at_once", self.requests_at_once or 1, 1000, "requests", "or let the container say it"),
        ):
            props.whole_number(f"jobs.{name}", value, low=1, high=high, unit=unit, way_out=way_out)
        props.number(
            "jobs.time_limit",
            self.time_limit.to_seconds(),
            low=60,
            high=_LONGEST_JOB.to_seconds(),
            unit="seconds",
            way_out="split what takes longer by manifests",
        )
        self._check_records(props, source)

    def _check_records(self, props: PropChecks, source: BatchSource) -> None:
        props.require(
            source.by_line or not self.many_records_at_once,
            "jobs.many_records_at_once",
            "there is one record in an object; use BatchSource(by_line=True), or send each alone",
        )
        props.require(
            not (self.joined and source.content_type not in (*_MANY_RECORDS[:2], "application/json")),
            "jobs.joined",
            f"SageMaker joins CSV and JSON only, and the source is {source.content_type!r}; keep the order instead: "
            "answers stand in the order of the records",
        )


def grant_list(grantee: iam.IGrantable, bucket: s3.IBucket, prefix: str) -> None:
    """Let ``grantee`` see which objects there are below ``prefix``."""
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": f"{prefix}*"}},
        )
    )
