"""What the rules report: one frozen object per finding."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

UNRESOLVED = "unresolved:"


class Level(StrEnum):
    """How much a finding weighs: an error stops, a warning is told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule found on one resource.

    Attributes:
        rule: Full id of the rule, ``MLLens-SEC02-NotebookNoRoot``.
        finding: The aspect that fails where a rule has several (``volumeKms``), ``unresolved:<property>`` where
            the template does not say, ``None`` where the rule has one aspect only.
        level: ``error`` or ``warning``.
        resource: Logical id of the resource that has to change.
        template: File name of the template that holds the resource.
        message: What is wrong, in one sentence, with the value that was found.
        fix: What to do about it.
        references: Where the rule comes from and which rules of others say the same: ``lens2020:MLSEC 02``,
            ``lens2025:MLSEC04-BP01``, ``SecurityHub:SageMaker.3``, ``checkov:CKV_AWS_307``.
        path: Dotted path of the property under ``Properties``, without list indices, where there is one.
        construct_path: Path of the construct in the CDK app, where the template tells it.
        source: The file that was read.
    """

    rule: str
    finding: str | None
    level: Level
    resource: str
    template: str
    message: str
    fix: str
    references: tuple[str, ...]
    path: str | None
    construct_path: str | None
    source: Path

    @property
    def id(self) -> str:
        """The id to acknowledge: the rule, and the aspect in brackets."""
        return self.rule if self.finding is None else f"{self.rule}[{self.finding}]"

    @property
    def unresolved(self) -> bool:
        """Whether the template leaves the answer open."""
        return self.finding is not None and self.finding.startswith(UNRESOLVED)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON can write it; ``source`` stays out, it belongs to one machine."""
        return {
            "rule": self.rule,
            "finding": self.finding,
            "level": str(self.level),
            "resource": self.resource,
            "template": self.template,
            "message": self.message,
            "fix": self.fix,
            "references": list(self.references),
            "property": self.path,
            "construct_path": self.construct_path,
        }
