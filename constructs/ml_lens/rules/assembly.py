"""What a cloud assembly (``cdk.out``) says about its stacks."""

import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_lens.rules.json_templates import parse_json
from ml_lens.rules.refusals import MalformedError, UnusableInput, quoted
from ml_lens.rules.template_body import is_file, read_text

MANIFEST = "manifest.json"
_STACK = "aws:cloudformation:stack"
_ASSEMBLY = "cdk:cloud-assembly"
_ENVIRONMENT = re.compile(r"aws://(\d{12})/")
_MARKER = "cdk.out"  # the file in which the CDK notes the version of an assembly
ADVICE = "run cdk synth again"


@dataclass(frozen=True)
class Stack:
    """A stack of an assembly: its template, its name, its tags, and the account that the app writes down for it."""

    template: Path
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None


def is_assembly(folder: Path) -> bool:
    """Return whether the folder holds an assembly, be it a broken one."""
    return _manifest(folder) is not None


def stacks_in(folder: Path) -> Iterator[Stack]:
    """Yield the stacks of the assembly and of the stages within it.

    Raises:
        UnusableInput: A manifest is broken, or names a folder that holds no assembly.
    """
    waiting, seen = deque([folder]), set()
    while waiting:
        assembly = waiting.popleft()
        place = os.path.realpath(assembly)
        if place in seen:
            continue
        seen.add(place)
        yield from stacks_beside(assembly)
        waiting.extend(_stages(assembly))


def stacks_beside(folder: Path) -> Iterator[Stack]:
    """Yield the stacks that the folder's own manifest names; none where it has no manifest."""
    for id, artifact in _artifacts(folder, _STACK):
        properties = _properties(artifact)
        file = properties.get("templateFile")
        if not isinstance(file, str) or not file:
            problem = f"the stack {quoted(id)} names no templateFile; {ADVICE}"
            raise UnusableInput(folder / MANIFEST, problem)
        name = properties.get("stackName")
        name = name if isinstance(name, str) and name else id
        yield Stack(folder / file, name, _tags(properties), _account(artifact))


def _stages(folder: Path) -> Iterator[Path]:
    for id, artifact in _artifacts(folder, _ASSEMBLY):
        name = _properties(artifact).get("directoryName")
        if not isinstance(name, str) or not is_assembly(folder / name):
            problem = f"the stage {quoted(id)} has no folder with a {MANIFEST}; {ADVICE}"
            raise UnusableInput(folder / MANIFEST, problem)
        yield folder / name


def _artifacts(folder: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for id, artifact in (_manifest(folder) or {}).items():
        if isinstance(artifact, dict) and artifact.get("type") == kind:
            yield id, artifact


def _properties(artifact: Mapping[str, Any]) -> dict[str, Any]:
    properties = artifact.get("properties")
    return properties if isinstance(properties, dict) else {}


def _account(artifact: Mapping[str, Any]) -> str | None:
    found = _ENVIRONMENT.match(str(artifact.get("environment")))
    return found[1] if found else None


def _manifest(folder: Path) -> dict[str, Any] | None:
    """Return the artifacts, ``None`` where the folder's manifest, if any, belongs to something else."""
    path = folder / MANIFEST
    if not is_file(path):
        return None
    marked = is_file(folder / _MARKER)
    try:
        text = read_text(path)
    except UnusableInput:
        if marked:
            raise
        return None
    try:
        manifest = parse_json(text)
    except MalformedError as malformed:
        if marked or _STACK in text:
            raise UnusableInput(path, f"{malformed}; {ADVICE}") from None
        return None
    artifacts = manifest.get("artifacts") if isinstance(manifest, dict) else None
    if isinstance(artifacts, dict):
        return artifacts
    if marked:
        raise UnusableInput(path, f"lists no artifacts; {ADVICE}")
    return None


def _tags(properties: Mapping[str, Any]) -> dict[str, str]:
    tags = properties.get("tags")
    if not isinstance(tags, dict):
        return {}
    return {key: value for key, value in tags.items() if isinstance(value, str)}
