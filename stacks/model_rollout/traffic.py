"""Customers who ask without pause while a model is replaced, and tell what became of each answer."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

_PAUSE = 0.01
"""Seconds between two requests of one caller."""

Answered = Callable[[str, str, float], None]


@dataclass(frozen=True)
class Customer:
    """A customer about whom is asked, and what became of the customer."""

    features: dict[str, Any]
    left: int


@dataclass
class Count:
    """What became of the requests that were sent."""

    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def failed_outside(self, prefix: str) -> int:
        """Return how many requests failed that no variant with this prefix had answered."""
        return sum(count for variant, count in self.failed.items() if not variant.startswith(prefix))

    def is_complete(self) -> bool:
        """Whether every request has been answered, or refused by somebody who can be named."""
        return not self.lost and self.sent == self.answered.total() + self.failed.total()


class Traffic:
    """Sends requests from several threads until it is stopped, and loses count of none.

    Args:
        runtime: A client of ``sagemaker-runtime`` that may invoke the endpoint.
        endpoint: Name of the endpoint.
        customers: About whom is asked, again and again.
        report: Takes inference id, variant and value of each answer: one where the model was right about a customer.
        threads: Callers at the same time.
    """

    def __init__(
        self,
        runtime: Any,
        endpoint: str,
        customers: Sequence[Customer],
        *,
        report: Answered,
        threads: int = 2,
    ) -> None:
        """Prepare; nothing is sent yet."""
        self.count = Count()
        self._runtime = runtime
        self._endpoint = endpoint
        self._customers = customers
        self._report = report
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(self._from(number, threads),), daemon=True)
            for number in range(threads)
        ]

    def __enter__(self) -> Traffic:
        """Begin to send."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and wait for what is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _from(self, first: int, step: int) -> Iterator[Customer]:
        while True:
            yield from self._customers[first::step]

    def _ask(self, customers: Iterator[Customer]) -> None:
        for customer in customers:
            if self._over.wait(_PAUSE):
                return
            self._ask_about(customer)

    def _ask_about(self, customer: Customer) -> None:
        inference = str(uuid.uuid4())
        with self._lock:
            self.count.sent += 1
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint,
                ContentType="application/json",
                Accept="application/json",
                InferenceId=inference,
                Body=json.dumps({"instances": [customer.features]}),
            )
            variant = answer["InvokedProductionVariant"]
            probability = json.loads(answer["Body"].read())["predictions"][0]["probability"]
        except ClientError as refusal:
            with self._lock:
                self.count.failed[_variant_of(refusal)] += 1
        except Exception as broken:
            with self._lock:
                self.count.lost.append(f"{type(broken).__name__}: {broken}")
        else:
            with self._lock:
                self.count.answered[variant] += 1
            self._report(inference, variant, float((probability >= 0.5) == bool(customer.left)))


class Reports:
    """Sends outcomes to their queue ten at a time, as a billing system would."""

    def __init__(self, sqs: Any, queue: str, endpoint: str) -> None:
        """Report outcomes of the predictions of ``endpoint``."""
        self._sqs = sqs
        self._queue = queue
        self._endpoint = endpoint
        self._waiting: list[str] = []
        self._lock = threading.Lock()
        self.refused: list[str] = []

    def add(self, inference: str, variant: str, value: float) -> None:
        """Take one outcome, and send ten when there are as many."""
        message = {
            "endpoint": self._endpoint,
            "inference_id": inference,
            "variant": variant,
            "value": value,
            "at": datetime.now(UTC).isoformat(),
        }
        with self._lock:
            self._waiting.append(json.dumps(message))
            batch, self._waiting = (self._waiting, []) if len(self._waiting) >= 10 else ([], self._waiting)
        if batch:
            self._send(batch)

    def _send(self, bodies: Sequence[str]) -> None:
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        answer = self._sqs.send_message_batch(QueueUrl=self._queue, Entries=entries)
        self.refused += [failure["Id"] for failure in answer.get("Failed", [])]


def _variant_of(refusal: ClientError) -> str:
    """Return the variant whose container failed; its log stream is called after it."""
    stream = str(refusal.response.get("LogStreamArn", ""))
    code = str(refusal.response["Error"]["Code"])
    return stream.rpartition("log-stream:")[2].partition("/")[0] or f"nobody ({code})"
