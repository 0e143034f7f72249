"""Finds and reads CloudFormation templates: a ``cdk.out`` folder, a file, or a folder of files."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_lens.rules.assembly import ADVICE, MANIFEST, Stack, is_assembly, stacks_beside, stacks_in
from ml_lens.rules.nested import nested_files, promised_file
from ml_lens.rules.refusals import MalformedError, UnusableInput, quoted
from ml_lens.rules.template_body import (
    is_file,
    looks_like_a_template,
    parse,
    read_text,
    template_body,
    text_looks_like_a_template,
)

__all__ = ["TemplateFile", "UnusableInput", "read_templates"]

_SUFFIXES = (".json", ".yaml", ".yml", ".template")
_WHAT_TO_NAME = "name a cdk.out folder, a template, or a folder of templates"


@dataclass(frozen=True)
class TemplateFile:
    """A template that was read.

    Attributes:
        path: The file as it was found.
        name: Its file name.
        body: What it holds, with its loops written out.
        stack_name: Name of the stack: from the manifest beside the file, else the stem of the file name.
        tags: The tags of the stack, as the manifest has them; a nested stack has those of its parent.
        nested: The files of its nested stacks by logical id, as far as they may lie beside it.
        account: The account that it is deployed to, where the manifest tells; a nested stack has that of its parent.
    """

    path: Path
    name: str
    body: Mapping[str, Any]
    stack_name: str
    tags: Mapping[str, str]
    nested: Mapping[str, Path] = field(default_factory=dict)
    account: str | None = None


@dataclass(frozen=True)
class _Candidate:
    """A file that may be a template.

    Attributes:
        named: Whether it has to be one, or was only met in a folder.
        named_by: The file of an assembly that names it, and promises that it is there.
    """

    path: Path
    stack_name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    named: bool = True
    named_by: Path | None = None
    account: str | None = None


def read_templates(paths: Iterable[Path]) -> tuple[TemplateFile, ...]:
    """Read every template that the paths lead to, each once.

    Args:
        paths: Folders with a cloud assembly, template files, or folders of template files.

    Raises:
        UnusableInput: A path leads to no template, or to one that cannot be read.
    """
    found: dict[str, TemplateFile] = {}
    given = [Path(path) for path in paths]
    for path in given:
        reached = [_read_with_nested(candidate, found) for candidate in _candidates(path)]
        if not any(reached):
            raise UnusableInput(path, f"holds no CloudFormation template; {_WHAT_TO_NAME}")
    if not given:
        raise UnusableInput(Path(), f"no path was given; {_WHAT_TO_NAME}")
    return tuple(found.values())


def _candidates(path: Path) -> Iterator[_Candidate]:
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise UnusableInput(path, f"cannot be read ({error.strerror}); {_WHAT_TO_NAME}") from None
    if not is_folder:
        yield _named_file(path)
    elif is_assembly(path):
        yield from _in_assembly(path)
    else:
        yield from _in_folder(path)


def _named_file(path: Path) -> _Candidate:
    for stack in stacks_beside(path.parent):
        if stack.template == path:
            return _of_stack(stack)
    return _Candidate(path, _stem(path))


def _in_assembly(folder: Path) -> Iterator[_Candidate]:
    yield from map(_of_stack, stacks_in(folder))


def _of_stack(stack: Stack) -> _Candidate:
    named_by = stack.template.parent / MANIFEST
    return _Candidate(stack.template, stack.name, stack.tags, named_by=named_by, account=stack.account)


def _in_folder(folder: Path) -> Iterator[_Candidate]:
    def refuse(error: OSError) -> None:
        raise UnusableInput(Path(error.filename or folder), f"cannot be read ({error.strerror})")

    for name, folders, files in os.walk(folder, onerror=refuse):
        here = Path(name)
        if is_assembly(here):
            folders.clear()
            yield from _in_assembly(here)
            continue
        folders[:] = sorted(each for each in folders if each != "node_modules" and not each.startswith("."))
        for file in sorted(files):
            if file.endswith(_SUFFIXES) and is_file(here / file):
                yield _Candidate(here / file, _stem(here / file), named=False)


def _read_with_nested(first: _Candidate, found: dict[str, TemplateFile]) -> bool:
    """Read the candidate and the nested templates that it names; tell whether it is a template."""
    waiting = deque([first])
    while waiting:
        candidate = waiting.popleft()
        if candidate.named_by and not is_file(candidate.path):
            problem = f"names the template {quoted(candidate.path.name)}, which is not there; {ADVICE}"
            raise UnusableInput(candidate.named_by, problem)
        place = os.path.realpath(candidate.path) if is_file(candidate.path) else ""
        template = found.get(place)
        if template is None:
            template = _read(candidate)
            if template is None:
                return False
        elif template.tags or not candidate.tags:
            continue
        else:
            template = replace(template, tags=candidate.tags, account=candidate.account)
        found[place] = template
        waiting.extend(_nested(template, in_assembly=candidate.named_by is not None))
    return True


def _read(candidate: _Candidate) -> TemplateFile | None:
    """Return the template, ``None`` where the file need not be one and is none."""
    path = candidate.path
    text = read_text(path) if candidate.named else _text_of_a_template(path)
    if text is None:
        return None
    try:
        parsed = parse(text, path.suffix)
    except MalformedError as malformed:
        if candidate.named or text_looks_like_a_template(text):
            raise UnusableInput(path, str(malformed)) from None
        return None
    if not candidate.named and not looks_like_a_template(parsed):
        return None
    if candidate.named_by and isinstance(parsed, dict) and "Resources" not in parsed:
        parsed = {**parsed, "Resources": {}}  # what the CDK writes for a stack with nothing in it
    try:
        body = template_body(parsed, text)
    except MalformedError as malformed:
        raise UnusableInput(path, str(malformed)) from None
    nested = dict(nested_files(body["Resources"], path.parent))
    return TemplateFile(
        path, path.name, body, candidate.stack_name, candidate.tags, nested, candidate.account
    )


def _text_of_a_template(path: Path) -> str | None:
    """Return the text if a template may be in it: what cannot be one need not be readable."""
    try:
        text = read_text(path)
    except UnusableInput as unusable:
        if isinstance(unusable.__context__, OSError):
            raise
        return None
    return text if "Resources" in text or "AWSTemplateFormatVersion" in text else None


def _nested(parent: TemplateFile, *, in_assembly: bool) -> Iterator[_Candidate]:
    resources = parent.body["Resources"]
    for logical_id, path in parent.nested.items():
        promised = in_assembly and promised_file(resources[logical_id], parent.path.parent) is not None
        if promised or is_file(path):
            named_by = parent.path if promised else None
            yield _Candidate(path, _stem(path), parent.tags, named_by=named_by, account=parent.account)


def _stem(path: Path) -> str:
    return path.stem.removesuffix(".template") or path.stem
