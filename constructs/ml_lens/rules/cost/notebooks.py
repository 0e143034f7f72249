"""Rules on notebooks and applications that nobody uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.bodies import document, script
from ml_lens.rules.networks import DOMAIN, NOTEBOOK
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.verdicts import (
    FAIL,
    PASS,
    Verdict,
    any_of,
    fails,
    must_be_at_most,
    must_equal,
    passes,
    unknown,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node
    from ml_lens.rules.values import Value

LIFECYCLE = "AWS::SageMaker::NotebookInstanceLifecycleConfig"
SCHEDULE = "AWS::Scheduler::Schedule"
_OTHER = "another notebook"
_STOPS = "aws-sdk:sagemaker:stopnotebookinstance"
_APPLICATIONS = {"JupyterLab": "JupyterLabAppSettings", "CodeEditor": "CodeEditorAppSettings"}


@rule(
    "COST02-NotebookAutoStop",
    number=60,
    weight=ERROR,
    on=(NOTEBOOK, DOMAIN),
    title="Notebooks and Studio applications stop when nobody uses them.",
    why="A forgotten notebook is paid for by the hour, for weeks.",
    fix=(
        "Attach a lifecycle configuration whose OnStart script stops the idle notebook, or a schedule that calls "
        "stopNotebookInstance; in a domain, turn on idle shutdown for JupyterLab and Code Editor."
    ),
    cloudformation="""
Type: AWS::SageMaker::Domain
Properties:
  DefaultUserSettings:
    JupyterLabAppSettings:
      AppLifecycleManagement:
        IdleSettings: {LifecycleManagement: ENABLED, IdleTimeoutInMinutes: 60}
    CodeEditorAppSettings:
      AppLifecycleManagement:
        IdleSettings: {LifecycleManagement: ENABLED, IdleTimeoutInMinutes: 60}
""",
    lens2020="MLCOST 02",
    lens2025=("MLCOST04-BP08", "MLSUS03-BP01"),
    settled=(
        "A script is known by a word in it, autostop or stop-notebook-instance by default: a sign, not a proof.",
        "Only the script that runs at each start counts, not the one that runs once when the notebook is made.",
        "A schedule counts for the notebook that its input names, if it is on and goes off more than once.",
        "A schedule that starts a function or a workflow, which then stops notebooks, is not recognized.",
        "Code Editor and JupyterLab are both asked for, unless the domain hides the application from its users.",
    ),
)
def idle_notebook_stops(node: Node) -> Iterator[Verdict]:
    """Look for a script, a schedule, or the idle settings of a domain."""
    if node.type == NOTEBOOK:
        yield any_of(_by_script(node), *_by_schedule(node))
    else:
        yield from _by_idle_settings(node["DefaultUserSettings"])


def _by_idle_settings(settings: Value) -> Iterator[Verdict]:
    hidden = settings["StudioWebPortalSettings"]["HiddenAppTypes"]
    names = {each.literal for each in hidden.elements}
    maybe = [each for each in hidden.elements if each.is_open]
    for application, name in _APPLICATIONS.items():
        if application in names:
            continue
        idle = settings[name]["AppLifecycleManagement"]["IdleSettings"]
        for verdict in (
            must_equal(idle["LifecycleManagement"], "ENABLED"),
            must_be_at_most(idle["IdleTimeoutInMinutes"], settings.node.options.max_idle_minutes),
        ):
            if verdict.answer is FAIL and maybe:
                told = f"{hidden.path} is {hidden.shown}; unless it hides {application}, {verdict.message}"
                yield unknown(settings.node, told, path=hidden.path)
            else:
                yield verdict


def _by_script(notebook: Node) -> Verdict:
    named = notebook["LifecycleConfigName"]
    if not named:
        told = f"{named.path} is missing, and no schedule stops the notebook"
        return fails(notebook, told, path=named.path)
    configuration = notebook.graph.target(named, LIFECYCLE)
    if configuration is None:
        told = f"{named.path} is {named.shown}, whose script is not part of the app"
        return unknown(notebook, told, path=named.path)
    contents = [hook["Content"] for hook in configuration["OnStart"].elements]
    unread: Value | None = None
    for content in contents:
        text = script(content)
        if text is None:
            unread = content if content else unread
        elif any(marker.lower() in text.lower() for marker in notebook.options.auto_stop_markers):
            return passes(notebook)
    if unread is not None:
        told = f"{unread.path} cannot be read here; nobody knows whether it stops {notebook.logical_id} when it is idle"
        return unknown(configuration, told, path=unread.path)
    told = f"the OnStart script of {named.shown} does not stop an idle notebook, and no schedule does"
    return fails(notebook, told, path=named.path)


def _by_schedule(notebook: Node) -> list[Verdict]:
    """Return what is known of the schedules that stop this notebook, and of those that may."""
    schedules = notebook.graph.once("stopped notebooks", lambda: _stopped(notebook.graph))
    name = notebook["NotebookInstanceName"]
    keys = {notebook.key, name.identity if name else None}
    found = [verdict for key in keys if key is not None for verdict in schedules.get(key, [])]
    if name.is_open and any(verdict.answer is not FAIL for verdict in schedules.get(_OTHER, [])):
        told = f"{name.path} is {name.shown}, which may be the notebook that a schedule stops"
        found.append(unknown(notebook, told, path=name.path))
    return [verdict for verdict in (*found, *schedules.get(None, [])) if verdict.answer is not FAIL]


def _stopped(graph: Graph) -> dict[object, list[Verdict]]:
    """Return the verdict on each schedule by the notebook that it stops, and under ``None`` those that may stop any."""
    stopped: dict[object, list[Verdict]] = {}
    names = {notebook["NotebookInstanceName"].identity for notebook in graph.nodes(NOTEBOOK)}
    for schedule in graph.nodes(SCHEDULE):
        target = schedule["Target"]
        if not (target["Arn"].text or "").lower().endswith(_STOPS):
            continue
        verdict = _goes_off(schedule)
        request = document(target["Input"])
        name = target["Input"] if request is None else request["NotebookInstanceName"]
        key = name.identity if name.reference is None else name.reference.key
        if request is not None and key is not None:
            stopped.setdefault(key, []).append(verdict)
            if name.is_literal and key not in names:
                stopped.setdefault(_OTHER, []).append(verdict)
        is_open = name.is_open and name.reference is None and key not in names - {None}
        if is_open and verdict.answer is not FAIL:
            told = f"{name.path} is {name.shown}, which may name the notebook that the schedule stops"
            stopped.setdefault(None, []).append(unknown(schedule, told, path=name.path))
    return stopped


def _goes_off(schedule: Node) -> Verdict:
    """Judge whether a schedule is on, and goes off more than once."""
    if str(schedule["ScheduleExpression"].literal).startswith("at("):
        return fails(schedule, "ScheduleExpression goes off only once", path="ScheduleExpression")
    return must_equal(schedule["State"], "ENABLED", when_absent=PASS)


RULES = (idle_notebook_stops,)
