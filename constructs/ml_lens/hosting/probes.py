"""Requests with known answers, by which a candidate is tested before anybody else asks it."""

import json
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from ml_lens.foundation.props import PropChecks
from ml_lens.foundation.storage import grant

_FORM = 'one line for each request reads {"body": {…}, "expected": [0, 1, …]}, with what is right for each instance'


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Requests with known answers, JSON Lines: ``{"body": {…}, "expected": [0, 1, …]}``. Use one of the class methods.

    Lens: F8-02, CHG-18.
    """

    path: Path | None = None
    """The file on this machine. Default: in S3."""
    bucket: s3.IBucket | None = None
    """Where it is. Default: on this machine."""
    key: str = ""
    """The object's key."""

    @classmethod
    def from_file(cls, path: Path) -> "Probes":
        """Take a file of this machine, which the CDK uploads."""
        return cls(path=path)

    @classmethod
    def in_bucket(cls, bucket: s3.IBucket, key: str) -> "Probes":
        """Take the object ``key`` of ``bucket`` as it is when a rollout asks."""
        return cls(bucket=bucket, key=key)

    def check(self, props: PropChecks) -> None:
        """Refuse a file that is not there, or holds no probes."""
        if self.path is None:
            props.require(
                bool(self.key), "probes", f"the object has no key; give the key of a file in which {_FORM}"
            )
        elif not self.path.is_file():
            props.refuse("probes", f"there is no file {str(self.path)!r}; write one in which {_FORM}")
        else:
            number = _first_wrong(self.path.read_text(encoding="utf-8"))
            props.require(
                number is None, "probes", f"line {number} of {str(self.path)!r} is no probe; {_FORM}"
            )

    def bind(self, scope: Construct, reader: iam.IGrantable) -> dict[str, str]:
        """Let ``reader`` read the file, and return where it is as environment variables."""
        if self.bucket is not None:
            grant(reader, ["s3:GetObject"], self.bucket.arn_for_objects(self.key))
            if self.bucket.encryption_key is not None:
                grant(reader, ["kms:Decrypt"], self.bucket.encryption_key.key_arn)
            return {"PROBES_BUCKET": self.bucket.bucket_name, "PROBES_KEY": self.key}
        asset = assets.Asset(scope, "Probes", path=str(self.path))
        grant(reader, ["s3:GetObject"], asset.bucket.arn_for_objects(asset.s3_object_key))
        return {"PROBES_BUCKET": asset.s3_bucket_name, "PROBES_KEY": asset.s3_object_key}


def _first_wrong(text: str) -> int | None:
    """Return the number of the first line that is no probe; that of the first one where there is none at all."""
    lines = text.splitlines()
    wrong = (number for number, line in enumerate(lines, 1) if not _is_probe(line))
    return next(wrong, None) if lines else 1


def _is_probe(line: str) -> bool:
    try:
        read = json.loads(line)
    except ValueError:
        return False
    if not isinstance(read, dict) or "body" not in read:
        return False
    expected = read.get("expected")
    return isinstance(expected, list) and bool(expected) and all(each in (0, 1) for each in expected)
