"""Whether a candidate passes the probes, before anybody else asks it."""

from __future__ import annotations

import contextlib
import io
import json
from types import SimpleNamespace
from typing import Any

import boto3
import probing
import pytest
import rollout_probe
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

LIMITS = probing.Limits(latency_ms=200, least_accuracy=0.5, accuracy_loss=0.05)
PROBE = probing.Probe(body={"instances": [{}, {}]}, expected=[1, 0])


def answer(*chances: float, seconds: float = 0.01, failure: str = "") -> Any:
    said = {"predictions": [{"probability": chance} for chance in chances]}
    return probing.Answer(probe=PROBE, seconds=seconds, said=said, failure=failure)


RIGHT, HALF, WRONG = answer(0.9, 0.1), answer(0.9, 0.9), answer(0.1, 0.9)


@pytest.mark.lens("F8-03", "F8-04", "F12-11")
@pytest.mark.parametrize(
    ("tested", "live", "reason"),
    [
        ([RIGHT, answer(0.9, 0.1, failure="no")], [], "1 of 2 probes fail: no"),
        ([answer(0.9, 0.1, seconds=0.3)], [], "answers are late: 300 ms"),
        ([WRONG], [], "accuracy is 0.000, at least 0.500"),
        ([HALF], [RIGHT], "accuracy is 0.500, and that of the live version 1.000"),
        ([answer(0.9)], [], "probes fail: 1 predictions for 2 instances"),
        (
            [probing.Answer(probe=PROBE, seconds=0, said={"score": 1})],
            [],
            "probes fail: the answer has no predictions",
        ),
    ],
)
def test_a_version_that_is_worse_fails_the_probes_with_the_reason(
    tested: Any, live: Any, reason: str
) -> None:
    found = probing.verdict(tested, live, LIMITS)
    assert not found.passed
    assert found.reason.startswith(reason)


def test_a_version_that_is_as_good_passes_even_where_the_live_one_fails() -> None:
    assert probing.verdict([RIGHT], [RIGHT], LIMITS).passed
    assert probing.verdict([HALF], [answer(0.9, 0.1, failure="gone")], LIMITS).passed


@pytest.mark.parametrize("text", ["", "{}", '{"body": {}, "expected": ["one"]}', "not json"])
def test_a_file_that_holds_no_probes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="probes"):
        probing.read_probes(text)


@given(st.text())
def test_any_text_is_probes_or_refused(text: str) -> None:
    read: Any = []
    with contextlib.suppress(ValueError):
        read = probing.read_probes(text)
    assert all(isinstance(each, probing.Probe) for each in read)


chances = st.lists(st.floats(0, 1), min_size=2, max_size=2)


@given(st.lists(st.tuples(chances, st.floats(0, 1)), min_size=1, max_size=20))
def test_a_version_passes_against_itself_if_it_is_in_time_and_right_often_enough(given_answers: Any) -> None:
    answers = [answer(*both, seconds=seconds) for both, seconds in given_answers]
    found = probing.verdict(answers, answers, LIMITS)
    assert found.accuracy == found.live_accuracy
    assert found.passed == (found.latency_ms <= 200 and found.accuracy >= 0.5)


CONTEXT: Any = SimpleNamespace(
    function_name="rollout_probe",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:rollout_probe",
    aws_request_id="request",
)


def body(content: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(content), len(content))


class Endpoint:
    """The clients of the function, with answers of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "PROBES_BUCKET": "probes",
            "PROBES_KEY": "churn.jsonl",
            "LATENCY_MS": "20000",
            "LEAST_ACCURACY": "0.5",
            "ACCURACY_LOSS": "0",
        }.items():
            monkeypatch.setenv(name, value)
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        s3: Any = boto3.client("s3", **keys)  # type: ignore[call-overload]
        runtime: Any = boto3.client("sagemaker-runtime", **keys)  # type: ignore[call-overload]
        self.s3, self.runtime = Stubber(s3), Stubber(runtime)
        self.s3.add_response(
            "get_object",
            {"Body": body(json.dumps({"body": PROBE.body, "expected": PROBE.expected}).encode())},
            {"Bucket": "probes", "Key": "churn.jsonl"},
        )
        self.s3.activate()
        self.runtime.activate()
        monkeypatch.setattr(rollout_probe, "_s3", s3)
        monkeypatch.setattr(rollout_probe, "_runtime", runtime)

    def asked(self, variant: str) -> dict[str, Any]:
        return {
            "EndpointName": "churn",
            "TargetVariant": variant,
            "ContentType": "application/json",
            "Accept": "application/json",
            "Body": json.dumps(PROBE.body),
        }

    def answers(self, variant: str, *chances: float) -> None:
        said = json.dumps({"predictions": [{"probability": chance} for chance in chances]}).encode()
        self.runtime.add_response("invoke_endpoint", {"Body": body(said)}, self.asked(variant))


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(monkeypatch)


@pytest.mark.lens("F8-02")
def test_candidate_and_live_version_are_asked_the_same_by_their_names(endpoint: Endpoint) -> None:
    endpoint.answers("Candidate-1", 0.9, 0.1)
    endpoint.answers("AllTraffic", 0.9, 0.9)
    found = rollout_probe.handler(
        {"endpoint": "churn", "variant": "Candidate-1", "live": "AllTraffic"}, CONTEXT
    )
    endpoint.runtime.assert_no_pending_responses()
    assert (found["passed"], found["accuracy"], found["live_accuracy"]) == (True, 1.0, 0.5)


@pytest.mark.lens("CHG-18")
def test_what_is_live_is_asked_alone(endpoint: Endpoint) -> None:
    endpoint.answers("AllTraffic", 0.9, 0.9)
    assert rollout_probe.handler({"endpoint": "churn", "variant": "AllTraffic"}, CONTEXT)["passed"]
    endpoint.runtime.assert_no_pending_responses()


@pytest.mark.lens("F8-03")
def test_an_endpoint_that_refuses_fails_the_probes_and_not_the_function(endpoint: Endpoint) -> None:
    endpoint.runtime.add_client_error("invoke_endpoint", "ModelError", "no such column")
    found = rollout_probe.handler({"endpoint": "churn", "variant": "AllTraffic"}, CONTEXT)
    assert not found["passed"]
    assert "no such column" in found["reason"]
