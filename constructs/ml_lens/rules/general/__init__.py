"""Rules of the general design principles."""

from typing import Final

from ml_lens.rules.general import (
    phases,
    retired,
)
from ml_lens.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *phases.RULES,
    *retired.RULES,
)
