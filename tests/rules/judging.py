"""What one rule says of one template, or of several."""

from pathlib import Path
from typing import Any

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from tests.rules.fixtures import said, template, told

Told = list[tuple[str | None, str, str]]


def found(rule: str, resources: dict[str, Any], **options: Any) -> Told:
    return told(said(rule, template(resources), options))


def found_in(rule: str, *bodies: dict[str, Any], **tags: str) -> Told:
    """Return what a rule says of an app of several stacks, which have the same tags."""
    files = [
        TemplateFile(Path(f"Stack{number}.template.json"), f"Stack{number}", body, f"Stack{number}", tags)
        for number, body in enumerate(bodies)
    ]
    return told([each for each in judge(files, Options()) if each.rule == f"MLLens-{rule}"])
