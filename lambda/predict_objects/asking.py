"""Asking the endpoint about one record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from record_lines import Answer

if TYPE_CHECKING:
    from shares import Settings

_REFUSED = range(400, 500)


class EndpointFailedError(RuntimeError):
    """The endpoint gave no answer, and no refusal either; the text quotes nothing of the record."""


def ask(runtime: Any, settings: Settings, endpoint: str, record: bytes) -> Answer:
    """Return what the model says of a record.

    Raises:
        EndpointFailedError: The call failed, after retries where they help.
    """
    accept = {"Accept": settings.accept} if settings.accept else {}
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType=settings.content_type, Body=record, **accept
        )
        return Answer(answer["Body"].read())
    except Exception as error:
        response = getattr(error, "response", None) or {}
        code = response.get("Error", {}).get("Code", type(error).__name__)
        status = response.get("OriginalStatusCode", 0)
        if code == "ModelError" and status in _REFUSED:
            said = str(response.get("OriginalMessage", ""))[:1000]
            return Answer(json.dumps({"refused": said, "status": status}).encode(), is_refused=True)
        raise EndpointFailedError(f"{code}{f' {status}' if status else ''}") from None
