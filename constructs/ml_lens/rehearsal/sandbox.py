"""The embedded sandbox as a child process of whoever rehearses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from ml_lens.rehearsal.clean_environment import clean_environment
from ml_lens.rehearsal.errors import RehearsalError
from ml_lens.rehearsal.inside.journal import (
    DECLARED,
    FOLDER_VARIABLE,
    REKOGNITION_CALLS,
    REKOGNITION_SCRIPT,
    Journal,
)

INTERPRETER_VARIABLE = "ML_LENS_SANDBOX_PYTHON"
ACCOUNT = "123456789012"
REGION = "us-east-1"
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105 - a key of no account

_SOURCE_ROOT = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.append({root!r}); from ml_lens.rehearsal.inside.launch import main; main()"
_START_LIMIT = 30.0
_GRACE = 3.0


def sandbox_interpreter() -> Path:
    """Return the interpreter that the sandbox is installed in.

    Raises:
        RehearsalError: There is none.
    """
    named = os.environ.get(INTERPRETER_VARIABLE)
    python = Path(named) if named else Path(".tools/sandbox/bin/python")
    if not python.exists():
        raise RehearsalError(
            f"the sandbox is not installed: {python} does not exist; run `make rehearse`, "
            f"or let {INTERPRETER_VARIABLE} name an interpreter that has requirements-sandbox.txt"
        )
    return python.absolute()


class Sandbox:
    """A running sandbox; leaving the context stops it and removes everything it wrote.

    Args:
        detached: Leave the sandbox running when this process ends, until somebody stops it.
    """

    def __init__(self, *, detached: bool = False) -> None:
        """Prepare a sandbox without starting it."""
        self.handed_over = False
        self._detached = detached
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._port = 0

    def __enter__(self) -> Sandbox:
        """Start the sandbox and wait until it answers."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the sandbox, unless it was handed over."""
        self.stop()

    def start(self) -> None:
        """Start the sandbox and wait until it answers.

        Raises:
            RehearsalError: It is not installed, or does not start.
        """
        python = sandbox_interpreter()
        self._folder = Path(tempfile.mkdtemp(prefix="ml-lens-sandbox-"))
        (self._folder / "tmp").mkdir()
        self._port = _free_port()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [str(python), "-c", _START.format(root=str(_SOURCE_ROOT))],
                cwd=self._folder,
                env=self._own_environment(),
                stdin=subprocess.DEVNULL if self._detached else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_healthy()

    def stop(self) -> None:
        """Stop the sandbox and its function workers, and remove its folder; twice does no harm."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            _end_group(process)
            if process.stdin:
                process.stdin.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def hand_over(self) -> int:
        """Let go of a detached sandbox and return the id of its process."""
        process, self._process, self._folder = self._process, None, None
        if process is None or not self._detached:
            raise RehearsalError("only a running, detached sandbox can be handed over")
        process.returncode = 0  # nobody here waits for it any more
        self.handed_over = True
        return process.pid

    @property
    def endpoint(self) -> str:
        """The address at which every service answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def folder(self) -> Path:
        """The sandbox's temporary folder."""
        if self._folder is None:
            raise RehearsalError("the sandbox is not running")
        return self._folder

    @property
    def process_id(self) -> int | None:
        """The id of the sandbox's process while it runs."""
        return self._process.pid if self._process else None

    def environment(self) -> dict[str, str]:
        """Return the environment in which the AWS and CDK command lines reach this sandbox and nothing else."""
        return {
            **clean_environment(self.folder / "tmp"),
            "AWS_ENDPOINT_URL": self.endpoint,
            # The AWS SDK for JavaScript derives S3's own endpoint differently unless it is named.
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str, **credentials: str) -> Any:
        """Return a boto3 client of this sandbox, as the account's root unless ``credentials`` are given."""
        chosen = credentials or {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        return self.session().client(
            service,
            endpoint_url=self.endpoint,
            config=Config(proxies={}, retries={"mode": "standard", "max_attempts": 3}),
            **chosen,
        )

    def session(self) -> Any:
        """Return a boto3 session that reads none of the user's AWS settings; name ``endpoint`` to its clients."""
        nowhere = str(self.folder / "no-aws-config")
        core = botocore.session.Session(
            {
                "profile": (None, None, None, None),
                "config_file": (None, None, nowhere, None),
                "credentials_file": (None, None, nowhere, None),
                "ca_bundle": (None, None, None, None),
                "region": (None, None, REGION, None),
            }
        )
        core.set_credentials(ACCESS_KEY, SECRET_KEY)
        return boto3.Session(botocore_session=core, region_name=REGION)

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of the sandbox's log."""
        if self._folder is None or not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def declared_only(self) -> list[tuple[str, str]]:
        """Return type and logical id of every resource that was accepted but is not emulated."""
        return [
            (kind, logical_id) for kind, logical_id in Journal(self.folder).read(DECLARED, {}).get("seen", [])
        ]

    def declared_left(self) -> dict[str, str]:
        """Return the declared resources that have not been deleted: physical id → type."""
        return dict(Journal(self.folder).read(DECLARED, {}).get("live", {}))

    def script_rekognition(self, outcomes: dict[str, list[dict[str, Any]]]) -> None:
        """Add to Rekognition's script: image digest → outcomes, used in order, the last one repeating."""
        journal = Journal(self.folder)
        journal.write(REKOGNITION_SCRIPT, {**journal.read(REKOGNITION_SCRIPT, {}), **outcomes})

    def rekognition_calls(self) -> dict[str, Any]:
        """Return how often Rekognition was called: ``total``, ``by_image`` digest, ``by_error`` code."""
        empty: dict[str, Any] = {"total": 0, "by_image": {}, "by_error": {}}
        return dict(Journal(self.folder).read(REKOGNITION_CALLS, empty))

    @property
    def _log(self) -> Path:
        return self.folder / "sandbox.log"

    def _own_environment(self) -> dict[str, str]:
        own = clean_environment(self.folder / "tmp")
        own.pop("PYTHONPATH", None)  # the sandbox's packages must win over the application's
        own.pop("VIRTUAL_ENV", None)
        return {
            **own,
            FOLDER_VARIABLE: str(self.folder),
            "ML_LENS_SANDBOX_FOLLOWS_PARENT": "0" if self._detached else "1",
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
            "GATEWAY_PORT": str(self._port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///dev/null",
            "S3_DATA_DIR": str(self.folder / "s3"),
            # Waits of state machines are shortened, five minutes to a second; limits on their tasks are not.
            "SFN_WAIT_SCALE": str(1 / 300),
        }

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_LIMIT
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(
                urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError
            ):
                with opener.open(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                    json.loads(answer.read())
                return
            time.sleep(0.05)
        last = self.log_tail(12)
        raise RehearsalError(f"the sandbox did not start; its log ends:\n{last}")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the sandbox, and the workers of its functions, which are in its process group and may outlive it."""
    deadline = time.monotonic() + 0.5
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # Where nobody reaps orphans, the group never empties: then the deadline has to do.
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.01)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
