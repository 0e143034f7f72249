"""What the Machine Learning Lens asks for: its requirements as data.

The lens is a text of 2020; here its reference architectures and patterns are taken apart into sentences
that a test can prove. Tests name them with ``@pytest.mark.lens("F2-03")``, docstrings with ``Lens: F2-03``.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

__all__ = ["GROUPS", "KINDS", "ORIGINS", "Requirement", "group_of", "requirements"]

ORIGINS: Mapping[str, str] = MappingProxyType(
    {
        "stated": "the text says so",
        "implied": "the caption or heading of a figure implies it",
        "added": "sound engineering asks for it and the text does not",
        "extended": "the text says so, and part of the sentence is added",
    }
)
"""Where a requirement comes from: each origin with its meaning."""

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "S": "by reading the synthesized template",
        "U": "by a unit test of code or definitions",
        "R": "only at run time in a real account",
        "D": "by a document or an answer in a review",
    }
)
"""How a requirement can be shown to hold: each kind with its meaning."""

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "AIS": "AI services in general",
        "F2": "Customer demographics (figure 2)",
        "F3": "Media analysis (figure 3)",
        "F4": "Predictive data science with a data lake (figure 4)",
        "F5": "EMR, SageMaker and campaigns (figure 5)",
        "F6": "Edge devices and the cloud model (figure 6)",
        "F7": "Bird species at the edge (figure 7)",
        "NEO": "Models for other platforms",
        "HST": "Hosting in three steps",
        "STD": "Standard deployment",
        "F8": "Blue/green deployment (figure 8)",
        "F9": "Blue/green with SageMaker (figure 9)",
        "F10": "Canary deployment (figure 10)",
        "AB": "A/B tests (figure 11)",
        "F12": "MLOps pipeline (figure 12)",
        "MON": "Monitoring of hosted models",
        "F13": "Retraining (figure 13)",
        "LIN": "Documentation and lineage",
        "IAM": "Access control and model consumers",
        "LAKE": "Secure data lake",
        "NB": "Secure notebooks",
        "TRN": "Secure training",
        "ECR": "Container images",
        "ISO": "Isolation",
        "LOG": "Encrypted logs",
        "INF": "Signed inference requests",
        "MDL": "Protection of models",
        "F14": "Serverless inference front end (figure 14)",
        "CHG": "Change management and rollback",
        "SCL": "Scaling",
        "QTA": "Quotas of AI services",
        "ART": "Store of model artifacts",
        "MAN": "Manifests and recovery of endpoints",
        "GT": "Labelling",
        "EXP": "Experiments",
        "SPT": "Cost of training",
        "TUN": "Model tuning",
        "CIN": "Cost of inference",
        "ODE": "Endpoints on demand",
        "BTR": "Batch transform",
        "PIP": "Inference pipelines",
        "MME": "Multi-model endpoints",
    }
)
"""The groups of requirements, in the order of the lens, each with its title."""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One thing the lens asks for."""

    id: str
    """Group and number, for example ``F2-03``."""
    group: str
    """A key of :data:`GROUPS`."""
    sentence: str
    """The requirement in one testable sentence."""
    origin: str
    """A key of :data:`ORIGINS`."""
    kinds: frozenset[str]
    """Keys of :data:`KINDS`. More than one: each shows a part, and all are needed."""
    location: str
    """Where the text says it: words quoted from the Portuguese edition of 16 April 2020 and its line, as in
    ``L449``. Empty where the text does not.
    """


@cache
def requirements() -> Mapping[str, Requirement]:
    """Return every requirement by its id, in the order of the lens."""
    table = resources.files(__package__).joinpath("requirements.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(table.splitlines())
    return MappingProxyType({row["id"]: _requirement(row) for row in rows})


def group_of(id: str) -> str:
    """Return the group of a requirement's id: ``F2`` for ``F2-03``.

    Raises:
        KeyError: The lens has no requirement of that id.
    """
    return requirements()[id].group


def _requirement(row: Mapping[str, str]) -> Requirement:
    return Requirement(
        id=row["id"],
        group=row["id"].rpartition("-")[0],
        sentence=row["sentence"],
        origin=row["origin"],
        kinds=frozenset(row["kinds"].split("+")),
        location=row["location"],
    )
