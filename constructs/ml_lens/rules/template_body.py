"""From the bytes of a file to the body of a template whose shape the rules can rely on."""

import re
from pathlib import Path
from typing import Any

from ml_lens.rules.for_each import LOOP, without_loops
from ml_lens.rules.json_templates import parse_json
from ml_lens.rules.refusals import MAX_BYTES, MalformedError, UnusableInput, quoted
from ml_lens.rules.yaml_templates import parse_yaml

_VERSION = "AWSTemplateFormatVersion"
_TRANSFORM = "Fn::Transform"
_SECTIONS = ("Parameters", "Mappings", "Conditions", "Outputs")
_ATTRIBUTES = ("Properties", "Metadata")
_RESOURCES_KEY = re.compile(r"""^\s*\{?\s*["']?Resources["']?\s*:""", re.MULTILINE)
_TYPE_KEY = re.compile(r"""["']?Type["']?\s*:\s*["']?\w+::\w""")


def read_text(path: Path) -> str:
    """Return what the file holds.

    Raises:
        UnusableInput: The file is missing, cannot be read, is too large, or is not UTF-8.
    """
    try:
        if not path.is_file():
            raise UnusableInput(path, _not_a_file(path))
        if path.stat().st_size > MAX_BYTES:
            limit = MAX_BYTES // 1_000_000
            raise UnusableInput(path, f"is larger than {limit} MB; a template has 1 MB at most")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start + 1:,}); save it as UTF-8"
        raise UnusableInput(path, problem) from None
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error}); check the path and its permissions"
        raise UnusableInput(path, problem) from None


def is_file(path: Path) -> bool:
    """Return whether there is a regular file that may be asked for."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def parse(text: str, suffix: str) -> Any:
    """Return what a JSON or YAML text holds: the content tells which of the two it is.

    Raises:
        MalformedError: It is neither.
    """
    if not text.lstrip().startswith("{"):
        return parse_yaml(text)
    try:
        return parse_json(text)
    except MalformedError:
        if suffix.lower() not in (".yaml", ".yml"):
            raise
    return parse_yaml(text)


def template_body(parsed: Any, text: str) -> dict[str, Any]:
    """Return the template with its loops written out and its shape checked.

    Raises:
        MalformedError: It is not a template.
    """
    if parsed is None:
        raise MalformedError("is empty; name a CloudFormation template")
    if not isinstance(parsed, dict):
        raise MalformedError("is not a CloudFormation template: its top level is not an object")
    if not isinstance(parsed.get("Resources"), dict):
        raise MalformedError("is not a CloudFormation template: it has no object 'Resources'")
    body = without_loops(parsed) if LOOP in text else dict(parsed)
    body["Resources"] = {
        name: _resource(name, resource)
        for name, resource in body["Resources"].items()
        if name != _TRANSFORM  # what a macro includes is not in the file
    }
    for section in _SECTIONS:
        body = _with_object(body, section, "the template")
    return body


def looks_like_a_template(parsed: Any) -> bool:
    """Return whether something that was found, not named, means to be a template."""
    if not isinstance(parsed, dict):
        return False
    resources = parsed.get("Resources")
    return _VERSION in parsed or (isinstance(resources, dict) and any(map(_is_typed, resources.items())))


def text_looks_like_a_template(text: str) -> bool:
    """Return the same of a text that cannot be parsed."""
    return _VERSION in text or bool(_RESOURCES_KEY.search(text) and _TYPE_KEY.search(text))


def _is_typed(item: tuple[str, Any]) -> bool:
    name, resource = item
    if name.startswith(LOOP):
        return True
    if not isinstance(resource, dict) or "Type" not in resource:
        return False
    return not isinstance(resource["Type"], str) or "::" in resource["Type"]


def _resource(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"the resource {quoted(name)} is not an object")
    resource: dict[str, Any] = value
    if not isinstance(resource.get("Type"), str):
        raise MalformedError(f"the resource {quoted(name)} has no 'Type'")
    for attribute in _ATTRIBUTES:
        resource = _with_object(resource, attribute, f"the resource {quoted(name)}")
    return resource


def _with_object(owner: dict[str, Any], key: str, title: str) -> dict[str, Any]:
    """Return the owner if the key is an object or not there; a key without a value is as good as none."""
    value = owner.get(key, owner)
    if isinstance(value, dict):
        return owner
    if value is not None:
        raise MalformedError(f"{title} has {quoted(key)} that is not an object")
    return {other: each for other, each in owner.items() if other != key}


def _not_a_file(path: Path) -> str:
    if not path.exists():
        return "does not exist; name a cdk.out folder, a template, or a folder of templates"
    return "is not a file; name a cdk.out folder, a template, or a folder of templates"
