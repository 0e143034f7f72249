"""Rules of the reliability pillar."""

from typing import Final

from ml_lens.rules.reliability import (
    artifacts,
    deployers,
    images,
    manifest,
    rollback,
    scaling,
    versions,
)
from ml_lens.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *artifacts.RULES,
    *deployers.RULES,
    *images.RULES,
    *manifest.RULES,
    *rollback.RULES,
    *scaling.RULES,
    *versions.RULES,
)
