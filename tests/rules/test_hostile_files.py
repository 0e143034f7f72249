"""Whatever a file holds, it is read or it is refused in one line: no traceback, no endless work."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml_lens.rules import refusals, template_body
from ml_lens.rules.json_templates import parse_json
from ml_lens.rules.refusals import MalformedError
from ml_lens.rules.templates import UnusableInput, read_templates
from ml_lens.rules.yaml_templates import parse_yaml

HEAD = "Resources:\n  A: {Type: 'T::T::T'}\nMetadata:\n"
LOADERS = [yaml.SafeLoader, yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [yaml.SafeLoader]


def refusal(content: str | bytes, file: str = "a.json") -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        with pytest.raises(UnusableInput) as refused:
            read_templates([path])
    assert str(refused.value) == f"{path}: {refused.value.problem}"
    assert refused.value.path == path
    assert len(str(refused.value).splitlines()) == 1
    return refused.value.problem


def read_or_refused(content: bytes, file: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_bytes(content)
        for place in (path, path.parent):
            with suppress(UnusableInput):
                read_templates([place])


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("[]", "its top level is not an object"),
        ("just words", "its top level is not an object"),
        ("{}", "it has no object 'Resources'"),
        ('{"Resources": []}', "it has no object 'Resources'"),
        ('{"Resources": {"A": 5}}', "the resource 'A' is not an object"),
        ('{"Resources": {"A": {}}}', "the resource 'A' has no 'Type'"),
        ('{"Resources": {"A": {"Type": 5}}}', "the resource 'A' has no 'Type'"),
        ('{"Resources": {"A": {"Type": "T", "Properties": []}}}', "the resource 'A' has 'Properties' that"),
        ('{"Resources": {}, "Outputs": "x"}', "the template has 'Outputs' that is not an object"),
        ('{"Resources": {"A\\nB": 5}}', "the resource 'A\\nB' is not an object"),
        ('{\n "Resources": {]}', "malformed JSON at line 2, column 16"),
        ('{"Resources": {}} x', "malformed JSON at line 1, column 19"),
        ('{"Resources": {}, "a": NaN}', "NaN is not a value"),
        ('{"Resources": {}, "a": "\\ud800"}', "surrogate"),
        (
            '{"a": 1,\n"b": {"c": "}{", "d": {}},\n"\\u0062": 2}',
            "the key 'b' is given twice, again in line 3",
        ),
        (b'\xef\xbb\xbf{"a" 1}', "malformed JSON at line 1, column 6"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8 (byte 1)"),
        (b'{"a": "\xe9"}', "is not UTF-8 (byte 8)"),
    ],
)
def test_a_file_that_is_no_template_is_refused(content: str | bytes, said: str) -> None:
    assert said in refusal(content)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "malformed YAML at line"),
        ("a:\n\t- b", "malformed YAML at line 2, column 1"),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3", "the key 'c' is given twice, again in line 5"),
        ("a: 1\n---\nb: 2", "a second YAML document begins in line 2"),
        ("a: *b", "line 1: no anchor is called 'b'"),
        ("a: &a [*a]", "the alias 'a' stands within itself"),
        ("a: &a\n  <<: *a", "the alias 'a' stands within itself"),
        ("<<: 5", "'<<' merges mappings only"),
        ("? [a]\n: b", "a key has to be a text"),
        ("&a [b]: 1", "a key has to be a text"),
        ("a: &a [b]\n*a : 1", "a key has to be a text"),
        ('a: "\\ud800"', "malformed YAML"),
        ('a: "\\U00110000"', "malformed YAML"),
        ("a: \x00", "malformed YAML"),
        ("%YAML 1" + "9" * 5000 + ".1\n---\na", "malformed YAML"),
    ],
)
def test_malformed_yaml_is_refused(text: str, said: str, loader: Any) -> None:
    with pytest.raises(MalformedError) as refused:
        parse_yaml(text, loader)
    assert said in str(refused.value)


def test_a_missing_file_and_other_places_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.json", tmp_path / "\ud800", tmp_path / "nul\0", tmp_path / "a\nb"):
        with pytest.raises(UnusableInput, match="does not exist") as refused:
            read_templates([path])
        assert len(str(refused.value).splitlines()) == 1
        str(refused.value).encode()
    with pytest.raises(UnusableInput, match="cannot be read"):
        read_templates([tmp_path / ("x" * 5000)])
    with pytest.raises(UnusableInput, match="is not a file"):
        read_templates([Path("/dev/null")])
    with pytest.raises(UnusableInput, match="holds no CloudFormation template"):
        read_templates([tmp_path])
    with pytest.raises(UnusableInput, match="no path was given"):
        read_templates([])


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text('{"Resources": {}}')

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    for path in (tmp_path, tmp_path / "a.json"):
        with pytest.raises(UnusableInput, match=r"a\.json: cannot be read \(Permission denied\)"):
            read_templates([path])


def test_a_file_beyond_any_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_body, "MAX_BYTES", 30)
    assert "is larger than" in refusal('{"Resources": {}}' + " " * 20)


# --- depth ----------------------------------------------------------------------------------------


def test_two_hundred_levels_are_read_and_one_more_is_not() -> None:
    for parse in (parse_json, parse_yaml):
        parse("[" * 200 + "]" * 200)
        with pytest.raises(MalformedError, match="nests deeper than 200 levels"):
            parse("[" * 201 + "]" * 201)


def test_brackets_in_strings_have_no_depth() -> None:
    text = json.dumps({"a": "[" * 500 + '\\"{\\' * 500, "b\\": ["\\"] * 3})
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize("file", ["a.json", "a.yaml"])
@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"Resources":' + "[" * 100_000 + "]" * 100_000 + "}",
        "- " * 100_000,
        "Resources: " + "!Sub [" * 50_000,
        "? " * 100_000,
    ],
)
def test_a_bottomless_file_is_refused(content: str, file: str) -> None:
    assert "nests deeper" in refusal(content, file) or "malformed YAML" in refusal(content, file)


def test_aliases_and_short_forms_add_to_the_depth() -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))
    with pytest.raises(MalformedError, match="nests deeper"):
        parse_yaml(chain)
    with pytest.raises(MalformedError, match="nests deeper"):
        parse_yaml("!Not [" * 101 + "]" * 101)
    with pytest.raises(MalformedError, match="nests deeper"):
        parse_yaml("[" * 199 + "!GetAtt a.b" + "]" * 199)
    with pytest.raises(MalformedError, match="nests deeper"):
        parse_yaml(f"[&a [], {'[' * 199}*a{']' * 199}]")


def test_loops_at_the_bottom_of_a_deep_template_are_written_out() -> None:
    inner: Any = {"Fn::ForEach::L": ["T", ["x"], {"${T}": 1}]}
    for _ in range(190):
        inner = {"a": inner}
    body = template_body.template_body({"Resources": {}, "Conditions": inner}, "Fn::ForEach::")
    assert '{"x": 1}' in json.dumps(body)


# --- growth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["[{0}]", "{{a: [{0}], b: [{0}]}}", "!Join [{0}]"])
def test_a_billion_laughs_are_refused(shape: str) -> None:
    lines = ["  l0: &l0 {k: 1}"]
    for level in range(1, 12):
        inside = ", ".join([f"*l{level - 1}"] * 10)
        lines.append(f"  l{level}: &l{level} " + shape.format(inside))
    assert "holds more than 2,000,000 values" in refusal(HEAD + "\n".join(lines), "a.yaml")


def test_merge_keys_that_double_are_refused() -> None:
    lines = ["  m0: &m0 {k: 1}"]
    lines += [f"  m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], k{n}: 1}}" for n in range(1, 40)]
    assert "holds more than 2,000,000 values" in refusal(HEAD + "\n".join(lines), "a.yaml")


def test_json_with_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_lens.rules.json_templates.MAX_NODES", 10)
    assert parse_json(json.dumps([0] * 9)) == [0] * 9
    with pytest.raises(MalformedError, match="holds more than"):
        parse_json(json.dumps([0] * 20))


def test_loops_that_multiply_are_refused() -> None:
    loop: Any = {"X" + "".join(f"${{I{level}}}" for level in range(12)): {"Type": "T"}}
    for level in range(12):
        loop = {f"Fn::ForEach::L{level}": [f"I{level}", [f"a{n}" for n in range(100)], loop]}
    assert "with its loops written out" in refusal(json.dumps({"Resources": loop}))


def test_a_text_that_multiplies_in_a_loop_is_refused() -> None:
    loop = ["I", ["x" * 100_000], {"X": {"Type": "${I}" * 100_000}}]
    assert "with its loops written out" in refusal(json.dumps({"Resources": {"Fn::ForEach::L": loop}}))


def test_texts_that_double_from_loop_to_loop_are_refused() -> None:
    loop: Any = {"X": {"Type": "${I40}"}}
    for level in range(40, 0, -1):
        loop = {f"Fn::ForEach::L{level}": [f"I{level}", [f"${{I{level - 1}}}" * 2], loop]}
    loop = {"Fn::ForEach::L0": ["I0", ["xy"], loop]}
    assert "with its loops written out" in refusal(json.dumps({"Resources": loop}))


@pytest.mark.parametrize("number", ["9" * 5000, "1e999", "-1e999"])
def test_a_number_beyond_all_measure_stays_a_text(number: str) -> None:
    assert parse_json(f"[{number}]") == [number]
    assert parse_yaml(f"[{number}]") == [number]


# --- anything at all ------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WORDS = [
    *"[]{}:,-?&*!|>'\"%@#=~",
    *(
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "---\n",
        "...\n",
        "<<: ",
        "&a ",
        "*a",
        "!Ref ",
        "!GetAtt ",
        "!Sub ",
        "!!int ",
    ),
    *(
        "Resources:",
        "A:",
        "Type:",
        "AWS::S3::Bucket",
        "Fn::ForEach::L:",
        "[x, [a, b], {'${x}': {Type: T}}]",
        "1:30",
    ),
    *("\\ud800", "\ufeff", "é", "\t", "0x", "2012-10-17", "%YAML 1.1\n", "%TAG ! tag:x,2000:\n"),
]
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["Type", "Properties", "Metadata", "TemplateURL", "aws:asset:path"]),
    st.sampled_from(["AWS::CloudFormation::Stack", "", ".", "..", "a.json", "\0", "x" * 300, None, 5, [], {}])
    | st.dictionaries(
        st.sampled_from(["TemplateURL", "aws:asset:path"]), st.sampled_from([".", "a.json", "\0", 5])
    ),
)
SECTIONS = st.sampled_from(["Resources", "Parameters", "Outputs", "Conditions", "Transform"])
LOOPS = st.lists(
    JSON_VALUES | st.sampled_from(["x", ["a", "b"], {"Ref": "P"}, {"${x}": {"Type": "T"}}]), max_size=4
)
RESOURCES = st.dictionaries(
    st.sampled_from(["A", "Fn::ForEach::A", "Fn::Transform"]), JSON_VALUES | ATTRIBUTES | LOOPS
)


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.yaml", "manifest.json"]))
def test_no_bytes_raise_anything_else(content: bytes, file: str) -> None:
    read_or_refused(content, file)


@given(JSON_VALUES, st.sampled_from(["a.json", "a.yaml", "manifest.json"]))
def test_no_json_value_raises_anything_else(value: Any, file: str) -> None:
    read_or_refused(json.dumps(value).encode(), file)


@given(st.dictionaries(SECTIONS, JSON_VALUES | RESOURCES), st.sampled_from(["a.json", "a.yaml"]))
def test_nothing_like_a_template_raises_anything_else(body: Any, file: str) -> None:
    read_or_refused(json.dumps(body).encode(), file)


@given(
    st.fixed_dictionaries({"artifacts": st.dictionaries(st.text(max_size=3), JSON_VALUES | st.fixed_dictionaries({
        "type": st.sampled_from(["aws:cloudformation:stack", "cdk:cloud-assembly"]),
        "properties": st.dictionaries(
            st.sampled_from(["templateFile", "directoryName", "stackName", "tags"]),
            JSON_VALUES | st.sampled_from([".", "..", "manifest.json", "\0", "x" * 300, "/"]),
        ),
    }))})
)  # fmt: skip
def test_no_manifest_raises_anything_else(content: Any) -> None:
    read_or_refused(json.dumps(content).encode(), "manifest.json")


@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join), st.sampled_from(LOADERS))
def test_no_yaml_raises_anything_else(text: str, loader: Any) -> None:
    with suppress(MalformedError):
        parse_yaml(text, loader)
    read_or_refused(text.encode(), "a.yaml")


@given(JSON_VALUES)
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    text = json.dumps(value, allow_nan=False) if _finite(value) else "[]"
    assert parse_json(text) == json.loads(text)


def _finite(value: Any) -> bool:
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return "\\ud" not in text and all(len(digits) <= refusals.LONGEST_NUMBER for digits in text.split())
