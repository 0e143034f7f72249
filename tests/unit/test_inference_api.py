"""A call of the API, from what the gateway hands over to what the caller is told."""

from __future__ import annotations

import base64
import json
import uuid
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.stub import ANY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.inference_api_calls import (
    CUSTOMER,
    ENDPOINT,
    REQUEST_ID,
    Api,
    api,
    customers,
    predictions,
)

__all__ = ["api"]
URL = "https://runtime.sagemaker.eu-west-1.amazonaws.com"


def calls(api: Api, member: str) -> list[object]:
    """Note a member of each request to the endpoint."""
    found: list[object] = []
    call = api.runtime.client.invoke_endpoint

    def invoke_endpoint(**request: Any) -> Any:
        found.append(request.get(member))
        return call(**request)

    api.runtime.client.invoke_endpoint = invoke_endpoint
    return found


@pytest.mark.lens("F14-05", "F14-06", "F14-07", "F14-09", "HST-06", "HST-07", "HST-08")
def test_an_answer_tells_predictions_version_variant_and_id(api: Api) -> None:
    api.answers(predictions(2), variant="B")
    status, body, headers = api.post(customers(2))
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert uuid.UUID(body.pop("inference_id")).version == 4
    assert body == {
        "predictions": [{"probability": 0.12}] * 2,
        "model_version": "1.0.0",
        "variant": "B",
    }


@pytest.mark.lens("F14-05", "HST-08")
def test_the_endpoint_is_asked_what_was_checked_under_the_id_that_is_told(api: Api) -> None:
    api.answers(
        predictions(),
        asked={
            "EndpointName": ENDPOINT,
            "ContentType": "application/json",
            "Accept": "application/json",
            "InferenceId": ANY,
            "Body": json.dumps(customers(), separators=(",", ":")).encode(),
        },
    )
    ids = calls(api, "InferenceId")
    _, body, _ = api.post(json.dumps(customers(), indent=2))
    assert ids == [body["inference_id"]]


@pytest.mark.lens("HST-07", "HST-08")
@pytest.mark.parametrize(
    ("variant", "version"), [("AllTraffic", "0.9.0"), ("B", "0.9.1"), ("Candidate-0a1b2c3d", "unknown")]
)
def test_a_version_that_the_model_does_not_say_is_that_of_its_variant(
    api: Api, variant: str, version: str
) -> None:
    api.answers([1], variant=variant)
    _, body, _ = api.post(customers())
    assert (body["variant"], body["model_version"]) == (variant, version)


@pytest.mark.lens("HST-07", "F14-09")
@pytest.mark.parametrize(
    ("answer", "attributes", "version"),
    [
        ({"predictions": [1], "model_version": "2.0.0"}, "model_version=3", "2.0.0"),
        ({"predictions": [1]}, "trace=1, model_version=3.1", "3.1"),
        ([1], "", "0.9.0"),
        ({"predictions": [1], "model_version": None}, "model_version=", "0.9.0"),
    ],
)
def test_the_version_is_the_models_own_before_that_of_the_template(
    api: Api, answer: object, attributes: str, version: str
) -> None:
    api.answers(answer, **({"CustomAttributes": attributes} if attributes else {}))
    _, body, _ = api.post(customers())
    assert body["model_version"] == version
    assert body["predictions"] == [1]


@pytest.mark.lens("F14-10")
@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"monthly_charge": "dear"}, "/instances/0/monthly_charge", "is not of type number"),
        ({"tenure_months": -1}, "/instances/0/tenure_months", "is less than 0"),
        ({"contract": "for-ever"}, "/instances/0/contract", "is none of 'month-to-month'"),
        ({"a/b~c": 1}, "/instances/0/a~1b~0c", "is not known"),
    ],
)
def test_a_wrong_field_is_named_by_its_pointer_and_its_value_is_not_repeated(
    api: Api, changes: dict[str, object], pointer: str, said: str
) -> None:
    problem = api.problem(400, customers(**changes))
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert said in error["detail"]
    assert pointer in problem["detail"]
    assert "for-ever" not in json.dumps(problem)
    assert "dear" not in json.dumps(problem)


def test_a_missing_field_is_named(api: Api) -> None:
    customer = {name: value for name, value in CUSTOMER.items() if name != "payment"}
    problem = api.problem(400, {"instances": [CUSTOMER, customer]})
    assert problem["errors"][0]["pointer"] == "/instances/1/payment"
    assert api.problem(400, {"instances": []})["errors"][0]["pointer"] == "/instances"
    assert api.problem(400, [])["errors"][0]["pointer"] == ""


@pytest.mark.parametrize(
    "body",
    ["", " ", None, "{", "nonsense", "NaN", '{"instances": [1e999]}', "1" * 5000, "[" * 19_000, "\udcff"],
    ids=str,
)
def test_a_body_that_is_no_json_is_a_bad_request(api: Api, body: str | None) -> None:
    problem = api.problem(400, body)
    assert problem["detail"] in ("The body is empty.", "The body is not JSON.")
    assert api.retry_after is None


def test_an_encoded_body_is_read_and_nonsense_is_not(api: Api) -> None:
    encoded = base64.b64encode(json.dumps(customers()).encode()).decode()
    api.answers(predictions())
    assert api.post(encoded, isBase64Encoded=True)[0] == 200
    api.problem(400, "%%%", isBase64Encoded=True)


@pytest.mark.parametrize("kind", ["text/csv", "application/xml", "", "application/jsonlines"])
def test_what_is_not_called_json_is_an_unsupported_media_type(api: Api, kind: str) -> None:
    api.problem(415, customers(), headers={"content-TYPE": kind})


@pytest.mark.parametrize("headers", [None, {}, {"CONTENT-TYPE": "Application/JSON; charset=utf-8"}])
def test_json_may_be_called_so_in_any_way(api: Api, headers: dict[str, str] | None) -> None:
    api.answers(predictions())
    assert api.post(customers(), headers=headers)[0] == 200


def test_a_body_of_too_many_bytes_is_too_large(api: Api) -> None:
    problem = api.problem(413, " " * 20_001)
    assert "20000 bytes" in problem["detail"]
    # Bytes count, not letters.
    api.problem(413, '"' + "é" * 10_000 + '"')
    assert api.problem(400, '"' + "é" * 9_999 + '"')["errors"][0]["pointer"] == ""


@pytest.mark.parametrize("subject", ["", "x" * 257, "tab\there"])
def test_a_subject_that_is_no_short_text_is_a_bad_request(api: Api, subject: str) -> None:
    problem = api.problem(400, customers(), headers={"x-subject": subject})
    assert "x-subject" in problem["detail"]


@pytest.mark.parametrize(
    ("original", "status"), [(400, 422), (415, 422), (500, 500), (503, 503), (504, 503), (429, 503)]
)
def test_what_the_model_refuses_or_fails_at_is_told_apart(api: Api, original: int, status: int) -> None:
    api.fails("ModelError", 424, OriginalStatusCode=original, OriginalMessage="secret")
    api.problem(status, customers())
    assert (api.retry_after is not None) is (status == 503)
    assert api.waits == []


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ServiceUnavailable", "ModelNotReadyException", "InternalFailure"]
)
def test_a_busy_endpoint_is_asked_again_with_growing_waits(api: Api, code: str) -> None:
    for _ in range(3):
        api.fails(code, 503)
    api.answers(predictions())
    assert api.post(customers())[0] == 200
    assert all(
        longest / 2 <= wait <= longest for wait, longest in zip(api.waits, (0.1, 0.2, 0.4), strict=True)
    )
    (counted,) = [line["Retries"] for line in api.lines() if "Retries" in line]
    assert counted == [3]


def test_an_endpoint_that_stays_busy_is_given_up_while_there_is_time_to_say_so(api: Api) -> None:
    api.seconds_left = [19.9, 19.8, 10.0, 3.05]
    api.fails("ServiceUnavailable", 503)
    api.fails("ServiceUnavailable", 503)
    api.problem(503, customers())
    assert api.retry_after == "5"
    # Each attempt is over before the function is.
    assert api.within == [pytest.approx(17.9), pytest.approx(8.0)]


@pytest.mark.parametrize(("code", "status"), [("ValidationError", 400), ("AccessDeniedException", 403)])
def test_an_endpoint_that_is_gone_or_forbidden_is_away(api: Api, code: str, status: int) -> None:
    api.fails(code, status)
    problem = api.problem(503, customers())
    assert api.retry_after == "30"
    assert problem["detail"] == "The model cannot be reached."
    metrics = [line for line in api.lines() if "EndpointAway" in line]
    assert metrics[0]["EndpointAway"] == [1]
    assert metrics[0]["Endpoint"] == ENDPOINT


@pytest.mark.parametrize("error", [EndpointConnectionError, ConnectTimeoutError])
def test_an_endpoint_that_cannot_be_reached_is_tried_again(api: Api, error: type[Exception]) -> None:
    tried = []

    def invoke_endpoint(**request: object) -> object:
        tried.append(request)
        raise error(endpoint_url=URL)

    api.runtime.client.invoke_endpoint = invoke_endpoint
    api.seconds_left = [19.9, 19.9, 19.9, 2.0]
    api.problem(503, customers())
    assert len(tried) == 2


def test_a_model_that_is_too_slow_is_not_asked_again(api: Api) -> None:
    def invoke_endpoint(**_: object) -> object:
        raise ReadTimeoutError(endpoint_url=URL)

    api.runtime.client.invoke_endpoint = invoke_endpoint
    assert "too long" in api.problem(503, customers())["detail"]
    assert api.retry_after == "5"
    assert api.waits == []


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b'{"predictions": [NaN]}', {"scores": [1]}, {"predictions": 1}, predictions(2), "text"],
    ids=str,
)
def test_an_answer_that_makes_no_sense_is_not_passed_on(api: Api, answer: object) -> None:
    api.answers(answer)
    api.problem(500, customers())
    (line,) = [line for line in api.lines() if line.get("message") == "no prediction"]
    assert line["cause"].startswith("the model's answer: ")


def test_what_nobody_thought_of_is_an_internal_error_without_internals(api: Api) -> None:
    def invoke_endpoint(**_: object) -> object:
        raise KeyError("secret of arn:aws:iam::123456789012:role/x")

    api.runtime.client.invoke_endpoint = invoke_endpoint
    api.problem(500, customers())
    assert "secret" not in json.dumps(api.lines())


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_setting_that_is_missing_fails_every_call_loudly(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LARGEST_BODY")
    with pytest.raises(KeyError):
        api.raw(customers())


def test_logs_tell_of_calls_and_never_of_bodies_or_subjects(api: Api) -> None:
    api.answers(predictions())
    _, body, _ = api.post(customers(monthly_charge=432.25), headers={"x-subject": "ada@example.com"})
    api.problem(400, customers(contract="for-ever-and-a-day"))
    logged = api.lines()
    text = json.dumps(logged)
    for personal in ("432.25", "ada@example.com", "for-ever", "0.12"):
        assert personal not in text
    predicted = next(line for line in logged if line.get("message") == "predicted")
    assert predicted["inference_id"] == body["inference_id"]
    assert predicted["request_id"] == REQUEST_ID
    assert predicted["model_version"] == "1.0.0"
    assert predicted["predictions"] == 1
    counted = {name: line[name] for line in logged for name in ("Predictions", "Refused") if name in line}
    assert counted == {"Predictions": [1.0], "Refused": [1.0]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(body=st.text(max_size=200) | JSON | st.fixed_dictionaries({"instances": JSON}))
def test_no_body_whatever_gets_past_the_schema_or_ends_in_an_error(api: Api, body: object) -> None:
    api.problem(400, json.dumps(body))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(body=st.text(max_size=200))
def test_no_text_whatever_ends_in_an_error(api: Api, body: str) -> None:
    api.problem(400, body)


def assign(monkeypatch: pytest.MonkeyPatch, variant: str | Exception) -> list[tuple[object, ...]]:
    asked: list[tuple[object, ...]] = []

    def assigned_variant(*given: object) -> str:
        asked.append(given)
        if isinstance(variant, Exception):
            raise variant
        return variant

    module = ModuleType("assignment")
    module.assigned_variant = assigned_variant  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "assignment", module)
    monkeypatch.setenv("EXPERIMENT_TABLE", "experiments")
    return asked


def test_an_experiment_decides_which_variant_answers_a_subject(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = assign(monkeypatch, "B")
    found = calls(api, "TargetVariant")
    api.answers(predictions(), variant="B")
    assert api.post(customers(), headers={"X-Subject": "customer-7"})[1]["variant"] == "B"
    assert asked[0][1:] == ("experiments", ENDPOINT, "customer-7")
    # Nobody is assigned without a name.
    api.answers(predictions())
    assert api.post(customers())[0] == 200
    assert found == ["B", None]
    assert len(asked) == 1


def test_a_variant_that_is_gone_is_answered_by_another(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assign(monkeypatch, "B")
    found = calls(api, "TargetVariant")
    api.fails("ValidationError")
    api.answers(predictions(), variant="A")
    assert api.post(customers(), headers={"x-subject": "customer-7"})[1]["variant"] == "A"
    assert found == ["B", None]


def test_predictions_do_not_wait_for_an_experiment_that_cannot_be_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign(monkeypatch, RuntimeError("no table"))
    found = calls(api, "TargetVariant")
    api.answers(predictions())
    assert api.post(customers(), headers={"x-subject": "customer-7"})[0] == 200
    assert found == [None]


def test_a_prediction_is_kept_for_its_outcome_without_naming_anybody(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCOMES_TABLE", "outcomes")
    api.answers(predictions(), variant="B")
    api.dynamodb.add_response("put_item", {}, {"TableName": "outcomes", "Item": ANY})
    kept: list[dict[str, Any]] = []
    put_item = api.dynamodb.client.put_item

    def noted(**request: Any) -> Any:
        kept.append(request["Item"])
        return put_item(**request)

    api.dynamodb.client.put_item = noted
    _, body, _ = api.post(customers(), headers={"x-subject": "ada@example.com"})
    (item,) = kept
    assert item["pk"] == {"S": f"inference#{ENDPOINT}#{body['inference_id']}"}
    assert item["sk"] == {"S": "-"}
    assert item["variant"] == {"S": "B"}
    assert len(item["subject"]["S"]) == 64
    assert "ada" not in json.dumps(item)
    assert int(item["expires"]["N"]) > 1_700_000_000


def test_a_prediction_that_cannot_be_kept_is_told_all_the_same(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCOMES_TABLE", "outcomes")
    api.answers(predictions())
    api.dynamodb.add_client_error("put_item", "ResourceNotFoundException")
    assert api.post(customers())[0] == 200
    assert [line for line in api.lines() if "RecordsMissed" in line]
