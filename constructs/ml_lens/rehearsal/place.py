"""What a walkthrough is given: a deployed scenario, in the sandbox or in a real account."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from ml_lens.rehearsal.errors import QueryFailed, WalkthroughFailed

if TYPE_CHECKING:
    from ml_lens.rehearsal.sandbox import Sandbox

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """A statement of the walkthrough that was found to hold."""

    statement: str
    seen: str


class Place:
    """A deployed scenario.

    Attributes:
        outputs: The stack's outputs.
        images: A folder of the user's own pictures, where one was named.
        patience: How many seconds a walkthrough waits for work to be done.
        checks: What was found to hold so far.
        sandbox: The sandbox, or ``None`` in a real account.
        QueryFailed: What :meth:`query` raises, for walkthroughs that expect a refusal.
    """

    QueryFailed = QueryFailed

    def __init__(
        self,
        outputs: Mapping[str, str],
        *,
        sandbox: Sandbox | None = None,
        images: Path | None = None,
        patience: float = 120,
        say: Callable[[str], None] = print,
    ) -> None:
        """Describe a deployed scenario; in a real account the ordinary credential chain is used.

        Args:
            outputs: The stack's outputs.
            sandbox: The sandbox it is deployed to. Default: a real account.
            images: A folder of the user's own pictures.
            patience: How many seconds a walkthrough waits for work to be done.
            say: Prints progress.
        """
        self.outputs = dict(outputs)
        self.sandbox = sandbox
        self.images = images
        self.patience = patience
        self.checks: list[Check] = []
        self._say = say
        self._clients: dict[tuple[str, str | None], Any] = {}

    @property
    def is_sandbox(self) -> bool:
        """Whether this is the embedded sandbox and not a real account."""
        return self.sandbox is not None

    def client(self, service: str, role_arn: str | None = None) -> Any:
        """Return a boto3 client, with the permissions of ``role_arn`` where one is given."""
        wanted = (service, role_arn)
        if wanted not in self._clients:
            self._clients[wanted] = self._new_client(service, self._assume(role_arn) if role_arn else {})
        return self._clients[wanted]

    def credentials(self, role_arn: str) -> dict[str, str]:
        """Return credentials of ``role_arn`` as a boto3 client takes them, for requests that no client makes."""
        return self._assume(role_arn)

    def reach(self, url: str) -> tuple[str, str]:
        """Return where the deployed API at ``url`` answers, and the name of the host to ask for.

        In the sandbox every API answers at one address and goes by the name.
        """
        host = urlsplit(url).netloc
        if self.sandbox is None:
            return url, host
        address = urlsplit(self.sandbox.endpoint)
        path = urlsplit(url).path
        return (
            f"{self.sandbox.endpoint}{path}",
            f"{host.partition('.')[0]}.execute-api.localhost:{address.port}",
        )

    def _new_client(self, service: str, credentials: dict[str, str]) -> Any:
        if self.sandbox is not None:
            return self.sandbox.client(service, **credentials)
        return real_client(service, **credentials)

    def _assume(self, role_arn: str) -> dict[str, str]:
        answer = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="walkthrough")[
            "Credentials"
        ]
        return {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }

    def script_rekognition(self, outcomes: dict[str, list[dict[str, Any]]]) -> None:
        """Tell the sandbox's Rekognition what to answer.

        Args:
            outcomes: SHA-256 of an image's bytes, in hex → what to answer, in this order, the last one
                repeating: ``{"faces": [FaceDetail, …]}`` or ``{"error": code, "message": text}``.

        Raises:
            WalkthroughFailed: This is a real account.
        """
        if self.sandbox is None:
            raise WalkthroughFailed("only the sandbox's Rekognition can be scripted")
        self.sandbox.script_rekognition(outcomes)

    def step(self, text: str) -> None:
        """Say what happens now."""
        self._say(text)

    def check(self, statement: str, holds: bool, seen: object = "") -> None:
        """Record that ``statement`` holds.

        Raises:
            WalkthroughFailed: It does not; the message tells what was seen instead.
        """
        if not holds:
            raise WalkthroughFailed(f"{statement}: no" + (f"; seen: {seen}" if seen != "" else ""))
        self.checks.append(Check(statement, str(seen)))

    def wait_until(
        self,
        statement: str,
        probe: Callable[[], T],
        seconds: float,
        seen: Callable[[], object] | None = None,
    ) -> T:
        """Ask ``probe`` until its answer is true, record the statement and return the answer.

        Args:
            statement: What holds then.
            probe: Looks whether it does.
            seconds: The time it may take.
            seen: Tells, once the time is up, what there is instead. Default: the last answer of ``probe``.

        Raises:
            WalkthroughFailed: ``seconds`` have passed.
        """
        deadline = time.monotonic() + seconds
        pause = 0.05
        while True:
            answer = probe()
            if answer:
                self.check(statement, True)
                return answer
            if time.monotonic() >= deadline:
                last = seen() if seen else repr(answer)
                raise WalkthroughFailed(f"{statement}: not within {seconds:g} s; seen: {last}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5 if self.is_sandbox else 5.0)

    def query(
        self, sql: str, *, workgroup: str, database: str, role_arn: str | None = None, seconds: float = 60
    ) -> list[dict[str, str | None]]:
        """Run an Athena query and return its rows.

        Raises:
            QueryFailed: The query could not start, failed, or did not end within ``seconds``.
        """
        athena = self.client("athena", role_arn)
        try:
            started = athena.start_query_execution(
                QueryString=sql, WorkGroup=workgroup, QueryExecutionContext={"Database": database}
            )["QueryExecutionId"]
        except ClientError as refused:
            raise QueryFailed(str(refused)) from refused
        status = self._ended(athena, started, seconds)
        if status["State"] != "SUCCEEDED":
            raise QueryFailed(f"query {status['State'].lower()}: {status.get('StateChangeReason', '')}")
        rows: list[dict[str, str | None]] = []
        names: list[str] | None = None
        for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=started):
            for line in page["ResultSet"]["Rows"]:
                values = [cell.get("VarCharValue") for cell in line["Data"]]
                if names is None:
                    names = [str(value) for value in values]
                else:
                    rows.append(dict(zip(names, values, strict=True)))
        return rows

    def _ended(self, athena: Any, query: str, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"][
                "Status"
            ]
            if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return status
            time.sleep(0.05 if self.is_sandbox else 0.5)
        raise QueryFailed(f"query {query} did not end within {seconds:g} s")


def real_client(service: str, **credentials: str) -> Any:
    """Return a boto3 client of the account of the ordinary credential chain.

    boto3 reads the Region from ``AWS_DEFAULT_REGION`` alone; every other tool reads ``AWS_REGION`` as well.
    """
    return boto3.client(service, region_name=os.environ.get("AWS_REGION"), **credentials)
