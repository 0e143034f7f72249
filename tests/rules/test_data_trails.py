"""Trails and Macie, where one template and one change do not say it."""

from typing import Any

import pytest

from tests.rules.cases.data import bucket, key
from tests.rules.cases.data_trails import OBJECTS, faces, trail
from tests.rules.fixtures import OPEN_PARAMETER, template
from tests.rules.judging import Told, found, found_in


def test_buckets_without_such_data_need_no_trail() -> None:
    others = {name: bucket(name) for name in ("data-lake", "inference-capture", "logs", "web")}
    assert found("SEC02-CloudTrailDataEvents", others) == []


@pytest.mark.parametrize("name", ["temporary-raw", "derived-pii", "training-data", "model-artifacts"])
def test_every_bucket_with_such_data_needs_a_trail(name: str) -> None:
    assert found("SEC02-CloudTrailDataEvents", {"Data": bucket(name)}) == [(None, "error", "Data")]


@pytest.mark.parametrize(
    "everything",
    [
        "arn:aws:s3",
        "arn:aws:s3:::",
        {"Fn::Sub": "arn:${AWS::Partition}:s3"},
        {"Fn::Sub": "arn:${AWS::Partition}:s3:::"},
    ],
)
def test_a_trail_of_every_bucket_covers_each(everything: Any) -> None:
    objects = {"Type": "AWS::S3::Object", "Values": [everything]}
    app = {**faces(), "Trail": trail(EventSelectors=[{"DataResources": [objects]}])}
    assert found("SEC02-CloudTrailDataEvents", app) == []


def test_reads_and_writes_may_be_recorded_by_two_selectors() -> None:
    selectors = [{"ReadWriteType": only, "DataResources": [OBJECTS]} for only in ("ReadOnly", "WriteOnly")]
    assert found("SEC02-CloudTrailDataEvents", {**faces(), "Trail": trail(EventSelectors=selectors)}) == []


def test_a_known_selector_settles_what_an_open_one_leaves_open() -> None:
    values = [OPEN_PARAMETER, *OBJECTS["Values"]]
    selectors = [{"DataResources": [{"Type": "AWS::S3::Object", "Values": values}]}]
    assert found("SEC02-CloudTrailDataEvents", {**faces(), "Trail": trail(EventSelectors=selectors)}) == []


def test_one_good_trail_is_enough() -> None:
    selectors = [{"DataResources": [OBJECTS]}]
    both = {
        "Other": trail(),
        "Bad": trail(EventSelectors=selectors, IsLogging=False),
        "Good": trail(EventSelectors=selectors),
    }
    assert found("SEC02-CloudTrailDataEvents", {**faces(), **both}) == []
    del both["Good"]
    assert found("SEC02-CloudTrailDataEvents", {**faces(), **both}) == [(None, "error", "Bad")]


def test_a_trail_in_another_stack_counts() -> None:
    data = template(
        {"Faces": bucket("temporary-raw")},
        Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Faces", "Arn"]}, "Export": {"Name": "faces"}}},
    )
    objects = {"Type": "AWS::S3::Object", "Values": [{"Fn::Join": ["", [{"Fn::ImportValue": "faces"}, "/"]]}]}
    selectors = [{"DataResources": [objects]}]
    audit = template({"Key": key(), "Logs": bucket("logs"), "Trail": trail(EventSelectors=selectors)})
    assert found_in("SEC02-CloudTrailDataEvents", data, audit) == []


def test_an_advanced_selector_may_except_other_buckets() -> None:
    def recorded(field: dict[str, Any] | None) -> Told:
        fields = [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            *([field] if field else []),
        ]
        app = {**faces(), "Trail": trail(AdvancedEventSelectors=[{"FieldSelectors": fields}])}
        return found("SEC02-CloudTrailDataEvents", app)

    assert recorded(None) == []
    assert recorded({"Field": "resources.ARN", "NotStartsWith": [{"Fn::Sub": "${Logs.Arn}/"}]}) == []
    assert recorded(
        {"Field": "resources.ARN", "NotStartsWith": [{"Fn::Sub": "${Faces.Arn}/"}, OPEN_PARAMETER]}
    ) == [(None, "error", "Faces")]
    assert recorded({"Field": "resources.ARN", "NotStartsWith": ["arn:aws:s3"]}) == [(None, "error", "Faces")]
    assert recorded({"Field": "resources.ARN", "StartsWith": [{"Fn::GetAtt": ["Faces", "Arn"]}]}) == []


def test_a_selector_on_the_declared_prefix_covers_the_data() -> None:
    app = faces()
    app["Faces"]["Metadata"]["MLLens"]["Prefix"] = "raw/new/"

    def recorded(prefix: str) -> Told:
        objects = {"Type": "AWS::S3::Object", "Values": [{"Fn::Sub": f"${{Faces.Arn}}/{prefix}"}]}
        return found(
            "SEC02-CloudTrailDataEvents",
            {**app, "Trail": trail(EventSelectors=[{"DataResources": [objects]}])},
        )

    assert recorded("raw/") == []
    assert recorded("rows/") == [(None, "error", "Faces")]


def test_a_parameter_may_name_the_bucket_for_the_records_unless_it_may_be_the_data_itself() -> None:
    app = {
        **faces(),
        "Trail": trail(EventSelectors=[{"DataResources": [OBJECTS]}], S3BucketName=OPEN_PARAMETER),
    }
    assert found("SEC02-CloudTrailDataEvents", app) == []
    app["Faces"]["Properties"]["BucketName"] = "faces"
    assert found("SEC02-CloudTrailDataEvents", app) == [("unresolved:S3BucketName", "warning", "Trail")]


def tagged(classification: Any, role_name: str = "training-data") -> dict[str, Any]:
    return bucket(role_name, Tags=[{"Key": "mllens:data-classification", "Value": classification}])


@pytest.mark.parametrize("classification", ["pii", "confidential", "restricted", "PII"])
def test_sensitive_data_need_macie(classification: str) -> None:
    app = {"Data": tagged(classification)}
    assert found("SEC02-MacieForSensitiveData", app) == [(None, "warning", "Data")]


def test_other_data_need_no_macie() -> None:
    app = {"Data": tagged("public"), "More": bucket("training-data")}
    assert found("SEC02-MacieForSensitiveData", app) == []


def test_macie_is_missed_once_and_rather_for_data_than_for_logs() -> None:
    app = {"Logs": tagged("pii", "logs"), "Data": tagged("pii"), "More": tagged("pii")}
    assert found("SEC02-MacieForSensitiveData", app) == [(None, "warning", "Data")]


def test_the_tag_of_a_stack_counts_for_its_buckets() -> None:
    body = template({"Data": bucket("training-data")})
    assert found_in("SEC02-MacieForSensitiveData", body) == []
    classified = found_in("SEC02-MacieForSensitiveData", body, **{"mllens:data-classification": "pii"})
    assert classified == [(None, "warning", "Data")]


def test_a_classification_that_is_open_is_unresolved_unless_macie_is_there() -> None:
    app = {"Data": tagged(OPEN_PARAMETER)}
    assert found("SEC02-MacieForSensitiveData", app) == [("unresolved:Tags", "warning", "Data")]
    assert found("SEC02-MacieForSensitiveData", {**app, "Macie": {"Type": "AWS::Macie::Session"}}) == []
