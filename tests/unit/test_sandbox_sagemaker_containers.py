"""Containers of the sandbox, outside of it: what they read and write, and how they end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from ml_lens.rehearsal.inside.sagemaker import algorithm, serving
from ml_lens.rehearsal.inside.sagemaker.algorithm import NotServed
from ml_lens.rehearsal.inside.sagemaker.containers import Container, ContainerFailed
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.multi_models import MultiModel

Start = Callable[..., Container]
SCRIPT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
ECHO = b"def model_fn(folder): return 1\ndef transform_fn(model, body, kind, accept): return body, kind\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that adds two numbers, more or less."""
    rows = np.array([[first, second] for first in range(8) for second in range(8)], dtype=np.float32)
    model = xgb.train({"max_depth": 3, "nthread": 1}, xgb.DMatrix(rows, rows.sum(axis=1)), 20)
    folder = tmp_path_factory.mktemp("model")
    model.save_model(folder / "model.json")
    (folder / "model.json").rename(folder / "xgboost-model")
    return folder


@pytest.fixture
def start() -> Iterator[Start]:
    """Start containers that end with the test."""
    made: list[Container] = []

    def begin(code: bytes = ECHO, **environment: str) -> Container:
        files = {"code/inference.py": code}
        made.append(Container(files, {**SCRIPT, **environment}, on_line=lambda _: None))
        return made[-1]

    yield begin
    for each in made:
        each.stop()


def test_rows_are_read_from_csv_and_from_libsvm() -> None:
    read = algorithm.rows(b"1,2\n3,4\n", "text/csv; charset=utf-8")
    assert read.tolist() == [[1, 2], [3, 4]]
    sparse = algorithm.rows("0 0:1 2:3", "text/libsvm")
    assert np.isnan(sparse[0, 1])
    assert (sparse[0, 0], sparse[0, 2]) == (1, 3)


@pytest.mark.parametrize(
    ("body", "kind"), [(b"one,two", "text/csv"), (b"0:x", "text/libsvm"), (b"", "image/png")]
)
def test_what_cannot_be_read_is_refused_as_the_image_does(body: bytes, kind: str) -> None:
    with pytest.raises(NotServed) as refusal:
        algorithm.rows(body, kind)
    assert refusal.value.status == 415


def test_a_model_of_the_image_answers_in_the_kinds_that_it_writes(trained: Path) -> None:
    predict = algorithm.serving(trained)
    as_json = json.loads(predict(b"1,2\n3,4", "text/csv", "application/json")[0])["predictions"]
    assert [each["score"] for each in as_json] == pytest.approx([3, 7], abs=0.5)
    lines = predict(b"1,2\n3,4", "text/csv", "application/jsonlines")[0].splitlines()
    assert [json.loads(line) for line in lines] == as_json
    assert predict(b"1,2", "text/csv", "text/csv")[0].decode() == str(as_json[0]["score"])
    for body, accept, status in ((b"1,2,3", "text/csv", 400), (b"1,2", "image/png", 406)):
        with pytest.raises(NotServed) as refusal:
            predict(body, "text/csv", accept)
        assert refusal.value.status == status


def test_a_script_may_leave_to_the_image_what_it_does_not_do(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend("")
    code = trained / "code"
    code.mkdir(exist_ok=True)
    (code / "only_writes.py").write_text(
        "def output_fn(found, accept): return str(len(found)), 'text/plain'\n"
    )
    predict = serving.script(trained, "only_writes.py", "/opt/ml/model/code")
    assert predict(b"1,2\n3,4", "text/csv", "*/*") == (b"2", "text/plain")


def test_a_container_starts_at_once_and_answers(start: Start) -> None:
    start().wait()  # the libraries are loaded with the first
    began = time.monotonic()
    second = start()
    second.wait()
    assert time.monotonic() - began < 5
    assert second.ask(b"hello", "text/plain", "*/*").body == b"hello"


def test_a_container_takes_its_time_where_it_is_told_to(start: Start) -> None:
    slow = start(ML_LENS_SANDBOX_DELAY_MS="100")
    slow.wait()
    began = time.monotonic()
    slow.ask(b"", "text/plain", "*/*")
    assert time.monotonic() - began >= 0.1


def test_a_failure_is_told_with_its_message_and_an_error_of_the_toolkit_with_its_status(start: Start) -> None:
    code = b"class Refusal(Exception):\n    status_code = 422\n    message = 'not like this'\n"
    code += b"def model_fn(folder): return 1\ndef transform_fn(model, body, kind, accept):\n"
    code += b"    raise Refusal if body == b'refuse' else ValueError('it broke')\n"
    container = start(code)
    container.wait()
    refused, broken = (container.ask(body, "x/y", "*/*") for body in (b"refuse", b"break"))
    assert (refused.status, refused.body) == (422, b"not like this")
    assert (broken.status, broken.body) == (500, b"it broke")


def test_a_container_that_cannot_start_says_what_it_printed(start: Start) -> None:
    with pytest.raises(ContainerFailed, match="no such luck"):
        start(b"raise RuntimeError('no such luck')").wait()


def test_an_artifact_that_is_no_archive_is_refused() -> None:
    with pytest.raises(ContainerFailed, match="Unable to extract"):
        Container(b"not packed", {}, on_line=lambda _: None)


def test_several_models_are_loaded_when_they_are_asked(start: Start) -> None:
    loaded: list[str] = []

    def load(name: str) -> Container:
        loaded.append(name)
        if name == "gone":
            raise ContainerFailed("Could not access model data")
        return start(f"def model_fn(f): return 1\ndef transform_fn(*_): return b'{name}', 'a/b'\n".encode())

    models = MultiModel(load)
    answers = {models.ask(b"", "a/b", "a/b", target=name).body for name in ("one", "two", "one")}
    assert answers == {b"one", b"two"}
    assert loaded == ["one", "two"]
    for target in ("", "gone"):
        with pytest.raises(Fault) as refusal:
            models.ask(b"", "a/b", "a/b", target=target)
        assert refusal.value.code == "ValidationError"


def test_calls_at_the_same_time_are_answered_each_with_its_own(start: Start) -> None:
    container = start()
    container.wait()
    wrong: list[bytes] = []

    def ask(number: int) -> None:
        for turn in range(50):
            body = f"{number} {turn}".encode()
            if container.ask(body, "a/b", "*/*").body != body:
                wrong.append(body)

    callers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert wrong == []
