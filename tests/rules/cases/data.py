"""Buckets with data: their keys, and how long they keep what is temporary."""

from typing import Any

from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Case, Change

OPEN_NUMBER = {"Ref": "NobodyKnowsNumber"}
ALGORITHM = "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.SSEAlgorithm"
KEY_OF_BUCKET = (
    "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.KMSMasterKeyID"
)
BUCKET_KEY = "BucketEncryption.ServerSideEncryptionConfiguration.0.BucketKeyEnabled"
OF_DEFAULT = "unresolved:BucketEncryption.ServerSideEncryptionConfiguration.ServerSideEncryptionByDefault"
RULES_OF = "LifecycleConfiguration.Rules"


def encrypted(key: Any = None) -> dict[str, Any]:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key or {"Fn::GetAtt": ["Key", "Arn"]}}
    return {
        "ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
        ]
    }


def bucket(role: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Metadata": {"MLLens": {"Role": role}}, "Properties": properties}


def key() -> dict[str, Any]:
    return {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}}


ENCRYPTION = Case(
    "SEC02-DataBucketKms",
    {
        "Key": key(),
        "Data": bucket("training-data", BucketEncryption=encrypted()),
        "Logs": bucket("logs"),
        "Site": bucket("web"),
        "Anything": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "anything"}},
    },
    violations=(
        Change("Data", "BucketEncryption", GONE),
        Change("Data", ALGORITHM, "AES256"),
        Change("Data", ALGORITHM, GONE),
        Change("Data", KEY_OF_BUCKET, GONE),
        Change("Data", KEY_OF_BUCKET, "alias/aws/s3"),
        Change("Data", KEY_OF_BUCKET, "arn:aws:kms:eu-west-1:111122223333:alias/aws/s3"),
        Change("Data", BUCKET_KEY, False, level="warning"),
        Change("Data", BUCKET_KEY, GONE, level="warning"),
    ),
    unresolved=(
        Change("Data", ALGORITHM, OPEN_PARAMETER, f"{OF_DEFAULT}.SSEAlgorithm", "warning"),
        Change("Data", KEY_OF_BUCKET, MAYBE_EMPTY, f"{OF_DEFAULT}.KMSMasterKeyID", "warning"),
        Change(
            "Data",
            BUCKET_KEY,
            OPEN_PARAMETER,
            "unresolved:BucketEncryption.ServerSideEncryptionConfiguration.BucketKeyEnabled",
            "warning",
        ),
        Change("Logs", "@Metadata.MLLens.Role", "log", "unresolved:Metadata.MLLens.Role", "warning"),
    ),
)

DOUBLE_ENCRYPTION = Case(
    "SEC02-DataBucketKms",
    {
        "Key": key(),
        "Data": bucket(
            "inference-capture",
            BucketEncryption={
                "ServerSideEncryptionConfiguration": [
                    {
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms:dsse",
                            "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
                        }
                    }
                ]
            },
        ),
    },
    violations=(Change("Data", KEY_OF_BUCKET, GONE),),
    unresolved=(),
    name="dsse",
)

EXPIRES = {
    "Status": "Enabled",
    "ExpirationInDays": 1,
    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
NONCURRENT = f"{RULES_OF}.0.NoncurrentVersionExpiration"
ABORT = f"{RULES_OF}.0.AbortIncompleteMultipartUpload"

TEMPORARY = Case(
    "SEC02-TemporaryDataExpires",
    {
        "Faces": bucket(
            "temporary-raw",
            VersioningConfiguration={"Status": "Enabled"},
            LifecycleConfiguration={"Rules": [EXPIRES]},
        ),
        "Rows": bucket("derived-pii"),
    },
    violations=(
        Change("Faces", "LifecycleConfiguration", GONE),
        Change("Faces", f"{RULES_OF}.0.Status", "Disabled"),
        Change("Faces", f"{RULES_OF}.0.Prefix", "new/"),
        Change("Faces", f"{RULES_OF}.0.TagFilters", [{"Key": "a", "Value": "b"}]),
        Change("Faces", f"{RULES_OF}.0.ObjectSizeGreaterThan", "1024"),
        Change("Faces", f"{RULES_OF}.0.ExpirationInDays", 2),
        Change("Faces", f"{RULES_OF}.0.ExpirationInDays", GONE),
        Change("Faces", NONCURRENT, GONE),
        Change("Faces", f"{NONCURRENT}.NoncurrentDays", 30, level="warning"),
        Change("Faces", f"{NONCURRENT}.NewerNoncurrentVersions", 3),
        Change("Faces", ABORT, GONE),
        Change("Faces", f"{ABORT}.DaysAfterInitiation", 7, level="warning"),
    ),
    unresolved=(
        Change("Faces", RULES_OF, OPEN_PARAMETER, f"unresolved:{RULES_OF}", "warning"),
        Change("Faces", f"{RULES_OF}.0.Status", OPEN_PARAMETER, f"unresolved:{RULES_OF}.Status", "warning"),
        Change("Faces", f"{RULES_OF}.0.Prefix", OPEN_PARAMETER, f"unresolved:{RULES_OF}.Prefix", "warning"),
        Change(
            "Faces",
            f"{RULES_OF}.0.ExpirationInDays",
            OPEN_NUMBER,
            f"unresolved:{RULES_OF}.ExpirationInDays",
            "warning",
        ),
    ),
)

UNVERSIONED = Case(
    "SEC02-TemporaryDataExpires",
    {
        "Faces": bucket(
            "temporary-raw",
            LifecycleConfiguration={
                "Rules": [
                    {"Status": "Enabled", "ExpirationInDays": 1},
                    {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
                ]
            },
        ),
    },
    violations=(
        Change("Faces", "VersioningConfiguration.Status", "Enabled"),
        Change("Faces", "VersioningConfiguration.Status", "Suspended"),
        Change("Faces", f"{RULES_OF}.0.Status", "Disabled"),
    ),
    unresolved=(
        Change(
            "Faces",
            "VersioningConfiguration.Status",
            OPEN_PARAMETER,
            "unresolved:VersioningConfiguration.Status",
            "warning",
        ),
    ),
    name="unversioned",
)

DEDICATED_KEY = Case(
    "SEC02-DedicatedKeyForDerivedPii",
    {
        "Key": key(),
        "OtherKey": key(),
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": "alias/rows", "TargetKeyId": {"Ref": "Key"}},
        },
        "Rows": bucket("derived-pii", BucketEncryption=encrypted()),
        "MoreRows": bucket("derived-pii", BucketEncryption=encrypted({"Ref": "Alias"})),
        "Faces": bucket("temporary-raw", BucketEncryption=encrypted({"Ref": "OtherKey"})),
        "Anything": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketEncryption": encrypted({"Ref": "OtherKey"})},
        },
    },
    violations=(
        Change("MoreRows", "BucketEncryption", GONE),
        Change("Rows", KEY_OF_BUCKET, "arn:aws:kms:eu-west-1:111122223333:key/0000"),
        Change("Rows", KEY_OF_BUCKET, "alias/other"),
        Change("Rows", KEY_OF_BUCKET, "1234abcd-12ab-34cd-56ef-1234567890ab"),
        Change("Rows", KEY_OF_BUCKET, GONE),
        Change("MoreRows", KEY_OF_BUCKET, {"Fn::GetAtt": ["OtherKey", "Arn"]}),
    ),
    unresolved=(
        Change("Rows", KEY_OF_BUCKET, OPEN_PARAMETER, f"{OF_DEFAULT}.KMSMasterKeyID", "warning"),
        Change(
            "Rows", KEY_OF_BUCKET, {"Fn::ImportValue": "a-key"}, f"{OF_DEFAULT}.KMSMasterKeyID", "warning"
        ),
    ),
)

CASES = [ENCRYPTION, DOUBLE_ENCRYPTION, TEMPORARY, UNVERSIONED, DEDICATED_KEY]
