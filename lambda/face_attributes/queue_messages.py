"""Messages about uploads, sent ten at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uploads import DEFERRALS_ATTRIBUTE

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef
    from uploads import Upload

MOST_MESSAGES = 10
MOST_BYTES = 256 * 1024
_ATTRIBUTE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Message:
    """A message about one upload; ``deferrals`` is given when the upload is to be tried again."""

    upload_id: str
    body: str
    delay_seconds: int = 0
    deferrals: int | None = None

    @property
    def size(self) -> int:
        """What SQS counts: the bytes of the body and of the attribute."""
        return len(self.body.encode()) + _ATTRIBUTE_BYTES


def erase_message(upload: Upload) -> Message:
    """Ask for exactly this version of the image to be erased (Lens: F2-10)."""
    body = {"bucket": upload.bucket, "key": upload.key, "version_id": upload.version_id}
    # As ASCII, because SQS refuses control characters that an object key may hold.
    return Message(upload.upload_id, json.dumps(body, ensure_ascii=True))


def send_messages(
    sqs: SQSClient,
    queue_url: str,
    messages: Iterable[Message],
    on_fault: Callable[[Exception], None],
) -> set[str]:
    """Send the messages and return the ids of the uploads whose message did not get through."""
    unsent: set[str] = set()
    for few in _portions(messages):
        entries = [_entry(str(number), message) for number, message in enumerate(few)]
        try:
            answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except Exception as error:
            on_fault(error)
            unsent.update(message.upload_id for message in few)
            continue
        sent = {entry["Id"] for entry in answer.get("Successful", ())}
        unsent.update(few[int(entry["Id"])].upload_id for entry in entries if entry["Id"] not in sent)
    return unsent


def _portions(messages: Iterable[Message]) -> Iterator[list[Message]]:
    few: list[Message] = []
    size = 0
    for message in messages:
        if few and (len(few) == MOST_MESSAGES or size + message.size > MOST_BYTES):
            yield few
            few, size = [], 0
        few.append(message)
        size += message.size
    if few:
        yield few


def _entry(entry_id: str, message: Message) -> SendMessageBatchRequestEntryTypeDef:
    entry: SendMessageBatchRequestEntryTypeDef = {"Id": entry_id, "MessageBody": message.body}
    if message.delay_seconds:
        entry["DelaySeconds"] = message.delay_seconds
    if message.deferrals is not None:
        entry["MessageAttributes"] = {
            DEFERRALS_ATTRIBUTE: {"DataType": "Number", "StringValue": str(message.deferrals)}
        }
    return entry
