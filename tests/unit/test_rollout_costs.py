"""What the rollout's scenario costs is computed from the templates of today."""

import pytest

from docs.rollout_costs import per_million, tables
from docs.scenario_graph import ROOT
from docs.serving_costs import Design

README = ROOT / "stacks" / "model_rollout" / "README.md"
DESIGN = Design(
    instances=2,
    instance_type="ml.m5.large",
    interface_endpoints=14,
    keys=9,
    alarmed_metrics=20,
    dashboards=1,
    memory_gib=0.25,
)


def test_the_costs_are_those_of_today() -> None:
    page = README.read_text("utf-8")
    for table in tables():
        assert table in page, "the costs have changed: put in what python -m docs.rollout_costs prints"


def test_outcomes_cost_by_the_call_and_not_by_the_customer() -> None:
    small, large = (per_million(DESIGN, customers) for customers in (1, 100))
    assert small["Outcomes: DynamoDB"] == pytest.approx(2.50)
    assert large["Outcomes: DynamoDB"] == pytest.approx(0.025)
    assert all(large[name] < small[name] for name in small)
