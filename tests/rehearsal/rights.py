"""The rights of the roles of a deployed stack, one by one, to be taken away for a while."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ml_lens.rehearsal.sandbox import Sandbox


@dataclass(frozen=True)
class Right:
    """One action of one statement of a role's policy, on one of its resources where there are several."""

    role: str
    policy: str
    statement: int
    action: str
    resource: str | None = None

    def __str__(self) -> str:
        where = f" on {self.resource.rpartition(':')[2]}" if self.resource else ""
        return f"{self.role.split('-')[1]}: {self.action}{where}"


class Rights:
    """The rights of the roles of a stack, but for the one that empties buckets, which has a test of its own."""

    def __init__(self, sandbox: Sandbox, stack: str) -> None:
        self._iam = sandbox.client("iam")
        resources = sandbox.client("cloudformation").describe_stack_resources(StackName=stack)[
            "StackResources"
        ]
        self._roles = [
            resource["PhysicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == "AWS::IAM::Role" and "Emptier" not in resource["LogicalResourceId"]
        ]

    def all(self) -> list[Right]:
        """Return everything that is allowed; what is denied is no right."""
        return [
            Right(role, policy, number, action, resource)
            for role in self._roles
            for policy in self._iam.list_role_policies(RoleName=role)["PolicyNames"]
            for number, statement in enumerate(self._document(role, policy)["Statement"])
            if statement["Effect"] == "Allow"
            for action in _listed(statement["Action"])
            for resource in _each_resource(action, statement)
        ]

    def resources_of(self, right: Right) -> list[str]:
        """Return what a right is for."""
        if right.resource:
            return [right.resource]
        statement = self._document(right.role, right.policy)["Statement"][right.statement]
        return _listed(statement["Resource"])

    @contextmanager
    def without(self, right: Right) -> Iterator[None]:
        """Take a right away for a while."""
        whole = self._document(right.role, right.policy)
        less = json.loads(json.dumps(whole))
        statement = less["Statement"][right.statement]
        part = "Resource" if right.resource else "Action"
        taken = right.resource or right.action
        statement[part] = [kept for kept in _listed(statement[part]) if kept != taken]
        if not statement[part]:
            del less["Statement"][right.statement]
        self._put(right, less)
        try:
            yield
        finally:
            self._put(right, whole)

    def _document(self, role: str, policy: str) -> dict[str, Any]:
        document: dict[str, Any] = self._iam.get_role_policy(RoleName=role, PolicyName=policy)[
            "PolicyDocument"
        ]
        return document

    def _put(self, right: Right, document: dict[str, Any]) -> None:
        if not document["Statement"]:  # which no policy may be without
            self._iam.delete_role_policy(RoleName=right.role, PolicyName=right.policy)
            return
        self._iam.put_role_policy(
            RoleName=right.role, PolicyName=right.policy, PolicyDocument=json.dumps(document)
        )


def _each_resource(action: str, statement: dict[str, Any]) -> list[str | None]:
    resources = _listed(statement["Resource"])
    # The catalogue and the database of a table are asked about by Glue itself, which the sandbox does not.
    if len(resources) == 1 or action.startswith("glue:"):
        return [None]
    return list(resources)


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else list(actions)
