"""Who may see which tables of the lake, and in which form copies of them lie about."""

from __future__ import annotations

from collections.abc import Iterator

from ml_lens.rules.buckets import BUCKET, DATA_LAKE, Location, location_of, roles_of
from ml_lens.rules.graph import Node
from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import (
    PASS,
    Verdict,
    fails,
    must_be_one_of,
    must_equal,
    must_have_key,
    must_not_exist,
    must_satisfy,
    passes,
    unknown,
)

LOCATION = "AWS::LakeFormation::Resource"
SETTINGS = "AWS::LakeFormation::DataLakeSettings"
GRANTS = ("AWS::LakeFormation::PrincipalPermissions", "AWS::LakeFormation::Permissions")
WORKGROUP = "AWS::Athena::WorkGroup"
_EVERYBODY = "IAM_ALLOWED_PRINCIPALS"


@rule(
    "SEC02-LakeFormationGoverned",
    number=21,
    weight=ERROR,
    on=(BUCKET, LOCATION, SETTINGS, *GRANTS),
    title="Lake Formation decides who sees what in the lake.",
    why="Where IAM alone decides, the filters of Lake Formation by row, column and tag are bypassed.",
    fix="Register the bucket with Lake Formation, empty the default permissions in DataLakeSettings, and grant "
    "named permissions to named principals.",
    cloudformation="""
LakeSettings:
  Type: AWS::LakeFormation::DataLakeSettings
  Properties:
    CreateDatabaseDefaultPermissions: []
    CreateTableDefaultPermissions: []
LakeLocation:
  Type: AWS::LakeFormation::Resource
  Properties:
    ResourceArn: !GetAtt LakeBucket.Arn
    UseServiceLinkedRole: true
AnalystsRead:
  Type: AWS::LakeFormation::PrincipalPermissions
  Properties:
    Principal: {DataLakePrincipalIdentifier: !GetAtt AnalystRole.Arn}
    Resource: {Table: {CatalogId: !Ref AWS::AccountId, DatabaseName: curated, Name: sales}}
    Permissions: [SELECT]
    PermissionsWithGrantOption: []
""",
    findings={
        "registered": "A bucket of the data lake is not registered with Lake Formation.",
        "iamAllowed": "New databases or tables are open to every principal that IAM allows.",
        "broadGrant": "A grant gives every permission, or gives to everybody that IAM allows.",
    },
    lens2020="MLSEC 02",
    lens2025="MLSEC03-BP02",
    settled=(
        "A registration of any part of the bucket counts, as lakes are often registered zone by zone; where "
        "Metadata.MLLens.Prefix names the data, the registration has to cover that prefix.",
        "A DataLakeSettings without default permissions complies: null leaves it to Lake Formation.",
        "Without a DataLakeSettings in the app the defaults of the account hold, which are IAM_ALLOWED_PRINCIPALS: "
        "each registered location is reported.",
        "ALL with a grant option is a grant of ALL; a registration in hybrid access mode is a registration.",
    ),
)
def lake_is_governed(node: Node) -> Iterator[Verdict]:
    """Demand registration, closed defaults and narrow grants."""
    if node.type == BUCKET:
        yield from _is_registered(node)
    elif node.type == LOCATION:
        if not node.graph.nodes(SETTINGS):
            told = "is registered without an AWS::LakeFormation::DataLakeSettings in the app, so that IAM decides"
            yield fails(node, f"{told} on every new table").named("iamAllowed")
    elif node.type == SETTINGS:
        for name in ("CreateDatabaseDefaultPermissions", "CreateTableDefaultPermissions"):
            yield must_not_exist(node[name]).named("iamAllowed")
    else:
        yield from _is_narrow(node)


def _is_registered(bucket: Node) -> Iterator[Verdict]:
    if DATA_LAKE not in roles_of(bucket):
        return
    locations = bucket.graph.joined("registered locations", (LOCATION,), _locations)
    prefix = bucket.declared_prefix or ""
    if any(not prefix or prefix.startswith(at.key.rstrip("*")) for at in locations.at(bucket)):
        return
    for registered in bucket.graph.nodes(LOCATION):
        arn = registered["ResourceArn"]
        if location_of(arn).is_open:
            told = f"{arn.path} is {arn.shown}, which the template leaves open; it may be {bucket.logical_id}"
            yield unknown(registered, told, path=arn.path)
            return
    what = f"{prefix} of the bucket" if prefix else "the bucket"
    yield fails(bucket, f"no AWS::LakeFormation::Resource of the app registers {what}").named("registered")


def _locations(registered: Node) -> Iterator[tuple[Node, Location]]:
    location = location_of(registered["ResourceArn"])
    if location.bucket is not None:
        yield location.bucket, location


def _is_narrow(grant: Node) -> Iterator[Verdict]:
    principal = grant["Principal" if grant["Principal"] else "DataLakePrincipal"][
        "DataLakePrincipalIdentifier"
    ]
    verdicts = [_is_somebody(principal)]
    for name in ("Permissions", "PermissionsWithGrantOption"):
        verdicts += [_is_one_permission(permission) for permission in grant[name].elements]
    for verdict in verdicts:
        yield verdict.named("broadGrant")


def _is_somebody(principal: Value) -> Verdict:
    if principal.reference is not None or (principal.text or "").startswith("arn:"):
        return passes(principal.node)
    return must_satisfy(
        principal, lambda given: given != _EVERYBODY, f"must not be {_EVERYBODY}", when_absent=PASS
    )


def _is_one_permission(permission: Value) -> Verdict:
    return must_satisfy(permission, lambda given: given != "ALL", "must be named one by one")


@rule(
    "SEC02-AthenaWorkgroupEncrypted",
    number=22,
    weight=ERROR,
    on=WORKGROUP,
    title="Athena encrypts the results of queries, whatever the client asks for.",
    why="The results of a query are a copy of the data, in another place.",
    fix="Set EncryptionConfiguration to SSE_KMS or CSE_KMS with a KmsKey of yours, and leave "
    "EnforceWorkGroupConfiguration at true; publish metrics.",
    cloudformation="""
Type: AWS::Athena::WorkGroup
Properties:
  Name: analysts
  WorkGroupConfiguration:
    EnforceWorkGroupConfiguration: true
    PublishCloudWatchMetricsEnabled: true
    ResultConfiguration:
      OutputLocation: !Sub s3://${ResultsBucket}/queries/
      EncryptionConfiguration:
        EncryptionOption: SSE_KMS
        KmsKey: !GetAtt ResultsKey.Arn
""",
    construct="ml_lens.ai_services.FaceQueries",
    lens2020="MLSEC 02",
    lens2025="MLSEC02-BP01",
    same_as=("SecurityHub:Athena.1", "SecurityHub:Athena.4"),
    settled=(
        "EnforceWorkGroupConfiguration may be absent, as it is true by default.",
        "Results that Athena manages itself (ManagedQueryResultsConfiguration) need a key of yours too.",
        "Metrics that are not published are a warning, also when the property is absent.",
    ),
)
def query_results_are_encrypted(workgroup: Node) -> Iterator[Verdict]:
    """Demand encryption with a key, enforced by the workgroup."""
    settings = workgroup["WorkGroupConfiguration"]
    managed = settings["ManagedQueryResultsConfiguration"]
    if managed["Enabled"] and must_equal(managed["Enabled"], True).answer is PASS:
        yield must_have_key(managed["EncryptionConfiguration"]["KmsKey"])
    else:
        yield must_equal(settings["EnforceWorkGroupConfiguration"], True, when_absent=PASS)
        encryption = settings["ResultConfiguration"]["EncryptionConfiguration"]
        option = must_be_one_of(encryption["EncryptionOption"], ("SSE_KMS", "CSE_KMS"))
        yield option
        if option.answer is PASS:
            yield must_have_key(encryption["KmsKey"])
    yield must_equal(settings["PublishCloudWatchMetricsEnabled"], True).as_warning()


RULES = (lake_is_governed, query_results_are_encrypted)
