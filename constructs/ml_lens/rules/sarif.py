"""A report in SARIF 2.1.0, as GitHub code scanning takes it."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ml_lens.rules.explanation import explained, in_markdown
from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.formats import shown_path
from ml_lens.rules.rule import PACK, Rule, Weight

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST_RESULTS = 25_000
"""Results in one run beyond which GitHub refuses the file."""
MOST_TAGS = 10
"""Tags of a rule that GitHub shows."""
SEVERITY = {Weight.ERROR: "8.0", Weight.PRODUCTION_ERROR: "7.0", Weight.WARNING: "5.0"}
"""Security severity by weight: GitHub calls 7.0 and more high, 4.0 and more medium."""

_DISTRIBUTION = "ml-lens-constructs"
_KEY = re.compile(r"""(\s*)["']?([\w:.-]+)["']?\s*:""", re.ASCII)


def as_sarif(findings: Sequence[Finding], rules: Sequence[Rule]) -> str:
    """Return the report, errors first, as far as GitHub takes it; what is left out is told in the report."""
    places = {rule.id: place for place, rule in enumerate(rules)}
    kept = sorted(findings, key=lambda finding: finding.level is not Level.ERROR)[:MOST_RESULTS]
    repeats: Counter[str] = Counter()
    lines = cache(_lines_of_resources)
    run: dict[str, Any] = {
        "tool": {"driver": _driver(rules)},
        "invocations": [_invocation(len(findings) - len(kept))],
        "results": [
            {
                "ruleId": finding.rule,
                "ruleIndex": places[finding.rule],
                "level": str(finding.level),
                "message": {"text": f"{finding.message}\nFix: {finding.fix}"},
                "locations": [_location(finding, lines(finding.source).get(finding.resource, 1))],
                "partialFingerprints": _fingerprints(finding, repeats),
                "properties": {"finding": finding.id, "unresolved": finding.unresolved},
            }
            for finding in kept
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _driver(rules: Sequence[Rule]) -> dict[str, Any]:
    driver: dict[str, Any] = {"name": PACK, "rules": [_descriptor(rule) for rule in rules]}
    try:
        driver["version"] = version(_DISTRIBUTION)
    except PackageNotFoundError:  # the sources are used without having been installed
        driver["version"] = "0"
    return driver


def _descriptor(rule: Rule) -> dict[str, Any]:
    level = "warning" if rule.weight is Weight.WARNING else "error"
    properties: dict[str, Any] = {"tags": _tags(rule), "precision": "high"}
    if rule.pillar == "security":
        properties["security-severity"] = SEVERITY[rule.weight]
    else:
        properties["problem.severity"] = level
    return {
        "id": rule.id,
        "name": rule.name.partition("-")[2],
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": explained(rule), "markdown": in_markdown(rule)},
        "defaultConfiguration": {"level": level},
        "properties": properties,
    }


def _tags(rule: Rule) -> list[str]:
    return [rule.pillar, "machine-learning", *rule.lens2020, *rule.lens2025][:MOST_TAGS]


def _invocation(left_out: int) -> dict[str, Any]:
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if left_out:
        text = f"{left_out} findings are left out: a run holds {MOST_RESULTS:,} results."
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
    return invocation


def _location(finding: Finding, line: int) -> dict[str, Any]:
    resource = {"name": finding.resource, "kind": "resource"}
    if finding.construct_path:
        resource["fullyQualifiedName"] = finding.construct_path
    return {
        "physicalLocation": {"artifactLocation": _artifact(finding.source), "region": {"startLine": line}},
        "logicalLocations": [resource],
    }


def _artifact(source: Path) -> dict[str, str]:
    path = shown_path(source)
    if Path(path).is_absolute() or path.startswith(".."):
        return {"uri": source.resolve().as_uri()}
    return {"uri": quote(path), "uriBaseId": "%SRCROOT%"}


def _fingerprints(finding: Finding, repeats: Counter[str]) -> dict[str, str]:
    said = (finding.id, finding.template, finding.resource, finding.path or "")
    digest = hashlib.sha256("\0".join(said).encode("utf-8", "backslashreplace")).hexdigest()[:16]
    repeats[digest] += 1
    # GitHub reads the first only. Computed from the line, it would take two aspects of one resource for one.
    mark = f"{digest}:{repeats[digest]}"
    return {"primaryLocationLineHash": mark, "mlLensFinding/v1": mark}


def _lines_of_resources(template: Path) -> dict[str, int]:
    try:
        text = template.read_text("utf-8-sig", "replace")
    except OSError:  # gone since it was read
        return {}
    lines: dict[str, int] = {}
    for number, name in _keys_of_resources(text):
        lines.setdefault(name, number)
    return lines


def _keys_of_resources(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of every key one level below ``Resources``, told by the indentation."""
    top: int | None = None
    child: int | None = None
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        key = _KEY.match(line)
        if key is None:
            continue
        indent = len(key[1])
        top = indent if top is None else top
        if indent <= top:
            inside, child = key[2] == "Resources", None
        elif inside:
            child = indent if child is None else child
            if indent == child:
                yield number, key[2]
