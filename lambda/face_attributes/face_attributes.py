"""Lambda function: from a batch of uploaded images to rows of face attributes in CSV.

Read and detect in parallel, put the CSV objects, ask for the images to be erased, report what failed.
Nothing is erased whose row is not stored. Every step may be repeated: delivery is at least once, and a
repeated row has the same ids.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analysis import Faces, Fault, Outcome, Rejected, Throttled, analyse, analyse_all
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from connections import Connections, connect
from deferral import deferred
from face_settings import Settings, read_settings
from faults import cause_of
from queue_messages import Message, erase_message, send_messages
from records import result_objects
from rejections import Reason, RejectedRow, rejected_row
from uploads import Arrival, Malformed, Upload, read_batch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()


@dataclass(frozen=True, slots=True)
class Batch:
    """The uploads of one batch and what came of each, by upload id."""

    analysis_id: str
    arrivals: dict[str, Arrival]
    malformed: list[Malformed]
    outcomes: dict[str, Outcome]

    @property
    def faces(self) -> dict[str, Faces]:
        """The images that show faces."""
        return {upload_id: found for upload_id, found in self.outcomes.items() if isinstance(found, Faces)}

    @property
    def rejections(self) -> dict[str, Rejected]:
        """The images that give no rows."""
        return {upload_id: found for upload_id, found in self.outcomes.items() if isinstance(found, Rejected)}

    @property
    def throttled(self) -> list[Arrival]:
        """The images to try again later."""
        return [
            self.arrivals[upload_id]
            for upload_id, found in self.outcomes.items()
            if isinstance(found, Throttled)
        ]

    @property
    def faults(self) -> dict[str, Fault]:
        """The images that could not be analysed."""
        return {upload_id: found for upload_id, found in self.outcomes.items() if isinstance(found, Fault)}


# Said outright, so that no environment variable can bring the events, and with them keys, into the log.
@logger.inject_lambda_context(log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Analyse the images of one SQS batch; the answer names the messages to deliver again.

    Lens: F2-13, F2-15, F2-16, F2-31, AIS-02, QTA-02.
    """
    settings = read_settings(os.environ)
    connections = connect(settings.parallel_calls)
    analysis_id = new_analysis_id(datetime.now(UTC))
    arrivals, malformed = read_batch(event["Records"])
    outcomes = analyse_all(
        arrivals,
        lambda upload: analyse(upload, connections, analysis_id),
        parallel_calls=settings.parallel_calls,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    batch = Batch(analysis_id, arrivals, malformed, outcomes)

    unstored = _store(batch, settings, connections)
    stored = (batch.faces.keys() | batch.rejections.keys()) - unstored
    unerased = _ask_for_erasure(batch, stored, settings, connections)
    undeferred = _send(
        (deferred(arrival) for arrival in batch.throttled), settings.image_queue_url, connections
    )
    failed = batch.faults.keys() | unstored | unerased | undeferred

    _log(batch, stored, failed)
    _measure(batch, stored, failed, undeferred)
    again = [message_id for upload_id in failed for message_id in arrivals[upload_id].message_ids]
    again += [message.message_id for message in malformed]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def new_analysis_id(now: datetime) -> str:
    """Name one batch; the names sort by time."""
    return f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"


def _rejected_rows(batch: Batch) -> list[RejectedRow]:
    now = datetime.now(UTC)
    return [
        rejected_row(
            batch.arrivals[upload_id].upload,
            rejected.reason,
            rejected.detail,
            analysis_id=batch.analysis_id,
            rejected_at=now,
        )
        for upload_id, rejected in batch.rejections.items()
    ]


def _store(batch: Batch, settings: Settings, connections: Connections) -> set[str]:
    """Put the CSV objects and return the uploads that have a row in one that could not be put."""
    unstored: set[str] = set()
    causes: dict[str, str] = {}
    rows = [row for found in batch.faces.values() for row in found.rows]
    for result in result_objects(batch.analysis_id, rows, _rejected_rows(batch), settings.thresholds):
        try:
            connections.s3.put_object(
                Bucket=settings.results_bucket,
                Key=result.key,
                Body=result.body(),
                ContentType="text/csv; charset=utf-8",
            )
        except Exception as error:
            causes[result.key] = cause_of(error)
            unstored |= result.upload_ids
    for object_key, cause in causes.items():
        logger.error("results not stored", object_key=object_key, cause=cause)
    return unstored


def _ask_for_erasure(
    batch: Batch, stored: Iterable[str], settings: Settings, connections: Connections
) -> set[str]:
    rejections = batch.rejections
    gone = {upload_id for upload_id, found in rejections.items() if found.reason is Reason.GONE}
    uploads: list[Upload] = [
        batch.arrivals[upload_id].upload for upload_id in stored if upload_id not in gone
    ]
    return _send((erase_message(upload) for upload in uploads), settings.erase_queue_url, connections)


def _send(messages: Iterable[Message], queue_url: str, connections: Connections) -> set[str]:
    def log_fault(error: Exception) -> None:
        logger.error("messages not sent", queue=queue_url.rpartition("/")[2], cause=cause_of(error))

    return send_messages(connections.sqs, queue_url, messages, log_fault)


def _log(batch: Batch, stored: set[str], failed: set[str]) -> None:
    """Write ids, reasons and counts: never a key, except at DEBUG, and never what a face looks like."""
    for message in batch.malformed:
        logger.error("message announces no upload", message_id=message.message_id, cause=message.cause)
    for upload_id, fault in batch.faults.items():
        logger.error("image not analysed", upload_id=upload_id, cause=fault.cause)
    for upload_id, rejected in batch.rejections.items():
        logger.info("image rejected", upload_id=upload_id, reason=rejected.reason.value)
        logger.debug("rejected image", upload_id=upload_id, key=batch.arrivals[upload_id].upload.key)
    logger.info(
        "batch done",
        analysis_id=batch.analysis_id,
        uploads=len(batch.arrivals),
        stored=len(stored),
        throttled=len(batch.throttled),
        failed=len(failed) + len(batch.malformed),
    )


def _measure(batch: Batch, stored: set[str], failed: set[str], undeferred: set[str]) -> None:
    """Count uploads, not messages; an upload that is stored and yet has to come again counts as both."""
    analysed = [found for upload_id, found in batch.faces.items() if upload_id in stored]
    counts = {
        "ImagesAnalysed": len(analysed),
        "FacesFound": sum(len(found.rows) for found in analysed),
        "ImagesRejected": len(batch.rejections.keys() & stored),
        "ImagesDeferred": len(batch.throttled) - len(undeferred),
        "ImagesFailed": len(failed) + len(batch.malformed),
    }
    for name, count in counts.items():
        metrics.add_metric(name, MetricUnit.Count, count)
    if stored:
        first = min(batch.arrivals[upload_id].upload.uploaded_at for upload_id in stored)
        waited = (datetime.now(UTC) - first).total_seconds()
        metrics.add_metric("UploadToResult", MetricUnit.Seconds, max(0.0, waited))
