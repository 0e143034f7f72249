"""Errors in words that may be logged: a service's own message can quote an image's key."""

from __future__ import annotations

from pathlib import PurePath


def error_code(error: Exception) -> tuple[str, str]:
    """Return the operation and the code of an AWS error, or two empty texts.

    Reads them off the error, so that no module has to import botocore before a client is made.
    """
    response = getattr(error, "response", None) or {}
    return getattr(error, "operation_name", ""), response.get("Error", {}).get("Code", "")


def error_message(error: Exception) -> str:
    """Return what the service said."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Message", ""))


def cause_of(error: Exception) -> str:
    """Name an error without its message: operation and code, or the type and where it was raised."""
    operation, code = error_code(error)
    if code:
        return f"{operation} {code}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"
