"""Services that act in a role: whether they may take it, and as whom they then call."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.config import Config
from ministack.core import iam_evaluator
from ministack.services import iam, sts

from ml_lens.rehearsal.inside.ministack_adapter.access import Policies, endpoint


def trust_refusal(role: str, service: str, gate: Policies, context: Mapping[str, Any]) -> str | None:
    """Return why ``service`` may not act in ``role``, or ``None``."""
    found = iam._roles.get(role.rsplit("/", 1)[-1])
    if found is None or found.get("Arn") != role:
        return f"the role {role} does not exist"
    subject = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account=gate.account(),
        action="sts:AssumeRole",
        resource_arn=role,
        region=gate.region(),
        service_context={name.lower(): value for name, value in context.items()},
    )
    trust = iam_evaluator.parse_policy_document(_of_service(found["AssumeRolePolicyDocument"], service))
    if iam_evaluator.evaluate(subject, [trust]).decision == "Allow":
        return None
    return f"{service} is not authorized to assume the role {role}"


def _of_service(document: Any, service: str) -> dict[str, Any]:
    """Return what a trust policy says to ``service``, of which each statement then concerns every resource."""
    whole = json.loads(document) if isinstance(document, str) else document
    statements = whole.get("Statement", [])
    kept = []
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        named = principal.get("Service", []) if isinstance(principal, dict) else []
        if principal == "*" or service in ([named] if isinstance(named, str) else named):
            kept.append({**statement, "Resource": "*"})
    return {"Version": "2012-10-17", "Statement": kept}


def session(role: str, name: str) -> dict[str, str]:
    """Return the credentials of a session of ``role``; the same ones for the same name."""
    digest = hashlib.sha256(f"{role} {name}".encode()).hexdigest()
    account, role_name = role.split(":")[4], role.rsplit("/", 1)[-1]
    made = {
        "aws_access_key_id": f"ASIA{digest[:16].upper()}",
        "aws_secret_access_key": hashlib.sha256(f"secret {digest}".encode()).hexdigest(),
        "aws_session_token": hashlib.sha256(f"token {digest}".encode()).hexdigest(),
    }
    sts.register_session(
        made["aws_access_key_id"],
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{name[:64]}",
            "UserId": f"{role_name}:{name[:64]}",
            "SecretAccessKey": made["aws_secret_access_key"],
            "SessionToken": made["aws_session_token"],
        },
    )
    return made


class RoleClients:
    """Clients of this very sandbox, which act in a role."""

    _session: Any = None
    _made: dict[tuple[str, str, str], Any] = {}  # noqa: RUF012 - shared on purpose: making a client takes long
    _lock = threading.Lock()

    def __init__(self, credentials: Mapping[str, str], region: str) -> None:
        """Act with ``credentials``."""
        self._credentials = credentials
        self._region = region

    def names(self) -> list[str]:
        """Return the names of all services."""
        return list(self._core().get_available_services())

    def client(self, name: str) -> Any:
        """Return a client of the service ``name``."""
        known = (name, self._region, self._credentials["aws_access_key_id"])
        with self._lock:
            if known not in self._made:
                self._made[known] = self._core().create_client(
                    name,
                    region_name=self._region,
                    endpoint_url=endpoint(),
                    config=Config(
                        proxies={},
                        retries={"total_max_attempts": 1},
                        max_pool_connections=50,
                        s3={"addressing_style": "path"},
                    ),
                    **self._credentials,
                )
            return self._made[known]

    @classmethod
    def _core(cls) -> Any:
        if RoleClients._session is None:
            RoleClients._session = botocore.session.Session()
        return RoleClients._session
