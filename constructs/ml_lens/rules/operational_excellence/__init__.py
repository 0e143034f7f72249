"""Rules of the operational excellence pillar."""

from typing import Final

from ml_lens.rules.operational_excellence import (
    capture,
    lineage,
    model_quality,
    monitoring,
    notebooks,
    pipelines,
    registries,
    retraining,
)
from ml_lens.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *capture.RULES,
    *lineage.RULES,
    *model_quality.RULES,
    *monitoring.RULES,
    *notebooks.RULES,
    *pipelines.RULES,
    *registries.RULES,
    *retraining.RULES,
)
