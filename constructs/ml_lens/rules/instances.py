"""The instances that a job names, wherever its API puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_lens.rules.tasks import Task
    from ml_lens.rules.values import Value


def resources_of(task: Task, job: Value) -> Value:
    """Return the part of a job's definition that names its instances; absent where the API has none."""
    if task.kind == "tuning":
        own = job["HyperParameterTuningResourceConfig"]
        return own if own else job["ResourceConfig"]
    match task.kind:
        case "training":
            return job["ResourceConfig"]
        case "processing":
            return job["ProcessingResources"]["ClusterConfig"]
        case _:
            return job["TransformResources"]


def instance_types(resources: Value) -> list[Value]:
    """Return each instance type that the resources of a job name: one, one for each group, or a list to choose from."""
    if resources.is_open:  # nobody knows which of the ways it is; one is told
        return [resources["InstanceType"]]
    several = (
        option["InstanceType"]
        for name in ("InstanceGroups", "InstancePreferences", "InstanceConfigs")
        for option in resources[name].elements
    )
    return [found for found in (resources["InstanceType"], *several) if found]
