"""Loops of the language extensions (``Fn::ForEach``), written out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_lens.rules.refusals import MAX_BYTES, MAX_NODES, TOO_MANY, MalformedError, quoted

LOOP = "Fn::ForEach::"
_SECTIONS = ("Resources", "Outputs", "Conditions")
_NO_NAME_CHARACTER = re.compile(r"[^A-Za-z0-9]")


@dataclass
class _Budget:
    """What a template may grow to."""

    nodes: int = MAX_NODES
    characters: int = MAX_BYTES

    def spend(self, nodes: int, characters: int = 0) -> None:
        self.nodes -= nodes
        self.characters -= characters
        if self.nodes < 0 or self.characters < 0:
            raise MalformedError(f"with its loops written out, it {TOO_MANY}")


@dataclass(frozen=True)
class _Item:
    """One item of a collection, and what stands for it in the body of the loop."""

    text: str
    tokens: dict[str, str]
    reference: dict[str, str]

    @classmethod
    def of(cls, identifier: str, text: str) -> _Item:
        name = _NO_NAME_CHARACTER.sub("", text)
        return cls(text, {f"${{{identifier}}}": text, f"&{{{identifier}}}": name}, {"Ref": identifier})


@dataclass
class _Loops:
    parameters: Mapping[str, Any]
    budget: _Budget = field(default_factory=_Budget)

    def written_out(self, value: Any) -> Any:
        """Return the value with every loop in it replaced by what the loop makes."""
        self.budget.spend(1)
        if isinstance(value, list):
            return [self.written_out(each) for each in value]
        if not isinstance(value, dict):
            return value
        made: dict[str, Any] = {}
        for key, each in value.items():
            if key.startswith(LOOP):
                self._repeat(key, each, made)
            else:
                _put(made, key, self.written_out(each), key)
        return made

    def _repeat(self, loop: str, definition: Any, made: dict[str, Any]) -> None:
        identifier, collection, body = _parts(loop, definition)
        for item in self._items(collection):
            self.budget.spend(1, len(item or ""))
            each = body if item is None else self._replaced(body, _Item.of(identifier, item))
            for key, value in self.written_out(each).items():
                _put(made, key, value, loop)

    def _items(self, collection: Any) -> Iterator[str | None]:
        """Yield what the loop runs over; ``None`` once for all that only the deployment knows."""
        listed = collection if isinstance(collection, list) else [collection]
        items: list[str | None] = []
        for item in listed:
            literal = _text(item)
            items.extend(self._default(item) if literal is None else [literal])
        yield from dict.fromkeys(items)

    def _default(self, reference: Any) -> list[str | None]:
        """Return the items of the parameter's default; ``None`` where there is none."""
        if not isinstance(reference, dict) or list(reference) != ["Ref"]:
            return [None]
        name = reference["Ref"]
        parameter = self.parameters.get(name) if isinstance(name, str) else None
        default = _text(parameter.get("Default")) if isinstance(parameter, dict) else None
        return [item.strip() for item in default.split(",")] if default else [None]

    def _replaced(self, value: Any, item: _Item) -> Any:
        self.budget.spend(1)
        if isinstance(value, str):
            return self._text_replaced(value, item)
        if isinstance(value, list):
            return [self._replaced(each, item) for each in value]
        if not isinstance(value, dict):
            return value
        if value == item.reference:
            return item.text
        made: dict[str, Any] = {}
        for key, each in value.items():
            _put(made, self._text_replaced(key, item), self._replaced(each, item), key)
        return made

    def _text_replaced(self, text: str, item: _Item) -> str:
        self.budget.spend(0, len(text))
        for token, by in item.tokens.items():
            if token in text:
                self.budget.spend(0, text.count(token) * len(by))
                text = text.replace(token, by)
        return text


def without_loops(body: dict[str, Any]) -> dict[str, Any]:
    """Return the template with its loops written out.

    A loop over literals, or over a parameter with a default, gives one entry per item. Any other loop gives
    one entry that keeps the identifier as it is.

    Raises:
        MalformedError: A loop is not written as one, makes a name twice, or makes too much.
    """
    parameters = body.get("Parameters")
    loops = _Loops(parameters if isinstance(parameters, dict) else {})
    return {key: loops.written_out(part) if key in _SECTIONS else part for key, part in body.items()}


def _parts(loop: str, definition: Any) -> tuple[str, Any, dict[str, Any]]:
    match definition:
        case [str(identifier), list() | dict() as collection, dict(body)] if identifier:
            return identifier, collection, body
    raise MalformedError(f"{quoted(loop)} is not [identifier, collection, {{name: value}}]")


def _put(made: dict[str, Any], key: str, value: Any, by: str) -> None:
    if key in made:
        raise MalformedError(
            f"{quoted(by)} makes {quoted(key)} a second time; put the identifier into the name"
        )
    made[key] = value


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
