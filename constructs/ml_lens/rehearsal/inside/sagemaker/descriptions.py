"""What SageMaker tells of an endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.fleets import Variant
from ml_lens.rehearsal.inside.sagemaker.traffic import Endpoint

Document = dict[str, Any]


def described(endpoint: Endpoint) -> Document:
    """Return the answer of ``DescribeEndpoint``."""
    fleet = endpoint.fleet
    told: Document = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.changed,
    }
    if endpoint.failure:
        told["FailureReason"] = endpoint.failure
    if endpoint.deployment:
        told["LastDeploymentConfig"] = endpoint.deployment
    if fleet is not None:
        told["ProductionVariants"] = _variants(fleet.production.values())
        if fleet.shadows:
            told["ShadowProductionVariants"] = _variants(fleet.shadows.values())
        if fleet.capture:
            told["DataCaptureConfig"] = {
                "EnableCapture": bool(fleet.capture.get("EnableCapture", True)),
                "CaptureStatus": "Started" if fleet.capture.get("EnableCapture", True) else "Stopped",
                "CurrentSamplingPercentage": fleet.capture["InitialSamplingPercentage"],
                "DestinationS3Uri": fleet.capture["DestinationS3Uri"],
                "KmsKeyId": fleet.capture.get("KmsKeyId", ""),
            }
    if endpoint.pending:
        coming = endpoint.traffic.coming
        told["PendingDeploymentSummary"] = {
            "EndpointConfigName": endpoint.pending,
            "StartTime": endpoint.began,
            "ProductionVariants": _variants(coming.production.values()) if coming else [],
        }
    return told


def summary(endpoint: Endpoint) -> Document:
    """Return an entry of ``ListEndpoints``."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.changed,
    }


def event_of(endpoint: Endpoint) -> Document:
    """Return what the event bus is told, where statuses are written differently."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config,
        "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", endpoint.status).upper(),
        "CreationTime": int(endpoint.created * 1000),
        "LastModifiedTime": int(endpoint.changed * 1000),
    }


def _variants(variants: Iterable[Variant]) -> list[Document]:
    return [_variant(each) for each in variants]


def _variant(variant: Variant) -> Document:
    told: Document = {
        "VariantName": variant.name,
        "DeployedImages": [{"SpecifiedImage": image, "ResolvedImage": image} for image in variant.images],
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.wanted_weight,
    }
    serverless = variant.spec.get("ServerlessConfig")
    if serverless:
        return {**told, "CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    return {**told, "CurrentInstanceCount": variant.count, "DesiredInstanceCount": variant.wanted_count}
