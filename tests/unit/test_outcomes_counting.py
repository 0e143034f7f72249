"""Outcomes are counted once each, for the variant that made the prediction, or rejected with a reason."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.outcomes_in_memory import ENDPOINT, Function, Table, cancelled, function, outcome, refused

__all__ = ["function"]


@pytest.mark.lens("AB-05", "AB-08", "CHG-15")
def test_an_outcome_counts_for_the_variant_that_made_the_prediction(function: Function) -> None:
    function.table.predict("i-1", "A")
    function.table.predict("i-2", "B")
    function.table.predict("i-3", "B")
    assert function.handle(outcome("i-1", 1), outcome("i-2", 0), outcome("i-3", 2.5)) == []
    assert function.table.summary("A") == (1, 1, 1)
    assert function.table.summary("B") == (2, Decimal("2.5"), Decimal("6.25"))
    assert function.table.rejections() == []


def test_a_prediction_that_was_not_recorded_counts_when_its_variant_is_named(function: Function) -> None:
    assert function.handle(outcome(variant="A")) == []
    assert function.table.summary("A") == (1, 1, 1)


@pytest.mark.lens("AB-05")
def test_a_message_delivered_twice_counts_once(function: Function) -> None:
    function.table.predict("i-1", "A")
    assert function.handle(outcome(), outcome()) == []
    assert function.handle(outcome()) == []
    assert function.table.summary("A") == (1, 1, 1)
    assert function.table.rejections() == []


def test_what_is_counted_is_kept_as_long_as_it_can_be_delivered_again(function: Function) -> None:
    function.table.predict("i-1", "A")
    function.table.items[f"inference#{ENDPOINT}#i-1", "-"]["expires"] = {"N": "1"}
    function.handle(outcome())
    assert int(function.table.items[f"inference#{ENDPOINT}#i-1", "-"]["expires"]["N"]) > 1_700_000_000


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (outcome(value=0), "contradiction"),
        (outcome(variant="B"), "other_variant"),
        (outcome("i-9"), "unknown_prediction"),
    ],
)
def test_what_cannot_be_true_is_kept_with_its_reason_and_not_counted(
    function: Function, second: dict[str, object], reason: str
) -> None:
    function.table.predict("i-1", "A")
    assert function.handle(outcome(), second) == []
    assert function.table.summary("A") == (1, 1, 1)
    assert function.table.summary("B") == (0, 0, 0)
    ((pk, kept, _),) = function.table.rejections()
    assert (pk, kept) == (f"rejected#{ENDPOINT}", reason)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is no JSON object"),
        (outcome(endpoint="two words"), "endpoint is missing or malformed"),
        (outcome(endpoint=None), "endpoint is missing or malformed"),
        (outcome(inference_id="x" * 65), "inference_id is missing or malformed"),
        (outcome(inference_id=7), "inference_id is missing or malformed"),
        (outcome(variant="A#1"), "variant is missing or malformed"),
        (outcome(value=True), "value is no number"),
        (outcome(value="1"), "value is no number"),
        (outcome(value=None), "value is no number"),
        (json.dumps(outcome(value=0)).replace('"value": 0', '"value": 1e999'), "value is no number"),
        (json.dumps(outcome(value=0)).replace('"value": 0', '"value": NaN'), "is not JSON"),
        (outcome(value=1_000_001), "value is beyond 1000000"),
        (outcome(at="yesterday"), "at is no time as ISO 8601 writes it"),
        (outcome(at="2026-11-20T12:00:00"), "at has no time zone"),
    ],
)
def test_a_message_that_is_no_outcome_is_kept_with_its_reason(
    function: Function, body: object, wrong: str
) -> None:
    assert function.handle(body, outcome(variant="A")) == []
    ((_, reason, detail),) = function.table.rejections()
    assert (reason, detail) == ("not_an_outcome", wrong)
    assert function.table.summary("A") == (1, 1, 1)


def test_a_rejected_message_leaves_nothing_of_what_it_said(function: Function) -> None:
    function.handle(outcome(value="4111-1111", inference_id="i-7"))
    (item,) = function.table.items.values()
    assert set(item) == {"pk", "sk", "reason", "detail", "at", "expires"}
    assert "4111" not in json.dumps(item)
    assert "i-7" not in json.dumps(item)


def test_only_the_message_that_failed_comes_again(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    function.table.predict("i-1", "A")
    asked: list[int] = []

    def fail_the_second_time() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise refused("AccessDeniedException")

    function.table.before = fail_the_second_time
    given_ones = (outcome(), outcome("i-2", variant="A"), "{", outcome("i-3", variant="A"))
    assert function.handle(*given_ones) == ["1"]
    assert function.table.summary("A") == (2, 2, 2)
    (failed,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (failed.message_id, failed.cause) == ("1", "AccessDeniedException")  # type: ignore[attr-defined]
    assert "secret" not in str(vars(failed))


def test_functions_that_meet_at_a_sum_try_again(function: Function) -> None:
    conflicts = [cancelled("None", "TransactionConflict"), refused("TransactionConflictException")]

    def conflict() -> None:
        if conflicts:
            raise conflicts.pop()

    function.table.before = conflict
    assert function.handle(outcome(variant="A")) == []
    assert function.table.summary("A") == (1, 1, 1)


def test_who_meets_others_every_time_is_delivered_again(function: Function) -> None:
    def conflict() -> None:
        raise cancelled("None", "TransactionConflict")

    function.table.before = conflict
    assert function.handle(outcome(variant="A")) == ["0"]
    assert function.table.summary("A") == (0, 0, 0)


def test_a_transaction_that_is_throttled_is_delivered_again_at_once(function: Function) -> None:
    asked: list[int] = []

    def throttle() -> None:
        asked.append(1)
        raise cancelled("None", "ThrottlingError")

    function.table.before = throttle
    assert function.handle(outcome(variant="A")) == ["0"]
    assert len(asked) == 1


def test_the_same_message_in_two_functions_counts_once(function: Function) -> None:
    def other_function() -> None:
        function.table.before = lambda: None
        assert function.handle(outcome(variant="A")) == []

    function.table.before = other_function
    assert function.handle(outcome(variant="A")) == []
    assert function.table.summary("A") == (1, 1, 1)


def test_messages_for_which_no_time_is_left_come_again(function: Function) -> None:
    function.seconds_left = 5.0
    assert function.handle(outcome(variant="A"), outcome("i-2", variant="A")) == ["0", "1"]
    assert function.table.items == {}


@pytest.mark.lens("AB-05")
def test_the_outcome_is_a_metric_of_its_endpoint_and_variant(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.handle(outcome(variant="A", value=2.5), outcome(variant="A", value=2.5), "{")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    (published,) = [line for line in lines if "Outcome" in line]
    assert (published["Outcome"], published["Endpoint"], published["Variant"]) == ([2.5], ENDPOINT, "A")
    assert published["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "MLLens"
    (batch,) = [line for line in lines if "OutcomesCounted" in line]
    counts = {name: batch[f"Outcomes{name}"] for name in ("Counted", "Repeated", "Rejected", "Failed")}
    assert counts == {"Counted": [1.0], "Repeated": [1.0], "Rejected": [1.0], "Failed": [0.0]}


OUTCOMES = st.tuples(
    st.sampled_from([f"i-{number}" for number in range(6)]),
    st.sampled_from([0, 1, 0.1, -3]),
    st.sampled_from([None, "A", "B"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(messages=st.lists(OUTCOMES, max_size=30))
def test_sums_are_those_of_the_outcomes_that_are_kept(
    function: Function, messages: list[tuple[str, float, str | None]]
) -> None:
    table = function.table = Table()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("record_outcomes._dynamodb", lambda: table)
        table.predict("i-0", "A")
        table.predict("i-1", "B")
        bodies = [
            outcome(id, value, **({} if variant is None else {"variant": variant}))
            for id, value, variant in messages
        ]
        assert function.handle(*bodies) == []
    kept = [item for item in table.items.values() if "outcome" in item]
    for variant in "AB":
        values = [Decimal(item["outcome"]["N"]) for item in kept if item["variant"]["S"] == variant]
        assert table.summary(variant) == (
            len(values),
            sum(values, Decimal(0)),
            sum((value * value for value in values), Decimal(0)),
        )
    told = Counter(id for id, _, variant in messages if variant or id in ("i-0", "i-1"))
    assert len(kept) <= len(told)
