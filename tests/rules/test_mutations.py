"""Taking one property out of our own templates makes exactly the expected rule speak."""

import copy
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules import RULES, Finding
from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from tests.rules.fixtures import steps
from tests.rules.mutations import MUTATIONS, NEEDS, UNREACHABLE, Mutation
from tests.stacks.synthesis import add_scenario, new_app

_HASH = re.compile(r"[0-9A-F]{8}$")
Said = tuple[str, str | None, str, str]


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = new_app(tmp_path_factory.mktemp("mutated"))
    add_scenario(app, "Scenario")
    return dict(json.loads((Path(app.synth().directory) / "Scenario.template.json").read_text()))


def said(body: dict[str, Any]) -> Counter[Said]:
    read = TemplateFile(Path("Scenario.template.json"), "Scenario.template.json", body, "Scenario", {})
    return Counter(as_said(each) for each in judge([read], Options()))


def as_said(finding: Finding) -> Said:
    return (finding.rule, finding.finding, str(finding.level), _HASH.sub("", finding.resource))


def without(body: dict[str, Any], mutation: Mutation) -> dict[str, Any]:
    mutated = copy.deepcopy(body)
    named = [id for id in mutated["Resources"] if _HASH.sub("", id) == mutation.resource]
    assert len(named) == 1, f"{mutation.resource} names {named}"
    *way, last = steps(mutation.path)
    place: Any = mutated["Resources"][named[0]]
    for step in way:
        place = place[step]
    del place[last]
    return mutated


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: f"{each.rule}-{each.resource}.{each.path}")
def test_a_property_taken_away_is_noticed_by_exactly_its_rule(
    body: dict[str, Any], mutation: Mutation
) -> None:
    expected = (f"MLLens-{mutation.rule}", mutation.finding, mutation.level, mutation.on or mutation.resource)
    assert list((said(without(body, mutation)) - said(body)).elements()) == [expected]


def test_a_rule_without_a_mutation_says_why(body: dict[str, Any]) -> None:
    present = {resource["Type"] for resource in body["Resources"].values()}
    mutated = {mutation.rule for mutation in MUTATIONS}
    for rule in RULES:
        needs = NEEDS.get(rule.name, rule.on)
        told = [
            rule.name in mutated,
            rule.name in UNREACHABLE,
            rule.name not in mutated and rule.name not in UNREACHABLE and present.isdisjoint(needs),
        ]
        assert told.count(True) == 1, (
            f"{rule.name} looks at {present & set(needs)}: give it a mutation, or say why not"
        )
