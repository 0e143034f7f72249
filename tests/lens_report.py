"""A pytest plugin: tests name the requirements that they prove, and the run ends with what is open.

``@pytest.mark.lens("F2-03", "F2-04")`` names the requirements; the test's folder tells the kind of proof.
Only tests that pass count, and a requirement with a failing test counts as open. See ``--lens-report`` and
``--lens-open``.
"""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml_lens.lens import GROUPS, Requirement, requirements

PROOF_BY_FOLDER = {
    "unit": "unit",
    "stacks": "static",
    "rules": "static",
    "rehearsal": "rehearsal",
    "browser": "browser",
}
PROOFS = tuple(dict.fromkeys(["static", *PROOF_BY_FOLDER.values()]))
SHOWN_BY = {"static": "S", "unit": "U", "rehearsal": "SU", "browser": "SU"}
"""Which parts of a requirement of several kinds a proof shows."""
STATES = ("proven", "account", "document", "open")
PROPERTY = "lens"
LEGEND = (
    "static … browser: requirements with a passing test of that kind; "
    "account: only a real account can show it; document: for a document or a review"
)


@dataclass(frozen=True)
class Coverage:
    """What a run has shown of each requirement."""

    catalogue: Mapping[str, Requirement]
    proofs: Mapping[str, frozenset[str]]
    """The kinds of proof by requirement id."""

    def missing(self, requirement: Requirement) -> frozenset[str]:
        """Return the kinds (S, U) of which ``requirement`` still lacks a proof."""
        proofs = self.proofs.get(requirement.id, frozenset())
        if len(requirement.kinds) == 1:
            return frozenset() if proofs else requirement.kinds
        return requirement.kinds.difference(*(SHOWN_BY[proof] for proof in proofs))

    def state(self, requirement: Requirement) -> str:
        """Return one of :data:`STATES`; what only a real account can show is never called proven here."""
        if requirement.kinds == {"R"}:
            return "account"
        if not self.missing(requirement):
            return "proven"
        return "document" if requirement.kinds == {"D"} else "open"

    def counted(self, members: Sequence[Requirement]) -> Counter[str]:
        """Count ``members`` by state and by kind of proof."""
        counts = Counter(self.state(member) for member in members)
        for member in members:
            counts.update(self.proofs.get(member.id, ()))
        counts["all"] = len(members)
        return counts

    def by_group(self) -> dict[str, list[Requirement]]:
        """Return the requirements of each group."""
        groups = defaultdict(list)
        for requirement in self.catalogue.values():
            groups[requirement.group].append(requirement)
        return groups


def table(coverage: Coverage) -> Iterator[str]:
    """Yield the lines of the report: the groups begun, the others in one line, the total."""
    groups = coverage.by_group()
    begun = {coverage.catalogue[id].group for id in coverage.proofs}
    if begun:
        columns = ("all", *PROOFS, *STATES)
        titles = {group: f"{group:<5}{GROUPS.get(group, '')}" for group in groups if group in begun}
        width = max(map(len, titles.values()))
        yield " " * width + "".join(f"{column:>{len(column) + 2}}" for column in columns)
        for group, title in titles.items():
            counts = coverage.counted(groups[group])
            yield f"{title:<{width}}" + "".join(f"{counts[name] or '·':>{len(name) + 2}}" for name in columns)
        yield LEGEND
    waiting = [member for group, members in groups.items() if group not in begun for member in members]
    if waiting:
        yield f"{_many(len(groups) - len(begun), 'group')} not begun: {_remaining(coverage.counted(waiting))}"
    counts = coverage.counted([*coverage.catalogue.values()])
    kinds = ", ".join(f"{counts[proof]} {proof}" for proof in PROOFS if counts[proof])
    yield (
        f"total: {_many(counts['all'], 'requirement')}, {counts['proven']} proven"
        f"{f' ({kinds})' if kinds else ''}, {_remaining(counts)}"
    )


def open_requirements(coverage: Coverage) -> Iterator[str]:
    """Yield one line for every open requirement."""
    for requirement in coverage.catalogue.values():
        if coverage.state(requirement) != "open":
            continue
        missing = coverage.missing(requirement)
        half = f" (shown in part, lacks {'+'.join(sorted(missing))})" if missing < requirement.kinds else ""
        yield f"{requirement.id:<8}{requirement.sentence}{half}"


def _remaining(counts: Counter[str]) -> str:
    line = f"{counts['open']} open"
    if counts["account"]:
        line += f", {counts['account']} for a real account"
    if counts["document"]:
        line += f", {counts['document']} for a document or a review"
    return line


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def proof_of(nodeid: str) -> str | None:
    """Return the kind of proof that a test gives by its folder, None if tests there prove nothing."""
    folders = nodeid.partition("::")[0].split("/")[:-1]
    return next((PROOF_BY_FOLDER[folder] for folder in folders if folder in PROOF_BY_FOLDER), None)


def nearest_id(given: str) -> str:
    """Return the requirement id that ``given`` most likely means."""
    parts = re.fullmatch(r"\s*([A-Za-z]+\d*)[-_ ]?(\d{1,2})\s*", given)
    if parts and (padded := f"{parts[1].upper()}-{int(parts[2]):02d}") in requirements():
        return padded
    likeness = difflib.SequenceMatcher(b=given.upper())

    def alike(id: str) -> float:
        likeness.set_seq1(id)
        return likeness.ratio()

    return max(requirements(), key=alike)


def _named(item: pytest.Item) -> list[object]:
    return [id for mark in item.iter_markers("lens") for id in mark.args]


def mark_problems(item: pytest.Item) -> Iterator[str]:
    """Yield what is wrong with the lens marks of ``item``, one line each."""
    marks = list(item.iter_markers("lens"))
    name = getattr(item, "originalname", item.name)
    if any(mark.kwargs or not mark.args for mark in marks):
        yield f'{name}: the mark lens takes requirement ids, one or more, as in @pytest.mark.lens("F2-03")'
    for given in _named(item):
        if given not in requirements():
            yield f"{name}: unknown lens requirement {given!r}, did you mean {nearest_id(str(given))!r}?"
    if marks and proof_of(item.nodeid) is None:
        folders = ", ".join(PROOF_BY_FOLDER)
        yield f"{name}: tests in this folder prove no lens requirement; those in {folders} do"


class LensReport:
    """Gathers the outcomes of tests that name a requirement, from here or from the workers of xdist."""

    def __init__(self) -> None:
        self.passed: dict[str, list[str]] = {}
        self.failed: dict[str, list[str]] = {}
        self.all_collected = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.all_collected &= not report.failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ids = [str(value) for name, value in report.user_properties if name == PROPERTY]
        if report.failed:
            self.failed[report.nodeid] = ids
        elif report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            self.passed[report.nodeid] = ids

    @property
    def disproved(self) -> list[str]:
        """The ids of which a test failed."""
        named = {id for ids in self.failed.values() for id in ids}
        return [id for id in requirements() if id in named]

    def coverage(self) -> Coverage:
        """Return what the tests so far have proven."""
        proofs = defaultdict(set)
        for nodeid, ids in self.passed.items():
            if proof := proof_of(nodeid):
                for id in set(ids).difference(self.disproved):
                    proofs[id].add(proof)
        return Coverage(requirements(), {id: frozenset(kinds) for id, kinds in proofs.items()})

    def lines(self, *, whole: bool, list_open: bool) -> Iterator[str]:
        """Yield what to print at the end of the run."""
        coverage = self.coverage()
        if whole:
            yield from table(coverage)
        elif coverage.proofs:
            proven = _many(len(coverage.proofs), "requirement")
            yield f"this part of the suite has tests that prove {proven}; --lens-report prints the table"
        if self.disproved:
            yield f"not counted, because a test of theirs failed: {', '.join(self.disproved)}"
        if list_open:
            yield from open_requirements(coverage)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
    ) -> None:
        if config.option.collectonly:
            return
        list_open = config.getoption("lens_open")
        finished = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and self.all_collected
        whole = (finished and runs_everything(config)) or list_open or config.getoption("lens_report")
        if lines := list(self.lines(whole=whole, list_open=list_open)):
            terminalreporter.ensure_newline()
            terminalreporter.section("lens requirements")
            for line in lines:
                terminalreporter.write_line(line)


def runs_everything(config: pytest.Config) -> bool:
    """Whether the command line asks for the whole suite."""
    narrowing = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise")
    if any(getattr(config.option, name, None) for name in narrowing):
        return False
    everything = {config.rootpath, *(config.rootpath / folder for folder in config.getini("testpaths"))}
    return any(Path(config.invocation_params.dir, argument) in everything for argument in config.args)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lens", "requirements of the Machine Learning Lens")
    group.addoption(
        "--lens-report",
        action="store_true",
        help="print what is proven also when only a part of the suite runs",
    )
    group.addoption("--lens-open", action="store_true", help="print it, and list every open requirement")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lens(id, ...): the requirements of the lens that the test proves")
    config.pluginmanager.register(LensReport(), "lens-report")


def pytest_itemcollected(item: pytest.Item) -> None:
    # Properties travel with the reports, so they also arrive from the workers of pytest-xdist.
    item.user_properties.extend((PROPERTY, str(id)) for id in dict.fromkeys(_named(item)))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    items = [node for node in report.result if isinstance(node, pytest.Item)]
    problems = dict.fromkeys(problem for item in items for problem in mark_problems(item))
    if problems:
        report.outcome, report.longrepr, report.result = "failed", "\n".join(problems), []
    return report
