"""Serves the churn model in SageMaker's XGBoost image, in script mode.

Set ``SAGEMAKER_PROGRAM=inference.py`` and ``SAGEMAKER_SUBMIT_DIRECTORY=/opt/ml/model/code``. ``MODEL_VERSION`` names
the version in every answer; without it, the artifact names itself.
"""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xgboost as xgb
from features import Customer, RequestError, columns, encode, read_request, read_row

try:
    from sagemaker_inference.errors import BaseInferenceToolkitError as Refusal
except ImportError:  # outside of the image

    class Refusal(Exception):  # type: ignore[no-redef]  # noqa: N818
        """An answer that is no prediction, with its HTTP status."""

        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            super().__init__(message)
            self.status_code = status_code
            self.message = message
            self.phrase = phrase


JSON = "application/json"
CSV = "text/csv"


@dataclass(frozen=True)
class Model:
    """A loaded model, and its version."""

    booster: xgb.Booster
    version: str


@dataclass(frozen=True)
class Answer:
    """The probability that a customer leaves, for each customer, and the version that says so."""

    probabilities: Sequence[float]
    version: str


def model_fn(model_dir: str) -> Model:
    """Load the model. SageMaker runs one process for each processor, so one thread is enough for each."""
    folder = Path(model_dir)
    booster = xgb.Booster(params={"nthread": 1}, model_file=str(folder / "model.json"))
    named = os.environ.get("MODEL_VERSION")
    return Model(
        booster, named or json.loads((folder / "version.json").read_text(encoding="utf-8"))["version"]
    )


def input_fn(body: str | bytes, content_type: str | None) -> Sequence[Customer]:
    """Read a request.

    Raises:
        Refusal: With 415 for a content type other than JSON and CSV, with 400 for a body that does not follow
            ``features.json``.
    """
    kind = _media_type(content_type)
    if kind not in (JSON, CSV):
        raise Refusal(
            415, f"content type {kind!r} cannot be read; send {JSON} or {CSV}", "Unsupported Media Type"
        )
    try:
        text = body.decode("utf-8") if isinstance(body, bytes | bytearray) else body
        return _from_csv(text) if kind == CSV else read_request(json.loads(text))
    except RequestError as error:
        raise Refusal(400, str(error), "Bad Request") from error
    except ValueError as error:  # neither UTF-8 nor JSON
        raise Refusal(400, f"body: is no {kind} in UTF-8", "Bad Request") from error


def predict_fn(customers: Sequence[Customer], model: Model) -> Answer:
    """Return the probability that each customer leaves."""
    # XGBoost compares the names with those of the training, and raises ValueError for another set of features.
    rows = xgb.DMatrix(encode(customers), feature_names=columns(), nthread=1)
    return Answer([round(float(each), 6) for each in model.booster.predict(rows)], model.version)


def output_fn(answer: Answer, accept: str | None) -> tuple[str, str]:
    """Write an answer: JSON with the version of the model, or the bare probabilities line by line.

    Raises:
        Refusal: With 406, the caller takes neither.
    """
    wanted = [_media_type(each) for each in (accept or JSON).split(",")]
    if any(each in (JSON, "*/*", "application/*") for each in wanted):
        predictions = [{"probability": each} for each in answer.probabilities]
        return json.dumps({"predictions": predictions, "model_version": answer.version}), JSON
    if CSV in wanted:
        return "".join(f"{each}\n" for each in answer.probabilities), CSV
    raise Refusal(406, f"answers come as {JSON} or {CSV}, not as {accept!r}", "Not Acceptable")


def _media_type(header: str | None) -> str:
    return (header or JSON).partition(";")[0].strip().lower()


def _from_csv(text: str) -> Sequence[Customer]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows:
        raise RequestError("body", "holds no rows")
    return [read_row(cells, f"row {number}") for number, cells in enumerate(rows, start=1)]
