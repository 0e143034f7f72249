"""The function that empties a bucket before CloudFormation deletes it: it always answers."""

import importlib.util
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET = "rows-of-a-test"
ARN = f"arn:aws:s3:::{BUCKET}"
TLS_ONLY = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ARN}


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} in {operation}"}}, operation)


class Bucket:
    """As much of S3 as the function uses; what happens is written down in order."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self, *pages: dict[str, list[dict[str, str]]]) -> None:
        self.pages = pages
        self.policy: dict[str, Any] = {"Version": "2012-10-17", "Statement": [TLS_ONLY]}
        self.calls: list[str] = []
        self.deleted: list[tuple[str, str]] = []
        self.fails_with: dict[str, Exception] = {}
        self.protected: set[str] = set()

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails_with:
            raise self.fails_with[name]

    def get_bucket_policy(self, *, Bucket: str) -> dict[str, str]:  # noqa: N803
        self._called("get_bucket_policy")
        assert Bucket == BUCKET
        return {"Policy": json.dumps(self.policy)}

    def put_bucket_policy(self, *, Bucket: str, Policy: str) -> None:  # noqa: N803
        self._called("put_bucket_policy")
        assert Bucket == BUCKET
        self.policy = json.loads(Policy)

    def get_paginator(self, name: str) -> "Bucket":
        assert name == "list_object_versions"
        return self

    def paginate(self, *, Bucket: str) -> Iterator[dict[str, list[dict[str, str]]]]:  # noqa: N803
        assert Bucket == BUCKET
        for page in self.pages:
            self._called("list")
            yield page

    def delete_object(self, *, Bucket: str, Key: str, VersionId: str) -> None:  # noqa: N803
        self._called("delete one")
        assert Bucket == BUCKET
        self.deleted.append((Key, VersionId))

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self._called("delete")
        assert Bucket == BUCKET
        assert 0 < len(Delete["Objects"]) <= 1000
        named = [(each["Key"], each["VersionId"]) for each in Delete["Objects"]]
        self.deleted += [each for each in named if each[0] not in self.protected]
        errors = [{"Key": key, "Message": "Access Denied"} for key, _ in named if key in self.protected]
        return {"Errors": errors} if errors else {}


def page(versions: str = "", markers: str = "") -> dict[str, list[dict[str, str]]]:
    """A page of versions, one for each letter; an empty kind is left out as S3 does."""
    kinds = {"Versions": versions, "DeleteMarkers": markers}
    return {
        kind: [{"Key": letter, "VersionId": f"{letter}-{kind}"} for letter in letters]
        for kind, letters in kinds.items()
        if letters
    }


@pytest.fixture
def function() -> ModuleType:
    path = Path(__file__).parents[2] / "lambda" / "empty_bucket" / "empty_bucket.py"
    spec = importlib.util.spec_from_file_location("empty_bucket", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What CloudFormation is told."""
    told: list[dict[str, Any]] = []

    class Answered:
        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            return None

    def urlopen(request: urllib.request.Request, timeout: float) -> Answered:
        assert request.full_url == "https://cloudformation.test/answer?signature=s"
        assert request.get_method() == "PUT"
        assert request.headers["Content-type"] == "", "the address is signed without a content type"
        assert timeout <= 30
        assert isinstance(request.data, bytes)
        told.append(json.loads(request.data))
        return Answered()

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return told


def ask(
    function: ModuleType,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    *,
    kind: str = "Delete",
    hurried: bool = False,
) -> None:
    """Call the handler; in a hurry its time is nearly up once something is deleted."""

    def milliseconds() -> int:
        return 19_999 if hurried and bucket.deleted else 900_000

    monkeypatch.setattr(function, "_s3", lambda: bucket)
    function.handler(
        {
            "RequestType": kind,
            "ResponseURL": "https://cloudformation.test/answer?signature=s",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Emptied",
            "ResourceProperties": {"BucketName": BUCKET, "BucketArn": ARN},
        },
        SimpleNamespace(get_remaining_time_in_millis=milliseconds),
    )


def test_versions_and_delete_markers_go_page_by_page(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("abc", "xy"), page(markers="z"), page(), page("d"))
    ask(function, bucket, monkeypatch)
    assert bucket.deleted == [
        *((letter, f"{letter}-Versions") for letter in "abc"),
        *((letter, f"{letter}-DeleteMarkers") for letter in "xyz"),
        ("d", "d-Versions"),
    ]
    assert bucket.calls == [
        "get_bucket_policy",
        "put_bucket_policy",
        *("list", "delete", "list", "delete", "list", "list", "delete"),
    ]
    assert answers == [
        {
            "Status": "SUCCESS",
            "Reason": "7 versions deleted",
            "PhysicalResourceId": f"emptied-{BUCKET}",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Emptied",
        }
    ]


def test_further_writes_are_refused_before_the_first_deletion_and_other_rules_stay(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("a"))
    ask(function, bucket, monkeypatch)
    assert bucket.calls.index("put_bucket_policy") < bucket.calls.index("list")
    kept, added = bucket.policy["Statement"]
    assert kept == TLS_ONLY
    assert (added["Effect"], added["Principal"]) == ("Deny", "*")
    assert (added["Action"], added["Resource"]) == ("s3:PutObject", f"{ARN}/*")
    assert answers[0]["Status"] == "SUCCESS"


def test_keys_that_xml_can_not_hold_are_deleted_one_by_one(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("a\nb\x01"))
    ask(function, bucket, monkeypatch)
    assert sorted(key for key, _ in bucket.deleted) == ["\x01", "\n", "a", "b"]
    assert bucket.calls.count("delete one") == 2
    assert answers[0]["Reason"] == "4 versions deleted"


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_bucket_is_not_touched_unless_it_is_to_be_deleted(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bucket = Bucket(page("a"))
    ask(function, bucket, monkeypatch, kind=kind)
    assert bucket.calls == []
    assert [answer["Status"] for answer in answers] == ["SUCCESS"]
    assert answers[0]["PhysicalResourceId"] == f"emptied-{BUCKET}"


def test_a_bucket_that_is_gone_is_empty(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()
    bucket.fails_with["get_bucket_policy"] = refusal("NoSuchBucket", "GetBucketPolicy")
    ask(function, bucket, monkeypatch)
    assert [answer["Status"] for answer in answers] == ["SUCCESS"]


@pytest.mark.parametrize("call", ["get_bucket_policy", "put_bucket_policy", "list", "delete"])
@pytest.mark.parametrize("failure", [refusal("AccessDenied", "Any"), TimeoutError("no answer")])
def test_every_failure_reaches_cloudformation(
    function: ModuleType,
    answers: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    failure: Exception,
) -> None:
    bucket = Bucket(page("a"))
    bucket.fails_with[call] = failure
    ask(function, bucket, monkeypatch)
    assert [answer["Status"] for answer in answers] == ["FAILED"]
    assert answers[0]["Reason"].startswith(f"{BUCKET} was not emptied: ")
    assert str(failure) in answers[0]["Reason"]


def test_a_client_that_can_not_be_made_is_a_failure_too(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()
    ask(function, bucket, monkeypatch)

    def broken() -> Bucket:
        raise ImportError("boto3 is missing")

    monkeypatch.setattr(function, "_s3", broken)
    event = {
        "RequestType": "Delete",
        "ResponseURL": "https://cloudformation.test/answer?signature=s",
        **dict.fromkeys(("StackId", "RequestId", "LogicalResourceId"), "x"),
        "ResourceProperties": {"BucketName": BUCKET, "BucketArn": ARN},
    }
    function.handler(event, None)
    assert [answer["Status"] for answer in answers] == ["SUCCESS", "FAILED"]


def test_what_s3_refuses_to_delete_is_named(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("abc"), page("d"))
    bucket.protected = {"b"}
    ask(function, bucket, monkeypatch)
    assert answers[0]["Status"] == "FAILED"
    assert "S3 refused to delete b: Access Denied" in answers[0]["Reason"]


def test_when_time_runs_out_the_way_on_is_told(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("ab"), page("c"))
    ask(function, bucket, monkeypatch, hurried=True)
    assert len(bucket.deleted) == 2
    assert answers[0]["Status"] == "FAILED"
    assert "delete the stack again" in answers[0]["Reason"]


def test_a_last_page_that_takes_all_the_time_is_still_a_success(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("ab"))
    ask(function, bucket, monkeypatch, hurried=True)
    assert answers[0]["Status"] == "SUCCESS"


def test_a_reason_is_short_enough_for_cloudformation(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("a"))
    bucket.fails_with["delete"] = RuntimeError("x" * 10_000)
    ask(function, bucket, monkeypatch)
    size = len(json.dumps(answers[0]))
    assert size <= 4096, "a longer answer is refused, and the stack waits for an hour"


def test_emptying_twice_refuses_writes_once(
    function: ModuleType, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(page("a"))
    ask(function, bucket, monkeypatch)
    ask(function, bucket, monkeypatch)
    assert [said["Sid"] for said in bucket.policy["Statement"]] == ["TlsOnly", "NoMoreWrites"]
