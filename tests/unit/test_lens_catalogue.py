from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from ml_lens.lens import GROUPS, KINDS, ORIGINS, Requirement, group_of, requirements
from tests.lens_report import Coverage, nearest_id, open_requirements, proof_of, table


def test_the_catalogue_is_complete() -> None:
    catalogue = requirements()
    assert len(catalogue) == 355
    assert [*dict.fromkeys(requirement.group for requirement in catalogue.values())] == [*GROUPS]
    assert Counter(requirement.group for requirement in catalogue.values())["F2"] == 31
    assert all(key == requirement.id for key, requirement in catalogue.items())


def test_the_numbers_of_each_group_run_from_one_without_a_gap() -> None:
    numbers: dict[str, list[int]] = {}
    for id in requirements():
        group, _, number = id.rpartition("-")
        numbers.setdefault(group, []).append(int(number))
    assert numbers == {group: [*range(1, len(found) + 1)] for group, found in numbers.items()}


def test_every_requirement_can_be_read() -> None:
    for id, requirement in requirements().items():
        assert len(requirement.sentence.split()) >= 2, id
        assert requirement.sentence == requirement.sentence.strip(), id
        assert requirement.sentence.endswith((".", ")")), id
        assert requirement.origin in ORIGINS, id
        assert set() < requirement.kinds <= KINDS.keys(), id
        assert requirement.location or requirement.origin == "added", id


def test_a_requirement_tells_all_about_itself() -> None:
    assert requirements()["F2-23"] == Requirement(
        id="F2-23",
        group="F2",
        sentence="An Athena view restricts lookups to rows whose confidence is sufficient for the use case; "
        "threshold is a parameter.",
        origin="stated",
        kinds=frozenset("SU"),
        location="«use Visualizações … grau suficiente de confiança» L453",
    )
    assert group_of("F2-23") == "F2"
    with pytest.raises(KeyError, match="F2-99"):
        group_of("F2-99")


def test_the_catalogue_cannot_be_changed() -> None:
    assert requirements() is requirements()
    with pytest.raises(TypeError):
        requirements()["F2-99"] = requirements()["F2-01"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        requirements()["F2-01"].sentence = "Anything goes."  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "meant"), [("F2-3", "F2-03"), ("f2-03", "F2-03"), ("LAKE1", "LAKE-01"), ("F2-O3", "F2-03")]
)
def test_the_nearest_id_is_the_one_a_person_means(given: str, meant: str) -> None:
    assert nearest_id(given) == meant


@pytest.mark.parametrize(
    ("nodeid", "proof"),
    [
        ("tests/unit/test_rows.py::test_it", "unit"),
        ("tests/stacks/demographics/test_roles.py::TestRoles::test_it[unit/1]", "static"),
        ("tests/rules/test_it.py::test_it", "static"),
        ("tests/rehearsal/test_it.py::test_it", "rehearsal"),
        ("tests/browser/test_it.py::test_it", "browser"),
        ("tests/benchmarks/unit.py::test_it", None),
    ],
)
def test_the_folder_tells_the_kind_of_proof(nodeid: str, proof: str | None) -> None:
    assert proof_of(nodeid) == proof


def coverage(proofs: Mapping[str, str], **kinds: str) -> Coverage:
    plain = requirements()["F2-30"]
    catalogue = {
        id: replace(plain, id=id, sentence=f"{id}.", kinds=frozenset(letters))
        for id, letters in kinds.items()
    }
    return Coverage(catalogue, {id: frozenset(by.split()) for id, by in proofs.items()})


@pytest.mark.parametrize(
    ("kinds", "proofs", "state"),
    [
        ("S", "", "open"),
        ("S", "static", "proven"),
        ("U", "rehearsal", "proven"),
        ("SU", "static", "open"),
        ("SU", "static unit", "proven"),
        ("SU", "rehearsal", "proven"),
        ("D", "", "document"),
        ("D", "unit", "proven"),
        ("R", "", "account"),
        ("R", "rehearsal", "account"),
    ],
)
def test_what_a_proof_makes_of_a_requirement(kinds: str, proofs: str, state: str) -> None:
    run = coverage({"X": proofs} if proofs else {}, X=kinds)
    assert run.state(run.catalogue["X"]) == state


def test_the_table_counts_by_group_and_sums_what_is_not_begun() -> None:
    proofs = {"F2-01": frozenset({"static", "rehearsal"}), "F2-13": frozenset({"unit"})}
    header, row, legend, waiting, total = table(Coverage(requirements(), proofs))
    assert " ".join(header.split()) == "all static unit rehearsal browser proven account document open"
    assert row.startswith("F2   Customer demographics (figure 2) ")
    assert row.split()[-9:] == ["31", "1", "1", "1", "·", "2", "1", "·", "28"]
    assert "only a real account" in legend
    assert waiting == "41 groups not begun: 294 open, 7 for a real account, 23 for a document or a review"
    assert total == (
        "total: 355 requirements, 2 proven (1 static, 1 unit, 1 rehearsal), "
        "322 open, 8 for a real account, 23 for a document or a review"
    )


def test_open_requirements_are_listed_with_what_they_lack() -> None:
    run = coverage({"A": "static", "B": "static"}, A="S", B="SU", C="U", D="R", E="D")
    assert [*open_requirements(run)] == ["B       B. (shown in part, lacks U)", "C       C."]


SUITE = """
import pytest

@pytest.mark.lens("F2-01", "F2-02")
def test_passes():
    pass

@pytest.mark.lens("F2-03")
@pytest.mark.parametrize("number", [1, 2])
def test_passes_and_fails(number):
    assert number == 1

@pytest.mark.lens("F2-04")
@pytest.mark.skip
def test_is_skipped():
    pass

@pytest.mark.lens("F2-05")
@pytest.mark.xfail
def test_fails_as_expected():
    assert False

@pytest.mark.lens("F2-06")
@pytest.mark.xfail
def test_passes_against_expectation():
    pass

@pytest.fixture
def broken_in_the_end():
    yield
    raise RuntimeError

@pytest.mark.lens("F2-07")
def test_fails_in_teardown(broken_in_the_end):
    pass

@pytest.mark.lens("F2-08")
class TestMarkedAsAWhole:
    def test_passes(self):
        pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite whose unit tests do all that tests can do, and whose template test passes."""
    plugins = "-p tests.lens_report -p no:hypothesispytest -p no:syrupy"  # those two slow every run down
    pytester.makeini(f"[pytest]\ntestpaths = tests\naddopts = --strict-markers {plugins}")
    add_module(pytester, "tests/unit/test_outcomes.py", SUITE)
    add_module(pytester, "tests/stacks/test_template.py", lens_test('"F2-01"'))
    return pytester


def add_module(pytester: pytest.Pytester, path: str, body: str) -> None:
    module = pytester.path / path
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(body, encoding="utf-8")


def lens_test(arguments: str) -> str:
    return f"import pytest\n\n@pytest.mark.lens({arguments})\ndef test_it():\n    pass\n"


def report_of(result: pytest.RunResult) -> list[str]:
    """Return the lines that the plugin printed."""
    _, title, printed = result.stdout.str().partition(" lens requirements ")
    assert title, result.stdout.str()
    return printed.partition("\n")[2].partition("\n===")[0].splitlines()


def test_only_what_passes_is_proven(suite: pytest.Pytester) -> None:
    result = suite.runpytest_inprocess()
    result.assert_outcomes(passed=5, failed=1, errors=1, skipped=1, xfailed=1, xpassed=1)
    report = report_of(result)
    assert report[1].split()[-9:] == ["31", "1", "3", "·", "·", "3", "1", "·", "27"]
    assert report[-1] == "not counted, because a test of theirs failed: F2-03, F2-07"


def test_workers_prove_the_same_as_one_process(suite: pytest.Pytester) -> None:
    alone = suite.runpytest_inprocess("--lens-open")
    shared = suite.runpytest_inprocess("--lens-open", "-n", "2")
    assert "2 workers" in shared.stdout.str()
    assert len(report_of(alone)) > 200
    assert report_of(shared) == report_of(alone)


def test_open_requirements_are_listed_on_demand(suite: pytest.Pytester) -> None:
    report = report_of(suite.runpytest_inprocess("--lens-open"))
    listed = [line[:5] for line in report if line.startswith("F2-")]
    assert listed == [f"F2-{n:02d}" for n in (3, 4, 5, 6, 7, 9, 10, *range(12, 32))]


@pytest.mark.parametrize("part", [["tests/stacks"], ["-k", "test_it"], ["--ignore", "tests/unit"]])
def test_a_part_of_the_suite_says_where_the_table_is(suite: pytest.Pytester, part: list[str]) -> None:
    assert report_of(suite.runpytest_inprocess(*part)) == [
        "this part of the suite has tests that prove 1 requirement; --lens-report prints the table"
    ]
    on_demand = report_of(suite.runpytest_inprocess(*part, "--lens-report"))
    assert on_demand[-1].startswith("total: 355 requirements, 1 proven (1 static), ")


def test_the_list_of_a_part_of_the_suite_comes_with_the_table(suite: pytest.Pytester) -> None:
    report = report_of(suite.runpytest_inprocess("tests/stacks", "--lens-open"))
    assert report[1].split()[:5] == ["F2", "Customer", "demographics", "(figure", "2)"]


def test_collecting_alone_reports_nothing(suite: pytest.Pytester) -> None:
    suite.runpytest_inprocess("--collect-only").stdout.no_fnmatch_line("*lens requirements*")


def test_tests_without_requirements_are_not_talked_about(suite: pytest.Pytester) -> None:
    add_module(suite, "tests/unit/test_plain.py", "def test_it():\n    pass\n")
    suite.runpytest_inprocess("tests/unit/test_plain.py").stdout.no_fnmatch_line("*lens*")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("tests/unit", '"F2-01", "F2-3"', "test_it: unknown lens requirement 'F2-3', did you mean 'F2-03'?"),
        ("tests/unit", "", "test_it: the mark lens takes requirement ids, one or more, *"),
        ("tests/unit", 'id="F2-01"', "test_it: the mark lens takes requirement ids, one or more, *"),
        ("tests/benchmarks", '"F2-01"', "test_it: tests in this folder prove no lens requirement; *"),
    ],
)
def test_a_wrong_mark_stops_the_run(
    suite: pytest.Pytester, path: str, arguments: str, message: str, workers: list[str]
) -> None:
    add_module(suite, f"{path}/test_marks.py", lens_test(arguments))
    result = suite.runpytest_inprocess(*workers)
    assert result.ret in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.TESTS_FAILED)
    result.stdout.fnmatch_lines([f"*ERROR collecting {path}/test_marks.py*", message.replace("[", "[[]")])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("total: *")
