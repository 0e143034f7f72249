"""What the functions write and read is what the template declares."""

import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from tests.stacks.synthesis import CHECKOUT
from tests.stacks.template import Template, text

LAMBDA = CHECKOUT / "lambda"
FUNCTIONS = {
    "face_attributes": "DemographicsAnalysisAnalyse",
    "erase_images": "DemographicsAnalysisErase",
    "empty_bucket": "BucketEmptierEmpty",
}


class Recording(dict[str, str]):
    """An environment that remembers what was read."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the face-attributes function, whose folder is an import root."""
    monkeypatch.syspath_prepend(str(LAMBDA / "face_attributes"))
    return importlib.import_module


def table(template: Template, name: str) -> dict[str, Any]:
    tables = (each["TableInput"] for each in template.resources("AWS::Glue::Table").values())
    return next(dict(each) for each in tables if each["Name"] == name)


def environment(template: Template, function: str) -> dict[str, str]:
    variables = template.one("AWS::Lambda::Function", FUNCTIONS[function])["Environment"]["Variables"]
    return {name: text(value) for name, value in variables.items()}


@pytest.mark.lens("F2-16", "F2-20")
@pytest.mark.parametrize(
    ("name", "module", "columns"),
    [("faces", "faces", "FACE_COLUMNS"), ("rejected", "rejections", "REJECTED_COLUMNS")],
)
def test_a_table_has_the_columns_that_the_function_writes_in_that_order(
    sandbox: Template, load: Any, name: str, module: str, columns: str
) -> None:
    declared = table(sandbox, name)["StorageDescriptor"]["Columns"]
    assert [column["Name"] for column in declared] == list(getattr(load(module), columns))


def _rows(load: Any) -> tuple[ModuleType, list[Any], list[Any]]:
    records, faces, rejections, uploads = map(load, ("records", "faces", "rejections", "uploads"))
    now = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
    upload = uploads.Upload("images", "a.jpg", "v1", 1, now)
    details = [
        {
            "Confidence": confidence,
            "AgeRange": {"Low": 20, "High": 30},
            "Gender": {"Value": "Male", "Confidence": confidence},
            "Emotions": [{"Type": name, "Confidence": 12.5} for name in faces.EMOTIONS],
        }
        for confidence in (99.9, 51.0)
    ]
    seen = faces.face_rows(upload, details, image_id="i", analysis_id="a", analysed_at=now)
    refused = rejections.rejected_row(upload, rejections.Reason.NO_FACE, "", analysis_id="a", rejected_at=now)
    return records, list(seen), [refused]


@pytest.mark.lens("F2-16", "F2-17", "F2-20")
def test_every_object_lies_in_a_partition_of_its_table(sandbox: Template, load: Any) -> None:
    records, seen, refused = _rows(load)
    thresholds = load("face_settings").read_settings(environment(sandbox, "face_attributes")).thresholds
    objects = records.result_objects("batch", seen, refused, thresholds)
    locations = {
        name: text(table(sandbox, name)["Parameters"]["storage.location.template"])
        for name in ("faces", "rejected")
    }
    bucket = sandbox.id("AWS::S3::Bucket", "DemographicsResults")
    expected = {
        locations[name].replace("${certainty}", certainty).replace("${upload_date}", "2026-11-20")
        for name, certainty in (("faces", "confident"), ("faces", "uncertain"), ("rejected", ""))
    }
    assert {f"s3://<{bucket}>/{each.key.rpartition('/')[0]}/" for each in objects} == expected
    assert all(each.key.endswith(".csv") for each in objects)


@pytest.mark.lens("AIS-02")
def test_the_function_reads_the_thresholds_that_the_view_enforces(variant: Template, load: Any) -> None:
    variables = environment(variant, "face_attributes")
    settings = load("face_settings").read_settings(variables)
    given = json.loads(variables["THRESHOLDS"])
    assert (settings.thresholds.age_range, settings.thresholds.gender) == (
        given["age_range"],
        given["gender"],
    )


def test_the_function_reads_every_variable_that_the_stack_sets_and_no_other(
    variant: Template, load: Any
) -> None:
    variables = Recording(environment(variant, "face_attributes"))
    load("face_settings").read_settings(variables)
    assert variables.read == {name for name in variables if not name.startswith("POWERTOOLS_")}


@pytest.mark.parametrize("function", ["erase_images", "empty_bucket"])
def test_the_other_functions_have_nothing_to_read(sandbox: Template, function: str) -> None:
    assert all(name.startswith("POWERTOOLS_") for name in environment(sandbox, function))
    assert not [source for source in _sources(function) if "environ" in _code(source)]


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_the_handler_is_where_the_template_says(sandbox: Template, function: str) -> None:
    module, _, name = sandbox.one("AWS::Lambda::Function", FUNCTIONS[function])["Handler"].partition(".")
    assert f"\ndef {name}(" in (LAMBDA / function / f"{module}.py").read_text()


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_functions_run_on_arm_with_traces_and_json_logs_in_a_group_of_their_own(
    sandbox: Template, function: str
) -> None:
    path = FUNCTIONS[function]
    properties = sandbox.one("AWS::Lambda::Function", path)
    assert properties["Architectures"] == ["arm64"]
    assert properties["TracingConfig"] == {"Mode": "Active"}
    group = sandbox.id("AWS::Logs::LogGroup", f"{path}Logs")
    assert properties["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": environment(sandbox, function)["POWERTOOLS_LOG_LEVEL"],
        "LogGroup": {"Ref": group},
    }
    assert len(properties["Layers"]) == 1
    assert environment(sandbox, function)["POWERTOOLS_SERVICE_NAME"] == function


def _sources(function: str) -> Iterator[Any]:
    return (LAMBDA / function).glob("*.py")


def _code(source: Any) -> str:
    """The source without its comments."""
    return "\n".join(line.partition("#")[0] for line in source.read_text().splitlines())
