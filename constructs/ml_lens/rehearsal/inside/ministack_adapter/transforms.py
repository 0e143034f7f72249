"""Transform jobs in MiniStack: their operations, their rights, and state machines that wait for them."""

from __future__ import annotations

import contextvars
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from ministack.core import iam_actions
from ministack.services import stepfunctions

from ml_lens.rehearsal.inside.ministack_adapter import workflows
from ml_lens.rehearsal.inside.ministack_adapter.access import Policies
from ml_lens.rehearsal.inside.ministack_adapter.gateway import around
from ml_lens.rehearsal.inside.ministack_adapter.roles import RoleClients, session
from ml_lens.rehearsal.inside.permissions import Proceed, Request, Response
from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.endpoints import Endpoints
from ml_lens.rehearsal.inside.sagemaker.faults import Fault
from ml_lens.rehearsal.inside.sagemaker.transforms import JobFailed, TransformJobs

_T = TypeVar("_T")
_SYNC = "states:::sagemaker:createTransformJob.sync"
_OPERATIONS = {
    f"{verb}TransformJob": f"{verb.lower()}_transform_job" for verb in ("Create", "Describe", "Stop")
} | {"ListTransformJobs": "list_transform_jobs"}
# What Step Functions does to learn of the end of a job, with the rights of the state machine.
_AWAITS = "StepFunctionsGetEventsForSageMakerTransformJobsRule"


class RoleObjects:
    """S3 and logs as a role sees them, asked over the gateway like anybody's."""

    def __init__(self, role: str, gate: Policies, cloud: Cloud) -> None:
        """Act in ``role``."""
        self._s3 = RoleClients(session(role, "SageMaker"), gate.region()).client("s3")
        self._cloud = cloud
        self._caller = cloud.session(role)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys below a prefix."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return _or_fail(lambda: [str(each["Key"]) for page in pages for each in page.get("Contents", [])])

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object."""
        return bytes(_or_fail(lambda: self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()))

    def write(self, bucket: str, key: str, content: bytes, kms_key: str | None) -> None:
        """Store an object, under a key if one is named."""
        under = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        _or_fail(lambda: self._s3.put_object(Bucket=bucket, Key=key, Body=content, **under))

    def log(self, group: str, stream: str, lines: list[str]) -> None:
        """Write lines to a log, where the role may."""
        self._cloud.log(self._caller, group, stream, lines)


def _or_fail(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except ClientError as refused:
        raise JobFailed(f"ClientError: {refused.response['Error'].get('Message')}") from refused


def serve_transform_jobs(endpoints: Endpoints, cloud: Cloud, gate: Policies) -> None:
    """Answer the operations of transform jobs, to those who may."""
    jobs = TransformJobs(
        endpoints.models,
        endpoints.arn,
        lambda role: RoleObjects(role, gate, cloud),
        endpoints.definitions,
    )
    resource = iam_actions.extract_resource_arn

    def resource_of(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> str:
        if service == "sagemaker" and _operation(headers) in _OPERATIONS:
            named = json.loads(body or b"{}").get("TransformJobName")
            return endpoints.arn("transform-job", str(named)) if named else "*"
        return str(resource(service, method, path, headers, body, *rest))

    async def answer(request: Request, proceed: Proceed) -> Response:
        if request.operation not in _OPERATIONS:
            return await proceed()
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            document = getattr(jobs, _OPERATIONS[request.operation])(json.loads(request.body or b"{}"))
        except Fault as fault:
            error = {"__type": fault.code, "message": fault.message}
            return fault.status, headers, json.dumps(error).encode()
        return 200, headers, json.dumps(document).encode()

    iam_actions.extract_resource_arn = resource_of
    around("sagemaker", answer)


def _operation(headers: Mapping[str, str]) -> str:
    return str(headers.get("x-amz-target", "")).rpartition(".")[2]


def await_transform_jobs(gate: Policies) -> None:
    """Let a state wait for its job, as the optimized integration does, and stop it when nobody waits any more."""
    invoke = stepfunctions._invoke_resource

    def invoked(resource: str, arguments: Any) -> Any:
        run = workflows.current.get()
        if not resource.endswith(_SYNC) or run is None:
            return invoke(resource, arguments)
        rule = f"arn:aws:events:{gate.region()}:{gate.account()}:rule/{_AWAITS}"
        for action in ("events:PutRule", "events:PutTargets", "events:DescribeRule"):
            refused = gate.refusal(run.credentials()["aws_access_key_id"], action, rule)
            if refused:
                raise stepfunctions._ExecutionError("SageMaker.AmazonSageMakerException", refused)
        _begin(lambda: invoke(_sdk("createTransformJob"), arguments))
        named = {"TransformJobName": arguments["TransformJobName"]}
        try:
            return _ended(lambda: invoke(_sdk("describeTransformJob"), named))
        except workflows.Stopped:
            # Without the branch that was stopped, whose tasks run no more.
            contextvars.Context().run(_stop, RoleClients(run.credentials(), gate.region()), named)
            raise

    stepfunctions._invoke_resource = invoked


def _begin(create: Callable[[], Any]) -> None:
    try:
        create()
    except stepfunctions._ExecutionError as error:
        # Only this integration calls errors that the service does not model so.
        name = re.sub(r"\.SageMakerException$", ".AmazonSageMakerException", error.error)
        raise stepfunctions._ExecutionError(name, error.cause) from error


def _ended(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    while True:
        job = describe()
        if job["TransformJobStatus"] == "Completed":
            return job
        if job["TransformJobStatus"] in ("Failed", "Stopped"):
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(job))
        time.sleep(0.1)


def _stop(clients: RoleClients, named: Mapping[str, str]) -> None:
    try:
        clients.client("sagemaker").stop_transform_job(**named)
    except ClientError:
        return


def _sdk(operation: str) -> str:
    return f"arn:aws:states:::aws-sdk:sagemaker:{operation}"
