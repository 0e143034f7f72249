"""Rules of the performance efficiency pillar."""

from typing import Final

from ml_lens.rules.performance import (
    instances,
    quotas,
    scaling,
)
from ml_lens.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *instances.RULES,
    *quotas.RULES,
    *scaling.RULES,
)
