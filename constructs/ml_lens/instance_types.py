"""Instance types of SageMaker: what their family says about disks, accelerators and age."""

import re
from typing import Final

PREVIOUS_GENERATION: Final = frozenset({"c4", "m4", "p2", "p3", "p3dn", "t2"})
# Accelerated families whose name does not say that they have disks of their own, as the letter d does.
_ACCELERATED_WITH_DISKS: Final = frozenset(
    {"dl1", "g5", "g6", "g6e", "g7", "g7e", "p5", "p5e", "p5en", "trn1", "trn1n", "trn2"}
)
_FAMILY: Final = re.compile(r"ml\.([a-z]+\d[a-z0-9-]*)\.(\w+(?:-\w+)*)")
_DISKS: Final = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*")
_SIZED: Final = re.compile(r"ml\.[a-z]+\d[a-z0-9-]*\.\d*(?:medium|large|xlarge)")
_GRAVITON: Final = re.compile(r"[a-z]+\d+g[a-z]*")
_FOR_TRAINING: Final = re.compile(r"(?:p|trn)\d")
_SMALL: Final = ("nano", "micro", "small", "medium", "large", "xlarge")


def family(instance_type: str) -> str:
    """Return ``m5`` of ``ml.m5.xlarge``; empty for what is no instance type."""
    found = _FAMILY.fullmatch(instance_type)
    return found[1] if found else ""


def is_instance_type(text: str) -> bool:
    """Whether SageMaker could have such an instance: a family of any name, and a size."""
    return _SIZED.fullmatch(text) is not None


def has_graviton(instance_type: str) -> bool:
    """Whether the instance has a Graviton processor, which needs images of its own."""
    return _GRAVITON.fullmatch(family(instance_type)) is not None


def has_local_disks(instance_type: str) -> bool:
    """Whether the instance has NVMe disks, which its hardware encrypts and no key of KMS can."""
    name = family(instance_type)
    return name in _ACCELERATED_WITH_DISKS or name.startswith("p6") or bool(_DISKS.fullmatch(name))


def is_previous_generation(instance_type: str) -> bool:
    """Whether AWS has replaced the family by a newer one."""
    return family(instance_type) in PREVIOUS_GENERATION


def is_for_training(instance_type: str) -> bool:
    """Whether the family is built to train: ``ml.p*`` and ``ml.trn*``."""
    return _FOR_TRAINING.match(family(instance_type)) is not None


def is_larger(instance_type: str, size: str) -> bool:
    """Whether an instance is larger than a size: ``ml.m5.4xlarge`` than ``2xlarge``."""
    found = _FAMILY.fullmatch(instance_type)
    return found is not None and _rank(found[2]) > _rank(size)


def _rank(size: str) -> float:
    if size in _SMALL:
        return _SMALL.index(size)
    times = size.removesuffix("xlarge")
    return len(_SMALL) + int(times) if times.isdigit() else float("inf")
