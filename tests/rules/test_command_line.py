"""``python -m ml_lens.rules``: what it prints, how it ends, and one line for each mistake."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules import catalogue, command, engine
from ml_lens.rules.__main__ import main
from ml_lens.rules.finding import Finding
from ml_lens.rules.options import PILLARS, Options
from ml_lens.rules.rule import ERROR, PRODUCTION_ERROR, WARNING, Rule, rule
from ml_lens.rules.templates import TemplateFile
from ml_lens.rules.verdicts import must_equal, must_exist
from tests.rules.findings import RULES, SCALES

NOTEBOOK = "AWS::SageMaker::NotebookInstance"


def notebook(**properties: Any) -> str:
    parameters = {"Root": {"Type": "String"}}
    resources = {"Desk": {"Type": NOTEBOOK, "Properties": properties}}
    return json.dumps({"Parameters": parameters, "Resources": resources}, indent=1)


def a_rule(name: str, number: int, weight: Any, judged: Any) -> Rule:
    return rule(
        name,
        number=number,
        weight=weight,
        on=NOTEBOOK,
        title=f"Title of {name}.",
        why="Because.",
        fix=f"Fix of {name}.",
        cloudformation=f"Type: {NOTEBOOK}",
    )(judged)


JUDGING = (
    a_rule("SEC02-NotebookNoRoot", 1, ERROR, lambda node: must_equal(node["RootAccess"], "Disabled")),
    a_rule("COST02-NotebookAutoStop", 2, WARNING, lambda node: must_exist(node["LifecycleConfigName"])),
    a_rule("REL01-Prod", 3, PRODUCTION_ERROR, lambda node: must_exist(node["NotebookInstanceName"])),
)
CLEAN = {"RootAccess": "Disabled", "LifecycleConfigName": "stop", "NotebookInstanceName": "desk"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, with a pack of three rules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "RULES", JUDGING)
    monkeypatch.setattr(catalogue, "RULES", JUDGING)
    monkeypatch.setattr(command, "judge", partial(engine.judge, rules=JUDGING))
    files = {
        "clean.json": notebook(**CLEAN),
        "rooted.json": notebook(**CLEAN | {"RootAccess": "Enabled"}),
        "idle.json": notebook(**{key: CLEAN[key] for key in CLEAN if key != "LifecycleConfigName"}),
        "nameless.json": notebook(**{key: CLEAN[key] for key in CLEAN if key != "NotebookInstanceName"}),
        "open.json": notebook(**CLEAN | {"RootAccess": {"Ref": "Root"}}),
        "both.yaml": f"Resources:\n  Desk:\n    Type: {NOTEBOOK}\n    Properties:\n      RootAccess: Enabled\n",
        "broken.json": '{"Resources": ',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


class Seen(list[Options]):
    """The options of each run."""

    def judge(self, templates: Sequence[TemplateFile], options: Options) -> tuple[Finding, ...]:
        self.append(options)
        return ()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    options = Seen()
    monkeypatch.setattr(command, "judge", options.judge)
    return options


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line on stderr with which a command is refused."""
    assert main([*arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["clean.json"], 0),
        (["rooted.json"], 1),
        (["clean.json", "rooted.json"], 1),
        (["idle.json"], 0),
        (["idle.json", "--fail-on", "warning"], 1),
        (["rooted.json", "--fail-on", "warning"], 1),
        (["clean.json", "--fail-on", "warning"], 0),
        (["nameless.json"], 1),
        (["nameless.json", "--environment", "dev"], 0),
        (["nameless.json", "--environment", "prod"], 1),
        (["open.json"], 0),
        (["open.json", "--fail-on", "warning"], 1),
        (["open.json", "--unresolved", "error"], 1),
        (["open.json", "--unresolved", "ignore", "--fail-on", "warning"], 0),
        (["rooted.json", "--pillar", "cost"], 0),
        (["rooted.json", "--pillar", "cost", "--pillar", "security"], 1),
    ],
)
@pytest.mark.parametrize("form", ["text", "json", "sarif", "markdown"])
def test_the_exit_status_tells_whether_something_stands(arguments: list[str], status: int, form: str) -> None:
    assert main(["check", *arguments, "--format", form]) == status


def test_text_shows_the_findings_and_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "both.yaml", "clean.json", "open.json"])
    out, err = capsys.readouterr()
    assert "    error    MLLens-SEC02-NotebookNoRoot\n" in out
    assert "             fix: Fix of SEC02-NotebookNoRoot.\n" in out
    assert "    warning  MLLens-SEC02-NotebookNoRoot[unresolved:RootAccess]\n" in out
    assert out.splitlines()[-1] == "2 errors, 2 warnings, 1 of them unresolved, in 3 templates."
    assert err == ""


def test_what_a_transform_makes_is_told_not_to_be_judged(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = {"Resources": {"Flow": {"Type": "AWS::Serverless::StateMachine", "Properties": {}}}}
    (here / "sam.json").write_text(json.dumps(machine))
    assert main(["check", "sam.json", "--format", "json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert told.err == (
        "note: sam.json: 1 resource that a transform makes is not judged; check the transformed template\n"
    )


def test_text_without_findings_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "clean.json"])
    assert capsys.readouterr().out == "No findings in 1 template.\n"


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "rooted.json", "clean.json", "--format", "json"])
    out, err = capsys.readouterr()
    (told,) = json.loads(out)
    assert (told["rule"], told["level"], told["resource"], told["template"]) == (
        "MLLens-SEC02-NotebookNoRoot",
        "error",
        "Desk",
        "rooted.json",
    )
    assert err == ""


def test_sarif_points_into_the_template(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "both.yaml", "--format", "sarif"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "both.yaml"
    assert place["region"]["startLine"] == 2


def test_markdown_has_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "rooted.json", "--format", "markdown"])
    assert "| error | `Desk` | `MLLens-SEC02-NotebookNoRoot` |" in capsys.readouterr().out


def test_a_report_goes_to_a_file_and_the_counts_to_the_terminal(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "rooted.json", "--format", "json", "--output", "report.json"]) == 1
    assert len(json.loads((here / "report.json").read_text("utf-8"))) == 1
    assert capsys.readouterr().out == "1 error, 0 warnings in 1 template: report.json\n"


@pytest.mark.parametrize("output", [".", "nowhere/report.json"])
def test_a_report_that_cannot_be_written_is_told_in_one_line(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output in refused(capsys, "check", "clean.json", "--output", output)


def test_a_report_never_replaces_a_template(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (here / "clean.json").read_bytes()
    assert "clean.json" in refused(capsys, "check", "clean.json", "--output", str(here / "clean.json"))
    assert (here / "clean.json").read_bytes() == before


@pytest.mark.parametrize("path", ["missing.json", "broken.json"])
def test_input_that_cannot_be_used_is_named_in_one_line(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert path in refused(capsys, "check", "clean.json", path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "COMMAND"),
        (["judge"], "judge"),
        (["check"], "PATH"),
        (["check", "clean.json", "--format", "xml"], "xml"),
        (["check", "clean.json", "--fail-on", "never"], "never"),
        (["check", "clean.json", "--pillar", "beauty"], "beauty"),
        (["check", "clean.json", "--existing-customer", "s3"], "s3"),
        (["check", "clean.json", "--max-idle-minutes", "0"], "0"),
        (["check", "clean.json", "--max-idle-minutes", "-5"], "-5"),
        (["check", "clean.json", "--max-runtime-seconds", "1e3"], "1e3"),
        (["check", "clean.json", "--max-temporary-days", "²"], "²"),
        (["check", "clean.json", "--env", "dev"], "--env"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, *arguments)
    assert told in message
    assert "--help" in message


def test_without_options_every_default_is_the_one_of_the_pack(seen: Seen) -> None:
    main(["check", "clean.json"])
    assert seen == [Options()]


def test_options_reach_the_rules(seen: Seen) -> None:
    options = """--environment dev --unresolved ignore --pillar cost --pillar security
        --existing-customer pinpoint --existing-customer clarify --max-temporary-days 2
        --max-runtime-seconds 3 --max-idle-minutes 4 --cost-tag team --cost-tag product
        --image-account 111122223333"""
    main(["check", "clean.json", *options.split()])
    assert seen == [
        Options(
            environment="dev",
            unresolved="ignore",
            pillars=("security", "cost"),
            existing_customer=frozenset({"pinpoint", "clarify"}),
            max_temporary_days=2,
            max_runtime_seconds=3,
            max_idle_minutes=4,
            cost_tags=("team", "product"),
            image_accounts=frozenset({"111122223333"}),
        )
    ]


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["explain", "--help"]])
def test_help_is_no_mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("usage: python -m ml_lens.rules")


def test_list_shows_every_rule_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "MLLens-SEC02-NotebookNoRoot     error          Title of SEC02-NotebookNoRoot.",
        "MLLens-COST02-NotebookAutoStop  warning        Title of COST02-NotebookAutoStop.",
        "MLLens-REL01-Prod               error in prod  Title of REL01-Prod.",
    ]


def test_list_in_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[2] == {
        "id": "MLLens-REL01-Prod",
        "number": 3,
        "level": "error in production, warning elsewhere",
        "pillar": "reliability",
        "title": "Title of REL01-Prod.",
    }
    assert {entry["pillar"] for entry in told} <= set(PILLARS)


@pytest.mark.parametrize(
    "name",
    [
        "MLLens-REL03-EndpointAutoScaling",
        "REL03-EndpointAutoScaling",
        "mllens-rel03-endpointautoscaling",
        "rel03-endpointautoscaling[target]",
        "MLLens::MLLens-REL03-EndpointAutoScaling[unresolved:Tags.Key]",
    ],
)
def test_explain_takes_a_rule_by_any_of_its_names(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "RULES", RULES)
    assert main(["explain", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith("MLLens-REL03-EndpointAutoScaling (error in production, warning elsewhere)\n")
    for said in (
        SCALES.title,
        *SCALES.on,
        SCALES.why,
        SCALES.fix,
        "  Type: AWS::ApplicationAutoScaling::ScalableTarget",
        "[target] no ScalableTarget | nothing to scale",
        "[policy] no ScalingPolicy",
        "Serverless variants scale by themselves.",
        "Machine Learning Lens 2020: MLREL 03, MLPER 02",
        "MLLens::MLLens-REL03-EndpointAutoScaling[target]",
    ):
        assert said in out
    assert "With this library" not in out


def test_explain_names_the_construct_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "RULES", RULES)
    main(["explain", "SEC02-NotebookNoRoot"])
    out = capsys.readouterr().out
    assert "SecureNotebook does so as it comes." in out
    assert "Findings" not in out
    assert "Security Hub: SageMaker.3" in out


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("SEC02-NotebookNoRoots", "SEC02-NotebookNoRoot"),
        ("mllens-sec02-notebooknoroot2[x]", "SEC02-NotebookNoRoot"),
        ("NotebookAutoStop", "COST02-NotebookAutoStop"),
    ],
)
def test_an_unknown_rule_brings_the_nearest_names(
    asked: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "explain", asked)
    assert "there is no rule" in message
    assert message.split("the nearest: ")[1].split(",")[0].strip() == nearest


def test_an_unknown_rule_that_is_near_to_none_leads_to_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert "`list`" in refused(capsys, "explain", "???")


class Terminal:
    """Standard output that says whether it is a terminal."""

    def __init__(self, *, yes: bool) -> None:
        self.yes, self.text = yes, ""

    def isatty(self) -> bool:
        return self.yes

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(
    ("terminal", "environment", "colourful"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": ""}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    terminal: bool, environment: dict[str, str], colourful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = Terminal(yes=terminal)
    monkeypatch.setattr(sys, "stdout", out)
    main(["check", "rooted.json"])
    assert ("\033[" in out.text) is colourful


def test_an_interrupt_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "read_templates", interrupted)
    assert main(["check", "clean.json"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def started(
    *arguments: str, at: Path, code: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command, or a piece of Python, as a process of its own."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_", "LANG"))
    }
    program = ["-c", code] if code else ["-m", "ml_lens.rules"]
    return subprocess.run(  # noqa: S603
        [sys.executable, *program, *arguments],
        cwd=at,
        env=kept | environment,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_module_runs_as_a_command(here: Path) -> None:
    done = started("check", "rooted.json", at=here)
    assert done.returncode == 1, done.stderr
    assert b"MLLens-SEC02-NotebookNoRoot" in done.stdout


def test_a_command_that_is_refused_ends_with_two(here: Path) -> None:
    done = started("check", "broken.json", at=here)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"broken.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "locale", [{"LANG": "C"}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
)
def test_output_is_utf8_in_every_locale(locale: dict[str, str], here: Path) -> None:
    template = json.loads(notebook(RootAccess="Enabled"))
    template["Resources"]["Desk"]["Metadata"] = {"aws:cdk:path": "Labör/Größe/Resource"}
    (here / "desk.json").write_text(json.dumps(template), "utf-8")
    done = started("check", "desk.json", at=here, **locale)
    assert done.stderr == b""
    assert "  Desk (Labör/Größe/Resource)\n" in done.stdout.decode("utf-8")
    done = started("check", "Größe.json", at=here, **locale)
    assert done.returncode == 2
    assert len(done.stderr.decode("utf-8").splitlines()) == 1


def test_whoever_has_read_enough_may_close_the_pipe(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ml_lens.rules", "check", "rooted.json"],
            cwd=here,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 1, "the verdict stands, whoever reads it"


def test_the_command_needs_neither_the_cdk_nor_node(here: Path) -> None:
    told = "import sys; from ml_lens.rules.__main__ import main; main(['check', 'clean.json', '--format', 'sarif'])"
    done = started(at=here, code=f"{told}; print(*sys.modules, file=sys.stderr)")
    loaded = set(done.stderr.decode().split())
    assert "ml_lens.rules.sarif" in loaded
    assert {"aws_cdk", "jsii", "constructs", "cdk_nag", "boto3", "jsonschema"} & loaded == set()
