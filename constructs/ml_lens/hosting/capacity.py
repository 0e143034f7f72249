"""What a model runs on."""

import re
from dataclasses import dataclass, field

from aws_cdk import Duration, Token

from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.deployments import Deployment
from ml_lens.instance_types import family, has_graviton, has_local_disks, is_instance_type

_INSTANCE_TYPE = re.compile(
    r"ml\.(?P<family>[a-z]+\d[a-z0-9-]*)\.(?P<times>\d*)(?P<size>medium|large|xlarge)"
)
_CORES = {"medium": 2, "large": 2, "xlarge": 4}
_WITH_GPUS = re.compile(r"[gp]\d")
# By the number before xlarge; sizes that are left out have one.
_GPUS_OF_GRAPHICS = {12: 4, 24: 4, 36: 4, 48: 8}
_GPUS = {
    "p2": {8: 8, 16: 16},
    "p3": {8: 4, 16: 8},
    "p4d": {24: 8},
    "p4de": {24: 8},
    "g7": {12: 2, 24: 4, 48: 8},
    "g7e": {12: 2, 24: 4, 48: 8},
}


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Runs a model on instances that scale with its load.

    Application Auto Scaling holds the calls to one instance at ``calls_per_minute``, between ``least`` and ``most``
    instances. SageMaker refuses to change the type of instances that are scaled: deploy once with ``most`` equal to
    ``least``, which takes the scaling away, and once more with the new type and the new ``most``.

    Lens: STD-02, SCL-01, SCL-04, SCL-09.
    """

    type: str | None = None
    """Instance type. Default: ``ml.t2.medium`` in a sandbox, the one type that a new account has a quota for, and
    ``ml.m5.large`` in production."""
    least: int | None = None
    """Instances that always run. Default: one in a sandbox; two in production, which takes no fewer."""
    most: int | None = None
    """Instances at the most; ``least`` means that nothing scales. Default: twice ``least``."""
    calls_per_minute: int = 600
    """Calls a minute that one instance takes well; measure it with a load test. Default: 600."""
    scale_out_cooldown: Duration = field(default_factory=lambda: Duration.minutes(1))
    """Time to wait after instances were added. Default: one minute."""
    scale_in_cooldown: Duration = field(default_factory=lambda: Duration.minutes(5))
    """Time to wait after instances were removed. Default: five minutes."""

    def completed(self, posture: Posture) -> "Sizing":
        """Return the numbers with the defaults of ``posture``."""
        least = self.least if self.least is not None else (2 if posture.keeps_data else 1)
        return Sizing(
            type=self.type or ("ml.m5.large" if posture.keeps_data else "ml.t2.medium"),
            least=least,
            most=self.most if self.most is not None else 2 * least,
        )


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """The size of a fleet, with nothing left to a default."""

    type: str
    """Instance type."""
    least: int
    """Instances that always run."""
    most: int
    """Instances at the most."""

    @property
    def scales(self) -> bool:
        """Whether there is anything between the two numbers."""
        return self.most != self.least

    @property
    def has_disks(self) -> bool:
        """Whether the instances have NVMe disks, which their hardware encrypts and no key of KMS can."""
        return has_local_disks(self.type)

    @property
    def has_arm(self) -> bool:
        """Whether the instances have Graviton processors, which need images of their own."""
        return has_graviton(self.type)

    @property
    def gpus(self) -> int:
        """GPUs of one instance; of those that CloudWatch has metrics for, which are NVIDIA's."""
        found = _INSTANCE_TYPE.fullmatch(self.type)
        if not found or not _WITH_GPUS.match(found["family"]):
            return 0
        times = int(found["times"] or 1)
        return _GPUS.get(found["family"], _GPUS_OF_GRAPHICS).get(times, 1)

    @property
    def cores(self) -> int:
        """Virtual CPUs of one instance, by its size."""
        found = _INSTANCE_TYPE.fullmatch(self.type)
        return _CORES[found["size"]] * int(found["times"] or 1) if found else 1


@dataclass(frozen=True, kw_only=True)
class Serverless:
    """Runs a model without instances: it costs nothing when idle, and the first call after that is slow.

    SageMaker offers neither a VPC, network isolation nor data capture for it, no GPU, and no rolling deployment.
    """

    memory_mib: int = 2048
    """Memory in MiB: 1024, 2048, 3072, 4096, 5120 or 6144. Default: 2048."""
    at_once: int = 5
    """Calls answered at the same time at the most, 1 to 200. Default: five."""


def check_instances(props: PropChecks, capacity: Instances, posture: Posture, deployment: Deployment) -> None:
    """Refuse numbers of instances that SageMaker, production or the deployment cannot work with."""
    sizing = capacity.completed(posture)
    open_props = [
        name
        for name, value in (("type", sizing.type), ("least", sizing.least), ("most", sizing.most))
        if Token.is_unresolved(value)
    ]
    for name in open_props:
        props.refuse(
            f"capacity.{name}", "is a token, and must be known when the template is made; write it out"
        )
    if open_props:
        return
    _check_size(props, sizing, posture)
    _check_scaling(props, capacity)
    if deployment.needs_two_instances:
        props.require(
            sizing.least >= 2,
            "deployment",
            f"{deployment.spoken} needs at least 2 instances, got {sizing.least}; raise capacity.least or use "
            "Deployment.all_at_once()",
        )
    on_inf1 = family(sizing.type) == "inf1"
    props.require(
        not (deployment.is_shadow and on_inf1),
        "deployment",
        f"SageMaker has no shadows on {sizing.type}; use inf2 instances, or Deployment.ab_test(…) with a small weight",
    )
    if deployment.is_guarded and not deployment.is_shadow:
        props.require(
            not on_inf1,
            "deployment",
            f"SageMaker ignores {deployment.spoken} on {sizing.type} and replaces all instances at once without "
            "watching; use inf2 instances, or say so with Deployment.standard()",
        )


def _check_size(props: PropChecks, sizing: Sizing, posture: Posture) -> None:
    props.require(
        is_instance_type(sizing.type),
        "capacity.type",
        f"{sizing.type!r} is no instance type of SageMaker; they begin with 'ml.', for example 'ml.m5.large'",
    )
    least = 2 if posture.keeps_data else 1
    way_out = (
        "one instance does not survive the loss of a zone" if least == 2 else "Serverless() goes to zero"
    )
    props.whole_number(
        "capacity.least", sizing.least, low=least, high=1000, unit="instances", way_out=way_out
    )
    props.whole_number(
        "capacity.most",
        sizing.most,
        low=max(sizing.least, 1),
        high=1000,
        unit="instances",
        way_out="give at least as many as capacity.least",
    )


def _check_scaling(props: PropChecks, capacity: Instances) -> None:
    props.whole_number(
        "capacity.calls_per_minute",
        capacity.calls_per_minute,
        low=1,
        high=1_000_000,
        unit="calls",
        way_out="give what a load test of one instance shows",
    )
    for name, cooldown in (
        ("scale_out_cooldown", capacity.scale_out_cooldown),
        ("scale_in_cooldown", capacity.scale_in_cooldown),
    ):
        props.number(
            f"capacity.{name}",
            cooldown.to_seconds(),
            low=0,
            high=3600,
            unit="seconds",
            way_out="a longer one would answer the load of an hour ago",
        )


def check_serverless(
    props: PropChecks, capacity: Serverless, deployment: Deployment, *, networked: bool, recorded: bool
) -> None:
    """Refuse what serverless inference does not offer."""
    on_instances = "or run the model on Instances()"
    props.require(
        capacity.memory_mib in range(1024, 6145, 1024),
        "capacity.memory_mib",
        f"{capacity.memory_mib!r} MiB cannot be had; allowed are 1024, 2048, 3072, 4096, 5120 and 6144: give the next "
        f"larger one, {on_instances}",
    )
    props.whole_number(
        "capacity.at_once",
        capacity.at_once,
        low=1,
        high=200,
        unit="calls",
        way_out=f"wait longer, {on_instances}",
    )
    props.require(
        not deployment.needs_two_instances,
        "deployment",
        f"{deployment.spoken} moves instances, of which serverless inference has none; use Deployment.blue_green(), "
        f"{on_instances}",
    )
    props.require(
        deployment.beside is None,
        "deployment",
        f"serverless inference has one variant, and {deployment.spoken} needs two; use Deployment.blue_green(), "
        f"{on_instances}",
    )
    props.require(
        not networked,
        "network",
        f"serverless inference runs in no network of yours; leave network out, {on_instances}",
    )
    props.require(
        not recorded,
        "capture",
        f"serverless inference records nothing; use DataCapture.off(), {on_instances}",
    )
