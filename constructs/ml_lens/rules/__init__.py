"""The Machine Learning Lens as rules that hold any CloudFormation template, of any tool, to it.

Nothing here needs the CDK; ``ml_lens.rules.pack`` alone, which cdk-nag attaches to an app, does.
"""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from ml_lens.rules.catalogue import RULES
from ml_lens.rules.engine import judge
from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.options import OptionError, Options
from ml_lens.rules.rule import Rule
from ml_lens.rules.templates import UnusableInput, read_templates

__all__ = ["RULES", "Finding", "Level", "OptionError", "Options", "Rule", "UnusableInput", "check"]


def check(paths: str | PathLike[str] | Iterable[str | PathLike[str]], **options: Any) -> list[Finding]:
    """Return what the rules find in templates, judged together as one app.

    Args:
        paths: A ``cdk.out`` folder, a template in JSON or YAML, a folder of templates, or several of these.
        **options: The fields of ``Options``: ``environment="dev"``, ``unresolved="error"``.

    Returns:
        The findings, sorted by template, resource and rule.

    Raises:
        UnusableInput: A path is not there, or holds no template that can be read; it says which.
        OptionError: An option has a value that no rule can use, or is not an option.
    """
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    return list(judge(read_templates(Path(path) for path in given), Options.of(**options)))
