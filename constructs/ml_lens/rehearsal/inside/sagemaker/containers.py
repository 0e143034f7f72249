"""Containers of the sandbox: one process for each, with nothing in its environment but what the model was given."""

from __future__ import annotations

import http.client
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[4]
_START = (
    "import sys; sys.path.append({root!r}); "
    "from ml_lens.rehearsal.inside.sagemaker.serving import main; main()"
)
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_PATIENCE = 60.0


class ContainerFailed(Exception):  # noqa: N818 - it reads as what happened
    """A container that did not start; the message is what SageMaker says of it."""


@dataclass(frozen=True)
class Reply:
    """What a container answered."""

    status: int
    body: bytes
    content_type: str


class Container:
    """A model that is being served.

    Args:
        artifact: The bytes of the ``.tar.gz``.
        environment: Environment variables of the model.
        on_line: Is told every line that the container prints.
    """

    def __init__(
        self, artifact: bytes, environment: Mapping[str, str], *, on_line: Callable[[str], None]
    ) -> None:
        """Unpack the artifact and begin to serve it; :meth:`wait` tells when that is done."""
        self._folder = Path(tempfile.mkdtemp(prefix="model-"))
        try:
            with tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as packed:
                packed.extractall(self._folder, filter="data")
        except (tarfile.TarError, OSError) as broken:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ContainerFailed(f"Unable to extract the model artifact: {broken}") from broken
        inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _START.format(root=str(_ROOT)), str(self._folder)],
            cwd=self._folder,
            env={**inherited, "OMP_NUM_THREADS": "1", "SM_MODEL_DIR": str(self._folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._port = 0
        self._last: deque[str] = deque(maxlen=3)
        self._listens = threading.Event()
        threading.Thread(target=self._listen, args=(on_line,), daemon=True).start()

    def wait(self) -> None:
        """Wait until the container answers.

        Raises:
            ContainerFailed: It ended before, or took too long.
        """
        self._listens.wait(_PATIENCE)
        if not self._port:
            said = " ".join(self._last) or "it printed nothing"
            self.stop()
            raise ContainerFailed(
                f"The primary container for production variant did not pass the ping health check. {said}"
            )

    def ask(self, body: bytes, content_type: str, accept: str) -> Reply:
        """Send one request; a container that does not answer counts as failed."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": content_type, "Accept": accept})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), answer.headers.get("Content-Type", accept))
        except OSError as gone:
            return Reply(503, f"the container does not answer: {gone}".encode(), "text/plain")
        finally:
            connection.close()

    def stop(self) -> None:
        """End the container and remove its files."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listen(self, on_line: Callable[[str], None]) -> None:
        for line in self._process.stdout or ():
            if line.startswith("port ") and not self._port:
                self._port = int(line.split()[1])
                self._listens.set()
                continue
            self._last.append(line.strip())
            on_line(line.rstrip())
        self._listens.set()
