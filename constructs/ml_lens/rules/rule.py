"""A rule: its identity, level, reasons and references beside the function that judges."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_lens.rules.verdicts import Verdict

PACK = "MLLens"
PILLAR_OF_PREFIX = {
    "SEC": "security",
    "REL": "reliability",
    "OPS": "operational-excellence",
    "PER": "performance",
    "COST": "cost",
    "GEN": "general",
}


class Weight(StrEnum):
    """How much a rule weighs."""

    ERROR = "error"
    PRODUCTION_ERROR = "error in production, warning elsewhere"
    WARNING = "warning"


ERROR, PRODUCTION_ERROR, WARNING = Weight.ERROR, Weight.PRODUCTION_ERROR, Weight.WARNING

APP = "the whole app"
TRAINING_TASK = "a task that starts a training, tuning, processing, transform or AutoML job"

Judge = Callable[[Any], "Verdict | Iterable[Verdict] | None"]


@dataclass(frozen=True)
class Rule:
    """One rule of the pack.

    Attributes:
        name: ``SEC02-NotebookNoRoot``; ``id`` has the pack before it.
        number: Its place in the catalogue, 1 to 69.
        weight: Its level.
        on: What it looks at: CloudFormation types, ``TRAINING_TASK`` or ``APP``.
        title: What it demands, in one short sentence.
        why: The reason, in one sentence.
        fix: What to do, in plain CloudFormation words.
        cloudformation: A fragment in YAML that satisfies the rule.
        construct: The construct of this library that satisfies it by default, if there is one.
        findings: The aspects it tells apart, each with what it means; empty for a rule with one aspect.
        lens2020: The questions of the 2020 lens it answers.
        lens2025: The best practices of the 2025 lens.
        same_as: Rules of others that ask for the same: ``SecurityHub:SageMaker.3``, ``Config:…``,
            ``cdk-nag:AwsSolutions-SM1``, ``checkov:CKV_AWS_307``.
        settled: Decisions on what the lens leaves open, one sentence each.
        judge: The function.
    """

    name: str
    number: int
    weight: Weight
    on: tuple[str, ...]
    title: str
    why: str
    fix: str
    cloudformation: str
    construct: str | None
    findings: dict[str, str]
    lens2020: tuple[str, ...]
    lens2025: tuple[str, ...]
    same_as: tuple[str, ...]
    settled: tuple[str, ...]
    judge: Judge

    @property
    def id(self) -> str:
        """The full id, ``MLLens-SEC02-NotebookNoRoot``."""
        return f"{PACK}-{self.name}"

    @property
    def pillar(self) -> str:
        """The pillar of the lens, or ``general``."""
        return PILLAR_OF_PREFIX[self.name.split("-")[0].rstrip("0123456789")]

    @property
    def references(self) -> tuple[str, ...]:
        """The lens and the rules of others, each with its source before it."""
        return (
            *(f"lens2020:{question}" for question in self.lens2020),
            *(f"lens2025:{practice}" for practice in self.lens2025),
            *self.same_as,
        )


def rule(
    name: str,
    *,
    number: int,
    weight: Weight,
    on: str | tuple[str, ...],
    title: str,
    why: str,
    fix: str,
    cloudformation: str,
    construct: str | None = None,
    findings: dict[str, str] | None = None,
    lens2020: str | tuple[str, ...] = (),
    lens2025: str | tuple[str, ...] = (),
    same_as: tuple[str, ...] = (),
    settled: tuple[str, ...] = (),
) -> Callable[[Judge], Rule]:
    """Make a rule of the function below it."""

    def made(judge: Judge) -> Rule:
        return Rule(
            name=name,
            number=number,
            weight=weight,
            on=_several(on),
            title=title,
            why=why,
            fix=fix,
            cloudformation=cloudformation.strip("\n"),
            construct=construct,
            findings=dict(findings or {}),
            lens2020=_several(lens2020),
            lens2025=_several(lens2025),
            same_as=same_as,
            settled=settled,
            judge=judge,
        )

    return made


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
