"""A finding of ``MLLensChecks`` is acknowledged by its id, one by one, and the report keeps who did so and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from constructs import Construct, IConstruct

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.rules.finding import Level
from tests.rules.attached import (
    RULE,
    Judged,
    app_with_topic,
    attach,
    judged,
    new_app,
    refused,
    report,
    told,
    topic,
)

__all__ = ["judged"]

REASON = "The notebook belongs to the platform team, which patches it from within."
either_id = pytest.mark.parametrize("before", ["MLLens::", ""], ids=["with the pack", "bare"])


@either_id
def test_all_errors_acknowledged_let_the_synthesis_pass(
    before: str, judged: Judged, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    judged({"finding": "root"}, {"finding": "imds"})
    app, made = app_with_topic(tmp_path)
    acknowledge(made, f"{before}{RULE}[root]", REASON)
    acknowledge(made, f"{before}{RULE}[imds]", REASON)
    app.synth()
    assert (report(tmp_path)["conclusion"], report(tmp_path)["violations"]) == ("success", [])
    assert capfd.readouterr().err == ""


@either_id
def test_the_report_keeps_what_was_acknowledged_where_and_why(
    before: str, judged: Judged, tmp_path: Path
) -> None:
    judged({"finding": "root"})
    app, made = app_with_topic(tmp_path)
    acknowledge(made, f"{before}{RULE}[root]", REASON)
    app.synth()
    (kept,) = report(tmp_path)["suppressedViolations"]
    assert kept["ruleName"].removeprefix("Annotation::") == f"{RULE}[root]"
    assert kept["acknowledgedId"] == f"{before or 'Annotation::'}{RULE}[root]"
    assert (kept["acknowledgedAt"], kept["reason"]) == ("Stack/Topic", REASON)
    assert (kept["severity"], kept["description"]) == ("error", "RootAccess is Enabled.")


@either_id
def test_one_error_that_stands_ends_the_synthesis(before: str, judged: Judged, tmp_path: Path) -> None:
    judged({"finding": "root"}, {"finding": "imds"})
    app, made = app_with_topic(tmp_path)
    acknowledge(made, f"{before}{RULE}[root]", REASON)
    refused(app)
    assert told(report(tmp_path)["violations"]) == [f"{RULE}[imds] Stack/Topic/Resource"]
    assert len(report(tmp_path)["suppressedViolations"]) == 1


@either_id
def test_an_acknowledged_warning_is_not_told_again(before: str, judged: Judged, tmp_path: Path) -> None:
    judged({"finding": "unresolved:RootAccess", "level": Level.WARNING})
    app, made = app_with_topic(tmp_path)
    acknowledge(made, f"{before}{RULE}[unresolved:RootAccess]", REASON)
    app.synth()
    assert report(tmp_path)["violations"] == []
    assert len(report(tmp_path)["suppressedViolations"]) == 1


@either_id
@pytest.mark.parametrize(
    ("acknowledged", "found"),
    [(RULE, "root"), (f"{RULE}[root]", None), (f"{RULE}[root]", "rootAccess"), (f"{RULE}[*]", "root")],
)
def test_an_acknowledgement_covers_its_own_finding_and_no_other(
    before: str, acknowledged: str, found: str | None, judged: Judged, tmp_path: Path
) -> None:
    judged({"finding": found})
    app, made = app_with_topic(tmp_path)
    acknowledge(made, before + acknowledged, REASON)
    refused(app)
    assert "suppressedViolations" not in report(tmp_path)


@either_id
def test_an_acknowledgement_covers_its_own_construct_and_no_other(
    before: str, judged: Judged, tmp_path: Path
) -> None:
    judged()
    app, made = app_with_topic(tmp_path)
    topic(cdk.Stack.of(made), "TopicOfOthers")
    acknowledge(made, f"{before}{RULE}", REASON)
    refused(app)
    assert told(report(tmp_path)["violations"]) == [f"{RULE} Stack/TopicOfOthers/Resource"]


@either_id
def test_equal_logical_ids_in_a_stack_and_its_nested_stack_are_told_apart(
    before: str, judged: Judged, tmp_path: Path
) -> None:
    judged()
    app = new_app(tmp_path)
    stack = cdk.Stack(app, "Stack")
    outer, inner = topic(stack), topic(cdk.NestedStack(stack, "Nested"))
    assert stack.resolve(outer.node.default_child.logical_id) == stack.resolve(  # type: ignore[union-attr]
        inner.node.default_child.logical_id  # type: ignore[union-attr]
    )
    acknowledge(inner, f"{before}{RULE}", REASON)
    attach(app)
    refused(app)
    assert told(report(tmp_path)["violations"]) == [f"{RULE} Stack/Topic/Resource"]
    assert told(report(tmp_path)["suppressedViolations"])[0].endswith(" Stack/Nested/Topic/Resource")


def the_resource(made: IConstruct) -> IConstruct:
    assert made.node.default_child is not None
    return made.node.default_child


def the_stack(made: IConstruct) -> IConstruct:
    return cdk.Stack.of(made)


def the_construct_around_the_stack(made: IConstruct) -> IConstruct:
    around = cdk.Stack.of(made).node.scope
    assert around is not None
    return around


def the_stage(made: IConstruct) -> IConstruct:
    stage = cdk.Stage.of(made)
    assert stage is not None
    return stage


def the_app(made: IConstruct) -> IConstruct:
    return made.node.root


@either_id
@pytest.mark.parametrize(
    "above", [the_resource, the_stack, the_construct_around_the_stack, the_stage, the_app]
)
def test_an_acknowledgement_holds_for_all_below_it(
    before: str, above: Callable[[IConstruct], IConstruct], judged: Judged, tmp_path: Path
) -> None:
    judged()
    app = new_app(tmp_path)
    made = topic(cdk.Stack(Construct(cdk.Stage(app, "Prod"), "Around"), "Stack"))
    acknowledge(above(made), f"{before}{RULE}", REASON)
    attach(app)
    app.synth()
    (kept,) = report(tmp_path)["suppressedViolations"]
    assert kept.get("acknowledgedAt", "") == above(made).node.path  # the app's is empty


@either_id
def test_a_stage_acknowledges_nothing_for_another(before: str, judged: Judged, tmp_path: Path) -> None:
    judged()
    app = new_app(tmp_path)
    dev, prod = cdk.Stage(app, "Dev"), cdk.Stage(app, "Prod")
    topic(cdk.Stack(dev, "Stack"))
    topic(cdk.Stack(prod, "Stack"))
    acknowledge(dev, f"{before}{RULE}", REASON)
    attach(app)
    refused(app)
    assert told(report(tmp_path)["violations"]) == [f"{RULE} Prod/Stack/Topic/Resource"]


@pytest.mark.parametrize(
    "context",
    [
        {"aws:cdk:enable-path-metadata": True},
        {"aws:cdk:enable-path-metadata": True, "aws:cdk:disable-logicalId-metadata": True},
    ],
    ids=["as the command line asks for", "without logical ids"],
)
def test_a_bare_id_is_found_by_whatever_tells_the_construct(
    context: dict[str, Any], judged: Judged, tmp_path: Path
) -> None:
    judged()
    app = new_app(tmp_path, **context)
    made = topic(cdk.Stack(app, "Stack"))
    acknowledge(made, RULE, REASON)
    attach(app)
    app.synth()
    assert len(report(tmp_path)["suppressedViolations"]) == 1


@either_id
def test_spaces_in_an_id_are_what_the_cdk_makes_of_them(before: str, judged: Judged, tmp_path: Path) -> None:
    judged({"finding": "unresolved:States.Train model"})
    app, made = app_with_topic(tmp_path)
    acknowledge(made, f"{before}{RULE}[unresolved:States.Train model]", REASON)
    app.synth()
    assert len(report(tmp_path)["suppressedViolations"]) == 1


@either_id
@pytest.mark.parametrize(
    ("state", "named"),
    [("Train (GPU)", "Train (GPU)"), ("Train :)", "Train :"), ("[Train", "Train"), ("(Train]", "Train")],
)
def test_brackets_in_an_id_do_not_break_the_synthesis(
    before: str, state: str, named: str, judged: Judged, tmp_path: Path
) -> None:
    judged({"finding": f"unresolved:States.{state}"})
    app, made = app_with_topic(tmp_path)
    acknowledge(made, f"{before}{RULE}[unresolved:States.{named}]", REASON)
    app.synth()
    assert len(report(tmp_path)["suppressedViolations"]) == 1
