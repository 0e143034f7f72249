"""The function that erases exactly the versions it is told to."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import boto3
import erase_images
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st


class Eraser:
    """The function with a real client whose answers the test gives."""

    def __init__(self, log: io.StringIO) -> None:
        self.s3: Any = boto3.client("s3", aws_access_key_id="test", aws_secret_access_key="test")
        self.stub = Stubber(self.s3)
        self.log = log

    def expect(self, *versions: tuple[str, str], bucket: str = "images", errors: Any = ()) -> None:
        """Expect one DeleteObjects call for exactly these versions."""
        wanted = [{"Key": key, "VersionId": version_id} for key, version_id in versions]
        self.stub.add_response(
            "delete_objects",
            {"Errors": list(errors)} if errors else {},
            {"Bucket": bucket, "Delete": {"Objects": wanted, "Quiet": True}},
        )

    def deliver(self, *records: dict[str, Any]) -> list[str]:
        context = SimpleNamespace(
            function_name="erase_images",
            memory_limit_in_mb=128,
            invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:erase_images",
            aws_request_id="request",
        )
        with self.stub:
            answer = erase_images.handler({"Records": list(records)}, context)  # type: ignore[arg-type]
            self.stub.assert_no_pending_responses()
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


@pytest.fixture
def eraser(monkeypatch: pytest.MonkeyPatch) -> Eraser:
    made = Eraser(io.StringIO())
    monkeypatch.setattr(erase_images, "_connect", lambda: made.s3)
    monkeypatch.setattr(erase_images.logger.registered_handler, "stream", made.log)
    return made


def message(
    key: str, version_id: str = "v1", *, message_id: str = "", bucket: str = "images"
) -> dict[str, Any]:
    body = {"bucket": bucket, "key": key, "version_id": version_id}
    return {"messageId": message_id or f"{key}@{version_id}", "body": json.dumps(body)}


def failure(key: str, code: str, version_id: str = "v1") -> dict[str, str]:
    return {"Key": key, "VersionId": version_id, "Code": code, "Message": f"no to {key}"}


@pytest.mark.lens("F2-10")
def test_exactly_the_named_versions_are_erased_in_one_call(eraser: Eraser) -> None:
    eraser.expect(("1.jpg", "v1"), ("1.jpg", "v2"), ("a+b c.jpg", "v1"))
    assert eraser.deliver(message("1.jpg"), message("1.jpg", "v2"), message("a+b c.jpg")) == []


@pytest.mark.lens("F2-10")
def test_each_bucket_has_a_call_of_its_own(eraser: Eraser) -> None:
    eraser.expect(("1.jpg", "v1"))
    eraser.expect(("1.jpg", "v1"), bucket="others")
    assert eraser.deliver(message("1.jpg"), message("1.jpg", bucket="others", message_id="o")) == []


def test_no_call_names_more_than_a_thousand_versions(eraser: Eraser) -> None:
    eraser.expect(*[(f"{number}.jpg", "v1") for number in range(1000)])
    eraser.expect(("1000.jpg", "v1"))
    assert eraser.deliver(*[message(f"{number}.jpg") for number in range(1001)]) == []


def test_a_version_named_twice_is_erased_once_and_acknowledged_twice(eraser: Eraser) -> None:
    eraser.expect(("1.jpg", "v1"))
    assert eraser.deliver(message("1.jpg"), message("1.jpg", message_id="again")) == []


@pytest.mark.lens("F2-10", "F2-31")
def test_a_version_that_could_not_be_erased_comes_again_and_no_other(eraser: Eraser) -> None:
    wanted = [("1.jpg", "v1"), ("1.jpg", "v2"), ("2.jpg", "v1")]
    eraser.expect(*wanted, errors=[failure("1.jpg", "InternalError", "v2")])
    again = [message("1.jpg", "v2"), message("1.jpg", "v2", message_id="twice")]
    assert eraser.deliver(message("1.jpg"), *again, message("2.jpg")) == ["1.jpg@v2", "twice"]
    assert '"cause":"InternalError"' in eraser.log.getvalue()


@pytest.mark.parametrize("code", ["NoSuchVersion", "NoSuchKey"])
def test_a_version_that_is_already_gone_is_done(eraser: Eraser, code: str) -> None:
    eraser.expect(
        ("1.jpg", "v1"), ("2.jpg", "v1"), errors=[failure("1.jpg", code), failure("2.jpg", "AccessDenied")]
    )
    assert eraser.deliver(message("1.jpg"), message("2.jpg")) == ["2.jpg@v1"]


def test_an_error_that_names_none_of_the_versions_brings_all_of_them_again(eraser: Eraser) -> None:
    eraser.expect(("1.jpg", "v1"), ("2.jpg", "v1"), errors=[{"Code": "InternalError"}])
    assert eraser.deliver(message("1.jpg"), message("2.jpg")) == ["1.jpg@v1", "2.jpg@v1"]


def test_a_call_that_fails_as_a_whole_fails_its_own_bucket_only(eraser: Eraser) -> None:
    eraser.stub.add_client_error("delete_objects", "AccessDenied", http_status_code=403)
    eraser.expect(("1.jpg", "v1"), bucket="others")
    assert eraser.deliver(message("1.jpg"), message("1.jpg", bucket="others", message_id="o")) == ["1.jpg@v1"]


def test_a_call_that_never_ends_fails_its_messages(eraser: Eraser, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://s3")

    monkeypatch.setattr(eraser.s3, "delete_objects", never)
    assert eraser.deliver(message("1.jpg")) == ["1.jpg@v1"]


@pytest.mark.lens("F2-10", "F2-31")
@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"bucket": "images", "key": "1.jpg"}', "version_id is missing"),
        ('{"bucket": "images", "key": "1.jpg", "version_id": null}', "version_id is missing"),
        ('{"bucket": "images", "key": "1.jpg", "version_id": ""}', "version_id is missing"),
        ('{"bucket": "images", "key": "1.jpg", "version_id": "null"}', "version_id is null"),
        ('{"bucket": "images", "key": "1.jpg", "version_id": 7}', "version_id is missing"),
        ('{"bucket": "images", "key": "", "version_id": "v1"}', "key is missing"),
        ('{"bucket": "images", "key": "\\ud800", "version_id": "v1"}', "key is not Unicode"),
        ('{"key": "1.jpg", "version_id": "v1"}', "bucket is missing"),
    ],
)
def test_a_message_that_names_no_version_erases_nothing_and_comes_again(
    eraser: Eraser, body: str, cause: str
) -> None:
    assert eraser.deliver({"messageId": "stray", "body": body}) == ["stray"]
    assert cause in eraser.log.getvalue()


def test_a_malformed_message_does_not_keep_the_others_from_being_erased(eraser: Eraser) -> None:
    eraser.expect(("1.jpg", "v1"))
    assert eraser.deliver({"messageId": "stray", "body": "{"}, message("1.jpg")) == ["stray"]


MEMBERS = st.sampled_from(["bucket", "key", "version_id"])
VALUES = st.none() | st.text() | st.integers()


@given(st.text() | st.dictionaries(MEMBERS, VALUES).map(json.dumps))
def test_no_body_names_a_version_without_naming_all_of_it(body: str) -> None:
    try:
        version = erase_images.version_from_message(body)
    except erase_images.NotAnErasureError:
        return
    assert all((version.bucket, version.key, version.version_id))
    assert version.version_id != "null"


ODD_KEYS = ["a\x01b.jpg", "two\nlines.jpg", "r\r\n.jpg", "\t.jpg", "del\x7f.jpg", "\ufffe.jpg"]


@pytest.mark.lens("F2-10")
@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_that_xml_cannot_hold_is_erased_alone_and_spoils_no_other(eraser: Eraser, key: str) -> None:
    eraser.stub.add_response("delete_object", {}, {"Bucket": "images", "Key": key, "VersionId": "v1"})
    eraser.expect(("1.jpg", "v1"))
    assert eraser.deliver(message("1.jpg"), message(key)) == []


@pytest.mark.parametrize(("code", "again"), [("NoSuchVersion", []), ("AccessDenied", ["\n@v1"])])
def test_a_key_erased_alone_that_fails_comes_again_unless_it_is_gone(
    eraser: Eraser, code: str, again: list[str]
) -> None:
    eraser.stub.add_client_error("delete_object", code)
    assert eraser.deliver(message("\n")) == again


@given(key=st.text(min_size=1) | st.text("a\x00\x0b\x1f\x7f\x85\u2028\ufffe\uffff\r\n\t<&>\"'", min_size=1))
def test_every_key_reaches_s3_as_it_is(key: str) -> None:
    """Sends through a real client: what is in the request is what S3 would read."""
    s3: Any = boto3.client("s3", aws_access_key_id="test", aws_secret_access_key="test")
    requests: list[Any] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        requests.append(request)
        raw = SimpleNamespace(stream=lambda: iter([b"<DeleteResult/>" if request.method == "POST" else b""]))
        return AWSResponse(request.url, 200, {}, raw)

    s3.meta.events.register("before-send.s3", answer)
    assert erase_images.erase(s3, [erase_images.ImageVersion("images", key, "v1")]) == {}
    [request] = requests
    if request.method == "POST":
        [named] = [part for part in ElementTree.fromstring(request.body).iter() if part.tag.endswith("}Key")]  # noqa: S314
        assert named.text == key
    else:
        assert request.method == "DELETE"
        assert "versionId=v1" in request.url


def test_the_log_names_no_keys(eraser: Eraser) -> None:
    eraser.expect(("anna.jpg", "v1"), errors=[failure("anna.jpg", "AccessDenied")])
    assert eraser.deliver(message("anna.jpg", message_id="m1")) == ["m1"]
    assert "anna" not in eraser.log.getvalue()
    assert '"message_ids":["m1"]' in eraser.log.getvalue()
