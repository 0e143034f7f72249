"""Which templates a path leads to, and what they say once they are read."""

import json
from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.templates import TemplateFile, UnusableInput, read_templates
from ml_lens.rules.yaml_templates import parse_yaml

NOTEBOOK = {"Type": "AWS::SageMaker::NotebookInstance"}
TEMPLATE = {"Resources": {"Notebook": NOTEBOOK}}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def manifest(*artifacts: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    kinds = {"templateFile": "aws:cloudformation:stack", "directoryName": "cdk:cloud-assembly"}
    return {
        "version": "48.0.0",
        "artifacts": {
            id: {"type": next(kinds[key] for key in kinds if key in properties), "properties": properties}
            for id, properties in artifacts
        }
        | {"Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}}},
    }


def nested(file: str, key: str = "aws:asset:path") -> dict[str, Any]:
    stack: dict[str, Any] = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": "https://b/k"},
    }
    if key == "TemplateURL":
        stack["Properties"]["TemplateURL"] = file
    else:
        stack["Metadata"] = {key: file}
    return {"Resources": {"Nested": stack}}


def names(templates: tuple[TemplateFile, ...]) -> list[str]:
    return [template.name for template in templates]


def body_of(path: Path) -> Any:
    (template,) = read_templates([path])
    return template.body


# --- assemblies -----------------------------------------------------------------------------------


def test_an_assembly_gives_its_stacks_with_names_and_tags(tmp_path: Path) -> None:
    tags = {"mllens:environment": "dev"}
    stack = {"templateFile": "A.template.json", "stackName": "team-a", "tags": tags}
    write(tmp_path / "manifest.json", manifest(("A", stack), ("B", {"templateFile": "B.template.json"})))
    for name in ("A", "B", "Stale"):
        write(tmp_path / f"{name}.template.json", TEMPLATE)
    first, second = read_templates([tmp_path])
    assert (first.name, first.stack_name, first.tags) == ("A.template.json", "team-a", tags)
    assert (second.name, second.stack_name, second.tags) == ("B.template.json", "B", {})
    assert first.path == tmp_path / "A.template.json"
    assert first.body == TEMPLATE


def test_an_assembly_gives_the_stacks_of_its_stages(tmp_path: Path) -> None:
    stage = tmp_path / "assembly-Prod"
    write(tmp_path / "manifest.json", manifest(("assembly-Prod", {"directoryName": "assembly-Prod"})))
    write(stage / "manifest.json", manifest(("P", {"templateFile": "P.template.json", "stackName": "prod"})))
    write(stage / "P.template.json", TEMPLATE)
    (template,) = read_templates([tmp_path])
    assert (template.path, template.stack_name) == (stage / "P.template.json", "prod")


def test_a_stage_that_holds_itself_is_read_once(tmp_path: Path) -> None:
    artifacts = ("S", {"directoryName": "."}), ("A", {"templateFile": "A.template.json"})
    write(tmp_path / "manifest.json", manifest(*artifacts))
    write(tmp_path / "A.template.json", TEMPLATE)
    assert names(read_templates([tmp_path])) == ["A.template.json"]


def test_a_nested_stack_is_read_with_the_tags_of_its_parent(tmp_path: Path) -> None:
    write(
        tmp_path / "manifest.json",
        manifest(("A", {"templateFile": "A.template.json", "tags": {"owner": "x"}})),
    )
    write(tmp_path / "A.template.json", nested("A1.nested.template.json"))
    write(tmp_path / "A1.nested.template.json", nested("A2.nested.template.json"))
    write(tmp_path / "A2.nested.template.json", TEMPLATE)
    templates = read_templates([tmp_path])
    assert names(templates) == ["A.template.json", "A1.nested.template.json", "A2.nested.template.json"]
    assert [template.tags for template in templates] == [{"owner": "x"}] * 3
    assert templates[1].stack_name == "A1.nested"
    child_first = read_templates([tmp_path / "A2.nested.template.json", tmp_path])
    assert [template.tags for template in child_first] == [{"owner": "x"}] * 3


@pytest.mark.parametrize(
    ("artifacts", "said"),
    [
        ([("A", {"templateFile": "gone.json"})], "'gone.json', which is not there; run cdk synth again"),
        ([("A", {"templateFile": 5})], "names no templateFile"),
        ([("S", {"directoryName": "gone"})], "has no folder with a manifest.json"),
        ([("S", {"directoryName": "x" * 5000})], "has no folder with a manifest.json"),
        ([("A", {"templateFile": "nul\0"})], "which is not there"),
        ([], "holds no CloudFormation template"),
    ],
)
def test_an_assembly_that_promises_what_it_has_not_is_refused(
    tmp_path: Path, artifacts: list[Any], said: str
) -> None:
    write(tmp_path / "manifest.json", manifest(*artifacts))
    with pytest.raises(UnusableInput, match=said):
        read_templates([tmp_path])


def test_an_assembly_without_one_of_its_nested_templates_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "manifest.json", manifest(("A", {"templateFile": "A.template.json"})))
    write(tmp_path / "A.template.json", nested("gone.json"))
    with pytest.raises(UnusableInput, match=r"A\.template\.json: names the template 'gone\.json'"):
        read_templates([tmp_path])


def test_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "manifest.json", '{"artifacts": {"A": {"type": "aws:cloudformation:stack",')
    write(tmp_path / "A.template.json", TEMPLATE)
    with pytest.raises(UnusableInput, match=r"manifest\.json: malformed JSON at line 1"):
        read_templates([tmp_path])
    write(tmp_path / "manifest.json", "")
    write(tmp_path / "cdk.out", {"version": "48.0.0"})
    with pytest.raises(UnusableInput, match=r"manifest\.json: malformed JSON"):
        read_templates([tmp_path])


# --- single files ---------------------------------------------------------------------------------


def test_a_file_beside_a_manifest_has_the_name_and_tags_of_its_stack(tmp_path: Path) -> None:
    stack = {"templateFile": "A.template.json", "stackName": "team-a", "tags": {"owner": "x", "odd": 5}}
    write(tmp_path / "manifest.json", manifest(("A", stack)))
    (template,) = read_templates([write(tmp_path / "A.template.json", TEMPLATE)])
    assert (template.stack_name, template.tags) == ("team-a", {"owner": "x"})


@pytest.mark.parametrize("file", ["Churn.template.json", "Churn.json", "Churn.yaml", "Churn.template"])
def test_a_file_without_a_manifest_gives_the_stack_its_name(tmp_path: Path, file: str) -> None:
    (template,) = read_templates([write(tmp_path / file, TEMPLATE)])
    assert (template.stack_name, template.tags) == ("Churn", {})


def test_a_file_reached_twice_is_read_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", TEMPLATE)
    linked = tmp_path / "linked.yaml"
    linked.symlink_to(file)
    assert len(read_templates([file, tmp_path, linked, file])) == 1


@pytest.mark.parametrize("key", ["aws:asset:path", "TemplateURL"])
def test_a_file_brings_the_nested_templates_that_lie_on_disk(tmp_path: Path, key: str) -> None:
    parent = write(tmp_path / "parent.json", nested("below/child.yaml", key))
    assert names(read_templates([parent])) == ["parent.json"]
    write(tmp_path / "below/child.yaml", "Resources: {Topic: {Type: 'AWS::SNS::Topic'}}")
    assert names(read_templates([parent])) == ["parent.json", "child.yaml"]


def test_templates_that_nest_each_other_are_read_once(tmp_path: Path) -> None:
    first = write(tmp_path / "a.json", nested("b.json"))
    write(tmp_path / "b.json", nested("a.json"))
    assert names(read_templates([first])) == ["a.json", "b.json"]


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_gives_the_templates_in_it_and_below(tmp_path: Path) -> None:
    for file in ("b.json", "a.yml", "sub/c.yaml", "sub/deeper/d.template"):
        write(tmp_path / file, TEMPLATE)
    for file in ("node_modules/e.json", ".git/f.json", ".venv/g.json", "notes.txt"):
        write(tmp_path / file, TEMPLATE)
    assert names(read_templates([tmp_path])) == ["a.yml", "b.json", "c.yaml", "d.template"]


def test_a_folder_with_an_assembly_below_reads_it_by_its_manifest(tmp_path: Path) -> None:
    write(tmp_path / "cdk.out/manifest.json", manifest(("A", {"templateFile": "A.template.json"})))
    write(tmp_path / "cdk.out/A.template.json", TEMPLATE)
    write(tmp_path / "cdk.out/Stale.template.json", TEMPLATE)
    write(tmp_path / "cdk.out/asset.1/Other.template.json", TEMPLATE)
    write(tmp_path / "other.json", TEMPLATE)
    assert names(read_templates([tmp_path])) == ["other.json", "A.template.json"]


@pytest.mark.parametrize(
    "other",
    [
        {"dependencies": {}},
        [1, 2],
        {"Resources": {"a": {"kind": "x"}}},
        {"Resources": ["AWS::S3::Bucket"]},
        '{"Resources": broken',
        "a: [b",
        "Resources: 1\n---\nkind: Pod",
        "{{ .Values.Resources }}",
        "Resources: \x01",
    ],
)
def test_a_folder_passes_over_files_that_are_no_templates(tmp_path: Path, other: Any) -> None:
    write(tmp_path / "a.json", TEMPLATE)
    for file in ("other.json", "other.yaml", "manifest.json"):
        write(tmp_path / file, other)
    (tmp_path / "latin.yaml").write_bytes(b"\xe9Resources")
    assert names(read_templates([tmp_path])) == ["a.json"]


@pytest.mark.parametrize(
    ("file", "broken"),
    [
        ("b.json", '{"AWSTemplateFormatVersion": "2010-09-09", '),
        ("b.json", '{"Resources": {"A": {"Type": "AWS::S3::Bucket"}'),
        ("b.yaml", "Resources:\n  A:\n    Type: AWS::S3::Bucket\n   b: ["),
        ("b.yaml", "Resources:\n  A:\n    Type: AWS::S3::Bucket\n  B: 5"),
        ("b.json", {"Resources": {"A": {"Type": 5}}}),
        ("b.json", {"AWSTemplateFormatVersion": "2010-09-09"}),
    ],
)
def test_a_folder_with_a_broken_template_is_refused(tmp_path: Path, file: str, broken: Any) -> None:
    write(tmp_path / "a.json", TEMPLATE)
    write(tmp_path / file, broken)
    with pytest.raises(UnusableInput, match=file):
        read_templates([tmp_path])


# --- YAML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("!Ref Key", {"Ref": "Key"}),
        ("!Condition IsProd", {"Condition": "IsProd"}),
        ("!GetAtt Key.Arn", {"Fn::GetAtt": ["Key", "Arn"]}),
        ("!GetAtt Nested.Outputs.Arn", {"Fn::GetAtt": ["Nested", "Outputs.Arn"]}),
        ("!GetAtt [Key, Arn]", {"Fn::GetAtt": ["Key", "Arn"]}),
        ("!Sub '${A}-x'", {"Fn::Sub": "${A}-x"}),
        ("!Sub ['${A}', {A: !Ref B}]", {"Fn::Sub": ["${A}", {"A": {"Ref": "B"}}]}),
        ("!Join ['', [a, !Ref B]]", {"Fn::Join": ["", ["a", {"Ref": "B"}]]}),
        ("!If [C, yes, !Ref AWS::NoValue]", {"Fn::If": ["C", True, {"Ref": "AWS::NoValue"}]}),
        ("!FindInMap [M, a, b]", {"Fn::FindInMap": ["M", "a", "b"]}),
        ("!ImportValue x", {"Fn::ImportValue": "x"}),
        ("!Select [0, !GetAZs '']", {"Fn::Select": [0, {"Fn::GetAZs": ""}]}),
        ("!Base64 yes", {"Fn::Base64": "yes"}),
        ("!Transform {Name: AWS::Include}", {"Fn::Transform": {"Name": "AWS::Include"}}),
        ("!Not [!Equals [a, b]]", {"Fn::Not": [{"Fn::Equals": ["a", "b"]}]}),
        (
            "!GetStackOutput {StackName: s, OutputName: o}",
            {"Fn::GetStackOutput": {"StackName": "s", "OutputName": "o"}},
        ),
        ("!SomethingNew {a: 1}", {"Fn::SomethingNew": {"a": 1}}),
    ],
)
def test_a_short_form_means_its_long_form(short: str, long: Any) -> None:
    assert parse_yaml(f"value: {short}") == {"value": long}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2012-10-17", "2012-10-17"),
        ("2010-09-09T10:00:00Z", "2010-09-09T10:00:00Z"),
        ("yes", True),
        ("Off", False),
        ("'yes'", "yes"),
        ("", None),
        ("~", None),
        ("30", 30),
        ("0.5", 0.5),
        ("012345678901", "012345678901"),
        ("0x_", "0x_"),
        (".inf", ".inf"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("! 5", "5"),
        ("!!python/name:os.system ''", ""),
    ],
)
def test_a_yaml_scalar_means_what_it_means_to_cloudformation(written: str, meant: Any) -> None:
    value = parse_yaml(f"value: {written}")["value"]
    assert (value, type(value)) == (meant, type(meant))


def test_yaml_keys_are_texts() -> None:
    assert parse_yaml("on: 1\n123456789012: 2\n2012-10-17: 3") == {
        "on": 1,
        "123456789012": 2,
        "2012-10-17": 3,
    }


def test_anchors_and_merge_keys_are_followed() -> None:
    text = (
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  z: 3\nd: {<<: *a}\n'<<': 4\n&k e: *k"
    )
    read = parse_yaml(text)
    assert read["c"] == {"x": 1, "y": 1, "z": 3}
    assert read["d"] == {"x": 1, "y": 1}
    assert (read["<<"], read["e"]) == (4, "e")


@pytest.mark.parametrize("file", ["a.yaml", "a.json", "a.template"])
def test_the_content_tells_json_from_yaml(tmp_path: Path, file: str) -> None:
    assert body_of(write(tmp_path / file, "\ufeff" + json.dumps(TEMPLATE, indent="\t"))) == TEMPLATE
    assert (
        body_of(write(tmp_path / file, "Resources:\n  Notebook: {Type: AWS::SageMaker::NotebookInstance}"))
        == TEMPLATE
    )


def test_a_yaml_file_may_be_one_flow_mapping(tmp_path: Path) -> None:
    text = "{Resources: {Notebook: {Type: AWS::SageMaker::NotebookInstance}}}"
    assert body_of(write(tmp_path / "a.yaml", text)) == TEMPLATE
    with pytest.raises(UnusableInput, match="malformed JSON at line 1, column 2"):
        read_templates([write(tmp_path / "a.json", text)])


def test_a_section_without_a_value_is_as_good_as_none(tmp_path: Path) -> None:
    notebook = "  Notebook:\n    Type: AWS::SageMaker::NotebookInstance\n    Properties:\n"
    text = f"Parameters:\nOutputs:\nResources:\n{notebook}"
    assert body_of(write(tmp_path / "a.yaml", text)) == TEMPLATE


def test_what_a_macro_includes_is_no_resource(tmp_path: Path) -> None:
    include = {"Fn::Transform": {"Name": "AWS::Include"}}
    assert body_of(write(tmp_path / "a.json", {"Resources": TEMPLATE["Resources"] | include})) == TEMPLATE


# --- loops ----------------------------------------------------------------------------------------


def looped(tmp_path: Path, loop: Any, parameters: Any = None) -> Any:
    body = {"Parameters": parameters or {}, "Resources": {"Fn::ForEach::Loop": loop}}
    return body_of(write(tmp_path / "a.json", {"Transform": "AWS::LanguageExtensions"} | body))["Resources"]


def test_a_loop_over_literals_is_written_out(tmp_path: Path) -> None:
    properties = {
        "BucketName": {"Fn::Sub": "${Team}-${AWS::Region}"},
        "Note": "${Team}",
        "Owner": {"Ref": "Team"},
    }
    made = looped(
        tmp_path, ["Team", ["Red", "Blue"], {"B${Team}": {"Type": "T::T::T", "Properties": properties}}]
    )
    assert list(made) == ["BRed", "BBlue"]
    assert made["BRed"]["Properties"] == {
        "BucketName": {"Fn::Sub": "Red-${AWS::Region}"},
        "Note": "Red",
        "Owner": "Red",
    }


def test_a_loop_can_strip_an_item_for_a_name(tmp_path: Path) -> None:
    made = looped(tmp_path, ["Cidr", ["10.0.0.0/8"], {"V&{Cidr}": {"Type": "${Cidr}"}}])
    assert made == {"V100008": {"Type": "10.0.0.0/8"}}


def test_a_loop_over_a_parameter_takes_its_default(tmp_path: Path) -> None:
    loop = ["Team", {"Ref": "Teams"}, {"B${Team}": NOTEBOOK}]
    given = {"Teams": {"Type": "CommaDelimitedList", "Default": "Red, Blue"}}
    assert list(looped(tmp_path, loop, given)) == ["BRed", "BBlue"]
    assert list(looped(tmp_path, loop, {"Teams": {"Type": "CommaDelimitedList"}})) == ["B${Team}"]
    assert list(looped(tmp_path, ["Team", {"Fn::FindInMap": ["a", "b", "c"]}, loop[2]])) == ["B${Team}"]
    assert list(looped(tmp_path, ["Team", ["Red", {"Ref": "Teams"}], loop[2]])) == ["BRed", "B${Team}"]


def test_loops_nest_and_work_within_properties(tmp_path: Path) -> None:
    properties = {"Fn::ForEach::P": ["P", ["Q"], {"${P}": "${T}${S}"}]}
    inner = ["S", ["1", "2"], {"B${T}${S}": {"Type": "T::T::T", "Properties": properties}}]
    made = looped(tmp_path, ["T", ["X", "Y"], {"Fn::ForEach::Inner": inner}])
    assert list(made) == ["BX1", "BX2", "BY1", "BY2"]
    assert made["BY2"]["Properties"] == {"Q": "Y2"}


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        ("x", "is not \\[identifier, collection"),
        (["T", "Red", {}], "is not \\[identifier, collection"),
        (["T", ["Red"], []], "is not \\[identifier, collection"),
        (["T", ["Red", "Blue"], {"B": NOTEBOOK}], "makes 'B' a second time"),
        (["T", ["Red"], {"B${T}": 5}], "the resource 'BRed' is not an object"),
    ],
)
def test_a_loop_that_is_none_is_refused(tmp_path: Path, loop: Any, said: str) -> None:
    with pytest.raises(UnusableInput, match=said):
        looped(tmp_path, loop)
