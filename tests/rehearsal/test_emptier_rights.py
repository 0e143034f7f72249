"""Every right of the function that empties buckets is needed: without it, it tells CloudFormation so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from ml_lens.rehearsal.place import Place

pytestmark = pytest.mark.xdist_group("sandbox")


@pytest.fixture
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Stand in for CloudFormation: an address, and the answers that were put to it."""
    answers: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", answers
    server.shutdown()
    server.server_close()


class Emptier:
    """The deployed function, and its rights on the bucket of results."""

    def __init__(self, deployed: Place, answers: tuple[str, list[dict[str, Any]]]) -> None:
        assert deployed.sandbox
        self._address, self._answers = answers
        self._lambda, self._s3 = deployed.client("lambda"), deployed.client("s3")
        self._bucket = deployed.outputs["ResultsBucket"]
        resources = deployed.client("cloudformation").describe_stack_resources(
            StackName="CustomerDemographics"
        )
        (self._function,) = [
            found["PhysicalResourceId"]
            for found in resources["StackResources"]
            if found["ResourceType"] == "AWS::Lambda::Function" and "Emptier" in found["LogicalResourceId"]
        ]

    def policy(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._s3.get_bucket_policy(Bucket=self._bucket)["Policy"])
        return document

    def rights(self) -> list[str]:
        return [
            action
            for statement in self.policy()["Statement"]
            if statement["Effect"] == "Allow"
            for action in _listed(statement["Action"])
        ]

    @contextmanager
    def without(self, action: str | None) -> Iterator[None]:
        whole = self.policy()
        less = json.loads(json.dumps(whole))
        for statement in less["Statement"]:
            if statement["Effect"] == "Allow":
                statement["Action"] = [kept for kept in _listed(statement["Action"]) if kept != action]
        less["Statement"] = [statement for statement in less["Statement"] if statement["Action"]]
        self._s3.put_bucket_policy(Bucket=self._bucket, Policy=json.dumps(less))
        try:
            yield
        finally:
            self._s3.put_bucket_policy(Bucket=self._bucket, Policy=json.dumps(whole))

    def empty(self) -> dict[str, Any]:
        """Fill the bucket with a version and a delete marker, have it emptied, and return the answer."""
        self._s3.put_object(Bucket=self._bucket, Key="faces/left over.csv", Body=b"face_id\n")
        self._s3.delete_object(Bucket=self._bucket, Key="faces/left over.csv")
        event = {
            "RequestType": "Delete",
            "ResponseURL": self._address,
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Emptied",
            "ResourceProperties": {"BucketName": self._bucket, "BucketArn": f"arn:aws:s3:::{self._bucket}"},
        }
        self._lambda.invoke(FunctionName=self._function, Payload=json.dumps(event))["Payload"].read()
        return self._answers.pop()

    def left(self) -> int:
        listed = self._s3.list_object_versions(Bucket=self._bucket)
        return len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", []))


@pytest.fixture
def emptier(deployed: Place, cloudformation: tuple[str, list[dict[str, Any]]]) -> Emptier:
    return Emptier(deployed, cloudformation)


def test_with_its_rights_it_leaves_nothing(emptier: Emptier) -> None:
    with emptier.without(None):
        assert emptier.empty()["Status"] == "SUCCESS"
    assert emptier.left() == 0


def test_every_right_is_needed(emptier: Emptier) -> None:
    rights = emptier.rights()
    assert rights
    answers = {}
    for action in rights:
        with emptier.without(action):
            answers[action] = emptier.empty()
    needless = [action for action, answer in answers.items() if answer["Status"] != "FAILED"]
    assert not needless, f"the bucket is emptied without {needless}: remove the right"


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions
