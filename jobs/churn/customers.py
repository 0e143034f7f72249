"""Invents customers and what became of them, the same ones for the same seed.

Nobody real is in these data. What makes customers leave depends on how they are bound: without a contract, those leave
who call support often or find little use in a high bill while they are new; with a contract, those who pay for data
that they do not use. So no single feature says who leaves, and what holds for one contract is wrong for another.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

CONTRACTS = ("month-to-month", "one-year", "two-year")
PAYMENTS = ("card", "direct-debit", "invoice")
LABEL = "churned"
"""The column that says what became of a customer: 1 has left, 0 has stayed."""


@dataclass(frozen=True)
class Population:
    """How the customers of a market are bound."""

    contracts: tuple[float, float, float]
    """The share of each of :data:`CONTRACTS`."""


POPULATIONS: Mapping[str, Population] = {
    "A": Population(contracts=(0.92, 0.05, 0.03)),
    "B": Population(contracts=(0.10, 0.40, 0.50)),
    "all": Population(contracts=(0.51, 0.225, 0.265)),
}
"""Two markets with different habits, and both together."""


def draw(population: str, count: int, *, seed: int) -> tuple[list[dict[str, Any]], list[int]]:
    """Return ``count`` customers, and for each whether the customer left.

    Args:
        population: ``A``, ``B``, or ``all`` for both.
        count: How many.
        seed: The same seed gives the same customers.

    Raises:
        KeyError: There is no such population.
    """
    # The stream of this older generator is promised to stay as it is; that of its successor is not.
    chance = np.random.RandomState(seed)
    contract = _pick(chance.random_sample(count), POPULATIONS[population].contracts)
    payment = _pick(chance.random_sample(count), (0.45, 0.35, 0.20))
    tenure = np.floor(72 * chance.random_sample(count) ** 1.5)
    charge = np.round(20 + 100 * chance.random_sample(count), 2)
    calls = np.floor(8 * chance.random_sample(count) ** 2)
    late = np.floor((1 + 5 * (payment == 2)) * chance.random_sample(count) ** 1.5)
    data = np.round(120 * chance.random_sample(count) ** 1.6, 1)
    add_ons = np.floor(5 * chance.random_sample(count))
    leaning = _leaning(contract, tenure, charge, calls, late, data, add_ons)
    left = chance.random_sample(count) < 1 / (1 + np.exp(-leaning))
    customers = [
        {
            "tenure_months": int(tenure[each]),
            "monthly_charge": float(charge[each]),
            "support_calls": int(calls[each]),
            "contract": CONTRACTS[contract[each]],
            "payment": PAYMENTS[payment[each]],
            "late_payments": int(late[each]),
            "data_gb": float(data[each]),
            "add_ons": int(add_ons[each]),
        }
        for each in range(count)
    ]
    return customers, [int(each) for each in left]


def probes(population: str, requests: int, *, seed: int = 7, instances: int = 10) -> Iterator[dict[str, Any]]:
    """Yield requests with the answers that are right: ``{"body": {"instances": […]}, "expected": [0, 1, …]}``.

    Args:
        population: ``A``, ``B``, or ``all`` for both.
        requests: How many requests.
        seed: The same seed gives the same requests. No model was trained with the default.
        instances: Customers in one request, 1 to 100.
    """
    customers, left = draw(population, requests * instances, seed=seed)
    for first in range(0, len(customers), instances):
        chosen = slice(first, first + instances)
        yield {"body": {"instances": customers[chosen]}, "expected": left[chosen]}


def probe_lines(population: str, requests: int, *, seed: int = 7, instances: int = 10) -> str:
    """Return :func:`probes` as JSON Lines."""
    made = probes(population, requests, seed=seed, instances=instances)
    return "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in made)


def write_csv(path: Path, customers: list[dict[str, Any]], left: list[int]) -> None:
    """Write customers as training reads them: with a header, and with :data:`LABEL` in the last column."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*customers[0], LABEL], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**each, LABEL: gone} for each, gone in zip(customers, left, strict=True))


def _pick(chances: Numbers, shares: tuple[float, ...]) -> NDArray[np.intp]:
    return np.searchsorted(np.cumsum(shares)[:-1], chances, side="right")


def _leaning(
    contract: NDArray[np.intp],
    tenure: Numbers,
    charge: Numbers,
    calls: Numbers,
    late: Numbers,
    data: Numbers,
    add_ons: Numbers,
) -> Numbers:
    """Return how much each leans towards leaving; below zero is towards staying."""
    free = (
        -3.5
        + 6.0 * ((calls >= 3) & (tenure < 40))
        + 5.0 * ((charge > 75) & (tenure < 16))
        + 3.0 * ((data > 50) & (charge > 50))
        + 2.0 * (late >= 3)
        - 2.0 * ((add_ons >= 3) & (calls < 3))
    )
    bound = (
        -3.5
        + 6.5 * ((data < 15) & (charge > 60))
        + 3.0 * ((late >= 2) & (calls >= 2))
        + 2.0 * ((add_ons == 0) & (charge > 90))
        - 1.0 * (contract == 2)
    )
    leaning: Numbers = np.round(np.where(contract == 0, free, bound), 6)
    return leaning
