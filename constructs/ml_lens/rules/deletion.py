"""Whether a bucket's policy keeps people without MFA from deleting objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ml_lens.rules.buckets import covers_objects
from ml_lens.rules.policies import Condition, Statement
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import Verdict, fails, passes, unknown, written

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

_DELETIONS: Final = ("s3:deleteobject", "s3:deleteobjectversion")
_PRESENT: Final = "aws:multifactorauthpresent"
_AGE: Final = "aws:multifactorauthage"
_WITHOUT, _UNSAID = "MFA was not used", "nothing is said of MFA"
_EVERY_CASE: Final = frozenset({_WITHOUT, _UNSAID})
# The requests that a condition catches: those made without MFA, and those that say nothing of it.
_CAUGHT: Final = {
    ("boolifexists", _PRESENT, "false"): _EVERY_CASE,
    ("bool", _PRESENT, "false"): frozenset({_WITHOUT}),
    ("null", _PRESENT, "true"): frozenset({_UNSAID}),
    ("null", _AGE, "true"): _EVERY_CASE,
}
_EXCEPTIONS: Final = frozenset({"arnnotequals", "arnnotlike", "stringnotequals", "stringnotlike"})
_MARKERS: Final = frozenset({(operator, key) for operator, key, _ in _CAUGHT})


def must_refuse_deletion(bucket: Node, statements: Iterable[Statement]) -> Verdict:
    """Demand that ``statements``, of the bucket's policy, refuse every deletion of an object without MFA."""
    caught: dict[str, set[str]] = {deletion: set() for deletion in _DELETIONS}
    doubt: Value | None = None
    for statement in statements:
        if not _refuses_everybody(statement, bucket):
            continue
        requests, unclear = _requests_caught(statement)
        doubt = doubt or unclear
        for deletion in _DELETIONS:
            if statement.covers(deletion):
                caught[deletion] |= requests
    if all(requests == _EVERY_CASE for requests in caught.values()):
        return passes(bucket)
    if doubt is not None:
        told = (
            f"{doubt.path} is {doubt.shown}, which the template leaves open; must refuse deletion without MFA"
        )
        return unknown(doubt.node, told, path=doubt.path)
    return fails(
        bucket, "neither Object Lock with a default retention nor its policy keeps objects from deletion"
    )


def _refuses_everybody(statement: Statement, bucket: Node) -> bool:
    if (
        statement.allows
        or not statement.covers(*_DELETIONS)
        or not covers_objects(statement, bucket, bucket.declared_prefix or "")
    ):
        return False
    if not statement.principal:
        return bool(statement.body["NotPrincipal"])
    named = (statement.principal, *statement.principal["AWS"].elements)
    return any(who.literal == "*" for who in named)


def _requests_caught(statement: Statement) -> tuple[frozenset[str], Value | None]:
    """Return which requests without MFA the conditions catch, and what is open about them."""
    requests = _EVERY_CASE
    for condition in statement.conditions:
        if (condition.operator, condition.key) in _MARKERS:
            open_value = next((value for value in condition.values if value.is_open), None)
            if open_value is not None:
                return frozenset(), open_value
            written_values = [written(value.literal).lower() for value in condition.values]
            caught = [_CAUGHT.get((condition.operator, condition.key, value)) for value in written_values]
            requests &= frozenset().union(*(found for found in caught if found))
        elif not _is_exception(condition):
            return frozenset(), None
    return requests, None


def _is_exception(condition: Condition) -> bool:
    """Whether the condition lets named principals pass, and no others."""
    if condition.operator not in _EXCEPTIONS or condition.key != "aws:principalarn":
        return False
    return all(
        (value.text or "*").rsplit(":", 1)[-1].strip("*/") not in ("", "role", "user")
        for value in condition.values
    )
