"""Containers of the sandbox: a process for each, with nothing in its environment but what the model was given."""

from __future__ import annotations

import contextlib
import contextvars
import http.client
import io
import shutil
import socket
import tarfile
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ml_lens.rehearsal.inside.sagemaker.processes import Processes

PROCESSES = Processes()
LONGEST_ANSWER = 60.0
"""Seconds that SageMaker waits for a container."""
_LONGEST_START = 60.0
_TOO_LATE = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class ContainerFailed(Exception):  # noqa: N818 - it reads as what happened
    """A container that did not start; the message is what SageMaker says of it."""


@dataclass(frozen=True)
class Reply:
    """What a container answered; no status means that it did not."""

    status: int
    body: bytes
    content_type: str
    attributes: str = ""


class Container:
    """A model that is being served.

    Args:
        artifact: The bytes of the ``.tar.gz``, or of each file of one that is not packed.
        environment: Environment variables of the model.
        on_line: Is told every line that the container prints.
    """

    def __init__(
        self,
        artifact: bytes | Mapping[str, bytes],
        environment: Mapping[str, str],
        *,
        on_line: Callable[[str], None],
    ) -> None:
        """Unpack the artifact and begin to serve it; :meth:`wait` tells when that is done."""
        self._folder = Path(tempfile.mkdtemp(prefix="model-"))
        try:
            _unpack(artifact, self._folder)
        except (tarfile.TarError, OSError, EOFError) as broken:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ContainerFailed(f"Unable to extract the model artifact: {broken}") from broken
        self._environment = {"SM_MODEL_DIR": str(self._folder), **environment}
        self._on_line = on_line
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._wanted = True
        self._start()

    def _start(self) -> None:
        self._port = 0
        self._last: deque[str] = deque(maxlen=3)
        self._listens = threading.Event()
        self._process, output = PROCESSES.start(self._folder, self._environment)
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._listen, output, self._listens), daemon=True).start()

    def wait(self) -> None:
        """Wait until the container answers.

        Raises:
            ContainerFailed: It ended before, or took too long.
        """
        self._listens.wait(_LONGEST_START)
        if not self._port:
            said = " ".join(self._last) or "it printed nothing"
            self.stop()
            raise ContainerFailed(
                "The primary container for production variant did not pass the ping health check. Please check "
                f"CloudWatch logs for this endpoint. {said}"
            )

    def ask(
        self, body: bytes, content_type: str, accept: str, *, attributes: str = "", target: str = ""
    ) -> Reply:
        """Send one request; a container that does not answer counts as failed.

        Args:
            body: The request.
            content_type: What it is.
            accept: What the caller wants to have.
            attributes: Passed on to the container.
            target: One of several models, of which this container has only one.
        """
        headers = {"Content-Type": content_type, "Accept": accept}
        if attributes:
            headers[_ATTRIBUTES] = attributes
        with self._lock:
            known = self._idle.pop() if self._idle else None
        if known is not None:
            # It may have been closed at the other end meanwhile: a container that has been started again.
            with contextlib.suppress(ConnectionError, http.client.HTTPException):
                return self._asked(known, body, headers)
        try:
            return self._asked(_Connection(self._port), body, headers)
        except (ConnectionError, http.client.HTTPException) as gone:
            self._revive()
            return Reply(503, f"the container does not answer: {gone}".encode(), "text/plain")

    def stop(self) -> None:
        """End the container and remove its files."""
        with self._lock:
            self._wanted = False
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()
        with contextlib.suppress(OSError):
            PROCESSES.stop(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _asked(
        self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            answer = connection.getresponse()
            reply = Reply(
                answer.status,
                answer.read(),
                answer.headers.get("Content-Type", headers["Accept"]),
                answer.headers.get(_ATTRIBUTES, ""),
            )
        except TimeoutError:
            connection.close()
            return Reply(0, _TOO_LATE.encode(), "text/plain")
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if self._wanted:
                self._idle.append(connection)
                return reply
        connection.close()
        return reply

    def _revive(self) -> None:
        """Start again what has ended, as SageMaker does."""
        with self._lock:
            if self._wanted and self._listens.is_set() and not self._port:
                self._idle = []
                self._start()

    def _listen(self, output: IO[str], listens: threading.Event) -> None:
        with output:
            for line in output:
                if line.startswith("port ") and not self._port:
                    self._port = int(line.split()[1])
                    listens.set()
                    continue
                self._last.append(line.strip())
                self._on_line(line.rstrip())
        if listens is self._listens:
            self._port = 0
        listens.set()


class _Connection(http.client.HTTPConnection):
    """A connection that sends at once."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=LONGEST_ANSWER)

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _unpack(artifact: bytes | Mapping[str, bytes], folder: Path) -> None:
    if isinstance(artifact, bytes):
        with tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as packed:
            packed.extractall(folder, filter="data")
        return
    for name, content in artifact.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise OSError(f"{name} is outside of the model")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
