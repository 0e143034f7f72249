"""The script that serves the sample model: what it answers, and what it refuses."""

import importlib
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import xgboost as xgb

from jobs.churn.customers import draw
from jobs.churn.features import SCHEMA, columns, encode
from jobs.churn.pack import archive, pack, packed_model
from ml_lens.assets import job_code
from tests.churn_request import CUSTOMER

CHURN = job_code("churn")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    with tarfile.open(pack("1.0.0", tmp_path)) as packed:
        packed.extractall(tmp_path / "model", filter="data")
    return tmp_path / "model"


@pytest.fixture
def script(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as the container finds it: in the artifact, and nothing of the repository beside it."""
    monkeypatch.delenv("MODEL_VERSION", raising=False)
    monkeypatch.setattr(sys, "path", [str(artifact / "code"), *sys.path])
    for name in ("features", "inference"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("inference")
    for name in ("features", "inference"):
        sys.modules.pop(name, None)


def ask(
    script: ModuleType,
    artifact: Path,
    body: str | bytes,
    kind: str | None = "application/json",
    accept: str | None = None,
) -> tuple[str, str]:
    model = script.model_fn(str(artifact))
    answer = script.output_fn(script.predict_fn(script.input_fn(body, kind), model), accept)
    assert isinstance(answer, tuple)
    return answer


def refused(script: ModuleType, body: object, kind: str | None = "application/json") -> tuple[int, str]:
    with pytest.raises(script.Refusal) as raised:
        script.input_fn(body if isinstance(body, str | bytes) else json.dumps(body), kind)
    return raised.value.status_code, raised.value.message


def instances(**changes: Any) -> dict[str, Any]:
    kept = {name: value for name, value in {**CUSTOMER, **changes}.items() if value is not ...}
    return {"instances": [kept]}


@pytest.mark.lens("HST-07", "F14-09")
def test_an_answer_has_a_probability_for_each_customer_and_the_version_of_the_model(
    script: ModuleType, artifact: Path
) -> None:
    customers, _ = draw("all", 5, seed=3)
    text, kind = ask(script, artifact, json.dumps({"instances": customers}))
    answer = json.loads(text)
    booster = xgb.Booster(model_file=str(CHURN / "models" / "1.0.0" / "model.json"))
    expected = booster.predict(xgb.DMatrix(encode(customers), feature_names=columns()))
    assert kind == "application/json"
    assert set(answer) == {"predictions", "model_version"}
    assert answer["model_version"] == "1.0.0"
    assert [each["probability"] for each in answer["predictions"]] == pytest.approx(list(expected), abs=1e-6)


@pytest.mark.lens("HST-07")
def test_the_deployment_may_name_the_version(
    script: ModuleType, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_VERSION", "1.0.0-eu")
    text, _ = ask(script, artifact, json.dumps(instances()))
    assert json.loads(text)["model_version"] == "1.0.0-eu"


def test_csv_gives_the_same_numbers_as_json(script: ModuleType, artifact: Path) -> None:
    customers, _ = draw("all", 3, seed=4)
    rows = "".join(",".join(str(value) for value in customer.values()) + "\r\n" for customer in customers)
    text, kind = ask(script, artifact, rows, "text/csv; charset=utf-8", "text/csv")
    answer, _ = ask(script, artifact, json.dumps({"instances": customers}).encode())
    assert kind == "text/csv"
    assert [float(line) for line in text.splitlines()] == [
        each["probability"] for each in json.loads(answer)["predictions"]
    ]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html, application/*;q=0.8"])
def test_answers_are_json_unless_csv_is_asked_for(
    script: ModuleType, artifact: Path, accept: str | None
) -> None:
    assert ask(script, artifact, json.dumps(instances()), accept=accept)[1] == "application/json"


def test_who_takes_neither_json_nor_csv_is_refused(script: ModuleType, artifact: Path) -> None:
    with pytest.raises(script.Refusal) as raised:
        ask(script, artifact, json.dumps(instances()), accept="image/png")
    assert (raised.value.status_code, raised.value.phrase) == (406, "Not Acceptable")


@pytest.mark.parametrize("kind", ["application/xml", "application/octet-stream", "text/plain"])
def test_another_content_type_is_refused_by_name(script: ModuleType, kind: str) -> None:
    assert refused(script, "<a/>", kind) == (
        415,
        f"content type {kind!r} cannot be read; send application/json or text/csv",
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "body: is no application/json in UTF-8"),
        (b"\xff\xfe", "body: is no application/json in UTF-8"),
        ([], "body: is no object with the field 'instances'"),
        ({}, "instances: is missing"),
        ({"instances": {}}, "instances: is no list of customers"),
        ({"instances": []}, "instances: holds 0 customers; allowed are 1 to 100"),
        ({"instances": [CUSTOMER] * 101}, "instances: holds 101 customers; allowed are 1 to 100"),
        ({"instances": [CUSTOMER], "x": 1}, "x: is unknown; the only field is 'instances'"),
        ({"instances": [7]}, "instances[0]: is no object"),
        (
            instances(contract="weekly"),
            "instances[0].contract: is none of month-to-month, one-year, two-year",
        ),
        (instances(contract=1), "instances[0].contract: is not text"),
        (instances(tenure_months=1.5), "instances[0].tenure_months: is not a whole number"),
        (instances(tenure_months=-1), "instances[0].tenure_months: is out of range; allowed are 0 to 600"),
        (instances(monthly_charge="70"), "instances[0].monthly_charge: is not a number"),
        (instances(monthly_charge=True), "instances[0].monthly_charge: is not a number"),
        (instances(data_gb=float("nan")), "instances[0].data_gb: is out of range; allowed are 0 to 10000"),
        (instances(data_gb=float("inf")), "instances[0].data_gb: is out of range; allowed are 0 to 10000"),
        (instances(add_ons=...), "instances[0].add_ons: is missing"),
    ],
)
def test_a_body_that_does_not_follow_the_schema_is_refused_with_the_failing_field(
    script: ModuleType, body: object, said: str
) -> None:
    assert refused(script, body) == (400, said)


def test_an_unknown_feature_is_refused_with_those_that_are_known(script: ModuleType) -> None:
    status, said = refused(script, instances(age=40))
    assert status == 400
    assert said.startswith("instances[0].age: is unknown; there are tenure_months, monthly_charge,")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("", "body: holds no rows"),
        ("1,2\n", "row 1: has 2 cells and not 8, which are, without a header, tenure_months,"),
        ("a,70.5,3,month-to-month,card,1,10.5,2\n", "row 1.tenure_months: is not a whole number"),
        ("12,70.5,3,month-to-month,cash,1,10.5,2\n", "row 1.payment: is none of card,"),
        ("12,nan,3,month-to-month,card,1,10.5,2\n", "row 1.monthly_charge: is out of range;"),
    ],
)
def test_rows_that_describe_no_customer_are_refused(script: ModuleType, row: str, said: str) -> None:
    status, message = refused(script, row, "text/csv")
    assert status == 400
    assert message.startswith(said)


@pytest.mark.parametrize(
    "body",
    [
        instances(),
        instances(tenure_months=3.0),
        instances(tenure_months=601),
        instances(monthly_charge=-0.1),
        instances(contract="x"),
        instances(payment=None),
        instances(late_payments=...),
        {"instances": [CUSTOMER] * 100},
        {"instances": [CUSTOMER] * 101},
        {"instances": []},
        {"instances": "x"},
        {"instances": [CUSTOMER], "more": 1},
        [],
    ],
)
def test_the_script_takes_what_the_schema_allows_and_nothing_else(script: ModuleType, body: object) -> None:
    allowed = jsonschema.Draft4Validator({**SCHEMA}).is_valid(body)
    try:
        script.input_fn(json.dumps(body), "application/json")
    except script.Refusal:
        assert not allowed
    else:
        # To draft 4 the number 3.0 is not whole; to callers whose language has one kind of numbers it is.
        assert allowed or body == instances(tenure_months=3.0)


def test_the_schema_is_one_of_draft_4() -> None:
    jsonschema.Draft4Validator.check_schema({**SCHEMA})
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-04/schema#"


@pytest.mark.lens("PIP-03")
def test_training_and_serving_prepare_features_with_the_same_code(
    script: ModuleType, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(CHURN), *sys.path])
    monkeypatch.delitem(sys.modules, "features")
    train = importlib.import_module("train")
    try:
        assert train.encode.__module__ == script.encode.__module__ == "features"
        for name in ("features.py", "features.json"):
            assert (artifact / "code" / name).read_bytes() == (CHURN / name).read_bytes()
        customers, left = draw("all", 50, seed=5)
        importlib.import_module("customers").write_csv(artifact / "rows.csv", customers, left)
        matrix, labels = train.read_rows(artifact)
        served = script.input_fn(json.dumps({"instances": customers}), "application/json")
        assert (matrix == script.encode(served)).all()
        assert [*labels] == left
    finally:
        for name in ("train", "customers"):
            sys.modules.pop(name, None)


def test_a_model_of_other_features_fails_in_every_prediction(script: ModuleType, tmp_path: Path) -> None:
    with tarfile.open(pack("broken", tmp_path)) as packed:
        packed.extractall(tmp_path / "broken", filter="data")
    model = script.model_fn(str(tmp_path / "broken"))
    with pytest.raises(ValueError, match="feature_names mismatch"):
        script.predict_fn([CUSTOMER], model)


def test_the_same_content_is_packed_into_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    assert pack("1.0.0", first).read_bytes() == pack("1.0.0", second).read_bytes()
    assert archive({"b": b"2", "a": b"1"}) == archive({"a": b"1", "b": b"2"})
    assert packed_model(b"{}", "1") != packed_model(b"{}", "2")


def test_an_archive_holds_no_trace_of_where_and_when_it_was_packed(tmp_path: Path) -> None:
    packed = pack("2.0.0", tmp_path)
    assert packed.name == "churn-2.0.0.tar.gz"
    assert packed.read_bytes()[3:8] == bytes(5)  # neither a name nor a time
    with tarfile.open(packed) as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == [
        "code/features.json",
        "code/features.py",
        "code/inference.py",
        "model.json",
        "version.json",
    ]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {
        (0, 0, 0, "", "")
    }


def test_a_version_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no version '3' .* there are 1\.0\.0, 2\.0\.0, broken, narrow"
    ):
        pack("3", tmp_path)
