"""Encryption, the lake and temporary data, where one template and one change do not say it."""

import copy
from typing import Any

from tests.rules.cases.data import EXPIRES, TEMPORARY, bucket, encrypted, key
from tests.rules.cases.data_lake import DEFAULTS
from tests.rules.fixtures import template
from tests.rules.judging import Told, found, found_in


def test_the_role_of_a_bucket_need_not_be_declared() -> None:
    model = {
        "Type": "AWS::SageMaker::Model",
        "Properties": {"PrimaryContainer": {"ModelDataUrl": "s3://models/m"}},
    }
    models = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "models"}}
    assert found("SEC02-DataBucketKms", {"Model": model, "Models": models}) == [(None, "error", "Models")]


def test_a_bucket_for_data_and_logs_is_not_exempt() -> None:
    both = {
        "Data": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"LoggingConfiguration": {"DestinationBucketName": "both"}},
        },
        "Both": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "both"}},
        "Lake": {"Type": "AWS::LakeFormation::Resource", "Properties": {"ResourceArn": "arn:aws:s3:::both"}},
    }
    assert found("SEC02-DataBucketKms", both) == [(None, "error", "Both")]
    del both["Lake"]
    assert found("SEC02-DataBucketKms", both) == []


def test_a_bucket_of_derived_data_may_not_share_its_key_with_a_bucket_without_a_role() -> None:
    apart = {
        "Key": key(),
        "Rows": bucket("derived-pii", BucketEncryption=encrypted()),
        "Anything": {"Type": "AWS::S3::Bucket", "Properties": {"BucketEncryption": encrypted()}},
    }
    assert found("SEC02-DedicatedKeyForDerivedPii", apart) == [(None, "error", "Rows")]
    apart["Anything"]["Properties"]["BucketEncryption"] = encrypted("alias/other")
    assert found("SEC02-DedicatedKeyForDerivedPii", apart) == []


def test_a_key_in_another_stack_of_the_app_is_a_key_of_the_app() -> None:
    rows = bucket("derived-pii", BucketEncryption=encrypted({"Fn::ImportValue": "the-key"}))
    keys = template({"Key": key()}, Outputs={"Key": {"Value": {"Ref": "Key"}, "Export": {"Name": "the-key"}}})
    assert found_in("SEC02-DedicatedKeyForDerivedPii", template({"Rows": rows}), keys) == []
    sharing = template(
        {"Faces": bucket("temporary-raw", BucketEncryption=encrypted({"Fn::ImportValue": "the-key"}))}
    )
    shared = found_in("SEC02-DedicatedKeyForDerivedPii", template({"Rows": rows}), keys, sharing)
    assert shared == [(None, "error", "Rows")]


def test_results_that_athena_manages_need_a_key_too() -> None:
    def workgroup(**managed: Any) -> dict[str, Any]:
        settings = {"PublishCloudWatchMetricsEnabled": True, "ManagedQueryResultsConfiguration": managed}
        return {
            "Queries": {"Type": "AWS::Athena::WorkGroup", "Properties": {"WorkGroupConfiguration": settings}}
        }

    own = {"KmsKey": "alias/results"}
    rule = "SEC02-AthenaWorkgroupEncrypted"
    assert found(rule, workgroup(Enabled=True, EncryptionConfiguration=own)) == []
    assert found(rule, workgroup(Enabled=True)) == [(None, "error", "Queries")]
    assert found(rule, workgroup(Enabled=False, EncryptionConfiguration=own)) == [(None, "error", "Queries")]


def test_without_settings_every_registered_location_is_open_to_iam() -> None:
    location = {
        "Type": "AWS::LakeFormation::Resource",
        "Properties": {"ResourceArn": {"Fn::GetAtt": ["Lake", "Arn"]}},
    }
    app = {"Lake": bucket("data-lake"), "Location": location}
    assert found("SEC02-LakeFormationGoverned", app) == [("iamAllowed", "error", "Location")]


def test_settings_without_defaults_leave_it_to_lake_formation() -> None:
    settings = {"Type": "AWS::LakeFormation::DataLakeSettings"}
    assert found("SEC02-LakeFormationGoverned", {"Settings": settings}) == []
    opened = {**settings, "Properties": {"CreateTableDefaultPermissions": DEFAULTS}}
    assert found("SEC02-LakeFormationGoverned", {"Settings": opened}) == [("iamAllowed", "error", "Settings")]


def test_a_declared_prefix_of_the_lake_has_to_be_registered() -> None:
    def governed(at: str) -> Told:
        lake = bucket("data-lake")
        lake["Metadata"]["MLLens"]["Prefix"] = "curated/"
        arn = {"Fn::Sub": f"${{Lake.Arn}}{at}"}
        app = {
            "Lake": lake,
            "Settings": {"Type": "AWS::LakeFormation::DataLakeSettings"},
            "Location": {"Type": "AWS::LakeFormation::Resource", "Properties": {"ResourceArn": arn}},
        }
        return found("SEC02-LakeFormationGoverned", app)

    assert governed("") == []
    assert governed("/curated") == []
    assert governed("/raw/") == [("registered", "error", "Lake")]


def test_the_limit_for_temporary_data_can_be_set() -> None:
    slow = copy.deepcopy(EXPIRES)
    slow["ExpirationInDays"] = 3
    app = {"Faces": bucket("temporary-raw", LifecycleConfiguration={"Rules": [slow]})}
    assert found("SEC02-TemporaryDataExpires", app) == [(None, "error", "Faces")]
    assert found("SEC02-TemporaryDataExpires", app, max_temporary_days=3) == []


def test_a_rule_for_the_declared_prefix_covers_the_data() -> None:
    app = copy.deepcopy(dict(TEMPORARY.compliant))
    app["Faces"]["Properties"]["LifecycleConfiguration"]["Rules"][0]["Prefix"] = "raw/"
    assert found("SEC02-TemporaryDataExpires", app) == [(None, "error", "Faces")]
    app["Faces"]["Metadata"]["MLLens"]["Prefix"] = "raw/"
    assert found("SEC02-TemporaryDataExpires", app) == []


def test_other_buckets_need_not_expire() -> None:
    assert found("SEC02-TemporaryDataExpires", {"Data": bucket("training-data")}) == []
