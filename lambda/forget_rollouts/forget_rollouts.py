"""Deletes the models and configurations that rollouts made, when their stack is deleted."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import boto3
from aws_lambda_powertools.logging import Logger
from botocore.config import Config

logger = Logger()
_LONGEST_REASON = 1_000  # CloudFormation refuses an answer of more than 4096 bytes.
_sagemaker: Any = boto3.client(
    "sagemaker", config=Config(retries={"mode": "standard", "max_attempts": 8}, read_timeout=20)
)


def handler(event: dict[str, Any], _context: Any) -> None:
    """Answer one custom resource request; only a deletion does anything."""
    prefix = event["ResourceProperties"]["Prefix"]
    outcome = {"Status": "SUCCESS", "Reason": "nothing to do"}
    if event["RequestType"] == "Delete":
        # Any failure has to reach CloudFormation: a request without an answer blocks the stack for an hour.
        try:
            outcome["Reason"] = f"{forget(_sagemaker, prefix)} are deleted"
        except Exception as failure:
            logger.exception("rollouts not forgotten")
            outcome = {"Status": "FAILED", "Reason": f"{prefix}: {failure}"[:_LONGEST_REASON]}
    _answer(event, {**outcome, "PhysicalResourceId": f"rollouts-{prefix}"})


def forget(sagemaker: Any, prefix: str) -> int:
    """Delete every model and endpoint configuration whose name begins with ``prefix``, and return how many."""
    count = 0
    for kind, entries, name in (
        ("endpoint_config", "EndpointConfigs", "EndpointConfigName"),
        ("model", "Models", "ModelName"),
    ):
        pages = sagemaker.get_paginator(f"list_{kind}s").paginate(NameContains=prefix)
        found = [entry[name] for page in pages for entry in page[entries] if entry[name].startswith(prefix)]
        for each in found:
            getattr(sagemaker, f"delete_{kind}")(**{name: each})
        count += len(found)
    return count


def _answer(event: dict[str, Any], outcome: dict[str, str]) -> None:
    body = json.dumps(
        {**outcome, **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}}
    ).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT")  # noqa: S310  (CloudFormation's own URL)
    request.add_header("Content-Type", "")
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass
