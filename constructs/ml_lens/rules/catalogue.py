"""All rules, by number."""

from typing import Final

from ml_lens.rules import cost, general, operational_excellence, performance, reliability, security
from ml_lens.rules.rule import PACK, Rule

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            *security.RULES,
            *reliability.RULES,
            *operational_excellence.RULES,
            *performance.RULES,
            *cost.RULES,
            *general.RULES,
        ),
        key=lambda rule: rule.number,
    )
)


def rule_named(name: str) -> Rule | None:
    """Return a rule by its id, with or without the name of the pack, in any case."""
    wanted = name.split("[")[0].rsplit("::", 1)[-1].lower().removeprefix(f"{PACK.lower()}-")
    return next((rule for rule in RULES if rule.name.lower() == wanted), None)
