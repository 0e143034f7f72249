"""Trains the churn model, as a script of SageMaker's XGBoost image or on this machine.

SageMaker puts the data into ``SM_CHANNEL_TRAIN``, hands hyperparameters over as arguments and packs what it finds in
``SM_MODEL_DIR``: the model, and the code that serves it, which prepares features as this script does. The same data
and hyperparameters give the same model, bit for bit.
"""

import argparse
import csv
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from features import FEATURES, check, columns, encode
from numpy.typing import NDArray

LABEL = "churned"
SERVING = ("inference.py", "features.py", "features.json")
"""The files of this folder that serve a model."""
_DIGITS = 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with what SageMaker, or the command line, says."""
    chosen = _arguments().parse_args(arguments)
    matrix, labels = read_rows(chosen.train)
    kept = chosen.columns.split(",") if chosen.columns else columns()
    text = train(
        matrix[:, [columns().index(name) for name in kept]],
        labels,
        names=kept,
        rounds=chosen.num_round,
        max_depth=chosen.max_depth,
        eta=chosen.eta,
        min_child_weight=chosen.min_child_weight,
        seed=chosen.seed,
    )
    chosen.model_dir.mkdir(parents=True, exist_ok=True)
    (chosen.model_dir / "model.json").write_text(text, encoding="utf-8")
    (chosen.model_dir / "version.json").write_text(json.dumps({"version": chosen.model_version}))
    code = chosen.model_dir / "code"
    code.mkdir(exist_ok=True)
    for name in SERVING:
        shutil.copyfile(Path(__file__).with_name(name), code / name)
    print(f"train-rows:{len(labels)} train-churned:{labels.mean():.4f}")


def train(
    matrix: NDArray[np.float32],
    labels: NDArray[np.float32],
    *,
    names: Sequence[str],
    rounds: int,
    max_depth: int,
    eta: float,
    min_child_weight: float,
    seed: int,
) -> str:
    """Return a model as XGBoost's JSON, with numbers of six digits.

    One thread adds up in one order, and six digits hide in what processors differ: so the text is the same everywhere.
    """
    data = xgb.DMatrix(matrix, label=labels, feature_names=[*names], nthread=1)
    settings = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": max_depth,
        "eta": eta,
        "min_child_weight": min_child_weight,
        "seed": seed,
        "nthread": 1,
    }
    booster = xgb.train(settings, data, num_boost_round=rounds)
    saved = json.loads(bytes(booster.save_raw("json")))
    return json.dumps(_rounded(saved), separators=(",", ":"), sort_keys=True) + "\n"


def read_rows(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the rows of all CSV files of a folder as numbers, and their labels.

    Raises:
        FileNotFoundError: There are none.
        RequestError: A row is no customer.
    """
    customers: list[dict[str, Any]] = []
    labels: list[float] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                labels.append(float(row.pop(LABEL)))
                customers.append(_typed(row))
                check(customers[-1], f"{path.name}:{number}")
    if not customers:
        raise FileNotFoundError(f"no rows of CSV in {folder}")
    return encode(customers), np.array(labels, dtype=np.float32)


def _typed(row: dict[str, str]) -> dict[str, Any]:
    return {
        name: value if FEATURES.get(name, {}).get("type") == "string" else float(value)
        for name, value in row.items()
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(member) for name, member in value.items()}
    return [_rounded(member) for member in value] if isinstance(value, list) else value


def _arguments() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    made.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN"), help="folder of CSV")
    made.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR"), help="for the model")
    # SageMaker writes hyperparameters with the underscores that XGBoost gives them.
    made.add_argument("--num_round", type=int, default=20, help="trees")
    made.add_argument("--max_depth", type=int, default=3, help="questions from the root of a tree to a leaf")
    made.add_argument("--eta", type=float, default=0.3, help="how much each tree corrects those before it")
    made.add_argument("--min_child_weight", type=float, default=5.0, help="least weight of a leaf")
    made.add_argument("--seed", type=int, default=1, help="of what is left to chance")
    made.add_argument("--columns", default="", help="columns to train with, by commas; all by default")
    made.add_argument("--model_version", default="unversioned", help="what the model calls itself")
    return made


if __name__ == "__main__":
    main()
