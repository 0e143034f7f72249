"""A report as text for a terminal, as JSON and as Markdown for a pull request."""

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from ml_lens.rules.finding import Finding, Level

COMMENT_SIZE = 60_000
"""Characters of a Markdown report; GitHub takes 65,536 in a comment."""

_COLOURS = {Level.ERROR: "\033[31m", Level.WARNING: "\033[33m"}
_BOLD, _PLAIN = "\033[1m", "\033[0m"
_CODE = re.compile(r"(`[^`]+`)")
_MARKS = re.compile(r"[\\`*\[\]<|~&]|(?<!\w)_|_(?!\w)")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def summary(findings: Sequence[Finding], templates: int) -> str:
    """Return the counts in one line: ``2 errors, 1 warning, 1 of them unresolved, in 3 templates``."""
    if not findings:
        return f"No findings in {_counted(templates, 'template')}"
    errors = sum(finding.level is Level.ERROR for finding in findings)
    counts = f"{_counted(errors, 'error')}, {_counted(len(findings) - errors, 'warning')}"
    unresolved = sum(finding.unresolved for finding in findings)
    if unresolved:
        counts += f", {unresolved} of them unresolved,"
    return f"{counts} in {_counted(templates, 'template')}"


def shown_path(source: Path) -> str:
    """Return the path of a file from the current folder, or the whole path of one that lies elsewhere."""
    # As it was named first: what a link in the current folder leads to may lie elsewhere.
    as_named = Path(os.path.normpath(Path.cwd() / source))
    for file, here in ((as_named, Path.cwd()), (source.resolve(), Path.cwd().resolve())):
        if file.is_relative_to(here):
            return file.relative_to(here).as_posix()
    return source.as_posix()


def errors_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by file and resource, those with errors before those with warnings only."""
    findings = list(findings)
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    files = {finding.source for finding in errors}
    resources = {(finding.source, finding.resource) for finding in errors}

    def order(finding: Finding) -> tuple[bool, str, bool, str, bool, str]:
        return (
            finding.source not in files,
            finding.source.as_posix(),
            (finding.source, finding.resource) not in resources,
            finding.resource,
            finding.level is not Level.ERROR,
            finding.id,
        )

    return sorted(findings, key=order)


def as_json(findings: Iterable[Finding]) -> str:
    """Return the findings as a JSON list of objects."""
    return json.dumps([finding.to_dict() for finding in findings], indent=2, ensure_ascii=False) + "\n"


def as_text(findings: Sequence[Finding], templates: int, *, colour: bool = False) -> str:
    """Return the report for a terminal."""
    paint = _painted if colour else _unpainted
    lines = []
    for source, of_file in groupby(errors_first(findings), key=_source):
        lines.append(paint(one_line(shown_path(source)), _BOLD))
        for _, of_resource in groupby(of_file, key=_resource):
            lines += _resource_lines(list(of_resource), paint)
        lines.append("")
    return "\n".join([*lines, f"{summary(findings, templates)}."]) + "\n"


def as_markdown(findings: Sequence[Finding], templates: int) -> str:
    """Return the report for a comment on a pull request: a summary and a table for each template.

    A comment has a limit: what does not fit is counted in the last line, and warnings go before errors.
    """
    shown = _fitting(findings)
    parts = [f"**MLLens: {summary(findings, templates)}.**"]
    for source, of_file in groupby(errors_first(shown), key=_source):
        heads = ["| Level | Resource | Finding | What | Fix |", "| --- | --- | --- | --- | --- |"]
        parts.append(f"### {code(shown_path(source))}")
        parts.append("\n".join([*heads, *map(_row, of_file)]))
    left_out = len(findings) - len(shown)
    if left_out:
        parts.append(f"{_counted(left_out, 'finding')} more did not fit here.")
    return "\n\n".join(parts) + "\n"


def one_line(text: str) -> str:
    """Return a text without line breaks, and without what a terminal would obey."""
    spaced = " ".join(text.split())
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in spaced)


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, code in backticks excepted, and that calls nobody."""
    parts = _CODE.split(one_line(text))
    parts[0::2] = [_MENTION.sub("@&#8203;", _MARKS.sub(_marked, part)) for part in parts[0::2]]
    parts[1::2] = [part.replace("|", r"\|") for part in parts[1::2]]
    return "".join(parts)


def _resource_lines(findings: list[Finding], paint: Callable[[str, str], str]) -> list[str]:
    first = findings[0]
    where = f" ({first.construct_path})" if first.construct_path else ""
    lines = [f"  {one_line(first.resource + where)}"]
    for finding in findings:
        level = paint(f"{finding.level:7}", _COLOURS[finding.level])
        lines.append(f"    {level}  {one_line(finding.id)}")
        lines.append(f"             {one_line(finding.message)}")
        lines.append(f"             fix: {one_line(finding.fix)}")
    return lines


def _fitting(findings: Sequence[Finding]) -> list[Finding]:
    room, shown, files = COMMENT_SIZE, [], set()
    for finding in sorted(findings, key=lambda finding: finding.level is not Level.ERROR):
        room -= len(_row(finding)) + 1
        if finding.source not in files:
            files.add(finding.source)
            room -= len(shown_path(finding.source)) + 100  # the heading and the head of the table
        if room < 0:
            break
        shown.append(finding)
    return shown


def _row(finding: Finding) -> str:
    resource = code(finding.resource)
    if finding.construct_path:
        resource += f" {escaped(finding.construct_path)}"
    cells = (str(finding.level), resource, code(finding.id), escaped(finding.message), escaped(finding.fix))
    return "| " + " | ".join(cells) + " |"


def _marked(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def code(text: str) -> str:
    """Return a text as code, also in a table."""
    return "`" + one_line(text).replace("`", "'").replace("|", r"\|") + "`"


def _painted(text: str, colour: str) -> str:
    return f"{colour}{text}{_PLAIN}"


def _unpainted(text: str, _colour: str) -> str:
    return text


def _source(finding: Finding) -> Path:
    return finding.source


def _resource(finding: Finding) -> str:
    return finding.resource


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
