"""Who touched the data, and whether anybody looks for data that should not be there."""

from __future__ import annotations

from collections.abc import Iterator

from ml_lens.rules.buckets import (
    BUCKET,
    DATA_ROLES,
    DERIVED_PII,
    MODEL_ARTIFACTS,
    TEMPORARY_RAW,
    TRAINING_DATA,
    location_of,
    roles_of,
)
from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.rule import APP, ERROR, WARNING, rule
from ml_lens.rules.trails import TRAIL, must_record_objects
from ml_lens.rules.verdicts import (
    FAIL,
    PASS,
    Verdict,
    fails,
    must_equal,
    must_have_key,
    passes,
    unknown,
)

_RECORDED = frozenset({TEMPORARY_RAW, DERIVED_PII, TRAINING_DATA, MODEL_ARTIFACTS})
_CLASSIFICATION = "mllens:data-classification"
_SENSITIVE = frozenset({"confidential", "restricted", "pii"})


@rule(
    "SEC02-CloudTrailDataEvents",
    number=19,
    weight=ERROR,
    on=BUCKET,
    title="A trail records who reads and who writes the data.",
    why="Without data events nobody can say who read a face, or who changed the data of a model.",
    fix="Record data events of the bucket, reads and writes, in a trail that logs, validates its files, has a KMS "
    "key and delivers to another bucket.",
    cloudformation="""
Type: AWS::CloudTrail::Trail
Properties:
  IsLogging: true
  EnableLogFileValidation: true
  KMSKeyId: !GetAtt AuditKey.Arn
  S3BucketName: !Ref AuditBucket
  EventSelectors:
    - ReadWriteType: All
      DataResources:
        - Type: AWS::S3::Object
          Values: [!Sub "${DataBucket.Arn}/"]
""",
    construct="ml_lens.foundation.AuditTrail",
    lens2020="MLSEC 02",
    lens2025="MLSEC06-BP02",
    same_as=(
        "SecurityHub:S3.22",
        "SecurityHub:S3.23",
        "SecurityHub:CloudTrail.2",
        "SecurityHub:CloudTrail.4",
    ),
    settled=(
        "Held to it are buckets for temporary raw files, derived personal data, training data and model artifacts.",
        "One trail has to do all of it; its own settings are reported on the trail, a gap in what it records on the "
        "bucket.",
        "A selector on a prefix narrower than the data does not cover the bucket; the data are the whole bucket "
        "unless Metadata.MLLens.Prefix limits them.",
        "An event selector names all objects of a bucket by its ARN with a slash at the end.",
        "An advanced selector that also filters by event name, user or the end of an ARN leaves accesses out.",
        "A trail that delivers to a bucket given by a parameter delivers to another bucket, unless the data "
        "bucket has a name that the parameter could hold.",
        "A trail of the organization is not part of the app: acknowledge the finding and name the trail.",
    ),
)
def objects_are_recorded(bucket: Node) -> Iterator[Verdict]:
    """Demand one trail that records reads and writes, and that can be trusted."""
    if roles_of(bucket).isdisjoint(_RECORDED):
        return
    nowhere = fails(bucket, "no trail of the app records who reads and writes its objects")
    tries = [_try(trail, bucket) for trail in bucket.graph.nodes(TRAIL)]
    yield from min(tries, key=_distance, default=[nowhere])


def _try(trail: Node, bucket: Node) -> list[Verdict]:
    """Return what keeps a trail from recording ``bucket`` well: nothing, its settings, or what it selects."""
    recorded = must_record_objects(trail, bucket)
    if recorded.answer is FAIL:
        return [recorded]
    settings = (
        recorded,
        must_equal(trail["IsLogging"], True),
        must_equal(trail["EnableLogFileValidation"], True),
        must_have_key(trail["KMSKeyId"]),
        _delivers_elsewhere(trail, bucket),
    )
    return [verdict for verdict in settings if verdict.answer is not PASS]


def _distance(problems: list[Verdict]) -> int:
    if not problems:
        return 0
    if all(problem.answer is not FAIL for problem in problems):
        return 1
    return 2 if problems[0].node.type == TRAIL else 3


def _delivers_elsewhere(trail: Node, bucket: Node) -> Verdict:
    target = location_of(trail["S3BucketName"])
    path = trail["S3BucketName"].path
    if target.bucket is bucket:
        return fails(trail, f"{path} is {bucket.logical_id}, the bucket that it records", path=path)
    if target.is_open and bucket["BucketName"]:
        told = f"{path} is {trail['S3BucketName'].shown}, which the template leaves open; must not be the bucket "
        return unknown(trail, f"{told}that it records", path=path)
    return passes(trail)


@rule(
    "SEC02-MacieForSensitiveData",
    number=20,
    weight=WARNING,
    on=APP,
    title="Macie looks after buckets with sensitive data.",
    why="Macie finds personal data where nobody expected it, and buckets that became public.",
    fix="Enable Macie with an AWS::Macie::Session, and automated sensitive data discovery in the account.",
    cloudformation="""
Type: AWS::Macie::Session
Properties:
  Status: ENABLED
""",
    lens2020="MLSEC 02",
    lens2025="MLSEC03-BP03",
    same_as=("SecurityHub:Macie.1", "SecurityHub:Macie.2"),
    settled=(
        "Sensitive is a bucket whose tag mllens:data-classification, its own or the stack's, is confidential, "
        "restricted or pii.",
        "Macie belongs to an account, so one session serves the whole app, and its absence is told once, on the "
        "first such bucket, and rather on one with data than on one with logs.",
        "A session without Status is enabled. AutomatedDiscoveryStatus can be read but not set by "
        "CloudFormation: it fails only where a template gives it another value than ENABLED.",
        "A session of a delegated administrator is not part of the app: acknowledge the finding.",
    ),
)
def macie_watches_sensitive_data(app: Graph) -> Iterator[Verdict]:
    """Demand an enabled session, if a bucket holds sensitive data."""
    sure, unsure = _sensitive_buckets(app)
    if not sure and not unsure:
        return
    tries = [list(_session_is_on(session)) for session in app.nodes("AWS::Macie::Session")]
    if tries:
        yield from min(tries, key=len)
    elif sure:
        yield fails(
            sure[0], "holds sensitive data, and no AWS::Macie::Session of the app looks after it", path="Tags"
        )
    else:
        told = f"the tag {_CLASSIFICATION} is left open by the template, and no AWS::Macie::Session is in the app"
        yield unknown(unsure[0], told, path="Tags")


def _session_is_on(session: Node) -> Iterator[Verdict]:
    for name in ("Status", "AutomatedDiscoveryStatus"):
        verdict = must_equal(session[name], "ENABLED", when_absent=PASS)
        if verdict.answer is not PASS:
            yield verdict


def _sensitive_buckets(app: Graph) -> tuple[list[Node], list[Node]]:
    """Return the buckets that are tagged as sensitive, and those whose tag is open."""
    sure, unsure = [], []
    for bucket in app.nodes(BUCKET):
        tag = bucket.tags.get(_CLASSIFICATION)
        told = tag.literal if tag is not None else _of_the_stack(bucket)
        if str(told).lower() in _SENSITIVE:
            sure.append(bucket)
        elif tag is not None and tag.is_open:
            unsure.append(bucket)
    sure.sort(key=lambda bucket: roles_of(bucket).isdisjoint(DATA_ROLES))  # rather the data than its logs
    return sure, unsure


def _of_the_stack(bucket: Node) -> str | None:
    tags = (scope.template.tags.get(_CLASSIFICATION) for scope in bucket.scope.ancestors)
    return next((tag for tag in tags if tag is not None), None)


RULES = (objects_are_recorded, macie_watches_sensitive_data)
