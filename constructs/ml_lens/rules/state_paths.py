"""The paths through a state machine, followed from one state until something on them is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ml_lens.rules.resolved import Opaque
from ml_lens.rules.tasks import State, definition

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_ANY_ERROR: Final = "States.ALL"
_TASK_ERROR: Final = "States.TaskFailed"
_TIMEOUT: Final = "States.Timeout"


@dataclass(frozen=True, eq=False)
class Leak:
    """A way out of a workflow on which the thing was not done.

    Attributes:
        state: The last state on the way.
        how: ``ends``, ``fails`` or ``never ends``.
    """

    state: State
    how: str


@dataclass
class Way:
    """What happens on the paths of one level of a workflow.

    Attributes:
        ends: Where the level comes to its end without the thing done.
        fails: Where an error leaves the level without the thing done.
        done: The states that do the thing.
        opaque: Tasks on the way of which nobody knows what they call.
    """

    ends: list[Leak] = field(default_factory=list)
    fails: list[Leak] = field(default_factory=list)
    done: list[State] = field(default_factory=list)
    opaque: list[State] = field(default_factory=list)


class Level:
    """A ``States`` object: the whole workflow, a branch or the body of a map."""

    def __init__(self, machine: Node, body: Value, parent: tuple[Level, State] | None = None) -> None:
        """Read the states, and the levels inside them."""
        self.machine = machine
        self.parent = parent
        self.start = str(body["StartAt"].literal)
        siblings = body["States"]
        self.states = {name: State(machine, name, state, siblings) for name, state in siblings.members}
        self.inner = {
            name: [Level(machine, each, (self, state)) for each in _bodies(state.body) if each.is_object]
            for name, state in self.states.items()
        }

    def everywhere(self) -> Iterator[tuple[Level, State]]:
        """Yield every state with its level, those of inner levels included."""
        for name, state in self.states.items():
            yield self, state
            for inner in self.inner[name]:
                yield from inner.everywhere()


def workflow(machine: Node) -> Level | None:
    """Return the outermost level of a state machine, or ``None`` when its definition cannot be read."""
    body = definition(machine)
    return None if body is None else Level(machine, body)


class Walk:
    """Follows every path until ``is_done`` says so of a state.

    Without ``errors`` only the paths are followed on which every task succeeds.
    """

    def __init__(self, is_done: Callable[[State], bool], *, errors: bool = True) -> None:
        """Walk by these settings."""
        self.is_done = is_done
        self.errors = errors

    def after(self, level: Level, state: State) -> Way:
        """Return what happens after ``state``, up to the end of the whole workflow."""
        way = self._onward(level, state, thrown=[], caught=_caught(state), succeeded=True)
        while level.parent is not None:
            (level, owner), below = level.parent, level
            beside = [self.through(other) for other in level.inner[owner.name] if other is not below]
            if not way.ends and not way.fails and not any(other.fails for other in beside):
                break
            thrown = [*way.fails, *(leak for other in beside for leak in other.fails)]
            succeeded = bool(way.ends) and all(other.ends for other in beside)
            caught = _caught(owner) if thrown else []
            onward = self._onward(level, owner, thrown=thrown, caught=caught, succeeded=succeeded)
            way = Way(onward.ends, onward.fails, way.done + onward.done, way.opaque + onward.opaque)
        return way

    def through(self, level: Level) -> Way:
        """Return what happens in a level from its start."""
        return self._from(level, [level.start])

    def _onward(
        self, level: Level, state: State, *, thrown: list[Leak], caught: list[str], succeeded: bool
    ) -> Way:
        """Go on from a state that has succeeded, has failed, or may have done either."""
        way = Way()
        following = caught if self.errors else []
        if succeeded:
            following = [*following, *_following(state)]
            way.ends = _ended(state)
        if thrown and self.errors and not _catches_all(state):
            way.fails = thrown
        later = self._from(level, following)
        return Way(way.ends + later.ends, way.fails + later.fails, later.done, later.opaque)

    def _from(self, level: Level, names: Iterable[str]) -> Way:
        way = Way()
        edges: dict[str, list[str]] = {}
        out: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            state = level.states.get(name)
            if state is None or name in edges:
                continue
            if self.is_done(state):
                edges[name] = []
                out.add(name)
                way.done.append(state)
                continue
            edges[name] = self._step(level, state, way, out)
            waiting += edges[name]
        trapped = [level.states[name] for name in edges if name not in _reaching(out, edges)]
        way.fails += [Leak(state, "never ends") for state in trapped[:1]]
        return way

    def _step(self, level: Level, state: State, way: Way, out: set[str]) -> list[str]:
        """Note what comes of a state, and return what follows it."""
        inside = [self.through(inner) for inner in level.inner[state.name]]
        for below in inside:
            way.done += below.done
            way.opaque += below.opaque
        thrown = [leak for below in inside for leak in below.fails]
        kind = state.body["Type"].literal
        if kind == "Task":
            thrown.append(Leak(state, "fails"))
            way.opaque += [state] if isinstance(state.body["Resource"].resolved, Opaque) else []
        if self.errors and thrown and not _catches_all(state):
            way.fails += thrown
            out.add(state.name)
        following = _caught(state) if self.errors and thrown else []
        if all(below.ends for below in inside):
            ended = _ended(state)
            way.ends += [leak for leak in ended if leak.how == "ends"]
            way.fails += [leak for leak in ended if leak.how == "fails" and self.errors]
            following += _following(state)
            if ended:
                out.add(state.name)
        else:
            out.add(state.name)
        return following


def _bodies(state: Value) -> list[Value]:
    return [*state["Branches"].elements, state["ItemProcessor"], state["Iterator"]]


def _following(state: State) -> list[str]:
    """Return the states that come next when all goes well."""
    body = state.body
    named = [choice["Next"].literal for choice in body["Choices"].elements]
    named += [body["Default"].literal, body["Next"].literal]
    return [str(name) for name in named if name is not None]


def _ended(state: State) -> list[Leak]:
    """Return the end of a path, if one ends here."""
    kind = state.body["Type"].literal
    if kind == "Fail" or (kind == "Choice" and not state.body["Default"]):
        return [Leak(state, "fails")]
    return [] if _following(state) else [Leak(state, "ends")]


def _caught(state: State) -> list[str]:
    return [str(catcher["Next"].literal) for catcher in state.body["Catch"].elements]


def _catches_all(state: State) -> bool:
    caught = {
        error.literal for catcher in state.body["Catch"].elements for error in catcher["ErrorEquals"].elements
    }
    timed = bool(state.body["TimeoutSeconds"] or state.body["HeartbeatSeconds"])
    return _ANY_ERROR in caught or (_TASK_ERROR in caught and (not timed or _TIMEOUT in caught))


def _reaching(out: set[str], edges: dict[str, list[str]]) -> set[str]:
    """Return the states from which one of ``out`` can be reached."""
    into: dict[str, list[str]] = {}
    for name, following in edges.items():
        for after in following:
            into.setdefault(after, []).append(name)
    reached: set[str] = set()
    waiting = list(out)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += into.get(name, [])
    return reached
