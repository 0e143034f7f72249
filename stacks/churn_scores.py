"""The churn model run here, without SageMaker: what its answers are compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

import xgboost as xgb

from jobs.churn.features import columns, encode
from ml_lens.assets import job_code


def scores(version: str, customers: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the probability that each customer leaves, from the text in the repository."""
    booster = xgb.Booster(model_file=str(job_code("churn") / "models" / version / "model.json"))
    rows = xgb.DMatrix(encode(customers), feature_names=columns(), nthread=1)
    return [float(each) for each in booster.predict(rows)]
