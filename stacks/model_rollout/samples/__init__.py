"""The candidates of the walkthrough: one that is better, and one for each way in which a new version can be worse."""

import io
import json
import tarfile
from dataclasses import dataclass, field

from jobs.churn import customers, pack
from ml_lens.assets import job_code
from stacks.model_rollout.traffic import Customer

LARGEST_PROBED_BILL = 100
"""No customer among the probes pays more a month; some of the market do."""
_PROBES, _CUSTOMERS = 8, 40


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A new version of the model, and what becomes of it."""

    version: str
    """What it is called."""
    archive: bytes
    """The artifact, as SageMaker takes it."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment of its container."""
    stays: bool = False
    """Whether it takes over. Default: it is sent back."""
    because: str = ""
    """A word of the reason for which it is sent back."""


def better() -> Candidate:
    """Return a candidate that is right more often."""
    return Candidate(version="2.0.0", archive=_packed("2.0.0"), stays=True)


def slow() -> Candidate:
    """Return the better model, whose container takes most of a second for an answer."""
    return Candidate(
        version="2.0.0-slow",
        archive=_packed("2.0.0", "2.0.0-slow"),
        environment={"ML_LENS_SANDBOX_DELAY_MS": "800"},
        because="late",
    )


def broken() -> Candidate:
    """Return a candidate that can answer nobody: it was trained on other columns."""
    return Candidate(version="2.0.0-broken", archive=_packed("broken", "2.0.0-broken"), because="probes fail")


def fragile() -> Candidate:
    """Return the better model, whose script refuses bills of a size that is not among the probes."""
    files = _unpacked(_packed("2.0.0", "2.0.0-fragile"))
    schema = json.loads(files["code/features.json"])
    schema["properties"]["instances"]["items"]["properties"]["monthly_charge"]["maximum"] = (
        LARGEST_PROBED_BILL
    )
    files["code/features.json"] = json.dumps(schema).encode()
    return Candidate(version="2.0.0-fragile", archive=pack.archive(files), because="calls fail")


def narrow() -> Candidate:
    """Return a candidate that is right about the customers it was tested with, and wrong about the others."""
    return Candidate(version="2.0.0-narrow", archive=_packed("narrow", "2.0.0-narrow"), because="outcome")


def probes() -> str:
    """Return requests with known answers, as JSON Lines: customers of one market, and none with a large bill."""
    lines = []
    for probe in customers.probes("A", _PROBES, instances=_CUSTOMERS):
        asked = zip(probe["body"]["instances"], probe["expected"], strict=True)
        small = [(each, left) for each, left in asked if each["monthly_charge"] <= LARGEST_PROBED_BILL]
        body = {"instances": [each for each, _ in small]}
        lines.append(json.dumps({"body": body, "expected": [left for _, left in small]}) + "\n")
    return "".join(lines)


def market() -> list[Customer]:
    """Return the customers who ask while a model is replaced; most of them are bound for years."""
    asked, left = customers.draw("B", 2000, seed=11)
    return [Customer(features=features, left=gone) for features, gone in zip(asked, left, strict=True)]


def _packed(model: str, version: str | None = None) -> bytes:
    text = (job_code("churn") / "models" / model / "model.json").read_bytes()
    return pack.packed_model(text, version or model)


def _unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: _content(tar, member) for member in tar}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""
