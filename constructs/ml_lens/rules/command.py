"""What the command line does: check templates, list the rules, explain one."""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, get_args

from ml_lens.rules.catalogue import RULES, rule_named
from ml_lens.rules.engine import judge
from ml_lens.rules.explanation import explained
from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.formats import as_json, as_markdown, as_text, summary
from ml_lens.rules.options import PILLARS, SERVICES, OptionError, Options, Unresolved
from ml_lens.rules.rule import PACK, Rule, Weight
from ml_lens.rules.sarif import as_sarif
from ml_lens.rules.templates import TemplateFile, UnusableInput, read_templates

PASSED, FAILED, UNUSABLE = 0, 1, 2
FORMATS = ("text", "json", "sarif", "markdown")
SHORT_WEIGHT = {Weight.ERROR: "error", Weight.PRODUCTION_ERROR: "error in prod", Weight.WARNING: "warning"}
_BY_TRANSFORM = "AWS::Serverless::"
_DEFAULTS = Options()
_STATUS = """\
exit status: 0 when nothing stands that fails, 1 when an error does (with --fail-on warning: anything),
2 when the input cannot be used."""


class CommandError(Exception):
    """What was asked for cannot be done; the text is one line."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    _write_utf8()
    try:
        asked = _parser().parse_args(arguments)
    except SystemExit as end:  # how argparse ends after --help and after a message of its own
        return int(end.code or PASSED)
    try:
        return int(asked.run(asked))
    except (CommandError, UnusableInput, OptionError) as refusal:
        print("error:", " ".join(str(refusal).split()), file=sys.stderr)
        return UNUSABLE


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f"error: {message} ({self.prog} --help shows what can be asked for)\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m ml_lens.rules",
        description="The Machine Learning Lens as rules over CloudFormation templates.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_check(commands)
    listing = commands.add_parser("list", help="show all rules", allow_abbrev=False)
    listing.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    listing.set_defaults(run=_list)
    explaining = commands.add_parser(
        "explain", help="show what a rule wants, why and how to get there", allow_abbrev=False
    )
    explaining.add_argument(
        "rule", metavar="RULE", help=f"{PACK}-SEC02-NotebookNoRoot, SEC02-NotebookNoRoot, in any case"
    )
    explaining.set_defaults(run=_explain)
    return parser


def _add_check(commands: "argparse._SubParsersAction[_Parser]") -> None:
    check = commands.add_parser(
        "check",
        help="hold templates to the rules",
        usage="python -m ml_lens.rules check PATH... [options]",
        epilog=_STATUS,
        allow_abbrev=False,
    )
    check.add_argument(
        "paths",
        metavar="PATH",
        type=Path,
        nargs="+",
        help="a template in JSON or YAML, or a folder of templates such as cdk.out",
    )
    check.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    check.add_argument("--output", metavar="FILE", type=Path, help="write the report to a file")
    check.add_argument(
        "--fail-on", choices=[str(level) for level in Level], default="error", help="default: error"
    )
    check.add_argument(
        "--environment",
        metavar="NAME",
        help="prod makes the rules of production errors; default: the tag mllens:environment, else prod",
    )
    check.add_argument(
        "--unresolved",
        choices=get_args(Unresolved),
        default=_DEFAULTS.unresolved,
        help="what an answer is that a template leaves open; default: warn",
    )
    check.add_argument("--pillar", choices=PILLARS, action="append", help="only this one; may be repeated")
    _add_limits(check)
    check.set_defaults(run=_check)


def _add_limits(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "--existing-customer",
        choices=SERVICES,
        action="append",
        default=[],
        help="a service closed to new customers that this account may use; may be repeated",
    )
    check.add_argument(
        "--cost-tag",
        metavar="KEY",
        action="append",
        help=f"a tag that resources must carry; may be repeated; default: {', '.join(_DEFAULTS.cost_tags)}",
    )
    check.add_argument(
        "--image-account",
        metavar="ACCOUNT",
        action="append",
        default=[],
        help="a further account whose container images count as private; may be repeated",
    )
    limits = (
        (
            "days",
            "--max-temporary-days",
            _DEFAULTS.max_temporary_days,
            "age at which raw data has to be gone",
        ),
        ("seconds", "--max-runtime-seconds", _DEFAULTS.max_runtime_seconds, "longest time a job may ask for"),
        ("minutes", "--max-idle-minutes", _DEFAULTS.max_idle_minutes, "longest idle time of a notebook"),
    )
    for unit, name, default, meaning in limits:
        check.add_argument(
            name, metavar=unit.upper(), type=_whole, default=default, help=f"{meaning}; default: {default}"
        )


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _options(asked: argparse.Namespace) -> Options:
    return Options(
        environment=asked.environment,
        unresolved=asked.unresolved,
        pillars=tuple(pillar for pillar in PILLARS if pillar in (asked.pillar or PILLARS)),
        existing_customer=frozenset(asked.existing_customer),
        max_temporary_days=asked.max_temporary_days,
        max_runtime_seconds=asked.max_runtime_seconds,
        max_idle_minutes=asked.max_idle_minutes,
        cost_tags=tuple(asked.cost_tag or _DEFAULTS.cost_tags),
        image_accounts=frozenset(asked.image_account),
    )


def _check(asked: argparse.Namespace) -> int:
    templates = read_templates(asked.paths)
    findings = judge(templates, _options(asked))
    _tell_what_was_not_seen(templates)
    if asked.output is None:
        _print(_report(asked.format, findings, len(templates), colour=_colourful()))
    else:
        if any(asked.output.resolve() == template.path.resolve() for template in templates):
            raise CommandError(f"{asked.output}: is one of the templates; choose another --output")
        _save(_report(asked.format, findings, len(templates), colour=False), asked.output)
        _print(f"{summary(findings, len(templates))}: {asked.output}\n")
    failing = {Level.ERROR, Level(asked.fail_on)}
    return FAILED if any(finding.level in failing for finding in findings) else PASSED


def _tell_what_was_not_seen(templates: Sequence[TemplateFile]) -> None:
    """Say that a transform makes resources of which no template tells, so that silence is not taken for praise."""
    for template in templates:
        made = sum(body["Type"].startswith(_BY_TRANSFORM) for body in template.body["Resources"].values())
        if made:
            told = (
                "1 resource that a transform makes is"
                if made == 1
                else f"{made} resources that a transform makes are"
            )
            print(
                f"note: {template.path}: {told} not judged; check the transformed template", file=sys.stderr
            )


def _report(form: str, findings: Sequence[Finding], templates: int, *, colour: bool) -> str:
    if form == "json":
        return as_json(findings)
    if form == "sarif":
        return as_sarif(findings, RULES)
    if form == "markdown":
        return as_markdown(findings, templates)
    return as_text(findings, templates, colour=colour)


def _list(asked: argparse.Namespace) -> int:
    if asked.format == "json":
        _print(json.dumps([_entry(rule) for rule in RULES], indent=2, ensure_ascii=False) + "\n")
        return PASSED
    widest = max((len(rule.id) for rule in RULES), default=0)
    _print("".join(f"{rule.id:{widest}}  {SHORT_WEIGHT[rule.weight]:13}  {rule.title}\n" for rule in RULES))
    return PASSED


def _entry(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "number": rule.number,
        "level": str(rule.weight),
        "pillar": rule.pillar,
        "title": rule.title,
    }


def _explain(asked: argparse.Namespace) -> int:
    name = asked.rule.strip().split("[")[0].rpartition("::")[2]
    rule = rule_named(name)
    if rule is None:
        near = _nearest(name)
        known = f"the nearest: {', '.join(near)}" if near else "`list` shows all"
        raise CommandError(f"there is no rule {name}; {known}")
    _print(explained(rule))
    return PASSED


def _nearest(name: str) -> list[str]:
    import difflib  # only a mistake needs it

    asked = name.lower().removeprefix(f"{PACK.lower()}-")
    known = {rule.name.lower(): rule.name for rule in RULES}
    # People remember the name better than the number of the question.
    known |= {rule.name.lower().partition("-")[2]: rule.name for rule in RULES}
    matches = difflib.get_close_matches(asked, known, n=5, cutoff=0.5)
    return list(dict.fromkeys(known[match] for match in matches))[:3]


def _save(report: str, file: Path) -> None:
    try:
        file.write_text(report, "utf-8", "backslashreplace", "\n")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror or error}") from error


def _write_utf8() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _print(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        # Whoever read has read enough. What is still buffered must not fail again as Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CommandError(f"the report cannot be written: {error.strerror or error}") from error


def _colourful() -> bool:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout is not None and sys.stdout.isatty()
