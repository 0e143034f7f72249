"""The lake, the results of its queries, and container repositories."""

from tests.rules.cases.data import bucket, key
from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Case, Change

GRANT = {
    "Principal": {"DataLakePrincipalIdentifier": {"Fn::GetAtt": ["Analyst", "Arn"]}},
    "Resource": {"Database": {"CatalogId": {"Ref": "AWS::AccountId"}, "Name": "lake"}},
    "Permissions": ["SELECT"],
    "PermissionsWithGrantOption": [],
}
DEFAULTS = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]
PRINCIPAL = "Principal.DataLakePrincipalIdentifier"

LAKE = Case(
    "SEC02-LakeFormationGoverned",
    {
        "Lake": bucket("data-lake"),
        "Other": bucket("data-lake", BucketName="other"),
        "Analyst": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
        "Settings": {
            "Type": "AWS::LakeFormation::DataLakeSettings",
            "Properties": {"CreateDatabaseDefaultPermissions": [], "CreateTableDefaultPermissions": []},
        },
        "Location": {
            "Type": "AWS::LakeFormation::Resource",
            "Properties": {"ResourceArn": {"Fn::GetAtt": ["Lake", "Arn"]}, "UseServiceLinkedRole": True},
        },
        "OtherLocation": {
            "Type": "AWS::LakeFormation::Resource",
            "Properties": {"ResourceArn": "arn:aws:s3:::other/curated", "UseServiceLinkedRole": True},
        },
        "Grant": {"Type": "AWS::LakeFormation::PrincipalPermissions", "Properties": GRANT},
        "OldGrant": {
            "Type": "AWS::LakeFormation::Permissions",
            "Properties": {
                "DataLakePrincipal": {"DataLakePrincipalIdentifier": "arn:aws:iam::111122223333:role/reader"},
                "Resource": {},
                "Permissions": ["DESCRIBE"],
            },
        },
    },
    violations=(
        Change("Location", "", GONE, "registered", on="Lake"),
        Change("Location", "ResourceArn", "arn:aws:s3:::elsewhere", "registered", on="Lake"),
        Change("OtherLocation", "", GONE, "registered", on="Other"),
        Change("Settings", "CreateDatabaseDefaultPermissions", DEFAULTS, "iamAllowed"),
        Change("Settings", "CreateTableDefaultPermissions", DEFAULTS, "iamAllowed"),
        Change("Grant", "Permissions", ["SELECT", "ALL"], "broadGrant"),
        Change("Grant", "PermissionsWithGrantOption", ["ALL"], "broadGrant"),
        Change("Grant", PRINCIPAL, "IAM_ALLOWED_PRINCIPALS", "broadGrant"),
        Change("OldGrant", "Permissions", ["ALL"], "broadGrant"),
        Change("OldGrant", "PermissionsWithGrantOption", ["ALL"], "broadGrant"),
        Change(
            "OldGrant",
            "DataLakePrincipal.DataLakePrincipalIdentifier",
            "IAM_ALLOWED_PRINCIPALS",
            "broadGrant",
        ),
    ),
    unresolved=(
        Change("Location", "ResourceArn", OPEN_PARAMETER, "unresolved:ResourceArn", "warning"),
        Change("Grant", PRINCIPAL, OPEN_PARAMETER, f"unresolved:{PRINCIPAL}", "warning"),
        Change("Grant", "Permissions.0", OPEN_PARAMETER, "unresolved:Permissions", "warning"),
    ),
)

WORKGROUP = "WorkGroupConfiguration"
RESULTS = f"{WORKGROUP}.ResultConfiguration.EncryptionConfiguration"

ATHENA = Case(
    "SEC02-AthenaWorkgroupEncrypted",
    {
        "Key": key(),
        "Analysts": {
            "Type": "AWS::Athena::WorkGroup",
            "Properties": {
                "Name": "analysts",
                "WorkGroupConfiguration": {
                    "EnforceWorkGroupConfiguration": True,
                    "PublishCloudWatchMetricsEnabled": True,
                    "ResultConfiguration": {
                        "EncryptionConfiguration": {
                            "EncryptionOption": "SSE_KMS",
                            "KmsKey": {"Fn::GetAtt": ["Key", "Arn"]},
                        }
                    },
                },
            },
        },
    },
    violations=(
        Change("Analysts", WORKGROUP, GONE),
        Change("Analysts", f"{WORKGROUP}.EnforceWorkGroupConfiguration", False),
        Change("Analysts", f"{WORKGROUP}.ResultConfiguration", GONE),
        Change("Analysts", f"{RESULTS}.EncryptionOption", "SSE_S3"),
        Change("Analysts", f"{RESULTS}.KmsKey", GONE),
        Change("Analysts", f"{RESULTS}.KmsKey", "alias/aws/s3"),
        Change("Analysts", f"{WORKGROUP}.PublishCloudWatchMetricsEnabled", False, level="warning"),
        Change("Analysts", f"{WORKGROUP}.PublishCloudWatchMetricsEnabled", GONE, level="warning"),
    ),
    unresolved=(
        Change(
            "Analysts",
            f"{WORKGROUP}.EnforceWorkGroupConfiguration",
            OPEN_PARAMETER,
            f"unresolved:{WORKGROUP}.EnforceWorkGroupConfiguration",
            "warning",
        ),
        Change(
            "Analysts",
            f"{RESULTS}.EncryptionOption",
            OPEN_PARAMETER,
            f"unresolved:{RESULTS}.EncryptionOption",
            "warning",
        ),
        Change("Analysts", f"{RESULTS}.KmsKey", MAYBE_EMPTY, f"unresolved:{RESULTS}.KmsKey", "warning"),
        Change(
            "Analysts",
            f"{WORKGROUP}.PublishCloudWatchMetricsEnabled",
            OPEN_PARAMETER,
            f"unresolved:{WORKGROUP}.PublishCloudWatchMetricsEnabled",
            "warning",
        ),
    ),
)

ECR = Case(
    "SEC02-EcrKms",
    {
        "Key": key(),
        "Containers": {
            "Type": "AWS::ECR::Repository",
            "Properties": {
                "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": {"Fn::GetAtt": ["Key", "Arn"]}}
            },
        },
    },
    violations=(
        Change("Containers", "EncryptionConfiguration", GONE),
        Change("Containers", "EncryptionConfiguration.EncryptionType", "AES256"),
        Change("Containers", "EncryptionConfiguration.KmsKey", GONE),
        Change("Containers", "EncryptionConfiguration.KmsKey", "alias/aws/ecr"),
    ),
    unresolved=(
        Change(
            "Containers",
            "EncryptionConfiguration.EncryptionType",
            OPEN_PARAMETER,
            "unresolved:EncryptionConfiguration.EncryptionType",
            "warning",
        ),
        Change(
            "Containers",
            "EncryptionConfiguration.KmsKey",
            MAYBE_EMPTY,
            "unresolved:EncryptionConfiguration.KmsKey",
            "warning",
        ),
    ),
)

CASES = [LAKE, ATHENA, ECR]
