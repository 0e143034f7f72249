"""The model registry: groups of versions of a model, and whether each version has been approved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.faults import invalid
from ml_lens.rehearsal.inside.sagemaker.listing import page

Document = dict[str, Any]
STATE_CHANGE = "SageMaker Model Package State Change"
_TOLD = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "ModelMetrics",
    "CustomerMetadataProperties",
)


class Packages:
    """Keeps groups and versions, and tells the event bus of every change."""

    def __init__(self, cloud: Cloud) -> None:
        """Keep nothing yet."""
        self._cloud = cloud
        self._groups: dict[str, Document] = {}
        self._packages: dict[str, Document] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def create_model_package_group(self, request: Document) -> Document:
        """Create a group."""
        name = request["ModelPackageGroupName"]
        arn = self._arn("model-package-group", name)
        if name in self._groups:
            raise invalid(f"Model Package Group already exists: {arn}")
        self._groups[name] = {
            **{key: value for key, value in request.items() if key != "Tags"},
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupStatus": "Completed",
            "CreationTime": time.time(),
            "CreatedBy": {},
        }
        return {"ModelPackageGroupArn": arn}

    def describe_model_package_group(self, request: Document) -> Document:
        """Describe a group."""
        return self._group(request["ModelPackageGroupName"])

    def delete_model_package_group(self, request: Document) -> Document:
        """Delete a group that has no versions."""
        name = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
        if any(each.get("ModelPackageGroupName") == name for each in self._packages.values()):
            raise invalid(
                f"Cannot delete Model Package Group: {self._groups[name]['ModelPackageGroupArn']} that still has "
                "existing Model Packages in it."
            )
        del self._groups[name]
        return {}

    def list_model_package_groups(self, request: Document) -> Document:
        """List the groups."""
        shown = [
            {key: value for key, value in each.items() if key != "CreatedBy"}
            for each in self._groups.values()
        ]
        return page(shown, request, into="ModelPackageGroupSummaryList", name="ModelPackageGroupName")

    def create_model_package(self, request: Document) -> Document:
        """Register a version in a group, or a package with a name of its own."""
        group = request.get("ModelPackageGroupName")
        made: Document = {key: value for key, value in request.items() if key not in ("Tags", "ClientToken")}
        if group:
            name = self._group(group)["ModelPackageGroupName"]
            version = 1 + max(
                (
                    each["ModelPackageVersion"]
                    for each in self._packages.values()
                    if each.get("ModelPackageGroupName") == name
                ),
                default=0,
            )
            arn = self._arn("model-package", f"{name}/{version}")
            status = request.get("ModelApprovalStatus", "PendingManualApproval")
            made |= {
                "ModelPackageGroupName": name,
                "ModelPackageName": name,
                "ModelPackageVersion": version,
                "ModelApprovalStatus": status,
            }
        else:
            arn = self._arn("model-package", request["ModelPackageName"])
        made |= {
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CreationTime": time.time(),
        }
        self._packages[arn] = made
        self._tell(made)
        return {"ModelPackageArn": arn}

    def describe_model_package(self, request: Document) -> Document:
        """Describe a version."""
        return self._package(request["ModelPackageName"])

    def update_model_package(self, request: Document) -> Document:
        """Change a version, most often whether it is approved."""
        found = self._package(request["ModelPackageArn"])
        changed = {
            key: value for key, value in request.items() if key not in ("ModelPackageArn", "ClientToken")
        }
        for key in changed.pop("CustomerMetadataPropertiesToRemove", []):
            found.get("CustomerMetadataProperties", {}).pop(key, None)
        found |= {**changed, "LastModifiedTime": time.time()}
        self._tell(found, changed=sorted(changed))
        return {"ModelPackageArn": found["ModelPackageArn"]}

    def delete_model_package(self, request: Document) -> Document:
        """Delete a version."""
        del self._packages[self._package(request["ModelPackageName"])["ModelPackageArn"]]
        return {}

    def list_model_packages(self, request: Document) -> Document:
        """List versions, of a group if one is named."""
        group = request.get("ModelPackageGroupName", "").rpartition("/")[2]
        approval = request.get("ModelApprovalStatus")
        keys = (
            "ModelPackageName",
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageDescription",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
        )
        shown = [
            {key: each[key] for key in keys if key in each}
            for each in self._packages.values()
            if (not group or each.get("ModelPackageGroupName") == group)
            and (not approval or each.get("ModelApprovalStatus") == approval)
        ]
        return page(shown, request, into="ModelPackageSummaryList", name="ModelPackageName")

    def resolved(self, definition: Mapping[str, Any]) -> list[Document]:
        """Return what a container definition stands for: itself, or the containers of the version that it names.

        Raises:
            Fault: There is no such version, or it is not approved.
        """
        named = definition.get("ModelPackageName")
        if not named:
            return [dict(definition)]
        package = self._package(named)
        if package.get("ModelApprovalStatus", "Approved") != "Approved":
            raise invalid(
                f"Cannot deploy model package {package['ModelPackageArn']}: its approval status is "
                f"{package['ModelApprovalStatus']}."
            )
        environment = definition.get("Environment") or {}
        return [
            {**each, "Environment": {**(each.get("Environment") or {}), **environment}}
            for each in package["InferenceSpecification"]["Containers"]
        ]

    def _tell(self, package: Document, changed: list[str] | None = None) -> None:
        detail = {key: package[key] for key in _TOLD if key in package}
        for key in ("CreationTime", "LastModifiedTime"):
            if key in package:
                detail[key] = f"{datetime.fromtimestamp(package[key], UTC):%Y-%m-%dT%H:%M:%SZ}"
        if changed:
            detail["UpdatedModelPackageFields"] = changed
        self._cloud.announce(
            STATE_CHANGE, package["ModelPackageArn"], {"CertifyForMarketplace": False, **detail}
        )

    def _arn(self, kind: str, name: str) -> str:
        account, region = self._cloud.place()
        return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"

    def _group(self, named: str) -> Document:
        name = named.rpartition("/")[2]
        for each, group in self._groups.items():
            if name.lower() == each.lower():
                return group
        raise invalid(f"Model Package Group {self._arn('model-package-group', name)} does not exist.")

    def _package(self, named: str) -> Document:
        arn = named if named.startswith("arn:") else self._arn("model-package", named)
        if arn not in self._packages:
            raise invalid(f"Model Package {arn} does not exist.")
        return self._packages[arn]
