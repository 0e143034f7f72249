"""Runs the rules over a graph and turns their verdicts into findings."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml_lens.rules.catalogue import RULES
from ml_lens.rules.finding import UNRESOLVED, Finding, Level
from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.options import Options
from ml_lens.rules.policies import role_of
from ml_lens.rules.rule import APP, TRAINING_TASK, Rule, Weight
from ml_lens.rules.tasks import PIPELINE, STATE_MACHINE, training_tasks, unread_body
from ml_lens.rules.templates import TemplateFile
from ml_lens.rules.verdicts import FAIL, PASS, UNKNOWN, Verdict, unknown

_MOST_TOLD = 6
_WHOLE = "Properties"  # where no single property is open
_STARTS_JOBS = (
    "sagemaker:CreateTrainingJob",
    "sagemaker:CreateHyperParameterTuningJob",
    "sagemaker:CreateProcessingJob",
    "sagemaker:CreateTransformJob",
    "sagemaker:CreateAutoMLJob",
    "sagemaker:CreateEndpoint",
)


def judge(
    templates: Sequence[TemplateFile], options: Options, rules: Sequence[Rule] = RULES
) -> tuple[Finding, ...]:
    """Return what ``rules`` find in all ``templates`` together, sorted by template, resource and rule."""
    with _collector_at_rest():
        graph = Graph(templates, options)
        findings = [
            finding
            for rule in rules
            if rule.pillar in options.pillars
            for finding in _findings(rule, _verdicts(rule, graph), options)
        ]
    return tuple(sorted(findings, key=lambda found: (found.template, found.resource, found.id)))


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector from walking a graph that grows, and of which nothing is garbage, ever again."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


def _verdicts(rule: Rule, graph: Graph) -> Iterator[Verdict]:
    for on in rule.on:
        if on == APP:
            yield from _explored(rule, graph, lambda: _said(rule, graph), next(iter(graph.all_nodes), None))
        elif on == TRAINING_TASK:
            for owner in graph.nodes(STATE_MACHINE, PIPELINE):
                yield from _explored(rule, graph, lambda owner=owner: _said_of_tasks(rule, owner), owner)  # type: ignore[misc]
        else:
            for node in graph.nodes(on):
                yield from _explored(rule, graph, lambda node=node: _said(rule, node), node)  # type: ignore[misc]


def _explored(
    rule: Rule, graph: Graph, judged: Callable[[], Iterable[Verdict]], node: Node | None
) -> list[Verdict]:
    """Judge in every way that the templates may go; a rule that breaks leaves the answer open, and says so."""
    try:
        return graph.assumptions.explore(judged)
    except Exception as failure:
        if node is None:
            return []
        told = (
            f"{rule.id} could not judge this resource ({type(failure).__name__}: {failure}); please report it"
        )
        return [unknown(node, told, path=_WHOLE)]


def _said(rule: Rule, target: Any) -> Iterator[Verdict]:
    said = rule.judge(target)
    if said is None:
        return
    for verdict in (said,) if isinstance(said, Verdict) else said:
        if verdict.answer is not PASS:
            yield _weighed(verdict, rule)


def _said_of_tasks(rule: Rule, owner: Node) -> Iterator[Verdict]:
    for task in training_tasks(owner):
        yield from _said(rule, task)
    unread = unread_body(owner)
    if unread is not None and _may_start_jobs(owner):
        told = f"{unread.path} cannot be read here, so nobody knows which jobs it starts"
        yield _weighed(unknown(owner, told, path=unread.path), rule)


def _may_start_jobs(owner: Node) -> bool:
    """Whether there is reason to think so: what its role may do, and without a role of the app, the app."""
    if owner.type == PIPELINE:
        return True
    role = role_of(owner["RoleArn"])
    if role is None:
        return any(node.type.startswith("AWS::SageMaker::") for node in owner.graph.all_nodes)
    return role.may(*_STARTS_JOBS)


def _weighed(verdict: Verdict, rule: Rule) -> Verdict:
    """Settle what an error of production is on this resource; it may depend on the branch."""
    if (verdict.weight or rule.weight) is not Weight.PRODUCTION_ERROR:
        return verdict
    return replace(verdict, weight=Weight.ERROR if verdict.node.in_production else Weight.WARNING)


def _findings(rule: Rule, verdicts: Iterable[Verdict], options: Options) -> list[Finding]:
    """Return one finding for each aspect that fails on a resource, and one for each path that is open."""
    grouped: dict[tuple[Path, str, str | None], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.answer is UNKNOWN and options.unresolved == "ignore":
            continue
        aspect = verdict.part if verdict.answer is FAIL else f"{UNRESOLVED}{verdict.path or _WHOLE}"
        template = verdict.node.scope.template.path
        grouped.setdefault((template, verdict.node.logical_id, aspect), []).append(verdict)
    return [_finding(rule, aspect, group, options) for (_, _, aspect), group in grouped.items()]


def _finding(rule: Rule, aspect: str | None, group: list[Verdict], options: Options) -> Finding:
    first = group[0]
    heavy = any((verdict.weight or rule.weight) is Weight.ERROR for verdict in group)
    if first.answer is UNKNOWN:
        heavy = options.unresolved == "error"
    return Finding(
        rule=rule.id,
        finding=aspect,
        level=Level.ERROR if heavy else Level.WARNING,
        resource=first.node.logical_id,
        template=first.node.scope.template.name,
        message=_told(group),
        fix=rule.fix,
        references=rule.references,
        path=first.path or None,
        construct_path=first.node.construct_path,
        source=first.node.scope.template.path,
    )


def _told(group: list[Verdict]) -> str:
    """Return what the verdicts say, each once; a mapping of Regions would say the same thirty times."""
    messages = list(dict.fromkeys(verdict.message for verdict in group))
    more = len(messages) - _MOST_TOLD
    return "; ".join([*messages[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])])
