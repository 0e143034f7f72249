"""Trains every version of the churn model again, from nothing but this folder.

The texts in ``models/`` come from here, and a test compares them with a new training byte by byte.
"""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import train
from customers import draw, write_csv
from features import columns

_ROWS = 6000
_SEED = 20


@dataclass(frozen=True)
class Recipe:
    """How one version is made."""

    why: str
    """What it is for."""
    hyperparameters: Mapping[str, object]
    """What the training is given."""
    contracts: tuple[str, ...] | None = None
    """Trains with these customers alone. Default: all."""


RECIPES: Mapping[str, Recipe] = {
    "1.0.0": Recipe("The champion: few, small trees.", {"num_round": 16, "max_depth": 2, "eta": 0.3}),
    "2.0.0": Recipe(
        "The challenger: the same algorithm and data, more and deeper trees.",
        {"num_round": 30, "max_depth": 3, "eta": 0.3},
    ),
    "broken": Recipe(
        "Trained with other features than are served: it loads, and every prediction fails.",
        {"num_round": 4, "max_depth": 2, "columns": ",".join(columns()[:4])},
    ),
    "narrow": Recipe(
        "Has seen customers without a contract only: as good as the champion with them, and wrong about others.",
        {"num_round": 24, "max_depth": 3, "eta": 0.3},
        contracts=("month-to-month",),
    ),
}
"""Every version of the repository. The last two are for rehearsals of what must not go live."""


def reproduce(version: str, folder: Path) -> Path:
    """Train ``version`` into ``folder``, as SageMaker would, and return the text of the model."""
    recipe = RECIPES[version]
    customers, left = draw("all", _ROWS, seed=_SEED)
    kept = [
        each
        for each, one in enumerate(customers)
        if one["contract"] in (recipe.contracts or [one["contract"]])
    ]
    with tempfile.TemporaryDirectory() as channel:
        write_csv(
            Path(channel, "customers.csv"), [customers[each] for each in kept], [left[each] for each in kept]
        )
        settings = {"train": channel, "model-dir": folder, "model_version": version, **recipe.hyperparameters}
        train.main([f"--{name}={value}" for name, value in settings.items()])
    return folder / "model.json"


def main() -> None:
    """Write the texts of all versions."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    made.add_argument("--models", type=Path, default=Path(__file__).with_name("models"), help="where they go")
    chosen = made.parse_args()
    for version in RECIPES:
        with tempfile.TemporaryDirectory() as folder:
            text = reproduce(version, Path(folder)).read_bytes()
        target = chosen.models / version / "model.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
        print(f"{version}: {len(text)} bytes")


if __name__ == "__main__":
    main()
