"""What a template leaves open: both branches of a condition, each value that a parameter may take.

A rule never sees an ``Fn::If``. Where its answer depends on one, the rule is run once for each branch, and a
branch that fails fails the rule. A parameter with allowed values is run once for each of them; there the rule
fails only when every value does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ml_lens.rules.verdicts import Answer, Verdict

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node

T = TypeVar("T")
Point = tuple[Hashable, ...]
Place = tuple["Node", str]
MOST_RUNS = 128


@dataclass(frozen=True, slots=True)
class Fork:
    """A point at which a template may go several ways.

    Attributes:
        point: What decides: a condition of a template, a parameter, a key of a mapping.
        ways: In how many ways.
        each_counts: Whether every way is sure to be taken by some deployment, as with a condition; otherwise
            only one of them will be, and nobody knows which.
    """

    point: Point
    ways: int
    each_counts: bool


@dataclass(frozen=True, slots=True)
class Settled(Generic[T]):
    """An answer that no fork changes any more."""

    found: T


@dataclass(frozen=True, slots=True)
class Parting(Generic[T]):
    """What is found on each way of a fork; ``place`` is where the open value stands."""

    fork: Fork
    place: Place | None
    branches: tuple[Ways[T], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Unsettled(Generic[T]):
    """An answer that goes more ways than can be tried: it is asked again in each run, and was tried on a few."""

    answer: Callable[[], T]
    tried: tuple[T, ...]


Ways = Settled[T] | Parting[T] | Unsettled[T]


class _UndecidedError(Exception):
    def __init__(self, fork: Fork) -> None:
        super().__init__(fork.point)
        self.fork = fork
        self.place: Place | None = None


class _TooManyWaysError(Exception):
    pass


class Assumptions:
    """Which way each fork goes in the present run."""

    def __init__(self) -> None:
        """Start with nothing decided."""
        self._taken: dict[Point, int] = {}
        self._consulted: list[set[Point]] = []
        self._default: Callable[[Fork], int] | None = None
        self._remembered: dict[Hashable, list[tuple[dict[Point, int], object]]] = {}
        self._runs = 0

    def way(self, fork: Fork) -> int:
        """Return the way that ``fork`` goes in this run."""
        if fork.point not in self._taken:
            if self._default is None:
                raise _UndecidedError(fork)
            self._taken[fork.point] = self._default(fork)
        for consulted in self._consulted:
            consulted.add(fork.point)
        return self._taken[fork.point]

    def once(self, question: Hashable, answer: Callable[[], T]) -> T:
        """Return ``answer()``, computed once for each way that the forks it depends on may go."""
        known = self._remembered.setdefault(question, [])
        for ways, remembered in known:
            if not ways:
                return remembered  # type: ignore[return-value]
            if all(self._taken.get(point) == way for point, way in ways.items()):
                for consulted in self._consulted:
                    consulted.update(ways)
                return remembered  # type: ignore[return-value]
        found, mine = self.watched(answer)
        known.append(({point: self._taken[point] for point in mine}, found))
        return found

    def watched(self, answer: Callable[[], T]) -> tuple[T, set[Point]]:
        """Return ``answer()`` and the forks that it depends on."""
        mine: set[Point] = set()
        self._consulted.append(mine)
        try:
            return answer(), mine
        finally:
            self._consulted.pop()

    def read(self, place: Place, value: Callable[[], T]) -> tuple[T, set[Point]]:
        """Return what stands at a property and the forks that it depends on; an open fork is remembered there."""
        try:
            return self.watched(value)
        except _UndecidedError as undecided:
            undecided.place = undecided.place or place
            raise

    def apart(self, answer: Callable[[], T]) -> Ways[T]:
        """Return ``answer()`` for every way that its forks may go, whichever way the present run goes.

        Whoever asks depends on none of these forks, until ``chosen`` follows them.
        """
        present = self._taken, self._default, self._consulted, self._runs
        self._taken, self._default, self._consulted, self._runs = {}, None, [], 0
        try:
            return self._every_way(answer)
        except _TooManyWaysError:
            return Unsettled(answer, tuple(found for _, found in self._one_way_at_a_time(answer)))
        finally:
            self._taken, self._default, self._consulted, self._runs = present

    def chosen(self, ways: Ways[T]) -> T:
        """Return the answer on the way that the present run goes."""
        while isinstance(ways, Parting):
            parting = ways
            try:
                ways = parting.branches[self.way(parting.fork)]
            except _UndecidedError as undecided:
                undecided.place = parting.place
                raise
        return ways.found if isinstance(ways, Settled) else ways.answer()

    def explore(self, judge: Callable[[], Iterable[Verdict]]) -> list[Verdict]:
        """Run ``judge`` for every way that matters to it, and merge what it says.

        Within another run only the forks that are open there are explored: of two parts that share no fork, each
        is run for its own ways and not for those of the other.
        """
        before, self._runs = self._runs, 0
        try:
            return _merged(self._every_way(lambda: list(judge())))
        except _TooManyWaysError:
            tried = self._one_way_at_a_time(lambda: list(judge()))
        finally:
            self._runs = before
        sure = [found for turned, found in tried if turned is None or turned.each_counts]
        unsure = [found for turned, found in tried if turned is not None and not turned.each_counts]
        return _unanimous([*sure, *unsure], None) if unsure else _worst(sure)

    def _every_way(self, answer: Callable[[], T]) -> Ways[T]:
        self._runs += 1
        if self._runs > MOST_RUNS:
            raise _TooManyWaysError
        try:
            return Settled(answer())
        except _UndecidedError as undecided:
            fork, place = undecided.fork, undecided.place
        branches = []
        for way in range(fork.ways):
            self._taken[fork.point] = way
            try:
                branches.append(self._every_way(answer))
            finally:
                del self._taken[fork.point]
        return Parting(fork, place, tuple(branches))

    def _one_way_at_a_time(self, answer: Callable[[], T]) -> list[tuple[Fork | None, T]]:
        """Go all first ways, all last ways, and turn each fork once: linear where all ways would be too many."""
        forks: dict[Point, Fork] = {}
        decided, before = self._taken, self._default

        def run(default: Callable[[Fork], int]) -> T:
            def noted(fork: Fork) -> int:
                forks.setdefault(fork.point, fork)
                return default(fork)

            self._taken, self._default = dict(decided), noted
            try:
                return answer()
            finally:
                self._taken, self._default = decided, before

        ends: list[Callable[[Fork], int]] = [lambda fork: 0, lambda fork: fork.ways - 1]
        tried: list[tuple[Fork | None, T]] = [(None, run(end)) for end in ends]
        for turned in list(forks.values()):
            for way in range(turned.ways):
                for end in ends:
                    found = run(
                        lambda fork, turned=turned, way=way, end=end: (  # type: ignore[misc]
                            way if fork.point == turned.point else end(fork)
                        )
                    )
                    tried.append((turned, found))
        return tried


def _merged(ways: Ways[list[Verdict]]) -> list[Verdict]:
    if isinstance(ways, Parting):
        branches = [_merged(branch) for branch in ways.branches]
        return _worst(branches) if ways.fork.each_counts else _unanimous(branches, ways.place)
    return ways.found if isinstance(ways, Settled) else []


def _worst(branches: list[list[Verdict]]) -> list[Verdict]:
    """Every branch counts, so whatever one of them finds is found."""
    return list(dict.fromkeys(verdict for branch in branches for verdict in branch))


def _unanimous(branches: list[list[Verdict]], place: Place | None) -> list[Verdict]:
    """Only one way will be taken: what fails in all of them fails, what fails in some is not known."""
    failing = [{verdict.aspect for verdict in branch if verdict.answer is Answer.FAIL} for branch in branches]
    always = set.intersection(*failing) if failing else set()
    return [
        verdict if verdict.answer is not Answer.FAIL or verdict.aspect in always else verdict.in_doubt(place)
        for verdict in _worst(branches)
    ]
