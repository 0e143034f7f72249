"""Every right of every role is needed: without it, the walkthrough fails."""

from __future__ import annotations

import time

import pytest

from ml_lens.rehearsal.errors import RehearsalError
from ml_lens.rehearsal.place import Place
from stacks.customer_demographics import walkthrough
from stacks.customer_demographics.samples import Sample, camera_uploads
from tests.rehearsal.rights import Rights

pytestmark = pytest.mark.xdist_group("sandbox")

GENEROUS_PATIENCE = 60

# What the sandbox does not enforce. tests/stacks/test_unrehearsed_rights.py proves each from the template.
NOT_ENFORCED = {
    "xray:PutTelemetryRecords": "the runtime sends traces, and there is no X-Ray in the sandbox",
    "xray:PutTraceSegments": "the runtime sends traces, and there is no X-Ray in the sandbox",
    "glue:GetDatabase": "Athena looks at the database before the table; the sandbox goes straight to the table",
    "s3:GetBucketLocation": "Athena looks up the Region of its result bucket; the sandbox has one Region",
    "athena:StopQueryExecution": "no query of the walkthrough runs long enough to be stopped",
}


PATHS = ("entrance/portrait.png", "entrance/blurred.jpg", "exit/sharp.jpg", "exit/notes.jpg")
"""One file for every path through the functions, and no more: the walkthrough is repeated often."""

THROTTLED_PATH = "exit/rush hour.jpg"
"""The file that takes the way back to the queue, which takes seconds; only some rights need it."""


def samples_for(action: str) -> list[Sample]:
    wanted = {*PATHS, THROTTLED_PATH} if action == "sqs:SendMessage" else {*PATHS}
    return [sample for sample in camera_uploads() if sample.key in wanted]


@pytest.mark.lens("F2-03", "F2-05", "F2-14", "F2-22", "F2-24", "F2-27")
def test_every_right_is_needed(deployed: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployed.sandbox
    rights = Rights(deployed.sandbox, "CustomerDemographics")
    patience = {action: time_to_walk(deployed, samples_for(action)) for action in ("any", "sqs:SendMessage")}
    needless = []
    for right in rights.all():
        if right.action in NOT_ENFORCED:
            continue
        with rights.without(right):
            failure = failure_of(
                deployed, samples_for(right.action), 2 * patience.get(right.action, patience["any"])
            )
        with capsys.disabled():
            print(f"  without {right}: {(failure or 'the walkthrough succeeds')[:110]}", flush=True)
        if failure is None:
            needless.append(str(right))
    assert failure_of(deployed, samples_for("any"), GENEROUS_PATIENCE) is None
    assert not needless, (
        f"the walkthrough succeeds without {needless}: remove the right, or name it in NOT_ENFORCED"
    )


@pytest.mark.parametrize("action", NOT_ENFORCED)
def test_what_is_said_not_to_be_enforced_is_a_right_of_some_role(deployed: Place, action: str) -> None:
    assert deployed.sandbox
    assert action in {right.action for right in Rights(deployed.sandbox, "CustomerDemographics").all()}


def time_to_walk(deployed: Place, samples: list[Sample]) -> float:
    """Walk with every right, and return the seconds that it took."""
    started = time.monotonic()
    assert failure_of(deployed, samples, GENEROUS_PATIENCE) is None
    return time.monotonic() - started


def failure_of(deployed: Place, samples: list[Sample], patience: float) -> str | None:
    """Walk as the rehearsal does, without printing, and return why it fails."""
    place = Place(deployed.outputs, sandbox=deployed.sandbox, patience=patience, say=lambda _: None)
    try:
        walkthrough.walk(place, samples)
    except RehearsalError as failure:
        return str(failure)
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"
    finally:
        forget(deployed)
    return None


def forget(deployed: Place) -> None:
    """Leave nothing of the walkthrough before: no message, no image, no result, no log."""
    client, outputs = deployed.client, deployed.outputs
    for url in client("sqs").list_queues()["QueueUrls"]:
        client("sqs").purge_queue(QueueUrl=url)
    for bucket in ("ImageBucket", "ResultsBucket"):
        pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=outputs[bucket])
        for page in pages:
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                client("s3").delete_object(
                    Bucket=outputs[bucket], Key=version["Key"], VersionId=version["VersionId"]
                )
    for output in ("AnalysisLogs", "ErasureLogs"):
        for stream in client("logs").describe_log_streams(logGroupName=outputs[output])["logStreams"]:
            client("logs").delete_log_stream(
                logGroupName=outputs[output], logStreamName=stream["logStreamName"]
            )
