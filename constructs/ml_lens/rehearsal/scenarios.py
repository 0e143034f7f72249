"""The scenarios there are, and their walkthroughs."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping

from ml_lens.rehearsal.errors import RehearsalError
from ml_lens.rehearsal.place import Place

ALL = "all"


def known_scenarios() -> Mapping[str, str]:
    """Return the scenarios of the repository in the current folder: name → package.

    Raises:
        RehearsalError: The current folder has none.
    """
    try:
        stacks = importlib.import_module("stacks")
    except ModuleNotFoundError as error:
        if error.name != "stacks":
            raise
        raise RehearsalError(
            "there is no package `stacks` here; rehearse from the repository's root"
        ) from error
    scenarios: Mapping[str, str] = stacks.SCENARIOS
    return scenarios


def chosen_scenarios(name: str) -> list[str]:
    """Return the scenarios that ``name`` stands for: itself, or every one for ``all``.

    Raises:
        RehearsalError: There is no such scenario; the message names the nearest.
    """
    known = list(known_scenarios())
    if name == ALL:
        return known
    if name in known:
        return [name]
    near = difflib.get_close_matches(name.lower(), [one.lower() for one in known], n=1, cutoff=0.0)
    nearest = next((one for one in known if near and one.lower() == near[0]), ALL)
    raise RehearsalError(
        f"there is no scenario {name!r}; the nearest is {nearest!r} (known: {', '.join(known)})"
    )


def walkthrough_of(scenario: str) -> Callable[[Place], None]:
    """Return the walkthrough of a scenario."""
    module = importlib.import_module(f"{known_scenarios()[scenario]}.walkthrough")
    walk: Callable[[Place], None] = module.walk
    return walk
