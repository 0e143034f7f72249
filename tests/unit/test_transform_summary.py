"""What a transform job read and wrote is counted, and recorded."""

from __future__ import annotations

import json
from typing import Any

import counting
import pytest
import transform_summary
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st
from places import Places, UnreadableManifestError

from tests.unit.called import body, client, context

ENVIRONMENT = {
    "SOURCE_BUCKET": "source",
    "RESULTS_BUCKET": "results",
    "PREDICTIONS": "predictions/churn/",
    "RUNS": "runs/churn/",
    "BY_LINE": "true",
    "MODEL_VERSION": "2.1.0",
}
EVENT = {
    "job": "churn-0f-0",
    "run": "arn:run",
    "started": "2026-11-27T02:00:00Z",
    "prefix": "batches/",
    "manifest": "",
    "request": "0f",
}
PLACES = Places("source", "results", "predictions/churn/", "runs/churn/", True, "2.1.0")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    made, stub = client("s3")
    monkeypatch.setattr(transform_summary, "_connect", lambda: made)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return stub


def lists(s3: Stubber, bucket: str, prefix: str, *keys: str) -> None:
    s3.add_response(
        "list_objects_v2", {"Contents": [{"Key": key} for key in keys]}, {"Bucket": bucket, "Prefix": prefix}
    )


def holds(s3: Stubber, bucket: str, key: str, content: bytes) -> None:
    s3.add_response(
        "get_object",
        {"Body": body(content), "ContentLength": len(content)},
        {"Bucket": bucket, "Key": key},
    )


def keeps(s3: Stubber) -> None:
    s3.add_response(
        "put_object",
        {},
        {"Bucket": "results", "Key": "runs/churn/0f.json", "Body": ANY, "ContentType": "application/json"},
    )


def run(s3: Stubber, *remaining_ms: int, **changes: str) -> dict[str, Any]:
    answer = transform_summary.handler({**EVENT, **changes}, context(*remaining_ms))
    s3.assert_no_pending_responses()
    return answer


@pytest.mark.lens("BTR-01")
def test_a_run_tells_where_its_results_are_and_how_many(s3: Stubber) -> None:
    lists(s3, "source", "batches/", "batches/", "batches/a.csv", "batches/b.csv")
    holds(s3, "source", "batches/a.csv", b"1\n2\n")
    holds(s3, "source", "batches/b.csv", b"3")
    lists(s3, "results", "predictions/churn/0f/", "predictions/churn/0f/a.csv.out")
    holds(s3, "results", "predictions/churn/0f/a.csv.out", b"0.1\n0.2\n0.3\n")
    keeps(s3)
    summary = run(s3)
    assert summary["results"] == "s3://results/predictions/churn/0f/"
    assert summary["record"] == "s3://results/runs/churn/0f.json"
    assert summary["model_version"] == "2.1.0"
    assert summary["objects"] == {"input": 2, "results": 1}
    assert summary["bytes"] == {"input": 5, "results": 12}
    assert summary["records"] == {"input": 3, "results": 3}


@pytest.mark.parametrize(
    ("answers", "complete"), [(b"0.1\n0.2\n", True), (b"0.1\n", False), (b"", False), (b"a\nb\nc\n", True)]
)
def test_a_run_with_fewer_answers_than_records_is_not_complete(
    s3: Stubber, answers: bytes, complete: bool
) -> None:
    lists(s3, "source", "batches/", "batches/a.csv")
    holds(s3, "source", "batches/a.csv", b"1\n2\n")
    lists(s3, "results", "predictions/churn/0f/", "predictions/churn/0f/a.csv.out")
    holds(s3, "results", "predictions/churn/0f/a.csv.out", answers)
    keeps(s3)
    assert run(s3)["complete"] is complete


def test_a_manifest_says_what_was_read(s3: Stubber) -> None:
    manifest = json.dumps([{"prefix": "s3://source/batches/"}, "b.csv"]).encode()
    holds(s3, "source", "manifests/today.json", manifest)
    holds(s3, "source", "batches/b.csv", b"3\n")
    lists(s3, "results", "predictions/churn/0f/", "predictions/churn/0f/b.csv.out")
    holds(s3, "results", "predictions/churn/0f/b.csv.out", b"0.3\n")
    keeps(s3)
    assert run(s3, manifest="manifests/today.json")["records"] == {"input": 1, "results": 1}


def test_out_of_time_it_tells_no_counts_rather_than_wrong_ones(s3: Stubber) -> None:
    lists(s3, "source", "batches/", "batches/a.csv")
    holds(s3, "source", "batches/a.csv", b"1\n2\n")
    lists(s3, "results", "predictions/churn/0f/", "predictions/churn/0f/a.csv.out")
    holds(s3, "results", "predictions/churn/0f/a.csv.out", b"0.1\n")
    keeps(s3)
    summary = run(s3, 10_000)
    assert summary["records"] == {"input": None, "results": None}
    assert summary["complete"] is None


def test_objects_without_results_are_not_complete_whatever_the_time(s3: Stubber) -> None:
    lists(s3, "source", "batches/", "batches/a.csv")
    holds(s3, "source", "batches/a.csv", b"1\n")
    lists(s3, "results", "predictions/churn/0f/")
    keeps(s3)
    assert run(s3, 10_000)["complete"] is False


def test_objects_that_are_one_record_each_are_not_taken_apart(
    s3: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BY_LINE", "false")
    lists(s3, "source", "batches/", "batches/a.json")
    holds(s3, "source", "batches/a.json", b"{\n\n}\n")
    lists(s3, "results", "predictions/churn/0f/", "predictions/churn/0f/a.json.out")
    holds(s3, "results", "predictions/churn/0f/a.json.out", b"{}")
    keeps(s3)
    assert run(s3)["records"] == {"input": 1, "results": 1}


@pytest.mark.parametrize(
    ("manifest", "cause"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "no list"),
        (b"[]", "no list"),
        (b'["a.csv"]', "no list"),
        (b'[{"prefix": 7}]', "something else"),
        (b'[{"prefix": "s3://source/"}, 7]', "something else"),
        (b'[{"prefix": "s3://others/"}, "a.csv"]', "another bucket"),
    ],
)
def test_what_is_no_manifest_of_this_bucket_is_refused(manifest: bytes, cause: str) -> None:
    with pytest.raises(UnreadableManifestError, match=cause):
        PLACES.named_in(manifest)


@given(st.binary().map(lambda text: text.replace(b"\r", b"")), st.lists(st.integers(0, 40)))
def test_lines_are_the_same_however_the_text_is_cut(text: bytes, cuts: list[int]) -> None:
    places = sorted(min(cut, len(text)) for cut in cuts)
    chunks = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert counting.lines(chunks) == sum(bool(line) for line in text.split(b"\n"))


def test_a_line_may_end_as_on_windows() -> None:
    assert counting.lines([b"1\r\n\r\n2\r", b"\n"]) == 2
