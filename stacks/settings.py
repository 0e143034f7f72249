"""Reads the settings of the app from the CDK context, checks all of them and gives them their types.

Context comes from ``cdk.json`` and from ``-c key=value`` on the command line, where every value is text. The
settings of a scenario stand under its name: as an object, as the same object in JSON text, or one by one as
``CustomerDemographics.purpose``, which wins over the object.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, get_type_hints

from ml_lens.foundation.posture import DESTROY_DATA_FLAG, POSTURES
from ml_lens.foundation.props import PropError, nearest
from stacks.setting_values import UnfitError, fit, in_words, mapping

_OWN_KEYS = ("posture", "scenarios")
_OWN_FLAGS = "ml-lens:"
_KEYS_OF_CDK = {"acknowledged-issue-numbers", "assets-ecr-repository-name", "cli-telemetry"}


class SettingsError(ValueError):
    """Settings that cannot be used: one line each, with what was given and what is allowed."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Settings:
    """What the app is asked to synthesize."""

    posture: str
    """``sandbox`` or ``production``."""
    scenarios: tuple[str, ...]
    """The scenarios asked for, in the order of the registry."""
    _by_scenario: Mapping[str, object] = field(repr=False, hash=False)

    def of(self, name: str) -> Any:
        """Return the settings of the scenario ``name``, an instance of its settings dataclass.

        Raises:
            KeyError: The scenario is not asked for.
        """
        return self._by_scenario[name]


def read_settings(context: Mapping[str, object], scenarios: Mapping[str, type]) -> Settings:
    """Read the settings of the app and of the scenarios asked for.

    Args:
        context: The whole context of the app, ``app.node.get_all_context()``.
        scenarios: The dataclass of the settings of every scenario, by the scenario's name.

    Raises:
        SettingsError: A key is unknown, a value does not fit, or a required one is missing. Names all of them.
    """
    problems = [*_unknown_keys(context, scenarios), *_flag_problems(context)]
    posture = _read_posture(context.get("posture", "sandbox"), problems)
    chosen = _read_scenarios(context.get("scenarios", "all"), [*scenarios], problems)
    read: dict[str, object] = {}
    for name, kind in scenarios.items():
        read[name] = _read_scenario(name, kind, context, wanted=name in chosen, problems=problems)
    if problems:
        raise SettingsError(problems)
    return Settings(posture, chosen, MappingProxyType({name: read[name] for name in chosen}))


def _unknown(given: str, choices: Sequence[str], known: Sequence[str], *, what: str) -> str:
    return f"unknown {what} {given!r}{nearest(given, choices) or ';'} known: {', '.join(known)}"


def _unknown_keys(context: Mapping[str, object], scenarios: Mapping[str, type]) -> Iterator[str]:
    known = [*_OWN_KEYS, *scenarios]
    dotted = [f"{name}.{setting}" for name, kind in scenarios.items() for setting in _fields(kind)]
    for key in context:
        if key in known or key.partition(".")[0] in scenarios:
            continue
        if key.partition(":")[0] not in known and _belongs_to_cdk(key):
            continue
        without_scenario = [setting for setting in dotted if setting.partition(".")[2] == key]
        if key.startswith(_OWN_FLAGS):
            if key != DESTROY_DATA_FLAG:
                yield _unknown(key, [DESTROY_DATA_FLAG], [DESTROY_DATA_FLAG], what="flag")
        elif without_scenario:
            yield f"unknown setting {key!r}, did you mean {without_scenario[0]!r}? known: {', '.join(known)}"
        else:
            yield _unknown(key, [*known, *dotted], known, what="setting")


def _belongs_to_cdk(key: str) -> bool:
    """Whether CDK put ``key`` there: feature flags, what its CLI passes on, cached look-ups."""
    if key.startswith(_OWN_FLAGS):
        return False
    return key.startswith(("@", "aws-cdk")) or ":" in key or key in _KEYS_OF_CDK


def _flag_problems(context: Mapping[str, object]) -> Iterator[str]:
    given = context.get(DESTROY_DATA_FLAG, False)
    if given not in (True, False, "true", "false"):
        yield f"{DESTROY_DATA_FLAG}: {given!r} is not true or false"


def _read_posture(given: object, problems: list[str]) -> str:
    if given not in [*POSTURES]:
        problems.append(_unknown(str(given), [*POSTURES], [*POSTURES], what="posture"))
    return str(given)


def _read_scenarios(given: object, known: Sequence[str], problems: list[str]) -> tuple[str, ...]:
    try:
        names: tuple[str, ...] = fit(given, tuple[str, ...])
    except UnfitError as error:
        problems.append(f"scenarios: {error}; known: all, {', '.join(known)}")
        return ()
    choices = ["all", *known]
    for name in names:
        if name not in choices:
            problems.append(_unknown(name, choices, choices, what="scenario"))
    if not names:
        problems.append(f"scenarios: none is named; known: {', '.join(choices)}")
    return tuple(known) if "all" in names else tuple(name for name in known if name in names)


def _read_scenario(
    name: str, kind: type, context: Mapping[str, object], *, wanted: bool, problems: list[str]
) -> object:
    """Return the settings of one scenario, or None where it is not wanted or has problems."""
    before = len(problems)
    whole = context.get(name)
    given = {key.partition(".")[2]: value for key, value in context.items() if key.startswith(f"{name}.")}
    try:
        given = {**({} if whole is None else mapping(whole)), **given}
    except ValueError:
        problems.append(f"{name}: {whole!r} is not a JSON object; or one by one, -c {name}.setting=value")
        wanted = False  # what is missing cannot be told
    values = _typed(name, kind, given, problems)
    if wanted:
        problems.extend(_missing(name, kind, given))
    return _made(name, kind, values, problems) if wanted and len(problems) == before else None


def _typed(name: str, kind: type, given: Mapping[str, object], problems: list[str]) -> dict[str, object]:
    """Return those values of ``given`` that fit what ``kind`` declares, in the types it declares."""
    annotations = get_type_hints(kind)
    known = [f"{name}.{setting}" for setting in _fields(kind)]
    values = {}
    for setting, value in given.items():
        if setting not in _fields(kind):
            problems.append(_unknown(f"{name}.{setting}", known, known, what="setting"))
            continue
        try:
            values[setting] = fit(value, annotations[setting])
        except UnfitError as error:
            problems.append(f"{name}.{setting}{error.where}: {error}")
    return values


def _missing(name: str, kind: type, given: Mapping[str, object]) -> Iterator[str]:
    annotations = get_type_hints(kind)
    for setting, each in _fields(kind).items():
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if not optional and setting not in given:
            expected, example = in_words(annotations[setting])
            command = f"cdk synth -c {name}.{setting}={example}"
            yield f"{name}.{setting}: is missing; give {expected}, for example {command}"


def _fields(kind: type) -> dict[str, dataclasses.Field[Any]]:
    return {each.name: each for each in dataclasses.fields(kind) if each.init}


def _made(name: str, kind: type, values: Mapping[str, object], problems: list[str]) -> object:
    try:
        return kind(**values)
    except PropError as error:
        problems.extend(f"{name}.{problem}" for problem in error.problems)
    except ValueError as error:
        problems.append(f"{name}: {' '.join(str(error).split())}")
    return None
