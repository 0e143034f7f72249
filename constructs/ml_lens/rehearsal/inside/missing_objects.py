"""S3 tells only those who may list a bucket that an object is not there; others are refused."""

from __future__ import annotations

from ml_lens.rehearsal.inside.permissions import Gate, Proceed, Request, Response

_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class MissingObjects:
    """Turns "not found" into "denied" for callers without ``s3:ListBucket``."""

    def __init__(self, gate: Gate) -> None:
        """Ask ``gate`` who may list."""
        self._gate = gate

    async def s3(self, request: Request, proceed: Proceed) -> Response:
        """Serve a request to S3."""
        response = await proceed()
        bucket, _, key = request.path.lstrip("/").partition("/")
        status, _, body = response
        if status != 404 or not key or request.method not in ("GET", "HEAD") or b"NoSuchBucket" in body:
            return response
        if not self._gate.refusal(request.caller, "s3:ListBucket", f"arn:aws:s3:::{bucket}"):
            return response
        return 403, {"Content-Type": "application/xml"}, b"" if request.method == "HEAD" else _DENIED
