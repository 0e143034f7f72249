"""The function that asks an endpoint about every record of its share of the objects."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import predict_objects
import pytest
from asking import EndpointFailedError
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from prediction_clients import Connections
from record_lines import Answer, joined, split
from shares import Progress, Share

from tests.unit.called import context

ENVIRONMENT = {
    "SOURCE_BUCKET": "source",
    "SOURCE_PREFIX": "batches/",
    "RESULTS_BUCKET": "results",
    "PREDICTIONS": "predictions/demand/",
    "CONTENT_TYPE": "text/csv",
    "ACCEPT": "",
    "BY_LINE": "true",
    "PARALLEL_CALLS": "4",
}
EVENT = {"endpoint": "demand-1", "prefix": "batches/", "request": "0f", "number": 0, "of": 1}


def model_error(status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": "ModelError"}, "OriginalStatusCode": status, "OriginalMessage": "no"},  # type: ignore[typeddict-unknown-key]
        "InvokeEndpoint",
    )


class Cloud:
    """Buckets and an endpoint, in memory."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {f"batches/{name}": content for name, content in objects.items()}
        self.results: dict[str, bytes] = {}
        self.calls: list[dict[str, Any]] = []
        self.errors: dict[bytes, Exception] = {}

    def get_paginator(self, name: str) -> Cloud:
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert Bucket == "source"
        for key in sorted(self.objects):
            if key.startswith(Prefix) and key > StartAfter:
                yield {"Contents": [{"Key": key}]}
        yield {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "source"
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        assert Bucket == "results"
        self.results[Key] = Body

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        if request["Body"] in self.errors:
            raise self.errors[request["Body"]]
        return {"Body": io.BytesIO(b"p" + request["Body"])}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud()
    monkeypatch.setattr(predict_objects, "connect", lambda _: Connections(s3=made, runtime=made))  # type: ignore[arg-type]
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return made


def run(*remaining_ms: int, **changes: Any) -> dict[str, Any]:
    return predict_objects.handler({**EVENT, **changes}, context(*remaining_ms))


@pytest.mark.lens("ODE-01")
def test_every_record_is_answered_in_its_place(cloud: Cloud) -> None:
    cloud.objects = {"batches/a.csv": b"1\n2\r\n\n3", "batches/b.csv": b"4\n", "batches/": b""}
    answer = run()
    assert cloud.results == {
        "predictions/demand/0f/a.csv.out": b"p1\np2\np3\n",
        "predictions/demand/0f/b.csv.out": b"p4\n",
    }
    assert answer | {"objects": 2, "records": 4, "refused": 0, "done": True} == answer
    assert {call["EndpointName"] for call in cloud.calls} == {"demand-1"}
    assert all("Accept" not in call for call in cloud.calls)


def test_a_record_that_the_model_refuses_is_answered_with_the_refusal_and_counted(cloud: Cloud) -> None:
    cloud.objects = {"batches/a.csv": b"1\n2\n"}
    cloud.errors = {b"2": model_error(400)}
    answer = run()
    good, bad = cloud.results["predictions/demand/0f/a.csv.out"].splitlines()
    assert good == b"p1"
    assert json.loads(bad) == {"refused": "no", "status": 400}
    assert (answer["records"], answer["refused"]) == (2, 1)


@pytest.mark.lens("ODE-02")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (model_error(500), "ModelError 500"),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "InvokeEndpoint"), "AccessDenied"),
        (TimeoutError("secret"), "TimeoutError"),
    ],
)
def test_an_endpoint_that_fails_ends_the_run_and_quotes_nothing(
    cloud: Cloud, error: Exception, said: str
) -> None:
    cloud.objects = {"batches/a.csv": b"1\n2\n"}
    cloud.errors = {b"2": error}
    with pytest.raises(EndpointFailedError, match=said) as raised:
        run()
    assert "secret" not in str(raised.value)
    assert cloud.results == {}


def test_one_that_runs_out_of_time_goes_on_where_it_was(cloud: Cloud) -> None:
    cloud.objects = {f"batches/{name}.csv": b"1\n" for name in "abc"}
    first = run(900_000, 10_000)
    assert (first["done"], first["after"], first["objects"]) == (False, "batches/a.csv", 1)
    second = predict_objects.handler(first, context())
    assert (second["done"], second["objects"], second["records"]) == (True, 3, 3)
    assert len(cloud.calls) == 3


def test_objects_that_are_one_record_each_are_sent_whole(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BY_LINE", "false")
    monkeypatch.setenv("ACCEPT", "application/json")
    cloud.objects = {"batches/a.json": b"{\n}"}
    run()
    (call,) = cloud.calls
    assert (call["Body"], call["Accept"]) == (b"{\n}", "application/json")
    assert cloud.results == {"predictions/demand/0f/a.json.out": b"p{ }\n"}


@given(st.text(min_size=1).filter(lambda key: not key.endswith("/")), st.integers(1, 40))
def test_every_object_is_of_exactly_one_share(key: str, shares: int) -> None:
    holders = [
        number for number in range(shares) if Share("e", "", "0f", number, shares, Progress()).holds(key)
    ]
    assert len(holders) == 1


@given(st.lists(st.binary(min_size=1)))
def test_there_are_as_many_lines_of_answers_as_answers(bodies: list[bytes]) -> None:
    answers = [Answer(each) for each in bodies]
    assert joined(answers).count(b"\n") == len(answers)
    lines = [each for each in bodies if each.strip(b"\r\n") and not {10, 13} & set(each)]
    assert split(b"\n".join(lines), by_line=True) == lines
