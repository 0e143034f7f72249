"""How SageMaker's XGBoost image answers without a script: rows in, one number for each out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
LIBSVM = ("text/libsvm", "text/x-libsvm")
Answer = tuple[bytes, str]


class NotServed(Exception):  # noqa: N818 - it reads as what happened
    """A request that the image refuses."""

    def __init__(self, status: int, message: str) -> None:
        """Refuse with ``status``."""
        super().__init__(message)
        self.status = status


def serving(folder: Path) -> Callable[[bytes, str, str], Answer]:
    """Return how a model that was trained by the image answers."""
    model = booster(folder)

    def predict(body: bytes, content_type: str, accept: str) -> Answer:
        return written(scores(model, rows(body, content_type)), accept)

    return predict


def booster(folder: Path) -> Any:
    """Load the file ``xgboost-model``, or the only file there is, as the image does."""
    import xgboost as xgb

    file = folder / "xgboost-model"
    if not file.exists():
        files = [each for each in sorted(folder.iterdir()) if each.is_file()]
        file = files[0] if files else file
    return xgb.Booster(params={"nthread": 1}, model_file=str(file))


def rows(body: bytes | str, content_type: str) -> Any:
    """Read the rows of a request.

    Raises:
        NotServed: They are of a kind that the image does not read, or not of the kind that they claim to be.
    """
    import numpy as np

    text = body if isinstance(body, str) else body.decode("utf-8", errors="replace")
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == CSV:
            read = [[float(cell) for cell in row] for row in csv.reader(io.StringIO(text)) if row]
            return np.array(read, dtype=np.float32)
        if kind in LIBSVM:
            return _from_libsvm([line.split() for line in text.splitlines() if line.strip()])
    except ValueError as wrong:
        name = "csv" if kind == CSV else "libsvm"
        raise NotServed(
            415,
            f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n {wrong}",
        ) from wrong
    raise NotServed(415, f"Content type {content_type} is not supported")


def _from_libsvm(lines: Sequence[Sequence[str]]) -> Any:
    import numpy as np

    cells = [[cell.split(":") for cell in line if ":" in cell] for line in lines]
    width = 1 + max((int(index) for row in cells for index, _ in row), default=-1)
    read = np.full((len(cells), width), np.nan, dtype=np.float32)
    for number, row in enumerate(cells):
        for index, value in row:
            read[number, int(index)] = float(value)
    return read


def scores(model: Any, data: Any) -> list[float]:
    """Return a number for each row.

    Raises:
        NotServed: The rows do not have the model's features.
    """
    import xgboost as xgb

    matrix = data if isinstance(data, xgb.DMatrix) else xgb.DMatrix(data, nthread=1)
    if matrix.num_col() != model.num_features():
        raise NotServed(
            400,
            f"Unable to evaluate payload provided: Feature size of inference data {matrix.num_col()} is not "
            f"consistent with feature size of trained model {model.num_features()}.",
        )
    return [float(score) for score in model.predict(matrix, validate_features=False)]


def written(found: Sequence[float], accept: str) -> Answer:
    """Write an answer.

    Raises:
        NotServed: The caller takes none of the kinds that the image writes.
    """
    kind = accept.partition(";")[0].strip().lower()
    if kind == JSON:
        return json.dumps({"predictions": [{"score": score} for score in found]}).encode(), JSON
    if kind == JSON_LINES:
        return b"".join(json.dumps({"score": score}).encode() + b"\n" for score in found), JSON_LINES
    if kind in (CSV, "*/*", ""):
        return "\n".join(map(str, found)).encode(), CSV
    raise NotServed(406, f"Accept type {accept} is not supported")
