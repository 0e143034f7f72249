"""Transform jobs: a model works off objects, with the rights of its role, and stops."""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ml_lens.rehearsal.inside.sagemaker.cloud import place_of
from ml_lens.rehearsal.inside.sagemaker.containers import Container, ContainerFailed
from ml_lens.rehearsal.inside.sagemaker.faults import Fault, invalid
from ml_lens.rehearsal.inside.sagemaker.fleets import ask_all
from ml_lens.rehearsal.inside.sagemaker.joining import NotJoined, Processing
from ml_lens.rehearsal.inside.sagemaker.listing import page

logger = logging.getLogger("ml_lens.sandbox")

Document = dict[str, Any]
LOG_GROUP = "/aws/sagemaker/TransformJobs"
_ENDED = frozenset({"Completed", "Failed", "Stopped"})
# What is left out here is refused: a rehearsal must not take for tried what was passed over.
_EMULATED = frozenset(
    [
        "TransformJobName",
        "ModelName",
        "BatchStrategy",
        "MaxPayloadInMB",
        "MaxConcurrentTransforms",
        "ModelClientConfig",
        "TransformInput",
        "TransformOutput",
        "TransformResources",
        "DataCaptureConfig",
        "DataProcessing",
        "ExperimentConfig",
        "Tags",
        "Environment",
    ]
)


class Objects(Protocol):
    """Objects in S3, as a role sees them; a refusal is raised as :class:`JobFailed`."""

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys below a prefix."""

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object."""

    def write(self, bucket: str, key: str, content: bytes, kms_key: str | None) -> None:
        """Store an object, under a key if one is named."""

    def log(self, group: str, stream: str, lines: list[str]) -> None:
        """Write lines to a log, where the role may."""


class JobFailed(Exception):  # noqa: N818 - it reads as what happened
    """A job that did not do its work; the message is its failure reason."""


@dataclass
class Job:
    """A transform job."""

    request: Document
    arn: str
    status: str = "InProgress"
    failure: str | None = None
    created: float = field(default_factory=time.time)
    ended: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether nobody has stopped it."""
        return self.status == "InProgress"

    def end(self, status: str, failure: str | None = None) -> None:
        """Come to an end, and stay there."""
        if self.status not in _ENDED:
            self.status, self.failure, self.ended = status, failure, time.time()


class TransformJobs:
    """Creates, describes and stops jobs, each of which works in a thread of its own."""

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Any]],
        arn: Callable[[str, str], str],
        objects: Callable[[str], Objects],
        definitions: Callable[[Mapping[str, Any]], Sequence[Document]],
    ) -> None:
        """Run ``models``, of the containers in ``definitions``; ``objects`` returns what a role may reach."""
        self._models = models
        self._definitions = definitions
        self._arn = arn
        self._objects = objects
        self.jobs: dict[str, Job] = {}

    def create_transform_job(self, request: Document) -> Document:
        """Begin a job, under a name that was never used before."""
        name, unknown = request["TransformJobName"], sorted(set(request) - _EMULATED)
        if unknown:
            raise Fault(
                "UnknownOperationException", f"The sandbox does not emulate {unknown[0]} of a transform job."
            )
        arn = self._arn("transform-job", name)
        if name in self.jobs:
            raise Fault(
                "ResourceInUse",
                "Job name must be unique within an AWS account and region, and a job with this name already exists "
                f"({arn})",
            )
        model = self._models.get(request["ModelName"])
        if model is None:
            raise invalid(f'Could not find model "{self._arn("model", request["ModelName"])}".')
        job = self.jobs[name] = Job(request, arn)
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run, job, dict(model)), daemon=True).start()
        return {"TransformJobArn": arn}

    def describe_transform_job(self, request: Document) -> Document:
        """Describe a job."""
        job = self._job(request)
        told = {key: value for key, value in job.request.items() if key != "Tags"}
        return {
            **told,
            "TransformJobArn": job.arn,
            "TransformJobStatus": job.status,
            "CreationTime": job.created,
            **({"FailureReason": job.failure} if job.failure else {}),
            **({"TransformEndTime": job.ended} if job.ended else {}),
        }

    def stop_transform_job(self, request: Document) -> Document:
        """Stop a job that works."""
        job = self._job(request)
        if not job.is_wanted:
            raise invalid(f"The request was rejected because the transform job is in status {job.status}.")
        job.end("Stopped")
        return {}

    def list_transform_jobs(self, request: Document) -> Document:
        """List the jobs."""
        shown = [
            {
                "TransformJobName": name,
                "TransformJobArn": job.arn,
                "TransformJobStatus": job.status,
                "CreationTime": job.created,
            }
            for name, job in list(self.jobs.items())
        ]
        return page(
            shown,
            request,
            into="TransformJobSummaries",
            name="TransformJobName",
            status="TransformJobStatus",
        )

    def _job(self, request: Document) -> Job:
        name = request["TransformJobName"]
        if name not in self.jobs:
            raise invalid(f"Could not find requested job with name: {name}")
        return self.jobs[name]

    def _run(self, job: Job, model: Document) -> None:
        try:
            role = self._objects(model["ExecutionRoleArn"])
            _work(job, self._definitions(model), role)
        except (JobFailed, ContainerFailed) as failed:
            job.end("Failed", str(failed))
        except Exception:
            logger.exception("%s ended", job.arn)
            job.end("Failed", "InternalServerError: We encountered an internal error. Please try again.")
        else:
            job.end("Completed")


def _work(job: Job, definitions: Sequence[Document], objects: Objects) -> None:
    containers: list[Container] = []
    try:
        for each in definitions:
            containers.append(_container(job, each, objects))
        for container in containers:
            container.wait()
        for bucket, key, relative in _inputs(job.request["TransformInput"], objects):
            if not job.is_wanted:
                return
            _transform(job, containers, objects, bucket, key, relative)
    finally:
        for container in containers:
            container.stop()


def _container(job: Job, definition: Document, objects: Objects) -> Container:
    place = place_of(definition["ModelDataUrl"])
    if place is None:
        raise JobFailed(f"ClientError: {definition['ModelDataUrl']} is no place in S3")
    stream = f"{job.request['TransformJobName']}/i-sandbox"
    objects.log(LOG_GROUP, stream, [f"serving {definition['ModelDataUrl']}"])
    return Container(
        objects.read(place.bucket, place.key),
        {**(definition.get("Environment") or {}), **(job.request.get("Environment") or {})},
        on_line=lambda line: objects.log(LOG_GROUP, stream, [line]),
    )


def _transform(
    job: Job, containers: Sequence[Container], objects: Objects, bucket: str, key: str, relative: str
) -> None:
    given, output = job.request["TransformInput"], job.request["TransformOutput"]
    processing = Processing(job.request)
    accept = output.get("Accept") or "application/json"
    answers: list[bytes] = []
    try:
        for records in _batches(objects.read(bucket, key), job.request):
            body = b"\n".join(processing.given(each) for each in records)
            body += b"\n" if len(records) > 1 else b""
            reply = ask_all(containers, body, given.get("ContentType", "text/csv"), accept)
            if not 200 <= reply.status < 300:
                said = reply.body.decode(errors="replace")
                raise JobFailed(f"ClientError: {bucket}/{key}: the model answered {reply.status}: {said}")
            answers += processing.told(records, reply.body)
    except NotJoined as failed:
        raise JobFailed(f"ClientError: {bucket}/{key}: {failed}") from failed
    target = place_of(output["S3OutputPath"])
    assert target is not None  # noqa: S101 - the schema of the request demands it
    folder = f"{target.key.rstrip('/')}/" if target.key else ""
    end = b"\n" if output.get("AssembleWith") == "Line" else b""
    objects.write(
        target.bucket, f"{folder}{relative}.out", end.join(answers) + end, output.get("KmsKeyId") or None
    )


def _inputs(given: Mapping[str, Any], objects: Objects) -> Iterator[tuple[str, str, str]]:
    """Yield bucket, key, and what of the key its result is named after."""
    source = given["DataSource"]["S3DataSource"]
    found = place_of(source["S3Uri"])
    if found is None:
        raise JobFailed(f"ClientError: {source['S3Uri']} is no place in S3")
    bucket, prefix = found.bucket, found.key
    if source["S3DataType"] == "ManifestFile":
        first, *names = json.loads(objects.read(bucket, prefix))
        there = place_of(first["prefix"])
        assert there is not None  # noqa: S101 - the schema of a manifest demands it
        yield from ((there.bucket, there.key + name, name) for name in names)
        return
    keys = [key for key in objects.keys(bucket, prefix) if not key.endswith("/")]
    if not keys:
        raise JobFailed(f"ClientError: No objects found with prefix {source['S3Uri']}")
    folder = prefix.rpartition("/")[0]
    yield from ((bucket, key, key.removeprefix(folder).lstrip("/")) for key in keys)


def _batches(content: bytes, request: Mapping[str, Any]) -> Iterator[list[bytes]]:
    """Yield the records of each request that an object makes."""
    if request["TransformInput"].get("SplitType") != "Line":
        yield [content]
        return
    records = [line for line in content.split(b"\n") if line.strip()]
    most = int(request.get("MaxPayloadInMB", 6)) * 1024 * 1024
    together: list[bytes] = []
    for record in records:
        size = sum(len(each) + 1 for each in together)
        if together and (request.get("BatchStrategy") != "MultiRecord" or size + len(record) >= most):
            yield together
            together = []
        together.append(record)
    if together:
        yield together
