"""Every right of every role is needed: without it, the walkthrough fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ml_lens.rehearsal.errors import RehearsalError
from ml_lens.rehearsal.place import Place
from ml_lens.rehearsal.sandbox import Sandbox
from stacks.customer_demographics import walkthrough
from stacks.customer_demographics.samples import Sample, camera_uploads

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


@dataclass(frozen=True)
class Right:
    """One action of one statement of a role's policy, on one of its resources where there are several."""

    role: str
    policy: str
    statement: int
    action: str
    resource: str | None = None

    def __str__(self) -> str:
        where = f" on {self.resource.rpartition(':')[2]}" if self.resource else ""
        return f"{self.role.split('-')[1]}: {self.action}{where}"


class Rights:
    """The rights of the roles of the stack, which can be taken away for a while."""

    def __init__(self, sandbox: Sandbox, stack: str) -> None:
        self._iam = sandbox.client("iam")
        resources = sandbox.client("cloudformation").describe_stack_resources(StackName=stack)[
            "StackResources"
        ]
        self._roles = [
            resource["PhysicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == "AWS::IAM::Role" and "Emptier" not in resource["LogicalResourceId"]
        ]

    def all(self) -> list[Right]:
        return [
            Right(role, policy, number, action, resource)
            for role in self._roles
            for policy in self._iam.list_role_policies(RoleName=role)["PolicyNames"]
            for number, statement in enumerate(self._document(role, policy)["Statement"])
            for action in _listed(statement["Action"])
            for resource in _each_resource(action, statement)
        ]

    @contextmanager
    def without(self, right: Right) -> Iterator[None]:
        whole = self._document(right.role, right.policy)
        less = json.loads(json.dumps(whole))
        statement = less["Statement"][right.statement]
        part = "Resource" if right.resource else "Action"
        taken = right.resource or right.action
        statement[part] = [kept for kept in _listed(statement[part]) if kept != taken]
        if not statement[part]:
            del less["Statement"][right.statement]
        self._put(right, less)
        try:
            yield
        finally:
            self._put(right, whole)

    def _document(self, role: str, policy: str) -> dict[str, Any]:
        document: dict[str, Any] = self._iam.get_role_policy(RoleName=role, PolicyName=policy)[
            "PolicyDocument"
        ]
        return document

    def _put(self, right: Right, document: dict[str, Any]) -> None:
        self._iam.put_role_policy(
            RoleName=right.role, PolicyName=right.policy, PolicyDocument=json.dumps(document)
        )


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


def _each_resource(action: str, statement: dict[str, Any]) -> list[str | None]:
    resources = _listed(statement["Resource"])
    # The catalogue and the database of a table are asked about by Glue itself, which the sandbox does not.
    if len(resources) == 1 or action.startswith("glue:"):
        return [None]
    return list(resources)


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions
