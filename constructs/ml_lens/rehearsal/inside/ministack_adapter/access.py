"""MiniStack's evaluator and stores, as the plain modules want to see them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator, lambda_runtime, responses
from ministack.services import athena, glue, kms, s3, sqs

from ml_lens.rehearsal.inside.permissions import Context, refusal_text, through

logger = logging.getLogger("ml_lens.sandbox")

KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"


# Bound before any hook: what a service asks on its own passes no VPC endpoint.
_enforce = iam_evaluator.enforce


class Policies:
    """MiniStack's evaluator as the plain modules' ``Gate``."""

    def refusal(self, caller: str, action: str, resource: str, context: Context | None = None) -> str | None:
        """Return why ``caller`` may not do this, or ``None``."""
        service = action.partition(":")[0]
        if service == "kms":
            resource = Keys().arn(resource) or resource
        denied = _enforce(
            caller, action, service, self.region(), resource_arn=resource, service_context=dict(context or {})
        )
        if denied is None:
            return None
        if isinstance(denied, iam_evaluator.AuthError):
            return str(denied.message)
        return refusal_text(
            denied.principal_arn,
            action,
            resource,
            denied=denied.decision == "Deny",
            by_resource=bool(denied.resource_policy_arn),
        )

    def service_refusal(self, service: str, action: str, key: str, context: Context) -> str | None:
        """Return why an AWS service may not use ``key`` on its own behalf, or ``None``."""
        subject = iam_evaluator.EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action=action,
            resource_arn=key,
            region=self.region(),
            service_context={name.lower(): value for name, value in context.items()},
        )
        policy, _ = kms.key_policy_for_arn(key) or ("", "")
        verdict = iam_evaluator.evaluate_resource_policy(policy, subject, service=service)
        return (
            None
            if verdict.decision == "Allow"
            else f"the key policy of {key} does not let {service} {action}"
        )

    def account(self) -> str:
        """Return the account of the request under way."""
        return str(responses.get_account_id())

    def region(self) -> str:
        """Return the region of the request under way."""
        return str(responses.get_region())


class Keys:
    """Which customer-managed key is behind a bucket, an object or a queue."""

    def of_bucket(self, bucket: str) -> str | None:
        """Return the key of the bucket's default encryption."""
        return self.arn(s3._bucket_default_sse_headers(bucket).get(KEY_HEADER, ""))

    def of_object(self, bucket: str, key: str, version: str | None) -> str | None:
        """Return the key that the stored object is encrypted with."""
        query = {"versionId": [version]} if version else {}
        status, headers, _ = s3._head_object(bucket, key, {}, query)
        return self.arn(headers.get(KEY_HEADER, "")) if status < 300 else None

    def of_queue(self, url: str) -> str | None:
        """Return the key of the queue."""
        try:
            return self.arn(sqs._get_q(url)["attributes"].get("KmsMasterKeyId", ""))
        except sqs._Err:
            return None

    def arn(self, reference: str) -> str | None:
        """Return the ARN of the key with this id, alias or ARN."""
        found = kms._resolve_key(reference)
        return str(found["Arn"]) if found else None


class Stores:
    """MiniStack's stores as Athena and Rekognition read them."""

    def __init__(self, gate: Policies, keys: Keys) -> None:
        """Check reads for Rekognition by ``gate``."""
        self._gate = gate
        self._keys = keys

    def read_as(self, caller: str, bucket: str, key: str, version: str | None) -> bytes | None:
        """Return an object's bytes if ``caller`` may read and decrypt it."""
        action = "s3:GetObjectVersion" if version else "s3:GetObject"
        refused = self._gate.refusal(caller, action, f"arn:aws:s3:::{bucket}/{key}")
        used = None if refused else self._keys.of_object(bucket, key, version)
        if used:
            refused = self._gate.refusal(caller, "kms:Decrypt", used, through("s3", self._gate))
        if refused:
            logger.warning("Rekognition cannot read s3://%s/%s: %s", bucket, key, refused)
            return None
        content: bytes | None = s3._get_object_data(bucket, key, version)
        return content

    def table(self, database: str, name: str) -> dict[str, Any] | None:
        """Return a Glue table."""
        status, _, body = glue._get_table({"DatabaseName": database, "Name": name})
        found: dict[str, Any] | None = json.loads(body)["Table"] if status < 300 else None
        return found

    def keys(self, bucket: str, prefix: str) -> list[str] | None:
        """Return the keys under a prefix."""
        found = s3._buckets.get(bucket)
        return None if found is None else sorted(k for k in found["objects"] if k.startswith(prefix))

    def read(self, bucket: str, key: str) -> bytes | None:
        """Return an object's bytes."""
        content: bytes | None = s3._get_object_data(bucket, key)
        return content

    def write(self, bucket: str, key: str, content: bytes, headers: dict[str, str]) -> str | None:
        """Store an object."""
        status, _, body = s3._put_object(bucket, key, content, {"content-type": "text/csv", **headers})
        return None if status < 300 else str(body.decode(errors="replace"))

    def object_key(self, bucket: str, key: str) -> str | None:
        """Return the key that an object is encrypted with."""
        return self._keys.of_object(bucket, key, None)

    def bucket_key(self, bucket: str) -> str | None:
        """Return the key of a bucket's default encryption."""
        return self._keys.of_bucket(bucket)

    def workgroup(self, name: str) -> dict[str, Any] | None:
        """Return a workgroup."""
        athena._ensure_default_workgroup()
        found: dict[str, Any] | None = athena._workgroups.get(name)
        return found


def function_role(config: Mapping[str, Any]) -> str:
    """Return an access key with the permissions of a function's role."""
    return str(lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"])


def endpoint() -> str:
    """Return the sandbox's own address."""
    return f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
