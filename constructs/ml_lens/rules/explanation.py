"""A rule in words: what it wants, why, how to get there and where it comes from."""

import textwrap
from collections.abc import Iterator

from ml_lens.rules.finding import UNRESOLVED
from ml_lens.rules.formats import code, escaped
from ml_lens.rules.rule import APP, PACK, TRAINING_TASK, Rule

WIDTH = 100
LEFT_OPEN = f"{UNRESOLVED}<property>"
_SOURCES = {
    "lens2020": "Machine Learning Lens 2020",
    "lens2025": "Machine Learning Lens 2025",
    "SecurityHub": "Security Hub",
    "Config": "AWS Config",
    "cdk-nag": "cdk-nag",
    "checkov": "checkov",
}
_OPEN_MEANS = "the template does not say"


def explained(rule: Rule) -> str:
    """Return all about a rule for a terminal."""
    return "\n".join(_lines(rule)) + "\n"


def acknowledged_as(rule: Rule) -> str:
    """Return an id by which a finding of the rule is acknowledged in a CDK app."""
    aspect = next(iter(rule.findings), None)
    return f"{PACK}::{rule.id}" + (f"[{aspect}]" if aspect else "")


def in_markdown(rule: Rule) -> str:
    """Return all about a rule as Markdown, without a heading."""
    parts = [escaped(rule.title)]
    parts.append(f"**Level:** {rule.weight}. **Looks at:** {', '.join(map(_subject, rule.on))}.")
    parts.append(f"**Why:** {escaped(rule.why)}")
    if rule.findings:
        rows = [f"| {code(f'[{name}]')} | {escaped(meaning)} |" for name, meaning in rule.findings.items()]
        parts.append("\n".join(["| Finding | Meaning |", "| --- | --- |", *rows]))
    parts.append(f"**Fix:** {escaped(rule.fix)}")
    if rule.construct:
        parts.append(f"**With this library:** {code(rule.construct)} does so as it comes.")
    parts.append(f"**In CloudFormation:**\n\n```yaml\n{rule.cloudformation}\n```")
    if rule.settled:
        parts.append("**Settled:**\n\n" + "\n".join(f"- {escaped(point)}" for point in rule.settled))
    sources = [f"{source}: {escaped(', '.join(names))}" for source, names in _references(rule).items()]
    if sources:
        parts.append(f"**References:** {'; '.join(sources)}")
    return "\n\n".join(parts) + "\n"


def _lines(rule: Rule) -> Iterator[str]:
    yield f"{rule.id} ({rule.weight})"
    yield from _wrapped(rule.title, "")
    yield from _part("Looks at", *rule.on)
    yield from _part("Why", rule.why)
    yield from _part("Findings", *(f"[{name}] {meaning}" for name, meaning in rule.findings.items()))
    yield from _part("Fix", rule.fix)
    if rule.construct:
        yield from _part("With this library", f"{rule.construct} does so as it comes.")
    yield from ("", "In CloudFormation", textwrap.indent(rule.cloudformation, "  "))
    yield from _part("Settled", *rule.settled)
    references = _references(rule).items()
    yield from _part("References", *(f"{source}: {', '.join(names)}" for source, names in references))
    yield from _part(
        "Acknowledge", acknowledged_as(rule), f"{PACK}::{rule.id}[{LEFT_OPEN}] where {_OPEN_MEANS}"
    )


def _part(heading: str, *texts: str) -> Iterator[str]:
    if texts:
        yield from ("", heading)
    for text in texts:
        yield from _wrapped(text, "  ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + ("  " if indent else ""),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _subject(on: str) -> str:
    return on if on in (APP, TRAINING_TASK) else code(on)


def _references(rule: Rule) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for reference in rule.references:
        source, _, name = reference.partition(":")
        named.setdefault(_SOURCES.get(source, source), []).append(name)
    return named
