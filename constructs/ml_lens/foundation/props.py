"""Props are checked before anything is created, and every bad one is named at once."""

import difflib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aws_cdk import Duration, Token
from constructs import Construct

_SECONDS_A_DAY = 86_400


class PropError(ValueError):
    """One or more props that cannot be used, each with what was given, what is allowed and the way out."""

    def __init__(self, owner: str, problems: Sequence[str]) -> None:
        self.owner = owner
        self.problems = tuple(problems)
        super().__init__("\n  ".join([owner, *self.problems]))


class PropChecks:
    """Collects the problems of one constructor call."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def refuse(self, prop: str, problem: str) -> None:
        """Record that ``prop`` cannot be used; ``problem`` says what was given, allowed and to be done."""
        self.problems.append(f"{prop}: {problem}")

    def require(self, condition: bool, prop: str, problem: str) -> bool:
        """Record ``problem`` unless ``condition`` holds; return whether it does."""
        if not condition:
            self.refuse(prop, problem)
        return condition

    def number(self, prop: str, value: float, *, low: float, high: float, unit: str, way_out: str) -> None:
        """Demand ``low <= value <= high``; tokens pass."""
        if _is_token(value):
            return
        allowed = f"allowed are {low:g} to {high:g} {unit}".rstrip()
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(prop, f"{value!r} is not a number; {allowed}; {way_out}")
        elif not low <= value <= high:
            self.refuse(prop, f"{value:g} is out of range; {allowed}; {way_out}")

    def whole_number(self, prop: str, value: int, *, low: int, high: int, unit: str, way_out: str) -> None:
        """Demand a whole number within ``low`` and ``high``; tokens pass."""
        if not _is_token(value) and isinstance(value, float):
            self.refuse(
                prop, f"{value!r} is not a whole number; allowed are {low} to {high} {unit}; {way_out}"
            )
            return
        self.number(prop, value, low=low, high=high, unit=unit, way_out=way_out)

    def whole_days(self, prop: str, value: Duration | None, *, default: int) -> Duration:
        """Return ``value``, or ``default`` days, and demand a whole number of days, at least one."""
        if value is None:
            return Duration.days(default)
        if value.is_unresolved():
            return value
        seconds = value.to_seconds()
        self.require(
            seconds >= _SECONDS_A_DAY and seconds % _SECONDS_A_DAY == 0,
            prop,
            f"{value.to_human_string()} is not a whole number of days; S3 counts in days: "
            "give Duration.days(1) or more",
        )
        return value

    def words(self, prop: str, value: str, *, least: int, way_out: str) -> None:
        """Demand a sentence of at least ``least`` words."""
        if Token.is_unresolved(value):
            self.refuse(prop, f"is a token, and must be known when the template is made; {way_out}")
        elif len(value.split()) < least:
            self.refuse(prop, f"{value!r} is too short to mean anything; {way_out}")


def _is_token(value: object) -> bool:
    # JSON knows no such numbers; asking about one would end the process behind the CDK.
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return Token.is_unresolved(value)


@contextmanager
def checked_props(owner: Construct, id: str | None = None) -> Iterator[PropChecks]:
    """Collect the problems found in the block and raise them together.

    Args:
        owner: The construct under construction; its class names the error.
        id: Its id, where the caller knows it.

    Raises:
        PropError: At least one prop was refused in the block.
    """
    checks = PropChecks()
    yield checks
    if checks.problems:
        name = type(owner).__name__
        raise PropError(f"{id} ({name})" if id else name, checks.problems)


def nearest(word: str, choices: Sequence[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the choice closest to ``word``, or an empty string."""
    found = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f", did you mean {found[0]!r}?" if found else ""
