"""What the documentation shows works as it stands there."""

import importlib
import re
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks

from docs.costs import table
from ml_lens.rules.pack import MLLensChecks
from stacks import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent.parent
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)\)")
COMMAND = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)")
PAGES = (
    "README.md",
    "docs/constructs.md",
    "docs/rules.md",
    *(f"{package.replace('.', '/')}/README.md" for package in SCENARIOS.values()),
)
HANDLER = "def handler(event, context):\n    return {}\n"


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def snippets(page: str) -> list[str]:
    return SNIPPET.findall(text(page))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of the reader's own, with the two functions the snippets speak of."""
    for name in ("sweep_files", "describe_calls"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(HANDLER)
    return tmp_path


@pytest.fixture
def apps(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> list[cdk.App]:
    """The apps that a snippet makes, each writing below the reader's folder."""
    made: list[cdk.App] = []
    real_app = cdk.App

    def new_app(**props: Any) -> cdk.App:
        made.append(
            real_app(outdir=str(elsewhere / f"cdk.out{len(made)}"), analytics_reporting=False, **props)
        )
        cdk.Validations.of(made[-1]).add_plugins(AwsSolutionsChecks(made[-1]), MLLensChecks(made[-1]))
        return made[-1]

    monkeypatch.setattr(cdk, "App", new_app)
    return made


def run(page: str, elsewhere: Path) -> None:
    """Run the snippets of a page, which go on from each other."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(elsewhere / "app.py")}
    for number, snippet in enumerate(snippets(page)):
        exec(compile(snippet, f"{page}, snippet {number + 1}", "exec"), names)  # noqa: S102  (our own text)


@pytest.mark.parametrize("page", ["README.md", "docs/constructs.md"])
def test_the_snippets_run_and_synthesize_without_an_error(
    page: str, elsewhere: Path, apps: list[cdk.App]
) -> None:
    run(page, elsewhere)
    assert apps
    for app in apps:
        assert app.synth().stacks[0].template["Resources"]


def test_the_readme_shows_the_ten_lines_that_the_installed_wheel_is_tested_with() -> None:
    assert snippets("README.md") == [text("tests/app/ten_lines.py")]


@pytest.mark.parametrize("package", ["ml_lens.foundation", "ml_lens.ai_services", "ml_lens.hosting"])
def test_every_public_name_is_explained(package: str) -> None:
    explained = set(re.findall(r"^### `(\w+)`$", text("docs/constructs.md"), re.MULTILINE)) | {"PropError"}
    assert set(importlib.import_module(package).__all__) <= explained


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = LINK.findall(text(page))
    assert targets or page == "docs/rules.md"
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert (
        set(COMMAND.findall("\n".join(re.findall(r"`[^`]*`|^```[a-z]*\n.*?^```", text(page), re.M | re.S))))
        <= targets
    )


def test_the_costs_are_those_of_today() -> None:
    page = text("stacks/customer_demographics/README.md")
    assert table() in page, "the costs have changed: put in what python -m docs.costs prints"


def test_every_setting_is_explained() -> None:
    for name, package in SCENARIOS.items():
        page = text(f"{package.replace('.', '/')}/README.md")
        settings = importlib.import_module(package).Settings.__dataclass_fields__
        assert [each for each in settings if f"`{each}`" not in page] == [], name
