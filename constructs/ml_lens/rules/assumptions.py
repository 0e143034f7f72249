"""What a template leaves open: both branches of a condition, each value that a parameter may take.

A rule never sees an ``Fn::If``. Where its answer depends on one, the rule is run once for each branch, and a
branch that fails fails the rule. A parameter with allowed values is run once for each of them; there the rule
fails only when every value does.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from ml_lens.rules.verdicts import Answer, Verdict

T = TypeVar("T")
Point = tuple[Hashable, ...]
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


class _UndecidedError(Exception):
    def __init__(self, fork: Fork) -> None:
        super().__init__(fork.point)
        self.fork = fork


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

    def explore(self, judge: Callable[[], Iterable[Verdict]]) -> list[Verdict]:
        """Run ``judge`` for every way that matters to it, and merge what it says."""
        self._runs = 0
        try:
            return self._every_way(judge)
        except _TooManyWaysError:
            with self._nothing_decided():
                return self._one_way_at_a_time(judge)

    def _every_way(self, judge: Callable[[], Iterable[Verdict]]) -> list[Verdict]:
        self._runs += 1
        if self._runs > MOST_RUNS:
            raise _TooManyWaysError
        try:
            return list(judge())
        except _UndecidedError as undecided:
            fork = undecided.fork
        branches = []
        for way in range(fork.ways):
            self._taken[fork.point] = way
            try:
                branches.append(self._every_way(judge))
            finally:
                del self._taken[fork.point]
        return _worst(branches) if fork.each_counts else _unanimous(branches)

    def _one_way_at_a_time(self, judge: Callable[[], Iterable[Verdict]]) -> list[Verdict]:
        """Go all first ways, all last ways, and turn each fork once: linear where all ways would be too many."""
        forks: dict[Point, Fork] = {}
        sure: list[list[Verdict]] = []
        unsure: list[list[Verdict]] = []

        def run(default: Callable[[Fork], int]) -> list[Verdict]:
            def noted(fork: Fork) -> int:
                forks.setdefault(fork.point, fork)
                return default(fork)

            self._taken, self._default = {}, noted
            return list(judge())

        ends: list[Callable[[Fork], int]] = [lambda fork: 0, lambda fork: fork.ways - 1]
        sure.extend(run(end) for end in ends)
        for turned in list(forks.values()):
            for way in range(turned.ways):
                for end in ends:
                    found = run(
                        lambda fork, turned=turned, way=way, end=end: (  # type: ignore[misc]
                            way if fork.point == turned.point else end(fork)
                        )
                    )
                    (sure if turned.each_counts else unsure).append(found)
        if all(fork.each_counts for fork in forks.values()):
            return _worst(sure)
        return _unanimous([*sure, *unsure])

    @contextmanager
    def _nothing_decided(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._taken, self._default = {}, None


def _worst(branches: list[list[Verdict]]) -> list[Verdict]:
    """Every branch counts, so whatever one of them finds is found."""
    return list(dict.fromkeys(verdict for branch in branches for verdict in branch))


def _unanimous(branches: list[list[Verdict]]) -> list[Verdict]:
    """Only one way will be taken: what fails in all of them fails, what fails in some is not known."""
    failing = [{verdict.aspect for verdict in branch if verdict.answer is Answer.FAIL} for branch in branches]
    always = set.intersection(*failing) if failing else set()
    return [
        verdict if verdict.answer is not Answer.FAIL or verdict.aspect in always else verdict.in_doubt()
        for verdict in _worst(branches)
    ]
