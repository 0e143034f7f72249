"""What stands behind an endpoint: variants, each a model in its containers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ml_lens.rehearsal.inside.sagemaker.containers import LONGEST_ANSWER, Reply
from ml_lens.rehearsal.inside.sagemaker.faults import Fault

Document = Mapping[str, Any]


class Asked(Protocol):
    """What answers requests: a container, or one of several models."""

    def wait(self) -> None:
        """Wait until it answers."""

    def ask(
        self, body: bytes, content_type: str, accept: str, *, attributes: str = "", target: str = ""
    ) -> Reply:
        """Answer a request."""

    def stop(self) -> None:
        """End it."""


def ask_all(
    containers: Sequence[Asked],
    body: bytes,
    content_type: str,
    accept: str,
    *,
    attributes: str = "",
    target: str = "",
) -> Reply:
    """Send a request through containers, each of which answers to the next; the first that fails ends it."""
    reply = Reply(200, body, content_type)
    for container in containers:
        reply = container.ask(reply.body, reply.content_type, accept, attributes=attributes, target=target)
        if not 200 <= reply.status < 300:
            break
    return reply


@dataclass
class Variant:
    """One variant and its containers, which answer one after the other."""

    name: str
    weight: float
    count: int
    model: str
    containers: Sequence[Asked]
    role: str
    spec: Document = field(default_factory=dict)
    images: Sequence[str] = ()
    takes_target: bool = False
    wanted_weight: float = 0
    wanted_count: int = 0
    under_way: int = 0
    told: float = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Want what there is."""
        self.want(self.weight, self.count)

    def want(self, weight: float, count: int) -> None:
        """Say what is to be, once the change is over."""
        self.wanted_weight, self.wanted_count = weight, count

    def settle(self) -> None:
        """Become what is wanted."""
        self.weight, self.count = self.wanted_weight, self.wanted_count

    @property
    def at_once(self) -> int | None:
        """How many calls a serverless variant answers at the same time."""
        serverless = self.spec.get("ServerlessConfig")
        return int(serverless["MaxConcurrency"]) if serverless else None

    def ask(self, body: bytes, content_type: str, accept: str, *, attributes: str, target: str) -> Reply:
        """Answer a request.

        Raises:
            Fault: A serverless variant is busy with as many calls as it takes.
        """
        if target and not self.takes_target:
            raise Fault("ValidationError", "Target model can be specified for multi-model endpoints only.")
        with self._lock:
            if self.at_once is not None and self.under_way >= self.at_once:
                raise Fault("ThrottlingException", "Rate exceeded")
            self.under_way += 1
        try:
            return ask_all(self.containers, body, content_type, accept, attributes=attributes, target=target)
        finally:
            with self._lock:
                self.under_way -= 1


class Fleet:
    """The variants that answer, and the shadow that only listens.

    Args:
        config: The endpoint configuration that it was made of.
        capture: What is recorded of its calls.
    """

    def __init__(self, config: str, capture: Document | None = None) -> None:
        """Make a fleet of no variants."""
        self.config = config
        self.capture = capture
        self.production: dict[str, Variant] = {}
        self.shadows: dict[str, Variant] = {}
        self._state = threading.Condition()
        self._under_way = 0
        self._closed = False

    def choose(self) -> Variant:
        """Return a variant by the weights."""
        variants = list(self.production.values())
        weights = [variant.weight for variant in variants]
        if not any(weights):
            return variants[0]
        return random.choices(variants, weights)[0]  # noqa: S311 - traffic, not secrets

    def all(self) -> Iterator[Variant]:
        """Yield every variant."""
        yield from self.production.values()
        yield from self.shadows.values()

    def find(self, name: str) -> Variant | None:
        """Return a variant by its name."""
        return self.production.get(name) or self.shadows.get(name)

    def enter(self) -> bool:
        """Begin to answer a request, unless the fleet is about to end."""
        with self._state:
            if self._closed:
                return False
            self._under_way += 1
            return True

    def leave(self) -> None:
        """End what :meth:`enter` began."""
        with self._state:
            self._under_way -= 1
            self._state.notify_all()

    def stop(self) -> None:
        """Take no more requests, answer those under way, and end all containers."""
        until = time.monotonic() + LONGEST_ANSWER
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: self._under_way == 0, until - time.monotonic())
        for variant in self.all():
            for container in variant.containers:
                container.stop()
