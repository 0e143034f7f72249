"""Lists, page by page, as the service gives them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.faults import invalid

_PAGE = 10
"""Entries of a page for which no size is asked, few as they are."""
_TIMES = {
    "CreationTimeAfter": ("CreationTime", 1),
    "CreationTimeBefore": ("CreationTime", -1),
    "LastModifiedTimeAfter": ("LastModifiedTime", 1),
    "LastModifiedTimeBefore": ("LastModifiedTime", -1),
}


def page(
    entries: Iterable[Mapping[str, Any]],
    request: Mapping[str, Any],
    *,
    into: str,
    name: str,
    status: str = "",
) -> dict[str, Any]:
    """Return the page of a list that is asked for, the newest entries first unless asked otherwise.

    Args:
        entries: All that there is.
        request: What is asked for.
        into: What the list is called in the answer.
        name: The member that is an entry's name.
        status: The member that is an entry's status.
    """
    wanted = request.get("NameContains", "").lower()
    found = [
        each
        for each in entries
        if wanted in str(each[name]).lower()
        and (not request.get("StatusEquals") or each.get(status) == request["StatusEquals"])
        and all(
            (float(each[member]) - float(request[limit])) * sign >= 0
            for limit, (member, sign) in _TIMES.items()
            if limit in request
        )
    ]
    order = {"Name": name, "Status": status}.get(request.get("SortBy", ""), "CreationTime")
    found.sort(key=lambda each: each[order], reverse=request.get("SortOrder", "Descending") == "Descending")
    return _cut(found, request, into)


def _cut(found: Sequence[Mapping[str, Any]], request: Mapping[str, Any], into: str) -> dict[str, Any]:
    start = _start(request.get("NextToken"))
    end = start + int(request.get("MaxResults", _PAGE))
    rest = {"NextToken": base64.b64encode(str(end).encode()).decode()} if end < len(found) else {}
    return {into: [dict(each) for each in found[start:end]], **rest}


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError) as wrong:
        raise invalid("Invalid pagination token.") from wrong
