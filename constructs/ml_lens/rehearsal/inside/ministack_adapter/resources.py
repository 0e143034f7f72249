"""CloudFormation: types that MiniStack does not know, and buckets as templates want them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from ml_lens.rehearsal.inside.declared import DECLARED_TYPES, METRIC_MATH_ALARM, DeclaredResources

logger = logging.getLogger("ml_lens.sandbox")


def declare(resources: DeclaredResources) -> None:
    """Register the types that MiniStack does not know."""
    for kind in DECLARED_TYPES.keys() - {METRIC_MATH_ALARM} - provisioners._RESOURCE_HANDLERS.keys():
        provisioners._RESOURCE_HANDLERS[kind] = {
            "create": functools.partial(resources.create, kind),
            "delete": lambda reference, _properties: resources.delete(reference),
        }
    _declare_metric_math(resources)


def _declare_metric_math(resources: DeclaredResources) -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]

    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        if properties.get("Metrics"):
            return resources.create(METRIC_MATH_ALARM, logical_id, properties, stack)
        return handlers["create"](logical_id, properties, stack)

    def delete(reference: str, *properties: Any) -> None:
        if resources.holds(reference):
            resources.delete(reference)
        else:
            handlers["delete"](reference, *properties)

    provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"] = {
        **handlers,
        "create": create,
        "delete": delete,
    }


def finish_buckets() -> None:
    """Keep what MiniStack drops of a bucket's template, and refuse to delete a bucket that holds objects."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def created(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        result = create(logical_id, properties, stack)
        _keep_bucket_properties(result[0], properties)
        return result

    def updated(name: str, old: Any, new: Mapping[str, Any], stack: str) -> Any:
        result = update(name, old, new, stack)
        _keep_bucket_properties(result[0], new)
        return result

    def deleted(name: str, properties: Any) -> None:
        status, _, _ = s3._delete_bucket(name) if name in s3._buckets else (204, None, None)
        if status == 409:
            raise ValueError(
                f"{name}: The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            )
        delete(name, properties)

    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"] = {
        **handlers,
        "create": created,
        "update": updated,
        "delete": deleted,
    }


def _keep_bucket_properties(name: str, properties: Mapping[str, Any]) -> None:
    s3._bucket_tags[name] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}
    rules = (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration") or []
    default = (rules[0].get("ServerSideEncryptionByDefault") or {}) if rules else {}
    if not default:
        return
    key = default.get("KMSMasterKeyID")
    inner = f"<SSEAlgorithm>{escape(default['SSEAlgorithm'])}</SSEAlgorithm>"
    inner += f"<KMSMasterKeyID>{escape(key)}</KMSMasterKeyID>" if key else ""
    bucket_key = str(rules[0].get("BucketKeyEnabled", False)).lower()
    s3._put_bucket_encryption(
        name,
        f'<ServerSideEncryptionConfiguration xmlns="{s3.S3_NS}"><Rule><ApplyServerSideEncryptionByDefault>'
        f"{inner}</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>{bucket_key}</BucketKeyEnabled>"
        "</Rule></ServerSideEncryptionConfiguration>".encode(),
    )
