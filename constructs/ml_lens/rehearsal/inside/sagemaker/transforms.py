"""Transform jobs: a model works off objects, with the rights of its role, and stops."""

from __future__ import annotations

import contextvars
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ml_lens.rehearsal.inside.sagemaker.containers import Container, ContainerFailed
from ml_lens.rehearsal.inside.sagemaker.faults import Fault, invalid

logger = logging.getLogger("ml_lens.sandbox")

Document = dict[str, Any]
LOG_GROUP = "/aws/sagemaker/TransformJobs"
_S3 = re.compile(r"s3://([^/]+)/?(.*)")
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
    ) -> None:
        """Run ``models``; ``objects`` returns what a role may reach."""
        self._models = models
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

    def list_transform_jobs(self, _request: Document) -> Document:
        """List the jobs."""
        return {
            "TransformJobSummaries": [
                {
                    "TransformJobName": name,
                    "TransformJobArn": job.arn,
                    "TransformJobStatus": job.status,
                    "CreationTime": job.created,
                }
                for name, job in self.jobs.items()
            ]
        }

    def _job(self, request: Document) -> Job:
        name = request["TransformJobName"]
        if name not in self.jobs:
            raise invalid(f"Could not find requested job with name: {name}")
        return self.jobs[name]

    def _run(self, job: Job, model: Document) -> None:
        try:
            _work(job, model, self._objects(model["ExecutionRoleArn"]))
        except (JobFailed, ContainerFailed) as failed:
            job.end("Failed", str(failed))
        except Exception:
            logger.exception("%s ended", job.arn)
            job.end("Failed", "InternalServerError: We encountered an internal error. Please try again.")
        else:
            job.end("Completed")


def _work(job: Job, model: Mapping[str, Any], objects: Objects) -> None:
    name = job.request["TransformJobName"]
    definition = model["PrimaryContainer"]
    found = _S3.fullmatch(definition["ModelDataUrl"])
    assert found is not None  # noqa: S101 - the schema of the request demands it
    stream = f"{name}/i-sandbox"
    environment = {**(definition.get("Environment") or {}), **(job.request.get("Environment") or {})}
    container = Container(
        objects.read(found[1], found[2]),
        environment,
        on_line=lambda line: objects.log(LOG_GROUP, stream, [line]),
    )
    try:
        container.wait()
        objects.log(LOG_GROUP, stream, [f"serving {definition['ModelDataUrl']}"])
        for bucket, key, relative in _inputs(job.request["TransformInput"], objects):
            if not job.is_wanted:
                return
            _transform(job, container, objects, bucket, key, relative)
    finally:
        container.stop()


def _transform(
    job: Job, container: Container, objects: Objects, bucket: str, key: str, relative: str
) -> None:
    given, output = job.request["TransformInput"], job.request["TransformOutput"]
    answers = []
    for body in _bodies(objects.read(bucket, key), job.request):
        reply = container.ask(
            body, given.get("ContentType", "text/csv"), output.get("Accept") or "application/json"
        )
        if reply.status >= 300:
            said = reply.body.decode(errors="replace")
            raise JobFailed(f"ClientError: {bucket}/{key}: the model answered {reply.status}: {said}")
        answers.append(reply.body.rstrip(b"\n"))
    target = _S3.fullmatch(output["S3OutputPath"])
    assert target is not None  # noqa: S101 - the schema of the request demands it
    folder = f"{target[2].rstrip('/')}/" if target[2] else ""
    end = b"\n" if output.get("AssembleWith") == "Line" else b""
    objects.write(
        target[1], f"{folder}{relative}.out", end.join(answers) + end, output.get("KmsKeyId") or None
    )


def _inputs(given: Mapping[str, Any], objects: Objects) -> Iterator[tuple[str, str, str]]:
    """Yield bucket, key, and what of the key its result is named after."""
    source = given["DataSource"]["S3DataSource"]
    found = _S3.fullmatch(source["S3Uri"])
    if found is None:
        raise JobFailed(f"ClientError: {source['S3Uri']} is no place in S3")
    bucket, prefix = found[1], found[2]
    if source["S3DataType"] == "ManifestFile":
        first, *names = json.loads(objects.read(bucket, prefix))
        there = _S3.fullmatch(first["prefix"])
        assert there is not None  # noqa: S101 - the schema of a manifest demands it
        yield from ((there[1], there[2] + name, name) for name in names)
        return
    keys = [key for key in objects.keys(bucket, prefix) if not key.endswith("/")]
    if not keys:
        raise JobFailed(f"ClientError: No objects found with prefix {source['S3Uri']}")
    folder = prefix.rpartition("/")[0]
    yield from ((bucket, key, key.removeprefix(folder).lstrip("/")) for key in keys)


def _bodies(content: bytes, request: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the requests that an object makes."""
    if request["TransformInput"].get("SplitType") != "Line":
        yield content
        return
    records = [line for line in content.split(b"\n") if line.strip()]
    if request.get("BatchStrategy") != "MultiRecord":
        yield from records
        return
    most = int(request.get("MaxPayloadInMB", 6)) * 1024 * 1024
    body = b""
    for record in records:
        if body and len(body) + len(record) >= most:
            yield body
            body = b""
        body += record + b"\n"
    if body:
        yield body
