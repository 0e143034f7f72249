"""One statement of an IAM policy as it acts: actions, resources and conditions, compared as IAM compares them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ml_lens.rules.bodies import document as read_document
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import Verdict, fails, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

_HOLE: Final = "\ue0f0"  # a part of an ARN that only a deployment knows
_ANYTHING: Final = "\ue0f1"  # a name that nobody would write, so that only a wildcard matches it
_ARN_FIELDS: Final = 6
# What CloudFormation and IAM call the same service; for the others it is one name.
_SERVICE_OF_TYPE: Final = {"stepfunctions": "states", "sso": "sso", "apigatewayv2": "apigateway"}
_NESTED: Final = ("AWS::CloudFormation::", "Custom::")


@dataclass(frozen=True, eq=False)
class Condition:
    """One condition of a statement.

    Attributes:
        operator: The operator in lower case, with its ``ForAllValues:`` and ``IfExists``.
        key: The key in lower case.
        values: The values that it compares with.
    """

    operator: str
    key: str
    values: tuple[Value, ...]

    @property
    def comparison(self) -> str:
        """The operator without quantifier and without ``IfExists``."""
        return self.operator.rsplit(":", 1)[-1].removesuffix("ifexists")

    @property
    def is_negated(self) -> bool:
        """Whether it holds for values other than those given."""
        return "not" in self.comparison

    @property
    def open_value(self) -> Value | None:
        """A value that only a deployment knows, if there is one."""
        return next((value for value in self.values if value.is_open), None)

    def says(self, *words: str) -> bool:
        """Whether every value is one of ``words``, in any case."""
        found = {(value.text or "").lower() for value in self.values}
        return bool(found) and found <= set(words)

    @property
    def holds_without_key(self) -> bool:
        """Whether it holds for a request that lacks the key, as IAM decides it."""
        if self.comparison == "null":
            return self.says("true")
        if self.operator.endswith("ifexists") or self.operator.startswith("forallvalues:"):
            return True
        return self.is_negated and not self.operator.startswith("foranyvalue:")


@dataclass(frozen=True, eq=False)
class Statement:
    """One statement of a policy document.

    Attributes:
        node: The resource that holds the document, where a finding lands.
        body: The statement as the template writes it; ``body.path`` leads to it.
        allows: Whether it allows; otherwise it denies. An effect that is open counts as one that allows.
        actions: The patterns of ``Action`` or ``NotAction``, in lower case; ``None`` stands for one that is open.
        except_actions: Whether ``actions`` are those of ``NotAction``.
        resources: ``Resource`` or ``NotResource``; empty in the policy of a resource without either.
        except_resources: Whether ``resources`` are those of ``NotResource``.
        conditions: Its conditions.
    """

    node: Node
    body: Value
    allows: bool
    actions: tuple[str | None, ...]
    except_actions: bool
    resources: tuple[Value, ...]
    except_resources: bool
    conditions: tuple[Condition, ...]

    def covers(self, *apis: str) -> bool:
        """Whether the statement speaks of one of ``apis``, ``sagemaker:CreateEndpoint``; wildcards count.

        A wildcard for every service speaks only of the services whose resources it names.
        """
        return any(self._covers(api) for api in apis)

    def covers_by_name(self, *apis: str) -> bool:
        """Whether it covers one of ``apis`` by an action that names the service, not by one for everything."""
        return not self.except_actions and any(
            ":" in pattern and not pattern.startswith("*") and matches(pattern, api)
            for pattern in self.actions
            if pattern is not None
            for api in apis
        )

    def covers_apart(self, *apis: str) -> bool:
        """Whether it covers one of ``apis`` otherwise than by covering everything everywhere."""
        return self.covers(*apis) if not self.is_wholesale else self.covers_by_name(*apis)

    def covers_all(self, prefix: str) -> bool:
        """Whether it covers every action that begins with ``prefix``, ``sagemaker:Create``."""
        return self._covers(f"{prefix}{_ANYTHING}")

    @property
    def is_wholesale(self) -> bool:
        """Whether it covers everything everywhere without naming SageMaker; one rule tells that for all."""
        named = any((pattern or "").startswith("sagemaker:") for pattern in self.actions)
        return (
            (self.except_actions or not named)
            and bool(self.unlimited_resources)
            and self.covers_all("sagemaker:Create")
        )

    def names_service(self, service: str) -> bool:
        """Whether an action of the service, ``sagemaker``, is named, or everything is."""
        if self.except_actions:
            return self._covers(f"{service}:{_ANYTHING}")
        return any(
            pattern.split(":")[0] == service or (pattern.startswith("*") and self._reaches(service))
            for pattern in self.actions
            if pattern is not None
        )

    def broad_resources(self, kind: str) -> list[Value]:
        """Return the resources that name every ``kind``, ``endpoint`` or ``role``, or everything.

        ``endpoint/churn-*`` is scoped; ``*``, ``endpoint/*`` and ``NotResource`` are not.
        """
        if self.except_resources:
            return [self.body["NotResource"]]
        return [resource for resource in self.resources if is_broad(resource, kind)]

    @property
    def unlimited_resources(self) -> list[Value]:
        """The resources that leave nothing out: ``*``, an ARN that ends in one, ``NotResource``."""
        return self.broad_resources(_ANYTHING)

    def may_name(self, kind: str) -> bool:
        """Whether some resource of the statement may be a ``kind``, ``endpoint``."""
        if self.except_resources or not self.resources:
            return True
        return any(_may_be(resource, kind) for resource in self.resources)

    def condition(self, key: str) -> list[Condition]:
        """Return the conditions on a key, without regard to case; ``aws:PrincipalTag/`` matches by prefix."""
        wanted = key.lower()
        return [
            condition
            for condition in self.conditions
            if condition.key == wanted or (wanted.endswith("/") and condition.key.startswith(wanted))
        ]

    @property
    def principal(self) -> Value:
        """Who the statement of a resource's policy speaks of."""
        return self.body["Principal"]

    @property
    def actions_path(self) -> str:
        """Where its actions stand."""
        return f"{self.body.path}.{'NotAction' if self.except_actions else 'Action'}"

    @property
    def open_action(self) -> Value | None:
        """The actions, where one of them is known only to a deployment."""
        return self.body["NotAction" if self.except_actions else "Action"] if None in self.actions else None

    def _covers(self, api: str) -> bool:
        found = [pattern for pattern in self.actions if pattern is not None and matches(pattern, api)]
        if self.except_actions:
            return not found and self._reaches(api.split(":")[0])
        if any(not pattern.startswith("*") for pattern in found):
            return True
        return bool(found) and self._reaches(api.split(":")[0])

    def _reaches(self, service: str) -> bool:
        if self.except_resources or not self.resources:
            return True
        return any(_may_belong(resource, service) for resource in self.resources)


def statements(document: Value) -> list[Statement]:
    """Return the statements of a policy document, also of one that is written as a string."""
    read = document if document.is_object or not document else read_document(document)
    if read is None:
        return []
    return [_statement(body) for body in read["Statement"].elements if body.is_object]


def objection(statement: Statement, problem: str, *, at: str) -> Verdict:
    """Say what is wrong with a statement; where its effect, or what it leaves out, is open, nobody can tell."""
    if statement.body["Effect"].is_open:
        return doubt(statement, problem, statement.body["Effect"])
    if statement.except_actions and statement.open_action is not None:
        return doubt(statement, problem, statement.open_action)
    return fails(statement.node, problem, path=at)


def doubt(statement: Statement, problem: str, hidden: Value) -> Verdict:
    """Say that nobody can tell whether a statement has a problem, as ``hidden`` is open."""
    told = f"{hidden.path} is {hidden.shown}, which the template leaves open; the statement {problem}"
    return unknown(statement.node, told, path=hidden.path)


def is_broad(resource: Value, kind: str) -> bool:
    """Whether a resource names every ``kind``; a reference counts as named."""
    pattern = _pattern(resource)
    if not pattern.startswith("arn:"):
        return bool(pattern) and set(pattern) == {"*"}
    return _compiled(_fields(pattern)[-1]).fullmatch(f"{kind}/{_ANYTHING}") is not None


def matches(pattern: str, api: str) -> bool:
    """Whether an action pattern covers an API, as IAM compares them."""
    return _compiled(pattern.lower()).fullmatch(api.lower()) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    wildcards = {"*": ".*", "?": "."}
    shorter = re.sub(r"\*+", "*", pattern)
    return re.compile("".join(wildcards.get(letter, re.escape(letter)) for letter in shorter), re.DOTALL)


def _pattern(resource: Value) -> str:
    return "".join(part if isinstance(part, str) else _HOLE for part in resource.parts)


def _fields(pattern: str) -> list[str]:
    """Return the fields of an ARN; IAM fills up with wildcards what an incomplete one lacks."""
    fields = pattern.split(":", _ARN_FIELDS - 1)
    return [*fields, *["*"] * (_ARN_FIELDS - len(fields))]


def _may_belong(resource: Value, service: str) -> bool:
    """Whether a resource may be one of the service, ``s3``; what is open may be anything."""
    if resource.references:
        return any(_is_of(node, service) for node in resource.references)
    pattern = _pattern(resource)
    if not pattern.startswith("arn:"):
        return True
    field = _fields(pattern)[2]
    return _HOLE in field or matches(field, service)


def _is_of(node: Node, service: str) -> bool:
    if node.type.startswith(_NESTED):
        return True
    named = node.type.split("::")[1].lower() if "::" in node.type else ""
    return _SERVICE_OF_TYPE.get(named, named) == service


def _may_be(resource: Value, kind: str) -> bool:
    whole = resource.reference
    if whole is not None:
        own = whole.type.rsplit("::", 1)[-1].lower()
        return whole.type.startswith(_NESTED) or own == kind.replace("-", "")
    pattern = _pattern(resource)
    if not pattern.startswith("arn:"):
        return True
    known = re.split(rf"[*?{_HOLE}]", _fields(pattern)[-1], maxsplit=1)[0]
    return known.startswith(f"{kind}/") or f"{kind}/".startswith(known)


def _statement(body: Value) -> Statement:
    except_actions = not body["Action"] and bool(body["NotAction"])
    except_resources = not body["Resource"] and bool(body["NotResource"])
    actions = body["NotAction" if except_actions else "Action"].elements
    return Statement(
        node=body.node,
        body=body,
        allows=body["Effect"].literal != "Deny",
        actions=tuple(str(action.literal).lower() if action.is_literal else None for action in actions),
        except_actions=except_actions,
        resources=tuple(body["NotResource" if except_resources else "Resource"].elements),
        except_resources=except_resources,
        conditions=tuple(_conditions(body["Condition"])),
    )


def _conditions(block: Value) -> Iterator[Condition]:
    for operator, keys in block.members:
        for key, values in keys.members:
            yield Condition(operator.lower(), key.lower(), tuple(values.elements))
