"""What the resources of an app say of each other, indexed; the forks of each resource stay its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from ml_lens.rules.assumptions import Assumptions, Parting, Settled, Unsettled, Ways

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 -- an item
K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)
Pairs = dict[K, tuple[V, ...]]


class Join(Generic[K, V]):
    """An index over many resources, of which each is read once for every way that its own forks may go.

    Who asks for a key depends only on the forks that decide whether, and how, a resource stands under that key.
    """

    def __init__(
        self,
        assumptions: Assumptions,
        items: Iterable[I],
        pairs: Callable[[I], Iterable[tuple[K, V]]],
    ) -> None:
        """Read every item, in most cases a resource; ``pairs`` gives its keys, with what stands there."""
        self._assumptions = assumptions
        self._entries: dict[K, list[Ways[tuple[V, ...]]]] = {}
        for item in items:
            ways = assumptions.apart(lambda item=item: _grouped(pairs(item)))  # type: ignore[misc]
            for key in dict.fromkeys(key for pairs_found in found(ways) for key in pairs_found):
                self._entries.setdefault(key, []).append(_narrowed(ways, key))

    def at(self, key: K) -> list[V]:
        """Return what stands under a key in the present run, in the order of the resources."""
        return [value for ways in self._entries.get(key, ()) for value in self._assumptions.chosen(ways)]

    def first(self, key: K) -> V | None:
        """Return the first of what stands under a key."""
        for ways in self._entries.get(key, ()):
            for value in self._assumptions.chosen(ways):
                return value
        return None

    def last(self, key: K) -> V | None:
        """Return the last of what stands under a key."""
        for ways in reversed(self._entries.get(key, [])):
            chosen = self._assumptions.chosen(ways)
            if chosen:
                return chosen[-1]
        return None

    def has(self, key: K) -> bool:
        """Whether anything stands under a key; what does so in every case is asked first."""
        entries = self._entries.get(key, ())
        return any(isinstance(ways, Settled) for ways in entries) or any(
            self._assumptions.chosen(ways) for ways in entries
        )

    @property
    def keys(self) -> list[K]:
        """Every key under which something stands in some branch: more than in the present run."""
        return list(self._entries)


def found(ways: Ways[T]) -> Iterator[T]:
    """Yield the answer on each way."""
    if isinstance(ways, Settled):
        yield ways.found
    elif isinstance(ways, Parting):
        for branch in ways.branches:
            yield from found(branch)
    else:
        yield from ways.tried


def _grouped(pairs: Iterable[tuple[K, V]]) -> Pairs[K, V]:
    grouped: dict[K, dict[V, None]] = {}
    for key, value in pairs:
        grouped.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in grouped.items()}


def _narrowed(ways: Ways[Pairs[K, V]], key: K) -> Ways[tuple[V, ...]]:
    """Keep what stands under ``key``, and of the forks those that change it."""
    if isinstance(ways, Settled):
        return Settled(ways.found.get(key, ()))
    if isinstance(ways, Unsettled):
        return Unsettled(lambda: ways.answer().get(key, ()), ())
    first, *others = branches = [_narrowed(branch, key) for branch in ways.branches]
    if all(other == first for other in others):
        return first
    return Parting(ways.fork, ways.place, tuple(branches))
