"""The scenario of this repository under the rules on data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile

SCENARIOS = Path(__file__).parent.parent / "stacks" / "__snapshots__" / "test_snapshots"
MINE = ("DataBucketKms", "CloudTrailDataEvents", "LakeFormationGoverned", "AthenaWorkgroupEncrypted")
MINE += ("MlLogGroupEncrypted", "EcrKms", "TemporaryDataExpires", "DedicatedKeyForDerivedPii")
MINE += ("ArtifactsVersioned", "ModelBucketDeleteProtected", "ModelSecondCopy")


def scenario(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        (SCENARIOS / f"test_the_template_is_as_it_was[{name}].json").read_text("utf-8")
    )
    return read


def judged(body: dict[str, Any]) -> set[tuple[str, str | None]]:
    read = TemplateFile(Path("Faces.template.json"), "Faces", body, "Faces", {})
    findings = judge([read], Options())
    return {(each.rule.split("-")[2], each.finding) for each in findings if each.rule.split("-")[2] in MINE}


@pytest.mark.parametrize("name", ["sandbox", "production", "dashboard"])
def test_the_scenario_keeps_its_data_as_the_lens_asks(name: str) -> None:
    assert judged(scenario(name)) == set()


def of_type(body: dict[str, Any], kind: str, start: str = "") -> dict[str, Any]:
    """Return the properties of the first resource of a type whose logical id begins with ``start``."""
    resources = body["Resources"].items()
    found_ids = (each for name, each in resources if each["Type"] == kind and name.startswith(start))
    properties: dict[str, Any] = next(found_ids)["Properties"]
    return properties


def _expire_later(body: dict[str, Any]) -> None:
    images = of_type(body, "AWS::S3::Bucket", "DemographicsImages")
    images["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] = 30


def _share_the_key(body: dict[str, Any]) -> None:
    images = of_type(body, "AWS::S3::Bucket", "DemographicsImages")
    results = of_type(body, "AWS::S3::Bucket", "DemographicsResults")
    images["BucketEncryption"] = results["BucketEncryption"]


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], Any], set[tuple[str, str | None]]]] = {
    "images stay": (_expire_later, {("TemporaryDataExpires", None)}),
    "one key for all": (_share_the_key, {("DedicatedKeyForDerivedPii", None)}),
    "no data events": (
        lambda body: of_type(body, "AWS::CloudTrail::Trail").pop("EventSelectors"),
        {("CloudTrailDataEvents", None)},
    ),
    "a plain bucket": (
        lambda body: of_type(body, "AWS::S3::Bucket", "DemographicsImages").pop("BucketEncryption"),
        {("DataBucketKms", None)},
    ),
    "logs for ever": (
        lambda body: of_type(body, "AWS::Logs::LogGroup", "DemographicsAnalysisAnalyse").pop(
            "RetentionInDays"
        ),
        {("MlLogGroupEncrypted", None)},
    ),
    "plain query results": (
        lambda body: of_type(body, "AWS::Athena::WorkGroup")["WorkGroupConfiguration"].pop(
            "ResultConfiguration"
        ),
        {("AthenaWorkgroupEncrypted", None)},
    ),
}


@pytest.mark.parametrize(("spoil", "expected"), SPOILT.values(), ids=SPOILT)
def test_a_spoilt_scenario_is_told_of_by_exactly_its_rule(
    spoil: Callable[[dict[str, Any]], Any], expected: set[tuple[str, str | None]]
) -> None:
    body = scenario("production")
    spoil(body)
    assert judged(body) == expected
