"""What a team may set: the environment, what to do with open answers, and the limits that rules use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

Unresolved = Literal["error", "warn", "ignore"]
SERVICES = ("model-monitor", "clarify", "pinpoint", "greengrass-v1", "forecast")
SIZES = ("nano", "micro", "small", "medium", "large", "xlarge")
PILLARS = ("security", "reliability", "operational-excellence", "performance", "cost", "general")


class OptionError(ValueError):
    """An option has a value that no rule can use."""


@dataclass(frozen=True)
class Options:
    """Settings of a run; every default is the strict one.

    Attributes:
        environment: ``prod`` makes the rules of production errors, anything else warnings. Default: what the
            stack's tag ``mllens:environment`` says, else the resource's, else ``prod``.
        unresolved: What an answer is that the template leaves open: ``warn``, ``error`` or ``ignore``.
        pillars: The pillars to run. Default: all.
        existing_customer: Services closed to new customers that this account may still use:
            ``model-monitor``, ``clarify``, ``pinpoint``, ``greengrass-v1``, ``forecast``.
        max_temporary_days: Age in days at which temporary raw data has to be gone.
        max_runtime_seconds: Longest time a job may ask for.
        max_idle_minutes: Longest idle time of a development application.
        development_size: Largest instance size of an endpoint outside production.
        max_single_model_endpoints: Endpoints with one image that may stand side by side.
        min_noncurrent_days: Days for which replaced versions of artifacts have to be kept.
        cost_tags: Tag keys that machine-learning resources must carry.
        auto_stop_markers: Words by which a lifecycle script shows that it stops an idle notebook.
        image_accounts: Further registry accounts whose images count as private.
    """

    environment: str | None = None
    unresolved: Unresolved = "warn"
    pillars: tuple[str, ...] = PILLARS
    existing_customer: frozenset[str] = frozenset()
    max_temporary_days: int = 1
    max_runtime_seconds: int = 86_400
    max_idle_minutes: int = 60
    development_size: str = "xlarge"
    max_single_model_endpoints: int = 3
    min_noncurrent_days: int = 30
    cost_tags: tuple[str, ...] = ("project", "environment", "owner")
    auto_stop_markers: tuple[str, ...] = ("autostop", "stop-notebook-instance")
    image_accounts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse values that no rule can use, all of them in one sentence.

        Raises:
            OptionError: An option has such a value.
        """
        problems = [
            *_not_among("unresolved", [self.unresolved], get_args(Unresolved)),
            *_not_among("pillars", self.pillars, PILLARS),
            *_not_among("existing_customer", sorted(self.existing_customer), SERVICES),
            *_not_positive(self),
        ]
        if not re.fullmatch(r"\d*xlarge|" + "|".join(SIZES), self.development_size):
            problems.append(
                f"development_size: {self.development_size!r} is not a size such as xlarge or 2xlarge"
            )
        if problems:
            raise OptionError("; ".join(problems))

    @classmethod
    def of(cls, **options: Any) -> Options:
        """Return the settings from names and values; lists are taken where sets and tuples are meant.

        Raises:
            OptionError: A name is not an option, or a value is one that no rule can use.
        """
        known = {field.name: field.default for field in fields(cls)}
        problems = [
            f"{name} is not an option; there are {', '.join(known)}" for name in options if name not in known
        ]
        if problems:
            raise OptionError("; ".join(problems))
        return cls(**{name: _as_declared(value, known[name]) for name, value in options.items()})


def _as_declared(value: Any, default: Any) -> Any:
    for kind in (tuple, frozenset):
        if isinstance(default, kind) and not isinstance(value, kind):
            return kind((value,) if isinstance(value, str) else value)
    return value


def _not_among(name: str, given: Iterable[str], allowed: Sequence[str]) -> list[str]:
    return [
        f"{name}: {value!r} is not one of {', '.join(allowed)}" for value in given if value not in allowed
    ]


def _not_positive(options: Options) -> list[str]:
    limits = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if isinstance(field.default, int)
    }
    return [
        f"{name}: {limit!r} is not a whole number of at least 1"
        for name, limit in limits.items()
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1
    ]
