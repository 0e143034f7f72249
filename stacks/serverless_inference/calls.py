"""Calls of an API as a consumer makes them: HTTPS, signed with the credentials of a role."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ml_lens.rehearsal.place import Place

JSON = "application/json"
_SECONDS = 40.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; ``None`` where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __str__(self) -> str:
        """Return the answer as a failed check shows it."""
        return f"{self.status} {self.body[:300]!r}"


class Consumer:
    """Somebody who asks an API, with the rights of a role or without any."""

    def __init__(self, place: Place, url: str, *, role_arn: str | None = None, region: str) -> None:
        """Get ready to ask.

        Args:
            place: Where the API is deployed.
            url: Its address, as the stack tells it.
            role_arn: The role that signs. Default: requests are not signed.
            region: The Region of the API.
        """
        self._address, self._host = place.reach(url)
        self._region = region
        self._credentials: Credentials | None = None
        if role_arn:
            session = place.credentials(role_arn)
            self._credentials = Credentials(
                session["aws_access_key_id"], session["aws_secret_access_key"], session["aws_session_token"]
            )

    def ask(self, body: object, *, kind: str | None = JSON, **headers: str) -> Answer:
        """POST ``body``, as JSON unless it is text or bytes already.

        Args:
            body: What to send.
            kind: Its content type; ``None`` sends none.
            headers: More headers, with underscores for hyphens.
        """
        content = body.encode() if isinstance(body, str) else body
        content = content if isinstance(content, bytes) else json.dumps(body).encode()
        sent = {"Host": self._host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if kind:
            sent["Content-Type"] = kind
        if self._credentials:
            request = AWSRequest(method="POST", url=self._address, data=content, headers=sent)
            SigV4Auth(self._credentials, "execute-api", self._region).add_auth(request)
            sent = dict(request.headers.items())
        return self._send(content, sent)

    def _send(self, content: bytes, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(self._address)
        if parts.scheme == "https":
            connection: HTTPConnection = HTTPSConnection(
                parts.netloc, timeout=_SECONDS, context=ssl.create_default_context()
            )
        else:
            connection = HTTPConnection(parts.netloc, timeout=_SECONDS)
        try:
            connection.request("POST", parts.path, body=content, headers={**headers})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()
