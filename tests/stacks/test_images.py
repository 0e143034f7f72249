"""Where images arrive, who may touch them, and how they lead to an analysis."""

import pytest

from tests.stacks.template import Template, references

IMAGES = "DemographicsImages"
RESULTS = "DemographicsResults"
CAMERAS = "DemographicsCameras"
ANALYSE = "DemographicsAnalysisAnalyse"
ERASE = "DemographicsAnalysisErase"


def bucket(template: Template, name: str = IMAGES) -> str:
    return template.id("AWS::S3::Bucket", name)


def role(template: Template, name: str) -> str:
    return template.id("AWS::IAM::Role", name)


def on(template: Template, role_name: str, resource: str) -> set[str]:
    """The actions of a role on ``resource`` and what lies in it."""
    return {
        action
        for statement in template.statements(role(template, role_name))
        if any(target.startswith(f"<{resource}.Arn>") for target in statement.resources)
        for action in statement.actions
    }


@pytest.mark.lens("F2-01")
def test_images_have_a_bucket_of_their_own_for_temporary_data(variant: Template) -> None:
    resource = variant.body["Resources"][bucket(variant)]
    assert resource["Metadata"]["MLLens"] == {"Role": "temporary-raw"}
    assert bucket(variant) != bucket(variant, RESULTS)


@pytest.mark.lens("F2-02")
def test_images_are_encrypted_under_a_customer_managed_key(variant: Template) -> None:
    assert variant.key_of(bucket(variant)) == variant.id("AWS::KMS::Key", f"{IMAGES}Key")


@pytest.mark.lens("F2-03")
def test_cameras_may_add_images_and_nothing_else(variant: Template) -> None:
    assert variant.actions(role(variant, CAMERAS)) == {"s3:PutObject", "kms:GenerateDataKey"}
    put, encrypt = variant.statements(role(variant, CAMERAS))
    assert put.resources == (f"<{bucket(variant)}.Arn>/*",)
    assert encrypt.resources == (f"<{variant.key_of(bucket(variant))}.Arn>",)


@pytest.mark.lens("F2-04")
def test_nobody_outside_the_account_reads_images(variant: Template) -> None:
    blocked = variant.resources("AWS::S3::Bucket")[bucket(variant)]["PublicAccessBlockConfiguration"]
    assert blocked == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    allowed = [said for said in variant.bucket_statements(bucket(variant)) if said.effect == "Allow"]
    assert all("*" not in said.principal for said in allowed)
    assert not any(
        action.startswith("s3:Get") for said in allowed for action in said.actions - {"s3:GetBucketPolicy"}
    )


@pytest.mark.lens("F2-05")
def test_the_analysing_function_reads_images_and_neither_writes_nor_deletes_them(variant: Template) -> None:
    assert on(variant, f"{ANALYSE}Role", bucket(variant)) == {"s3:GetObjectVersion", "s3:ListBucket"}


def test_the_eraser_deletes_versions_of_images_and_neither_reads_nor_writes(variant: Template) -> None:
    assert on(variant, f"{ERASE}Role", bucket(variant)) == {"s3:DeleteObjectVersion"}
    storage = {a for a in variant.actions(role(variant, f"{ERASE}Role")) if a.startswith("s3:")}
    assert storage == {"s3:DeleteObjectVersion"}


@pytest.mark.lens("F2-09")
def test_whatever_is_left_of_an_image_expires_after_a_day(variant: Template) -> None:
    properties = variant.resources("AWS::S3::Bucket")[bucket(variant)]
    rules = {rule["Id"]: rule for rule in properties["LifecycleConfiguration"]["Rules"]}
    left = rules["ExpireWhatIsLeft"]
    assert left["Status"] == "Enabled"
    assert "Prefix" not in left
    assert left["ExpirationInDays"] == 1
    versions = rules["ForgetVersionsAndMarkers"]
    assert versions["Status"] == "Enabled"
    assert "Prefix" not in versions
    assert versions["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert versions["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert versions["ExpiredObjectDeleteMarker"] is True


@pytest.mark.lens("F2-09")
def test_no_rule_expires_delete_markers_alone_which_cloudformation_refuses(variant: Template) -> None:
    for properties in variant.resources("AWS::S3::Bucket").values():
        for rule in properties["LifecycleConfiguration"]["Rules"]:
            assert set(rule) - {"Id", "Status", "Prefix", "ExpiredObjectDeleteMarker"}, rule


@pytest.mark.lens("F2-12")
def test_every_object_that_is_created_reaches_the_function_through_the_queue(variant: Template) -> None:
    images = variant.resources("AWS::S3::Bucket")[bucket(variant)]
    assert images["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    rule = variant.only("AWS::Events::Rule")
    assert rule["State"] == "ENABLED"
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [{"Ref": bucket(variant)}]}},
    }
    queue = variant.id("AWS::SQS::Queue", "DemographicsAnalysisUploads")
    assert [target["Arn"] for target in rule["Targets"]] == [{"Fn::GetAtt": [queue, "Arn"]}]
    source = variant.one("AWS::Lambda::EventSourceMapping", f"{ANALYSE}UploadsSource")
    assert source["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert source["FunctionName"] == {"Ref": variant.id("AWS::Lambda::Function", ANALYSE)}
    assert source.get("Enabled", True)
    assert "FilterCriteria" not in source


@pytest.mark.lens("F2-12")
def test_eventbridge_may_send_to_the_queue_and_use_its_key(variant: Template) -> None:
    queue = variant.id("AWS::SQS::Queue", "DemographicsAnalysisUploads")
    policy = variant.one("AWS::SQS::QueuePolicy", "DemographicsAnalysisUploadsPolicy")
    assert policy["Queues"] == [{"Ref": queue}]
    rule = variant.only("AWS::Events::Rule")
    (dead_letters,) = [t["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for t in rule["Targets"]]
    senders = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert [sender["Principal"] for sender in senders] == [{"Service": "events.amazonaws.com"}]
    assert senders[0]["Action"] == "sqs:SendMessage"
    (named,) = variant.resources("AWS::Events::Rule")
    assert senders[0]["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [named, "Arn"]}}}
    assert dead_letters == variant.id("AWS::SQS::Queue", "DemographicsAnalysisUploadsDeadLetters")


@pytest.mark.lens("F2-12", "F2-31")
def test_no_condition_keeps_eventbridge_from_the_key(variant: Template) -> None:
    key = variant.one("AWS::KMS::Key", f"{IMAGES}Key")
    users = [
        s for s in key["KeyPolicy"]["Statement"] if s["Principal"] == {"Service": "events.amazonaws.com"}
    ]
    assert [(set(user["Action"]), user.get("Condition")) for user in users] == [
        ({"kms:Decrypt", "kms:GenerateDataKey"}, None)
    ]


@pytest.mark.lens("F2-14")
def test_the_function_may_detect_faces_and_call_nothing_else_of_rekognition(variant: Template) -> None:
    everything = {action for name in variant.resources("AWS::IAM::Role") for action in variant.actions(name)}
    assert {a for a in everything if a.startswith("rekognition:")} == {"rekognition:DetectFaces"}
    assert "rekognition:DetectFaces" in variant.actions(role(variant, f"{ANALYSE}Role"))


@pytest.mark.lens("F2-30")
@pytest.mark.parametrize("name", [IMAGES, RESULTS, "DemographicsAudit"])
def test_every_bucket_refuses_requests_without_tls(variant: Template, name: str) -> None:
    target = bucket(variant, name)
    both = {f"<{target}.Arn>", f"<{target}.Arn>/*"}
    refusals = [
        said.condition
        for said in variant.bucket_statements(target)
        if said.effect == "Deny"
        and said.actions == {"s3:*"}
        and set(said.resources) == both
        and said.principal == "*"
    ]
    assert {"Bool": {"aws:SecureTransport": "false"}} in refusals
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in refusals


@pytest.mark.lens("F2-31")
@pytest.mark.parametrize("name", ["Uploads", "Erasures"])
def test_work_that_fails_is_tried_again_and_then_set_aside(variant: Template, name: str) -> None:
    path = f"DemographicsAnalysis{name}"
    queue = variant.one("AWS::SQS::Queue", path)
    dead = variant.id("AWS::SQS::Queue", f"{path}DeadLetters")
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]},
        "maxReceiveCount": 5,
    }
    assert variant.resources("AWS::SQS::Queue")[dead]["MessageRetentionPeriod"] == 14 * 24 * 3600
    (source,) = [
        source
        for source in variant.resources("AWS::Lambda::EventSourceMapping").values()
        if variant.id("AWS::SQS::Queue", path) in references(source["EventSourceArn"])
    ]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    function = variant.resources("AWS::Lambda::Function")[source["FunctionName"]["Ref"]]
    assert queue["VisibilityTimeout"] == 6 * function["Timeout"]
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
