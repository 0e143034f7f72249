"""Trails that record who touches the data, and Macie."""

from typing import Any

from tests.rules.cases.data import bucket, key
from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Case, Change

OBJECTS = {"Type": "AWS::S3::Object", "Values": [{"Fn::Sub": "${Faces.Arn}/"}]}


def trail(**properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudTrail::Trail",
        "Properties": {
            "IsLogging": True,
            "EnableLogFileValidation": True,
            "KMSKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
            "S3BucketName": {"Ref": "Logs"},
            **properties,
        },
    }


def faces() -> dict[str, Any]:
    return {"Key": key(), "Faces": bucket("temporary-raw"), "Logs": bucket("logs")}


SETTINGS_OF_TRAIL = (
    Change("Trail", "IsLogging", False, on="Trail"),
    Change("Trail", "IsLogging", GONE, on="Trail"),
    Change("Trail", "EnableLogFileValidation", False, on="Trail"),
    Change("Trail", "EnableLogFileValidation", GONE, on="Trail"),
    Change("Trail", "KMSKeyId", GONE, on="Trail"),
    Change("Trail", "S3BucketName", {"Ref": "Faces"}, on="Trail"),
)

TRAIL = Case(
    "SEC02-CloudTrailDataEvents",
    {**faces(), "Trail": trail(EventSelectors=[{"ReadWriteType": "All", "DataResources": [OBJECTS]}])},
    violations=(
        *SETTINGS_OF_TRAIL,
        Change("Trail", "", GONE, on="Faces"),
        Change("Trail", "EventSelectors", GONE, on="Faces"),
        Change("Trail", "EventSelectors.0.ReadWriteType", "ReadOnly", on="Faces"),
        Change("Trail", "EventSelectors.0.ReadWriteType", "WriteOnly", on="Faces"),
        Change("Trail", "EventSelectors.0.DataResources.0.Type", "AWS::Lambda::Function", on="Faces"),
        Change("Trail", "EventSelectors.0.DataResources.0.Values", ["arn:aws:s3:::other/"], on="Faces"),
        Change("Trail", "EventSelectors.0.DataResources.0.Values.0", {"Fn::Sub": "${Logs.Arn}/"}, on="Faces"),
        Change(
            "Trail", "EventSelectors.0.DataResources.0.Values.0", {"Fn::Sub": "${Faces.Arn}/new/"}, on="Faces"
        ),
        Change(
            "Trail", "EventSelectors.0.DataResources.0.Values.0", {"Fn::GetAtt": ["Faces", "Arn"]}, on="Faces"
        ),
    ),
    unresolved=(
        Change("Trail", "IsLogging", OPEN_PARAMETER, "unresolved:IsLogging", "warning"),
        Change(
            "Trail",
            "EnableLogFileValidation",
            OPEN_PARAMETER,
            "unresolved:EnableLogFileValidation",
            "warning",
        ),
        Change("Trail", "KMSKeyId", MAYBE_EMPTY, "unresolved:KMSKeyId", "warning"),
        Change(
            "Trail",
            "EventSelectors.0.ReadWriteType",
            OPEN_PARAMETER,
            "unresolved:EventSelectors.ReadWriteType",
            "warning",
        ),
        Change(
            "Trail",
            "EventSelectors.0.DataResources.0.Values.0",
            OPEN_PARAMETER,
            "unresolved:EventSelectors.DataResources.Values",
            "warning",
        ),
        Change(
            "Trail",
            "EventSelectors.0.DataResources.0.Values",
            {"Ref": "NobodyKnowsList"},
            "unresolved:EventSelectors.DataResources.Values",
            "warning",
        ),
        Change(
            "Trail",
            "EventSelectors.0.DataResources.0.Type",
            OPEN_PARAMETER,
            "unresolved:EventSelectors.DataResources.Type",
            "warning",
        ),
    ),
)

FIELDS = [
    {"Field": "eventCategory", "Equals": ["Data"]},
    {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
    {"Field": "resources.ARN", "StartsWith": [{"Fn::Sub": "${Faces.Arn}/"}]},
]
FIELD = "AdvancedEventSelectors.0.FieldSelectors"

ADVANCED_TRAIL = Case(
    "SEC02-CloudTrailDataEvents",
    {**faces(), "Trail": trail(AdvancedEventSelectors=[{"FieldSelectors": FIELDS}])},
    violations=(
        *SETTINGS_OF_TRAIL,
        Change("Trail", f"{FIELD}.0.Equals", ["Management"], on="Faces"),
        Change("Trail", f"{FIELD}.1.Equals", ["AWS::Lambda::Function"], on="Faces"),
        Change("Trail", f"{FIELD}.2.StartsWith", [{"Fn::Sub": "${Logs.Arn}/"}], on="Faces"),
        Change(
            "Trail",
            f"{FIELD}.2",
            {"Field": "resources.ARN", "NotStartsWith": [{"Fn::Sub": "${Faces.Arn}/a"}]},
            on="Faces",
        ),
        Change("Trail", f"{FIELD}.2", {"Field": "resources.ARN", "EndsWith": [".jpg"]}, on="Faces"),
        Change("Trail", f"{FIELD}.3", {"Field": "readOnly", "Equals": ["true"]}, on="Faces"),
        Change("Trail", f"{FIELD}.3", {"Field": "readOnly", "Equals": ["false"]}, on="Faces"),
        Change("Trail", f"{FIELD}.3", {"Field": "eventName", "Equals": ["PutObject"]}, on="Faces"),
    ),
    unresolved=(
        Change(
            "Trail",
            f"{FIELD}.2.StartsWith.0",
            OPEN_PARAMETER,
            "unresolved:AdvancedEventSelectors.FieldSelectors.StartsWith",
            "warning",
        ),
        Change(
            "Trail",
            f"{FIELD}.1.Equals.0",
            OPEN_PARAMETER,
            "unresolved:AdvancedEventSelectors.FieldSelectors.Equals",
            "warning",
        ),
    ),
    name="advanced",
)

MACIE = Case(
    "SEC02-MacieForSensitiveData",
    {
        "Faces": bucket("temporary-raw", Tags=[{"Key": "mllens:data-classification", "Value": "pii"}]),
        "Macie": {"Type": "AWS::Macie::Session", "Properties": {"Status": "ENABLED"}},
    },
    violations=(
        Change("Macie", "Status", "PAUSED", level="warning"),
        Change("Macie", "AutomatedDiscoveryStatus", "DISABLED", level="warning"),
        Change("Macie", "", GONE, level="warning", on="Faces"),
    ),
    unresolved=(
        Change("Macie", "Status", OPEN_PARAMETER, "unresolved:Status", "warning"),
        Change(
            "Macie",
            "AutomatedDiscoveryStatus",
            OPEN_PARAMETER,
            "unresolved:AutomatedDiscoveryStatus",
            "warning",
        ),
    ),
)

CASES = [TRAIL, ADVANCED_TRAIL, MACIE]
