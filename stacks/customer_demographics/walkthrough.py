"""What a person would do to see that the scenario works: send pictures, ask about faces, look for leaks."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ml_lens.rehearsal.place import Place
from stacks.customer_demographics.samples import Sample, camera_uploads, from_folder, script


def walk(place: Place, samples: Sequence[Sample] | None = None) -> None:
    """Walk through a deployed stack.

    Args:
        place: Where it is deployed.
        samples: What the cameras upload. Default: the pictures of the user's folder, or else those of
            ``samples``, among which is one for everything that can become of an upload.

    Raises:
        WalkthroughFailed: Something is not as it should be; the message says what was seen.
    """
    if samples is None:
        samples = from_folder(place.images) if place.images else camera_uploads()
    if place.is_sandbox:
        place.script_rekognition(script(samples))
    started = datetime.now(UTC)

    place.step(f"cameras upload {len(samples)} files")
    versions = upload(place, samples)
    cameras_can_only_write(place, samples[0])

    place.step("wait until every image is analysed or rejected, and erased")
    images_are_erased(place)
    if place.is_sandbox:
        place.step("deliver an upload once more, after its image is gone")
        deliver_again(place, samples[0], versions[samples[0].key])

    place.step("the analyst asks about confident faces")
    since = f"uploaded_at >= {_timestamp(started)}"
    faces = analyst_asks(place, f"SELECT * FROM confident_faces WHERE {since} ORDER BY face_id")  # noqa: S608
    faces_are_confident(place, faces)
    if place.is_sandbox:
        faces_are_those_of_the_script(place, faces, samples)
    analyst_can_only_query_the_view(place)

    place.step("ask what was rejected, and why")
    every_upload_has_an_outcome(place, samples, versions, started)

    place.step("look at what is stored")
    results_are_few_and_encrypted(place, samples, started)
    nothing_is_set_aside(place)
    functions_write_their_logs(place)


def upload(place: Place, samples: Sequence[Sample]) -> dict[str, str]:
    """Upload as a camera does, and return the version of each object by its key."""
    camera = place.client("s3", role_arn=place.outputs["CameraRole"])
    versions = {}
    for sample in samples:
        stored = camera.put_object(
            Bucket=place.outputs["ImageBucket"],
            Key=sample.key,
            Body=sample.body,
            ContentType=sample.content_type,
        )
        versions[sample.key] = stored["VersionId"]
    return versions


def cameras_can_only_write(place: Place, sample: Sample) -> None:
    """A stolen camera can show no picture and destroy none."""
    camera = place.client("s3", role_arn=place.outputs["CameraRole"])
    bucket = place.outputs["ImageBucket"]
    place.check("a camera cannot read", _refused(camera.get_object, Bucket=bucket, Key=sample.key))
    place.check("a camera cannot list", _refused(camera.list_objects_v2, Bucket=bucket))
    place.check("a camera cannot delete", _refused(camera.delete_object, Bucket=bucket, Key=sample.key))


def images_are_erased(place: Place) -> None:
    """No version of any image is left."""
    s3 = place.client("s3")

    def left() -> list[str]:
        listed = s3.list_object_versions(Bucket=place.outputs["ImageBucket"])
        return [found["Key"] for found in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]]

    place.wait_until(
        "every image is erased", lambda: not left(), place.patience, seen=lambda: f"left: {left()}"
    )


def deliver_again(place: Place, sample: Sample, version: str) -> None:
    """Deliver an event a second time, as queues may, and wait until it has been dealt with."""
    event = {
        "version": "0",
        "id": "00000000-0000-4000-8000-000000000000",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "detail": {
            "bucket": {"name": place.outputs["ImageBucket"]},
            "object": {
                "key": sample.key,
                "size": len(sample.body),
                "version-id": version,
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }
    before = len(_objects(place, "rejected/"))
    place.client("sqs").send_message(QueueUrl=place.outputs["ImageQueue"], MessageBody=json.dumps(event))
    place.wait_until(
        "the second delivery is recorded",
        lambda: len(_objects(place, "rejected/")) > before,
        place.patience,
        seen=lambda: f"{len(_objects(place, 'rejected/'))} objects below rejected/, {before} before",
    )


def analyst_asks(place: Place, sql: str) -> list[dict[str, str | None]]:
    """Ask as an analyst, in the workgroup."""
    return place.query(
        sql,
        workgroup=place.outputs["Workgroup"],
        database=place.outputs["Database"],
        role_arn=place.outputs["AnalystRole"],
    )


def faces_are_confident(place: Place, faces: Sequence[dict[str, str | None]]) -> None:
    """No row is beneath a threshold, and no face is there twice."""
    limits = json.loads(place.outputs["Thresholds"])
    ids = [face["face_id"] for face in faces]
    place.check("every face is counted once", len(ids) == len(set(ids)), seen=str(ids))
    unsure = [
        face
        for face in faces
        if float(face["age_confidence"] or 0) < limits["age_range"]
        or float(face["gender_confidence"] or 0) < limits["gender"]
        or (face["emotion"] and float(face["emotion_confidence"] or 0) < limits["emotions"][face["emotion"]])
    ]
    place.check("no attribute is beneath its threshold", not unsure, seen=str(unsure))


def faces_are_those_of_the_script(
    place: Place, faces: Sequence[dict[str, str | None]], samples: Sequence[Sample]
) -> None:
    """The view shows what Rekognition said of each image, and nothing of the blurred one."""
    limits = json.loads(place.outputs["Thresholds"])
    expected = {}
    for sample in samples:
        for number, face in enumerate(sample.outcomes[-1]["faces"] if sample.outcomes else []):
            feeling = max(face["Emotions"], key=lambda emotion: emotion["Confidence"])
            if face["Gender"]["Confidence"] >= limits["gender"]:
                expected[f"{sample.image_id}-{number:02d}"] = (
                    face["Gender"]["Value"],
                    str(face["AgeRange"]["Low"]),
                    feeling["Type"] if feeling["Confidence"] >= limits["emotions"][feeling["Type"]] else None,
                )
    seen = {face["face_id"]: (face["gender"], face["age_low"], face["emotion"]) for face in faces}
    place.check(
        f"the view shows {len(expected)} faces, as Rekognition saw them", seen == expected, seen=str(seen)
    )
    keys = {face["image_key"] for face in faces}
    place.check(
        "file names survive, odd ones too",
        keys <= {sample.key for sample in samples},
        seen=str(keys),
    )


def analyst_can_only_query_the_view(place: Place) -> None:
    """Neither the uncertain faces nor the files are within an analyst's reach."""
    s3 = place.client("s3", role_arn=place.outputs["AnalystRole"])
    bucket = place.outputs["ResultsBucket"]
    for key in _objects(place, "faces/")[:1]:
        place.check("an analyst cannot read the files", _refused(s3.get_object, Bucket=bucket, Key=key))
    if not _objects(place, "faces/certainty=uncertain/"):
        return
    try:
        rows = analyst_asks(place, "SELECT count(*) AS n FROM faces WHERE certainty = 'uncertain'")
        place.check("an analyst cannot query uncertain faces", False, seen=str(rows))
    except place.QueryFailed as refusal:
        place.check(
            "an analyst cannot query uncertain faces", "denied" in str(refusal).lower(), seen=str(refusal)
        )


def every_upload_has_an_outcome(
    place: Place, samples: Sequence[Sample], versions: dict[str, str], started: datetime
) -> None:
    """Each upload ended as rows or as a rejection with its reason, and none as both."""

    def ask(sql: str) -> list[dict[str, str | None]]:
        return place.query(sql, workgroup=place.outputs["Workgroup"], database=place.outputs["Database"])

    since = f"uploaded_at >= {_timestamp(started)}"
    rejected = {
        row["image_key"]: row["reason"]
        for row in ask(f"SELECT image_key, reason FROM rejected_uploads WHERE {since}")  # noqa: S608
    }
    analysed = {
        row["image_key"]
        for row in ask(f"SELECT DISTINCT url_decode(image_key) AS image_key FROM faces WHERE {since}")  # noqa: S608
    }
    place.check(
        f"{len(versions)} uploads have {len(versions)} outcomes",
        analysed | set(rejected) == set(versions) and not analysed & set(rejected),
        seen=f"analysed {sorted(map(str, analysed))}, rejected {rejected}",
    )
    if place.is_sandbox:
        reasons = {sample.key: sample.reason for sample in samples if sample.reason}
        place.check(
            f"{len(reasons)} are rejected, each for its reason", rejected == reasons, seen=str(rejected)
        )


def results_are_few_and_encrypted(place: Place, samples: Sequence[Sample], started: datetime) -> None:
    """One object holds the rows of a whole batch, under the key of the results alone."""
    s3 = place.client("s3")
    keys = _objects(place, "faces/") + _objects(place, "rejected/")
    names = [(key.rsplit("/", 1)[0], key.rsplit("/", 1)[1]) for key in keys]
    place.check("one object a batch, day and class", len(names) == len(set(names)), seen=str(keys))
    rules = {}
    for bucket in ("ImageBucket", "ResultsBucket"):
        encryption = s3.get_bucket_encryption(Bucket=place.outputs[bucket])[
            "ServerSideEncryptionConfiguration"
        ]
        rules[bucket] = encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    place.check(
        "results lie under a key of their own",
        all(rule["SSEAlgorithm"] == "aws:kms" for rule in rules.values())
        and rules["ImageBucket"]["KMSMasterKeyID"] != rules["ResultsBucket"]["KMSMasterKeyID"],
        seen=str(rules),
    )
    athena = place.client("athena", role_arn=place.outputs["AnalystRole"])
    workgroup = athena.get_work_group(WorkGroup=place.outputs["Workgroup"])["WorkGroup"]
    encryption = workgroup["Configuration"]["ResultConfiguration"]["EncryptionConfiguration"]
    place.check(
        "query results are encrypted, whatever the client asks for",
        encryption["EncryptionOption"] == "SSE_KMS"
        and workgroup["Configuration"]["EnforceWorkGroupConfiguration"],
        seen=str(workgroup["Configuration"]),
    )


def nothing_is_set_aside(place: Place) -> None:
    """The dead-letter queue is empty."""
    counted = place.client("sqs").get_queue_attributes(
        QueueUrl=place.outputs["DeadLetters"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]["ApproximateNumberOfMessages"]
    place.check("no upload was set aside", int(counted) == 0, seen=f"{counted} dead letters")


def functions_write_their_logs(place: Place) -> None:
    """Each function can be looked into, in a log group of its own."""
    logs = place.client("logs")

    def streams(group: str) -> Any:
        return logs.describe_log_streams(logGroupName=group, limit=1)["logStreams"]

    for output in ("AnalysisLogs", "ErasureLogs"):
        place.wait_until(
            f"the log group of {output} has entries", partial(streams, place.outputs[output]), place.patience
        )


def _objects(place: Place, prefix: str) -> list[str]:
    pages = place.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=place.outputs["ResultsBucket"], Prefix=prefix)
    return [found["Key"] for page in listed for found in page.get("Contents", [])]


def _refused(call: Any, **arguments: str) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "403")
    return False


def _timestamp(moment: datetime) -> str:
    return f"timestamp '{moment.replace(microsecond=0).strftime('%Y-%m-%d %H:%M:%S')}'"
