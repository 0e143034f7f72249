"""What each role, user and group may do: the statements of all policies that the app gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.attachments import (
    GROUP,
    INLINE,
    MANAGED,
    PERMISSION_SET,
    PRINCIPALS,
    ROLE,
    USER,
    holders_of,
    limits_somebody,
    managed_policies,
    named,
    policies_of,
)
from ml_lens.rules.statements import Condition, Statement, is_broad, matches, statements
from ml_lens.rules.values import Value

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node

__all__ = [
    "GROUP",
    "IDENTITY_POLICIES",
    "INLINE",
    "MANAGED",
    "PERMISSION_SET",
    "PRINCIPALS",
    "ROLE",
    "USER",
    "Condition",
    "Role",
    "Statement",
    "holders",
    "identity_statements",
    "is_broad",
    "is_only_boundary",
    "matches",
    "role",
    "role_of",
    "roles",
    "statements",
    "statements_of",
]

# Types whose policy documents say what a principal may do.
IDENTITY_POLICIES: Final = (*PRINCIPALS, *INLINE, MANAGED)
# What the policies of AWS allow that people give to functions, as patterns of actions.
_EVERYTHING: Final = ("*",)
_OF_AWS: Final = {
    "AdministratorAccess": _EVERYTHING,
    "PowerUserAccess": _EVERYTHING,
    "AmazonSageMakerFullAccess": ("sagemaker:*",),
    "AmazonSageMakerReadOnly": ("sagemaker:describe*", "sagemaker:list*"),
    "AmazonRekognitionFullAccess": ("rekognition:*",),
    "AmazonRekognitionReadOnlyAccess": ("rekognition:detect*",),
    "ComprehendFullAccess": ("comprehend:*",),
    "ComprehendReadOnly": ("comprehend:detect*",),
    "AmazonTranscribeFullAccess": ("transcribe:*",),
    "AmazonTranscribeReadOnlyAccess": ("transcribe:get*",),
    "TranslateFullAccess": ("translate:*",),
    "TranslateReadOnly": ("translate:translatetext",),
    "AmazonTextractFullAccess": ("textract:*",),
    "AmazonPollyFullAccess": ("polly:*",),
    "AmazonPollyReadOnlyAccess": ("polly:synthesizespeech",),
}


@dataclass(frozen=True, eq=False)
class Role:
    """A role with everything that the app gives it; users, groups and permission sets are read alike.

    Attributes:
        node: The role.
        statements: All statements of its inline, attached and managed policies.
        managed: The ARNs of managed policies that are not part of the app.
        trust: The statements of its trust policy.
        boundary: The statements of its permissions boundary; ``None`` where it has none that the app tells.
    """

    node: Node
    statements: tuple[Statement, ...]
    managed: tuple[Value, ...]
    trust: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None = None

    def may(self, *apis: str) -> bool:
        """Whether some statement, or a policy of AWS, allows one of ``apis``."""
        if self.allowing(*apis):
            return True
        return any(
            matches(pattern, api) for api in apis if not self.refuses(api) for pattern in self._actions_of_aws
        )

    def may_call(self, service: str) -> bool:
        """Whether a statement, or a policy of AWS, allows an action of a service, ``sagemaker``."""
        return any(
            statement.allows and statement.names_service(service) for statement in self.statements
        ) or any(pattern == "*" or pattern.startswith(f"{service}:") for pattern in self._actions_of_aws)

    def allowing(self, *apis: str) -> list[Statement]:
        """Return the statements that allow one of ``apis`` which nothing refuses in every case."""
        found = [statement for statement in self.statements if statement.allows and statement.covers(*apis)]
        if not found:
            return []
        allowed = [api for api in apis if not self.refuses(api)]
        return [statement for statement in found if statement.covers(*allowed)]

    def denying(self, *apis: str) -> list[Statement]:
        """Return the statements that deny one of ``apis``, those of the boundary included."""
        several = (*self.statements, *(self.boundary or ()))
        return [statement for statement in several if not statement.allows and statement.covers(*apis)]

    def refuses(self, api: str) -> bool:
        """Whether ``api`` is denied whatever the request is, or is outside the boundary."""
        if self.boundary is not None:
            within = (
                each.covers(api) or each.open_action is not None for each in self.boundary if each.allows
            )
            if not any(within):
                return True
        return any(
            not denial.conditions and not denial.except_resources and denial.unlimited_resources
            for denial in self.denying(api)
        )

    @property
    def policies_of_aws(self) -> dict[str, Value]:
        """The names of the policies of AWS that it has, without their paths."""
        found = {}
        for arn in self.managed:
            before, _, name = (arn.text or "").rpartition("/")
            if f"{before}/".endswith(":aws:policy/") or ":aws:policy/" in before:
                found[name] = arn
        return found

    @property
    def trusted_services(self) -> set[str]:
        """The services that may take the role, ``sagemaker.amazonaws.com``."""
        return {
            service.text or ""
            for statement in self.trust
            if statement.allows
            for service in statement.principal["Service"].elements
        }

    def trusts(self, service: str) -> bool:
        """Whether a service, ``sagemaker``, may take the role, in whatever partition."""
        return any(trusted.split(".")[0] == service for trusted in self.trusted_services)

    @property
    def trusts_people(self) -> bool:
        """Whether accounts, users, SAML or OIDC providers may take the role, or a role that they may take."""
        return self._trusts_people(())

    def _trusts_people(self, asked: tuple[Node, ...]) -> bool:
        for statement in self.trust:
            principal = statement.principal
            if not statement.allows:
                continue
            if principal["Federated"] or principal.literal == "*" or statement.body["NotPrincipal"]:
                return True
            for trusted in principal["AWS"].elements:
                other = role_of(trusted)
                if other is None and _is_a_machine(trusted):
                    continue
                if other is None or (other.node not in asked and other._trusts_people((*asked, self.node))):
                    return True
        return False

    @property
    def _actions_of_aws(self) -> list[str]:
        return [pattern for name in self.policies_of_aws for pattern in _OF_AWS.get(name, ())]


def _is_a_machine(trusted: Value) -> bool:
    """Whether a principal of another account is a role, other than those that people get by single sign-on."""
    text = trusted.text or ""
    return ":role/" in text and "AWSReservedSSO" not in text


def identity_statements(graph: Graph) -> list[Statement]:
    """Return every statement of the app that says what a principal may do, trust policies apart."""
    return graph.once(
        "identity statements",
        lambda: [
            statement
            for node in graph.nodes(*IDENTITY_POLICIES)
            if not is_only_boundary(node)
            for statement in statements_of(node)
        ],
    )


def statements_of(node: Node) -> list[Statement]:
    """Return the statements that a role or a policy itself holds, its trust policy apart."""
    return node.graph.once(("statements", node.key), lambda: _held(node))


def role(node: Node) -> Role:
    """Return a role with all statements that the app gives it."""
    return node.graph.once(("role", node.key), lambda: _role(node))


def roles(graph: Graph) -> list[Role]:
    """Return every role of the app."""
    return [role(node) for node in graph.nodes(ROLE)]


def role_of(value: Value) -> Role | None:
    """Return the role of the app that ``value``, a role's ARN or name, names."""
    node = named(value, ROLE)
    return None if node is None else role(node)


def holders(policy: Node) -> list[Role]:
    """Return the roles, users and groups of the app that have the statements of ``policy``; a role holds its own."""
    if policy.type in PRINCIPALS:
        return [role(policy)]
    return [role(node) for node in holders_of(policy)]


def is_only_boundary(policy: Node) -> bool:
    """Whether a managed policy limits principals and gives nobody anything."""
    return policy.type == MANAGED and limits_somebody(policy) and not holders_of(policy)


def _held(node: Node) -> list[Statement]:
    documents: Iterable[Value] = (policy["PolicyDocument"] for policy in node["Policies"].elements)
    own = node["InlinePolicy"] if node.type == PERMISSION_SET else node["PolicyDocument"]
    return [statement for document in (own, *documents) for statement in statements(document)]


def _role(node: Node) -> Role:
    policies = [node, *policies_of(node)]
    boundary = named(node["PermissionsBoundary"], MANAGED)
    return Role(
        node=node,
        statements=tuple(statement for policy in policies for statement in statements_of(policy)),
        managed=tuple(arn for arn in managed_policies(node) if named(arn, MANAGED) is None),
        trust=tuple(statements(node["AssumeRolePolicyDocument"])),
        boundary=None if boundary is None else tuple(statements_of(boundary)),
    )
