"""Buckets of models, data and code: versions, deletion, second copies."""

from typing import Any

from tests.rules.cases.data import OPEN_NUMBER, bucket
from tests.rules.fixtures import GONE, MAYBE_EMPTY, OPEN_PARAMETER, Case, Change

STATUS = "VersioningConfiguration.Status"
RULES_OF = "LifecycleConfiguration.Rules"


def versioned(role: str) -> dict[str, Any]:
    rules = [{"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]
    return bucket(
        role, VersioningConfiguration={"Status": "Enabled"}, LifecycleConfiguration={"Rules": rules}
    )


def unkept(resource: str, finding: str) -> tuple[Change, ...]:
    """Return the ways in which a bucket forgets versions."""
    noncurrent = f"{RULES_OF}.0.NoncurrentVersionExpiration"
    return (
        Change(resource, "VersioningConfiguration", GONE, finding),
        Change(resource, STATUS, "Suspended", finding),
        Change(resource, f"{noncurrent}.NoncurrentDays", 29, finding),
        Change(resource, f"{noncurrent}.NoncurrentDays", "1", finding),
        Change(
            resource, f"{RULES_OF}.1", {"Status": "Enabled", "NoncurrentVersionExpirationInDays": 7}, finding
        ),
    )


ACTION = {
    "Name": "Code",
    "ActionTypeId": {"Category": "Source", "Owner": "AWS", "Provider": "S3", "Version": "1"},
    "Configuration": {"S3Bucket": {"Ref": "Code"}, "S3ObjectKey": "code.zip"},
}

VERSIONS = Case(
    "REL04-ArtifactsVersioned",
    {
        "Models": versioned("model-artifacts"),
        "Data": versioned("training-data"),
        "Lake": versioned("data-lake"),
        "Code": {**versioned("x"), "Metadata": {}},
        "Pipeline": {
            "Type": "AWS::CodePipeline::Pipeline",
            "Properties": {"Stages": [{"Name": "Source", "Actions": [ACTION]}]},
        },
        "Rows": bucket("derived-pii"),
        "Anything": {"Type": "AWS::S3::Bucket"},
    },
    violations=(
        *unkept("Models", "model"),
        *unkept("Data", "data"),
        *unkept("Lake", "data"),
        *unkept("Code", "code"),
    ),
    unresolved=(
        Change("Models", STATUS, OPEN_PARAMETER, f"unresolved:{STATUS}", "warning"),
        Change(
            "Data",
            f"{RULES_OF}.0.NoncurrentVersionExpiration.NoncurrentDays",
            OPEN_NUMBER,
            f"unresolved:{RULES_OF}.NoncurrentVersionExpiration.NoncurrentDays",
            "warning",
        ),
        Change(
            "Lake",
            f"{RULES_OF}.1",
            {"Status": OPEN_PARAMETER, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
            f"unresolved:{RULES_OF}.Status",
            "warning",
        ),
    ),
)

REFUSAL = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:DeleteObject*",
    "Resource": {"Fn::Sub": "${Models.Arn}/*"},
    "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
}
RETAINED = {**bucket("model-artifacts"), "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
STATEMENT = "PolicyDocument.Statement.0"

REFUSED = Case(
    "REL04-ModelBucketDeleteProtected",
    {
        "Models": RETAINED,
        "Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Models"}, "PolicyDocument": {"Statement": [REFUSAL]}},
        },
        "Other": {"Type": "AWS::S3::Bucket", "Properties": {}},
    },
    violations=(
        Change("Models", "@DeletionPolicy", GONE, "retain"),
        Change("Models", "@DeletionPolicy", "Delete", "retain"),
        Change("Models", "@UpdateReplacePolicy", GONE, "retain"),
        Change("Models", "@UpdateReplacePolicy", "Snapshot", "retain"),
        Change("Policy", "", GONE, "mfa", on="Models"),
        Change("Policy", "Bucket", {"Ref": "Other"}, "mfa", on="Models"),
        Change("Policy", f"{STATEMENT}.Effect", "Allow", "mfa", on="Models"),
        Change("Policy", f"{STATEMENT}.Action", "s3:DeleteObject", "mfa", on="Models"),
        Change("Policy", f"{STATEMENT}.Action", "s3:DeleteObjectVersion", "mfa", on="Models"),
        Change(
            "Policy", f"{STATEMENT}.Principal", {"AWS": "arn:aws:iam::111122223333:root"}, "mfa", on="Models"
        ),
        Change("Policy", f"{STATEMENT}.Resource", {"Fn::GetAtt": ["Models", "Arn"]}, "mfa", on="Models"),
        Change("Policy", f"{STATEMENT}.Resource", {"Fn::Sub": "${Models.Arn}/old/*"}, "mfa", on="Models"),
        Change(
            "Policy",
            f"{STATEMENT}.Condition",
            {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
            "mfa",
            on="Models",
        ),
        Change(
            "Policy",
            f"{STATEMENT}.Condition",
            {"Null": {"aws:MultiFactorAuthPresent": "true"}},
            "mfa",
            on="Models",
        ),
        Change(
            "Policy",
            f"{STATEMENT}.Condition",
            {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
            "mfa",
            on="Models",
        ),
        Change(
            "Policy", f"{STATEMENT}.Condition.StringEquals", {"aws:PrincipalOrgID": "o-1"}, "mfa", on="Models"
        ),
        Change("Policy", f"{STATEMENT}.Condition.ArnNotLike", {"aws:PrincipalArn": "*"}, "mfa", on="Models"),
        Change(
            "Policy",
            f"{STATEMENT}.Condition.ArnNotLike",
            {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"},
            "mfa",
            on="Models",
        ),
    ),
    unresolved=(
        Change(
            "Policy",
            f"{STATEMENT}.Condition.BoolIfExists",
            {"aws:MultiFactorAuthPresent": OPEN_PARAMETER},
            "unresolved:PolicyDocument.Statement.Condition.BoolIfExists.aws:MultiFactorAuthPresent",
            "warning",
        ),
    ),
    name="policy",
)

LOCK = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 90}}}
RETENTION = "ObjectLockConfiguration.Rule.DefaultRetention"

LOCKED = Case(
    "REL04-ModelBucketDeleteProtected",
    {
        "Models": {
            **RETAINED,
            "Properties": {"ObjectLockEnabled": True, "ObjectLockConfiguration": LOCK},
        },
        "Data": bucket("training-data"),
    },
    violations=(
        Change("Models", "ObjectLockConfiguration", GONE, "mfa"),
        Change("Models", "ObjectLockConfiguration.ObjectLockEnabled", GONE, "mfa"),
        Change("Models", "ObjectLockConfiguration.Rule", GONE, "mfa"),
        Change("Models", f"{RETENTION}.Mode", GONE, "mfa"),
        Change("Models", f"{RETENTION}.Days", GONE, "mfa"),
    ),
    unresolved=(
        Change(
            "Models",
            "ObjectLockConfiguration.ObjectLockEnabled",
            OPEN_PARAMETER,
            "unresolved:ObjectLockConfiguration.ObjectLockEnabled",
            "warning",
        ),
        Change("Models", f"{RETENTION}.Days", MAYBE_EMPTY, f"unresolved:{RETENTION}.Days", "warning"),
    ),
    name="lock",
)

REPLICATION = "ReplicationConfiguration.Rules.0"

REPLICATED = Case(
    "REL04-ModelSecondCopy",
    {
        "Models": bucket(
            "model-artifacts",
            ReplicationConfiguration={
                "Role": "arn:aws:iam::111122223333:role/copies",
                "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::models-copy"}}],
            },
        ),
        "Data": bucket("training-data"),
    },
    violations=(
        Change("Models", "ReplicationConfiguration", GONE, level="warning"),
        Change("Models", f"{REPLICATION}.Status", "Disabled", level="warning"),
        Change(
            "Models", f"{REPLICATION}.Destination.Bucket", {"Fn::GetAtt": ["Models", "Arn"]}, level="warning"
        ),
        Change("Models", f"{REPLICATION}.Destination.Bucket", GONE, level="warning"),
        Change("Models", f"{REPLICATION}.Prefix", "logs/", level="warning"),
        Change("Models", f"{REPLICATION}.Filter", {"Prefix": "logs/"}, level="warning"),
        Change("Models", f"{REPLICATION}.Filter", {"And": {"Prefix": "logs/"}}, level="warning"),
        Change("Models", f"{REPLICATION}.Filter", {"TagFilter": {"Key": "a", "Value": "b"}}, level="warning"),
        Change(
            "Models",
            f"{REPLICATION}.Filter",
            {"And": {"TagFilters": [{"Key": "a", "Value": "b"}]}},
            level="warning",
        ),
    ),
    unresolved=(
        Change(
            "Models",
            f"{REPLICATION}.Status",
            OPEN_PARAMETER,
            "unresolved:ReplicationConfiguration.Rules.Status",
            "warning",
        ),
        Change(
            "Models",
            f"{REPLICATION}.Prefix",
            OPEN_PARAMETER,
            "unresolved:ReplicationConfiguration.Rules.Prefix",
            "warning",
        ),
    ),
    name="replication",
)


def backed_up(selection: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {
        "Models": bucket("model-artifacts", **properties),
        "Backup": {"Type": "AWS::Backup::BackupSelection", "Properties": {"BackupSelection": selection}},
    }


SELECTED = Case(
    "REL04-ModelSecondCopy",
    backed_up({"Resources": [{"Fn::GetAtt": ["Models", "Arn"]}]}),
    violations=(
        Change("Backup", "", GONE, level="warning", on="Models"),
        Change("Backup", "BackupSelection.Resources", ["arn:aws:s3:::other"], level="warning", on="Models"),
        Change(
            "Backup",
            "BackupSelection.Resources",
            ["arn:aws:dynamodb:*:*:table/*"],
            level="warning",
            on="Models",
        ),
        Change(
            "Backup",
            "BackupSelection.NotResources",
            [{"Fn::GetAtt": ["Models", "Arn"]}],
            level="warning",
            on="Models",
        ),
        Change(
            "Backup",
            "BackupSelection.Conditions",
            {"StringEquals": [{"ConditionKey": "aws:ResourceTag/backup", "ConditionValue": "yes"}]},
            level="warning",
            on="Models",
        ),
    ),
    unresolved=(
        Change(
            "Backup",
            "BackupSelection.Resources.0",
            OPEN_PARAMETER,
            "unresolved:BackupSelection.Resources",
            "warning",
        ),
        Change(
            "Backup",
            "BackupSelection.Conditions",
            {"StringLike": [{"ConditionKey": "aws:ResourceTag/backup", "ConditionValue": "y*"}]},
            "unresolved:BackupSelection.Conditions.StringLike",
            "warning",
        ),
    ),
    name="backup",
)

SELECTED_BY_TAG = Case(
    "REL04-ModelSecondCopy",
    backed_up(
        {
            "ListOfTags": [
                {"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "yes"}
            ]
        },
        Tags=[{"Key": "backup", "Value": "yes"}],
    ),
    violations=(
        Change("Models", "Tags.0.Value", "no", level="warning"),
        Change("Models", "Tags", GONE, level="warning"),
    ),
    unresolved=(),
    name="backup-by-tag",
)

CASES = [VERSIONS, REFUSED, LOCKED, REPLICATED, SELECTED, SELECTED_BY_TAG]
