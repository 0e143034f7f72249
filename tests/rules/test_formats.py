"""Reports for people and for programs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.formats import COMMENT_SIZE, as_json, as_markdown, as_text, escaped, shown_path, summary
from tests.rules.findings import finding

WARNED = finding(
    "SEC02-NotebookKmsKey", "unresolved:KmsKeyId", level=Level.WARNING, message="KmsKeyId is left open"
)


def elsewhere(template: str, resource: str, level: Level = Level.ERROR) -> Finding:
    return finding(template=template, resource=resource, level=level, construct_path=None)


def test_a_report_in_text_is_grouped_and_ends_with_the_counts() -> None:
    assert as_text([WARNED, finding(), elsewhere("Web.yaml", "Desk")], 3) == (
        "cdk.out/Lab.template.json\n"
        "  Notebook (Lab/Notebook/Resource)\n"
        "    error    MLLens-SEC02-NotebookNoRoot\n"
        "             RootAccess is Enabled\n"
        "             fix: RootAccess: Disabled\n"
        "    warning  MLLens-SEC02-NotebookKmsKey[unresolved:KmsKeyId]\n"
        "             KmsKeyId is left open\n"
        "             fix: RootAccess: Disabled\n"
        "\n"
        "cdk.out/Web.yaml\n"
        "  Desk\n"
        "    error    MLLens-SEC02-NotebookNoRoot\n"
        "             RootAccess is Enabled\n"
        "             fix: RootAccess: Disabled\n"
        "\n"
        "2 errors, 1 warning, 1 of them unresolved, in 3 templates.\n"
    )


def test_templates_and_resources_with_errors_come_before_those_with_warnings_only() -> None:
    report = as_text(
        [
            elsewhere("A.yaml", "Warned", Level.WARNING),
            elsewhere("B.yaml", "Another", Level.WARNING),
            elsewhere("B.yaml", "Wrong"),
        ],
        2,
    )
    assert report.index("B.yaml") < report.index("A.yaml")
    assert report.index("Wrong") < report.index("Another")


def test_two_files_of_one_name_are_two_templates() -> None:
    here, there = finding(source=Path("a/Lab.template.json")), finding(source=Path("b/Lab.template.json"))
    report = as_text([here, there], 2)
    assert "a/Lab.template.json\n" in report
    assert "b/Lab.template.json\n" in report


@pytest.mark.parametrize(
    ("findings", "templates", "expected"),
    [
        ([], 1, "No findings in 1 template"),
        ([], 12, "No findings in 12 templates"),
        ([finding()], 1, "1 error, 0 warnings in 1 template"),
        ([replace(WARNED, level=Level.ERROR)], 1, "1 error, 0 warnings, 1 of them unresolved, in 1 template"),
        ([finding()] * 1000, 2, "1,000 errors, 0 warnings in 2 templates"),
    ],
)
def test_the_summary_counts(findings: list[Finding], templates: int, expected: str) -> None:
    assert summary(findings, templates) == expected


def test_a_report_without_findings_says_so() -> None:
    assert as_text([], 3) == "No findings in 3 templates.\n"
    assert as_markdown([], 3) == "**MLLens: No findings in 3 templates.**\n"
    assert json.loads(as_json([])) == []


def test_colour_is_added_only_where_it_is_asked_for() -> None:
    assert "\033" not in as_text([finding()], 1)
    assert "\033[31merror  \033[0m  MLLens-SEC02-NotebookNoRoot\n" in as_text([finding()], 1, colour=True)


@pytest.mark.parametrize("said", ["red \033[31m text", "a\rb", "bell \a", "right\u202eleft"])
def test_what_a_template_says_does_not_steer_the_terminal(said: str) -> None:
    report = as_text([finding(message=said)], 1)
    assert [char for char in report if not char.isprintable() and char != "\n"] == []
    assert len(report.splitlines()) == len(as_text([finding()], 1).splitlines())


def test_json_is_a_list_of_all_that_a_finding_says() -> None:
    (told,) = json.loads(as_json([finding(aspect="vpc")]))
    assert told == {
        "rule": "MLLens-SEC02-NotebookNoRoot",
        "finding": "vpc",
        "level": "error",
        "resource": "Notebook",
        "template": "Lab.template.json",
        "message": "RootAccess is Enabled",
        "fix": "RootAccess: Disabled",
        "references": ["lens2020:MLSEC 02", "lens2025:MLSEC04-BP01", "SecurityHub:SageMaker.3"],
        "property": "RootAccess",
        "construct_path": "Lab/Notebook/Resource",
    }


def test_markdown_has_a_summary_and_a_table_for_each_template() -> None:
    assert as_markdown([elsewhere("Web.yaml", "Desk"), elsewhere("Lab.yaml", "Desk")], 2) == (
        "**MLLens: 2 errors, 0 warnings in 2 templates.**\n"
        "\n"
        "### `cdk.out/Lab.yaml`\n"
        "\n"
        "| Level | Resource | Finding | What | Fix |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| error | `Desk` | `MLLens-SEC02-NotebookNoRoot` | RootAccess is Enabled | RootAccess: Disabled |\n"
        "\n"
        "### `cdk.out/Web.yaml`\n"
        "\n"
        "| Level | Resource | Finding | What | Fix |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| error | `Desk` | `MLLens-SEC02-NotebookNoRoot` | RootAccess is Enabled | RootAccess: Disabled |\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`a|b` is code", r"`a\|b` is code"),
        ("two\nlines", "two lines"),
        ("s3:* and sagemaker:*", r"s3:\* and sagemaker:\*"),
        ("SSE_KMS", "SSE_KMS"),
        ("_this_", r"\_this\_"),
        ("<img>", r"\<img>"),
        ("&lt;", r"\&lt;"),
        ("[here](https://example.com)", r"\[here\](https://example.com)"),
        ("by digest: @sha256", "by digest: @&#8203;sha256"),
        ("an odd ` mark", r"an odd \` mark"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_row_has_as_many_cells_as_the_head_whatever_a_template_says() -> None:
    nasty = finding(aspect="unresolved:a|b", message="x|y\\|z `c|d`", resource="R|S", construct_path="p|q")
    row = as_markdown([nasty], 1).splitlines()[-1]
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 6


def test_a_comment_stays_within_its_size_and_keeps_the_errors() -> None:
    warnings = [elsewhere("A.yaml", f"Warned{number}", Level.WARNING) for number in range(2000)]
    report = as_markdown([*warnings, elsewhere("B.yaml", "Wrong")], 2)
    assert len(report) < COMMENT_SIZE + 200
    assert "| error | `Wrong`" in report
    shown = report.count("| warning |")
    assert 0 < shown < 2000
    assert f"{2000 - shown:,} findings more did not fit here." in report


def test_a_path_is_shown_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert shown_path(Path("cdk.out/A.json")) == "cdk.out/A.json"
    assert shown_path(tmp_path / "work" / "A.json") == "A.json"
    assert shown_path(tmp_path / "A.json") == (tmp_path / "A.json").as_posix()


def test_a_path_through_a_link_is_shown_as_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("work", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "work" / "cdk.out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "alias").symlink_to(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    assert shown_path(Path("cdk.out/A.json")) == "cdk.out/A.json"
    assert shown_path(tmp_path / "alias" / "A.json") == "A.json"
