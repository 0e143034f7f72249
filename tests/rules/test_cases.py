"""Every rule, on apps that comply, violate, and leave the answer open; in every way of writing them."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from ml_lens.rules import RULES
from ml_lens.rules.templates import read_templates
from tests.rules import cases as folder
from tests.rules.fixtures import (
    GONE,
    PARAMETERS,
    Body,
    Case,
    Change,
    behind_intrinsics,
    changed,
    judged_by,
    rendered,
    said,
    steps,
    template,
    told,
)

NEVER_OPEN = {"GEN-RetiredService": "the type of a resource is always written out"}
CASES: list[Case] = [
    case
    for module in pkgutil.iter_modules(folder.__path__)
    for case in importlib.import_module(f"tests.rules.cases.{module.name}").CASES
]
IDS = [case.id for case in CASES]


def test_every_rule_has_a_compliant_a_violating_and_an_unresolved_app() -> None:
    for rule in RULES:
        violations = [change for case in CASES if case.rule == rule.name for change in case.violations]
        unresolved = [change for case in CASES if case.rule == rule.name for change in case.unresolved]
        assert violations, f"{rule.name} has no violating app"
        assert bool(unresolved) is (rule.name not in NEVER_OPEN), f"{rule.name} has no unresolved app"


def test_every_aspect_of_a_rule_is_violated_somewhere() -> None:
    for rule in RULES:
        found = {change.finding for case in CASES if case.rule == rule.name for change in case.violations}
        assert set(rule.findings) <= found, f"{rule.name} never fails in {set(rule.findings) - found}"


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_compliant_app_is_left_alone(case: Case) -> None:
    assert told(said(case.rule, template(case.compliant), case.options)) == []


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_literal_change_makes_exactly_its_finding(case: Case) -> None:
    for change in case.changes:
        found = said(case.rule, template(changed(case.compliant, change, change.value)), case.options)
        assert told(found) == [change.expected], change


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_change_behind_an_intrinsic_makes_the_same_finding(case: Case) -> None:
    for change in case.changes:
        for name, resources, sections in behind_intrinsics(case, change):
            found = said(case.rule, template(resources, **sections), case.options)
            assert change.expected in told(found), f"behind {name}: {told(found)}"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthesize every case and every change, one stack each, with overrides where a change is."""
    app = cdk.App(
        outdir=str(tmp_path_factory.mktemp("cases")),
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
    )
    for number, case in enumerate(CASES):
        _resources(_stack(app, f"Case{number}"), case)
        for which, change in enumerate(case.changes):
            _override(_resources(_stack(app, f"Case{number}Change{which}"), case), case, change)
    return Path(app.synth().directory)


@pytest.mark.xdist_group("cases")
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_an_override_in_a_cdk_app_makes_exactly_its_finding(case: Case, assembly: Path) -> None:
    number = CASES.index(case)
    assert _synthesized(case, assembly, f"Case{number}") == []
    for which, change in enumerate(case.changes):
        assert _synthesized(case, assembly, f"Case{number}Change{which}") == [change.expected], change


def _synthesized(case: Case, assembly: Path, stack: str) -> list[tuple[str | None, str, str]]:
    read = read_templates([assembly / f"{stack}.template.json"])
    return told(judged_by(case.rule, read, case.options))


def _stack(app: cdk.App, name: str) -> cdk.Stack:
    synthesizer = cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
    stack = cdk.Stack(app, name, synthesizer=synthesizer)
    for parameter, declared in PARAMETERS.items():
        cdk.CfnParameter(stack, parameter, type=declared["Type"], default=declared.get("Default"))
    return stack


def _resources(stack: cdk.Stack, case: Case) -> dict[str, cdk.CfnResource]:
    made = {}
    for logical_id, body in case.compliant.items():
        resource = cdk.CfnResource(
            stack, logical_id, type=body["Type"], properties=rendered(body.get("Properties", {}))
        )
        resource.override_logical_id(logical_id)
        for name in set(body) - {"Type", "Properties"}:
            resource.add_override(name, rendered(body[name]))
        made[logical_id] = resource
    return made


def _override(made: dict[str, cdk.CfnResource], case: Case, change: Change) -> None:
    resource = made[change.resource]
    if not change.path:
        resource.node.scope.node.try_remove_child(resource.node.id)
        return
    before = case.compliant[change.resource]
    after = changed(case.compliant, change, change.value)[change.resource]
    way: list[str] = []
    for step in steps(change.path):
        way.append(str(step))
        before, after = _member(before, step), _member(after, step)
        if isinstance(before, Body | list) or isinstance(after, Body | list):
            break
    if after is GONE:
        resource.add_deletion_override(".".join(way))
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for removed in set(before) - set(after):
            resource.add_deletion_override(".".join([*way, removed]))
    resource.add_override(".".join(way), rendered(after))


def _member(whole: Any, step: Any) -> Any:
    try:
        return whole[step]
    except (KeyError, TypeError):
        return GONE
