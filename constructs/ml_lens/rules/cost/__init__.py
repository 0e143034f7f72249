"""Rules of the cost optimization pillar."""

from typing import Final

from ml_lens.rules.cost import (
    consolidation,
    emr,
    endpoints,
    jobs,
    notebooks,
    on_demand,
    tags,
)
from ml_lens.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *consolidation.RULES,
    *emr.RULES,
    *endpoints.RULES,
    *jobs.RULES,
    *notebooks.RULES,
    *on_demand.RULES,
    *tags.RULES,
)
