"""From the messages of a batch to typed uploads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uploads import NotAnUploadError, Upload, read_batch, upload_from_event

# What S3 allows in a key, and what cameras and people make of it.
ODD_KEYS = [
    "a b.jpg",
    "a+b.jpg",
    "a%20b.jpg",
    "a%2Bb.jpg",
    'say "cheese".jpg',
    "two\nlines.jpg",
    "r\r.jpg",
    "tab\t.jpg",
    "\x01\x7f.jpg",
    "Grüße/年.jpg",
    "😀.jpg",
    "a,b;c.jpg",
    "back\\slash.jpg",
    "'.jpg",
    " ",
]


def event(**changes: Any) -> dict[str, Any]:
    """An event as S3 sends it, with members of the object changed; None removes one."""
    described = {"key": "door/1.jpg", "size": 1024, "etag": "e", "version-id": "v1", "sequencer": "0"}
    described |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-11-20T12:00:00Z",
        "detail": {
            "version": "0",
            "bucket": {"name": "images"},
            "object": {name: value for name, value in described.items() if value is not None},
            "reason": "PutObject",
        },
    }


def record(body: str, message_id: str = "m1", deferrals: str | None = None) -> dict[str, Any]:
    attributes = (
        {"deferrals": {"stringValue": deferrals, "dataType": "Number"}} if deferrals is not None else {}
    )
    return {"messageId": message_id, "body": body, "messageAttributes": attributes}


def test_an_event_of_s3_becomes_an_upload() -> None:
    assert upload_from_event(json.dumps(event())) == Upload(
        "images", "door/1.jpg", "v1", 1024, datetime(2026, 11, 20, 12, tzinfo=UTC)
    )


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_is_taken_as_it_stands_and_not_url_decoded(key: str) -> None:
    assert upload_from_event(json.dumps(event(key=key))).key == key


@given(key=st.text(min_size=1), version_id=st.text(min_size=1).filter(lambda text: text != "null"))
def test_every_key_and_version_survives_the_event(key: str, version_id: str) -> None:
    for escaped in (True, False):
        body = json.dumps(event(key=key, version_id=version_id), ensure_ascii=escaped)
        upload = upload_from_event(body)
        assert (upload.key, upload.version_id) == (key, version_id)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.lens("F2-31")
@given(st.text() | JSON_VALUES.map(json.dumps))
def test_a_body_that_is_no_event_is_named_as_such_whatever_it_is(body: str) -> None:
    with pytest.raises(NotAnUploadError):
        upload_from_event(body)


@pytest.mark.lens("F2-31")
@given(
    path=st.sampled_from(["time", "detail", "bucket", "name", "object", "key", "size", "version-id"]),
    value=JSON_VALUES,
)
def test_an_event_with_any_member_changed_is_an_upload_or_named_as_none(path: str, value: object) -> None:
    changed = event()
    owners = (changed, changed["detail"], changed["detail"]["bucket"], changed["detail"]["object"])
    next(owner for owner in owners if path in owner)[path] = value
    try:
        upload = upload_from_event(json.dumps(changed))
    except NotAnUploadError:
        return
    assert upload.size >= 0
    assert upload.version_id not in ("", "null")


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        (event(version_id=None), "version-id is missing"),
        (event(version_id="null"), "the bucket is not versioned"),
        (event(key=None), "key is missing"),
        (event(key=""), "key is missing"),
        (event(key="\ud800"), "key is not Unicode"),
        (event(size=None), "size is not a whole number"),
        (event(size=-1), "size is not a whole number"),
        (event(size=True), "size is not a whole number"),
        (event(size="1024"), "size is not a whole number"),
        (event() | {"detail-type": "Object Deleted"}, "not an Object Created"),
        (event() | {"source": "my.tests"}, "not an Object Created"),
        (event() | {"time": "2026-11-20T12:00:00"}, "no time zone"),
        (event() | {"time": "yesterday"}, "time is not a moment"),
        (event() | {"time": "0001-01-01T00:00:00+14:00"}, "time is not a moment"),
        (event() | {"detail": None}, "bucket.name is missing"),
        ({"Event": "s3:TestEvent"}, "not an Object Created"),
        ([event()], "not a JSON object"),
    ],
)
def test_an_event_that_cannot_be_used_says_why(changed: object, cause: str) -> None:
    with pytest.raises(NotAnUploadError, match=cause):
        upload_from_event(json.dumps(changed))


def test_json_nested_deeper_than_python_can_read_is_no_event() -> None:
    with pytest.raises(NotAnUploadError, match="not JSON"):
        upload_from_event("[" * 100_000)


def test_the_upload_date_is_that_of_utc() -> None:
    late = event() | {"time": "2026-11-20T23:30:00-05:00"}
    assert upload_from_event(json.dumps(late)).uploaded_at.isoformat() == "2026-11-21T04:30:00+00:00"


def test_an_upload_id_is_the_same_on_every_delivery_and_another_for_every_version() -> None:
    first = upload_from_event(json.dumps(event()))
    again = upload_from_event(json.dumps(event() | {"id": "another"}))
    assert first.upload_id == again.upload_id == "637cab72fa3e0b801a41e5fab2c7dfe3"
    others = [event(version_id="v2"), event(key="door/2.jpg")]
    assert len({first.upload_id} | {upload_from_event(json.dumps(one)).upload_id for one in others}) == 3


def test_a_batch_is_sorted_into_uploads_and_messages_that_announce_none() -> None:
    arrivals, malformed = read_batch([record(json.dumps(event())), record("Hello", "m2")])
    assert [arrival.message_ids for arrival in arrivals.values()] == [("m1",)]
    assert [(message.message_id, message.cause) for message in malformed] == [("m2", "the body is not JSON")]


def test_messages_about_one_upload_become_one_arrival_with_the_most_deferrals() -> None:
    body = json.dumps(event())
    arrivals, _ = read_batch([record(body, "m1", "1"), record(body, "m2", "4"), record(body, "m3")])
    [arrival] = arrivals.values()
    assert (arrival.message_ids, arrival.deferrals, arrival.body) == (("m1", "m2", "m3"), 4, body)


def test_a_message_without_attributes_was_never_deferred() -> None:
    arrivals, _ = read_batch([{"messageId": "m1", "body": json.dumps(event())}])
    assert [arrival.deferrals for arrival in arrivals.values()] == [0]


@pytest.mark.parametrize("value", ["", "-1", "1.5", "many", "9" * 5000, "１"])  # noqa: RUF001
def test_deferrals_that_are_no_whole_number_make_the_message_malformed(value: str) -> None:
    arrivals, malformed = read_batch([record(json.dumps(event()), deferrals=value)])
    assert not arrivals
    assert [message.cause for message in malformed] == ["the attribute deferrals is not a whole number"]
