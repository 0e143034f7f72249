"""YAML as CloudFormation reads it, built from the parser's events without recursion.

A constructor of PyYAML would recurse as deep as the file says, and would follow aliases whatever they amount to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from ml_lens.rules.refusals import MAX_DEPTH, MAX_NODES, TOO_DEEP, TOO_MANY, MalformedError, quoted
from ml_lens.rules.yaml_scalars import is_short_form, scalar_value, tagged

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"


class _Node(NamedTuple):
    value: Any
    nodes: int = 1
    height: int = 1
    text: str | None = None


@dataclass
class _Open:
    """A mapping or sequence whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    tag: str | None
    anchor: str | None
    nodes_before: int
    height: int = 2
    key: str | None = None
    merging: bool = False
    merged: list[dict[str, Any]] = field(default_factory=list)

    @property
    def levels(self) -> int:
        return 2 if is_short_form(self.tag) else 1

    @property
    def awaits_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None and not self.merging


def parse_yaml(text: str, loader: Any = None) -> Any:
    """Return what the text holds; ``None`` where it holds nothing.

    Raises:
        MalformedError: The text is not YAML, repeats a key, or goes beyond the limits.
    """
    builder = _Builder()
    try:
        for event in _events(text, loader or LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise MalformedError(_told(error)) from None
    return builder.result


def _events(text: str, loader: Any) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=loader)
    except (ValueError, OverflowError) as error:  # a character or version number that does not exist
        if isinstance(error, MalformedError):
            raise
        raise MalformedError(f"malformed YAML: {error}") from None


class _Builder:
    """Puts events together, and counts what they amount to."""

    def __init__(self) -> None:
        self.result: Any = None
        self._documents = 0
        self._open: list[_Open] = []
        self._depth = 0
        self._nodes = 0
        self._anchors: dict[str, _Node | None] = {}

    def take(self, event: Any) -> None:
        """Add what one event says."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin({}, event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin([], event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise MalformedError(
                    f"a second YAML document begins in line {line}; a template is one document"
                )

    def _scalar(self, event: Any, line: int) -> None:
        text: str = event.value
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise MalformedError(
                f"malformed YAML in line {line}: half of a surrogate pair is not a character"
            )
        plain = event.tag is None and event.implicit[0]
        value = None if self._awaits_key else scalar_value(text, event.tag, plain)
        node = _Node(value, nodes=1, height=3 if is_short_form(event.tag) else 1, text=text)
        if event.anchor is not None:
            self._anchors[event.anchor] = node._replace(value=scalar_value(text, event.tag, plain))
        if self._awaits_key and plain and text == _MERGE:
            self._open[-1].merging = True
        else:
            self._add(node, line)

    @property
    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].awaits_key

    def _begin(self, value: dict[str, Any] | list[Any], event: Any, line: int) -> None:
        if self._awaits_key:
            raise MalformedError(f"malformed YAML in line {line}: a key has to be a text")
        self._open.append(_Open(value, event.tag, event.anchor, self._nodes))
        self._depth += self._open[-1].levels
        if self._depth > MAX_DEPTH:
            raise MalformedError(f"{TOO_DEEP} (line {line})")
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _end(self, line: int) -> None:
        done = self._open.pop()
        self._depth -= done.levels
        value = done.value
        if isinstance(value, dict) and done.merged:
            value = {key: each for merged in reversed(done.merged) for key, each in merged.items()} | value
        node = _Node(
            tagged(done.tag, value), self._nodes - done.nodes_before + 1, done.height + done.levels - 1
        )
        if done.anchor is not None:
            self._anchors[done.anchor] = node
        self._nodes = done.nodes_before
        self._add(node, line)

    def _alias(self, anchor: str, line: int) -> None:
        if anchor not in self._anchors:
            raise MalformedError(f"malformed YAML in line {line}: no anchor is called {quoted(anchor)}")
        node = self._anchors[anchor]
        if node is None:
            raise MalformedError(
                f"malformed YAML in line {line}: the alias {quoted(anchor)} stands within itself"
            )
        self._add(node, line)

    def _add(self, node: _Node, line: int) -> None:
        self._nodes += node.nodes
        if self._nodes > MAX_NODES:
            raise MalformedError(f"{TOO_MANY} (line {line})")
        if self._depth + node.height - 1 > MAX_DEPTH:
            raise MalformedError(f"{TOO_DEEP} (line {line})")
        if not self._open:
            self.result = node.value
            return
        parent = self._open[-1]
        if parent.awaits_key:
            _take_key(parent, node, line)
            return
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent.value, list):
            parent.value.append(node.value)
        elif parent.merging:
            parent.merged.extend(_mappings(node.value, line))
            parent.merging = False
        elif parent.key is not None:
            parent.value[parent.key] = node.value
            parent.key = None


def _take_key(parent: _Open, key: _Node, line: int) -> None:
    if key.text is None:
        raise MalformedError(f"malformed YAML in line {line}: a key has to be a text")
    if isinstance(parent.value, dict) and key.text in parent.value:
        raise MalformedError(f"the key {quoted(key.text)} is given twice, again in line {line}; keep one")
    parent.key = key.text


def _mappings(value: Any, line: int) -> list[dict[str, Any]]:
    mappings = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in mappings):
        raise MalformedError(f"malformed YAML in line {line}: '<<' merges mappings only")
    return mappings


def _told(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    return f"malformed YAML{where}: {problem}"
