"""Documents inside properties are read as Step Functions, SageMaker and CloudFormation read them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_lens.rules.bodies import document, pipeline, script, state_machine
from ml_lens.rules.graph import Node
from ml_lens.rules.tasks import (
    PIPELINE,
    STATE_MACHINE,
    definition,
    open_request,
    states,
    steps,
    training_tasks,
    unread_body,
)
from ml_lens.rules.templates import TemplateFile
from tests.rules.apps import app, graph, node, value

TASK = "arn:aws:states:::sagemaker:createTrainingJob.sync"


def machine(**properties: Any) -> Node:
    resources = {
        "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties},
        "Role": {"Type": "AWS::IAM::Role"},
        "Key": {"Type": "AWS::KMS::Key"},
    }
    return node(app({"Resources": resources, "Parameters": {"Count": {"Type": "Number"}}}), "Machine")


def working(request: Any, *, name: str = "Parameters", resource: str = TASK) -> dict[str, Any]:
    """A definition with one task ``Work``."""
    state = {"Type": "Task", "Resource": resource, "End": True, name: request}
    return {"StartAt": "Work", "States": {"Work": state}}


def pipeline_node(body: Any) -> Node:
    properties = {"PipelineDefinition": body}
    return node(
        app({"Resources": {"Pipeline": {"Type": "AWS::SageMaker::Pipeline", "Properties": properties}}}),
        "Pipeline",
    )


def request_of(machine: Node) -> Any:
    (task,) = training_tasks(machine)
    return task.arguments


# References in a body


@pytest.mark.parametrize(
    "body",
    [
        {"Fn::Sub": '{"Key": "${Bucket}", "Count": ${Endpoint.EndpointName}}'},
        {
            "Fn::Join": [
                "",
                [
                    '{"Key": "',
                    {"Ref": "Bucket"},
                    '", "Count": ',
                    {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
                    "}",
                ],
            ]
        },
    ],
)
def test_a_reference_is_kept_inside_and_outside_quotes(body: Any) -> None:
    read = document(value(body))
    assert read is not None
    assert read["Key"].reference is read["Count"].node.scope.node("Bucket")
    assert read["Count"].reference is read["Count"].node.scope.node("Endpoint")
    assert read["Count"].path == "Value.Count"


def test_a_reference_inside_a_longer_string_keeps_what_is_around_it() -> None:
    read = document(value({"Fn::Sub": '{"Uri": "s3://${Bucket}/a\\"b", "Other": "x"}'}))
    assert read is not None
    assert read["Uri"].text == 's3://${Bucket}/a"b'
    assert [each.logical_id for each in read["Uri"].references] == ["Bucket"]
    assert read["Other"].literal == "x"


def test_a_quote_that_is_escaped_does_not_end_a_string() -> None:
    read = document(value({"Fn::Sub": '{"a": "\\\\", "b": "\\"${Bucket}", "c": ${Bucket}}'}))
    assert read is not None
    assert (read["a"].text, read["b"].text, read["c"].text) == ("\\", '"${Bucket}', "${Bucket}")


def test_a_literal_that_functions_put_together_is_a_literal() -> None:
    read = document(value({"Fn::Join": ["", ['{"Count": ', 2, ', "On": ', True, "}"]]}))
    assert read is not None
    assert read["Count"].literal == 2
    assert read["On"].literal is True


def test_a_key_with_a_reference_is_named_as_it_is_shown() -> None:
    read = document(value({"Fn::Sub": '{"Train-${Bucket}": {"x": 1}}'}))
    assert read is not None
    assert [key for key, _ in read.members] == ["Train-${Bucket}"]
    assert read["Train-${Bucket}"]["x"].path == "Value.Train-${Bucket}.x"


def test_characters_that_mark_references_are_no_references_in_a_body() -> None:
    body = json.dumps({"a": "\ue0000\ue001", "b": "\ue00099\ue001"})  # written with escapes
    read = document(value({"Fn::Join": ["", [body[:-1], ', "c": "', {"Ref": "Bucket"}, '"}']]}))
    assert read is not None
    assert read["c"].text == "${Bucket}"
    assert read["b"].is_literal


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no document",
        "7",
        '"text"',
        "{",
        '{"a": }',
        "[1, 2",
        "{'a': 1}",
        {"Ref": "Nobody"},
        None,
        7,
        "a: [1",
        "\x00",
    ],
)
def test_what_is_no_document_is_not_read(body: Any) -> None:
    assert document(value(body)) is None


def test_a_document_that_is_too_deep_is_not_read() -> None:
    assert document(value('{"a":' * 150 + "1" + "}" * 150)) is not None
    for deep in ('{"a":' * 250 + "1" + "}" * 250, "[" * 100_000 + "]" * 100_000, "- " * 5_000 + "a"):
        assert document(value(deep)) is None


def test_anchors_that_multiply_are_not_followed() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 12)]
    assert document(value("\n".join(lines))) is None
    assert document(value("a: &a\n  b: *a")) is None


def test_text_that_nobody_can_print_is_not_read() -> None:
    assert document(value('{"a": "\\ud800"}')) is None
    assert document(value('{"\\udfff": 1}')) is None
    assert document(value('{"a": "\\ud83d\\ude00"}')) is not None


# Substitutions


def test_a_substitution_is_put_in_before_the_definition_is_read() -> None:
    body = json.dumps(working({"RoleArn": "${Role}", "Name": "a-${Stage}"}))
    body = body.replace('"Name": "a-${Stage}"', '"Name": "a-${Stage}", "Count": ${Count}, "On": ${On}')
    read = request_of(
        machine(
            DefinitionString=body,
            DefinitionSubstitutions={
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Stage": "b",
                "Count": 2,
                "On": True,
            },
        )
    )
    assert read["RoleArn"].reference.logical_id == "Role"
    assert (read["Name"].literal, read["Count"].literal, read["On"].literal) == ("a-b", 2, True)


def test_a_substitution_that_is_open_is_open_in_the_definition() -> None:
    body = json.dumps(working({"N": "@"})).replace('"@"', "${Count}")
    read = request_of(machine(DefinitionString=body, DefinitionSubstitutions={"Count": {"Ref": "Count"}}))
    assert read["N"].is_open
    assert read["N"].text == "${Count}"


def test_a_number_without_its_substitution_makes_the_definition_unreadable() -> None:
    whole = machine(DefinitionString='{"States": {"Work": {"Parameters": {"N": ${Count}}}}}')
    assert definition(whole) is None
    unread = unread_body(whole)
    assert unread is not None
    assert unread.path == "DefinitionString"


def test_a_definition_may_be_an_object_with_substitutions() -> None:
    written = working(
        {"RoleArn": "${Role}", "Uri": "s3://${Bucket}/x", "Key": {"Fn::GetAtt": ["Key", "Arn"]}}
    )
    read = request_of(
        machine(
            Definition=written,
            DefinitionSubstitutions={"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Bucket": "models"},
        )
    )
    assert read["RoleArn"].reference.logical_id == "Role"
    assert read["Uri"].literal == "s3://models/x"
    assert read["Key"].reference.logical_id == "Key"
    assert read["Key"].path == "Definition.States.Work.Parameters.Key"


def test_a_name_in_sub_is_a_resource_and_no_substitution() -> None:
    read = request_of(
        machine(
            Definition=working({"RoleArn": {"Fn::Sub": "${Role.Arn}"}, "Name": {"Fn::Sub": "a-${Role}"}}),
            DefinitionSubstitutions={"Role": "somebody", "Role.Arn": "nobody"},
        )
    )
    assert read["RoleArn"].reference.logical_id == "Role"
    assert read["Name"].text == "a-${Role}"
    assert read["Name"].references


def test_substitutions_reach_both_branches_of_a_condition() -> None:
    branches = [working({"Name": "${Stage}-1"}), working({"Name": "${Stage}-2"})]
    whole = machine(Definition={"Fn::If": ["Big", *branches]}, DefinitionSubstitutions={"Stage": "dev"})
    names: set[object] = set()

    def judged() -> list[Any]:
        names.add(request_of(whole)["Name"].literal)
        return []

    whole.graph.assumptions.explore(judged)
    assert names == {"dev-1", "dev-2"}


# Definitions that are stored


def stored(
    folder: Path, name: str, text: str, key: str, *, template_folder: Path | None = None, **more: Any
) -> Node:
    (folder / name).write_text(text, encoding="utf-8")
    body = {
        "Resources": {
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {"DefinitionS3Location": {"Bucket": "assets", "Key": key}, **more},
            }
        }
    }
    place = template_folder or folder
    read = TemplateFile(place / "App.template.json", "App.template.json", body, "App", {})
    return node(graph(read), "Machine")


def test_an_asset_beside_the_template_is_read(tmp_path: Path) -> None:
    body = json.dumps(working({"Name": "${Stage}"}))
    whole = stored(tmp_path, "asset.1f.json", body, "1f.json", DefinitionSubstitutions={"Stage": "dev"})
    assert request_of(whole)["Name"].literal == "dev"
    assert unread_body(whole) is None


def test_an_asset_with_a_prefix_in_its_bucket_is_read(tmp_path: Path) -> None:
    whole = stored(tmp_path, "asset.1f.json", json.dumps(working({"Name": "x"})), "team/1f.json")
    assert request_of(whole)["Name"].literal == "x"


def test_an_asset_of_a_stage_lies_in_the_folder_of_its_app(tmp_path: Path) -> None:
    inner = tmp_path / "assembly-Prod"
    inner.mkdir()
    body = json.dumps(working({"Name": "x"}))
    assert training_tasks(stored(tmp_path, "asset.1f.json", body, "1f.json", template_folder=inner))
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert unread_body(stored(tmp_path, "asset.1f.json", body, "1f.json", template_folder=other)) is not None


def test_an_asset_in_yaml_is_read_with_its_references(tmp_path: Path) -> None:
    body = f"""# how it's trained
StartAt: Work
States:
  Work:
    Type: Task
    Resource: {TASK}
    Parameters:
      Name: a "quoted ${{Stage}} name
      Role: arn:aws:iam::111122223333:role/${{Role}}
      Count: 2
"""
    whole = stored(
        tmp_path, "asset.1f.yaml", body, "1f.yaml", DefinitionSubstitutions={"Role": {"Ref": "Nobody"}}
    )
    read = request_of(whole)
    assert read["Role"].text == "arn:aws:iam::111122223333:role/${Nobody}"
    assert read["Name"].text == 'a "quoted ${Stage} name'
    assert read["Count"].number == 2


@pytest.mark.parametrize(
    "key", ["gone.json", "", "../1f.json/..", "..\\1f.json", "a\x00b", {"Ref": "Nobody"}, 7]
)
def test_what_is_stored_elsewhere_is_said_to_be_unread(tmp_path: Path, key: Any) -> None:
    whole = stored(tmp_path, "asset.1f.json", "{}", key)
    assert training_tasks(whole) == []
    unread = unread_body(whole)
    assert unread is not None
    assert unread.path == "DefinitionS3Location"


def test_an_asset_that_is_a_folder_or_no_text_is_unread(tmp_path: Path) -> None:
    whole = stored(tmp_path, "asset.1f.json", "{}", "2f.json")
    (tmp_path / "asset.2f.json").mkdir()
    assert unread_body(whole) is not None
    whole = stored(tmp_path, "asset.3f.json", "{}", "4f.json")
    (tmp_path / "asset.4f.json").write_bytes(b"\xff\xfe\x00")
    assert unread_body(whole) is not None


def test_a_state_machine_without_a_definition_has_nothing_unread() -> None:
    assert unread_body(machine()) is None


# What Step Functions computes


def test_what_jsonpath_computes_is_open_under_the_name_of_the_property() -> None:
    read = request_of(
        machine(
            Definition=working(
                {"Tags.$": "$.tags", "ResourceConfig": {"InstanceCount.$": "$.n", "VolumeSizeInGB": 1}}
            )
        )
    )
    assert read["Tags"].is_open
    assert read["Tags"].may_be_empty
    assert read["ResourceConfig"]["InstanceCount"].shown == "$.n"
    assert read["ResourceConfig"]["VolumeSizeInGB"].literal == 1


def test_what_jsonata_computes_is_open() -> None:
    read = request_of(
        machine(Definition=working({"Count": "{% $n + 1 %}", "Name": "{ % plain"}, name="Arguments"))
    )
    assert read["Count"].is_open
    assert read["Name"].literal == "{ % plain"


def test_an_expression_with_a_reference_in_it_is_open() -> None:
    body = json.dumps(working({"Uri.$": "States.Format('s3://@/{}', $.x)", "Other": "{% '@' & $x %}"}))
    before, middle, after = body.split("@")
    whole = machine(
        DefinitionString={"Fn::Join": ["", [before, {"Ref": "Key"}, middle, {"Ref": "Key"}, after]]}
    )
    read = request_of(whole)
    assert read["Uri"].is_open
    assert read["Uri"].shown == "States.Format('s3://${Key}/{}', $.x)"
    assert read["Other"].is_open


def test_a_member_of_something_computed_may_be_missing() -> None:
    read = request_of(machine(Definition=working({"VpcConfig.$": "$.vpc"})))
    assert read["VpcConfig"]["Subnets"].is_open
    assert read["VpcConfig"]["Subnets"].may_be_empty
    assert read["VpcConfig"]["Subnets"].identity != read["VpcConfig"]["SecurityGroupIds"].identity


@pytest.mark.parametrize("request_is", ["{% $request %}", None])
def test_a_request_that_is_wholly_computed_is_one_open_answer(request_is: Any) -> None:
    body = working(request_is, name="Arguments")
    (task,) = training_tasks(machine(Definition=body))
    verdict = open_request(task)
    assert verdict is not None
    assert verdict.path.startswith("Definition.States.Work.")


# Which states and steps start jobs


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("arn:aws:states:::sagemaker:createTrainingJob", "training"),
        ("arn:aws:states:::sagemaker:createTrainingJob.sync", "training"),
        ("arn:aws-cn:states:::sagemaker:createTrainingJob.sync:2", "training"),
        ({"Fn::Sub": "arn:${AWS::Partition}:states:::sagemaker:createTrainingJob.sync"}, "training"),
        ("arn:aws:states:::aws-sdk:sagemaker:createTrainingJob", "training"),
        ("arn:aws:states:::aws-sdk:sagemaker:createTrainingJob.waitForTaskToken", "training"),
        ("arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync", "tuning"),
        ("arn:aws:states:::sagemaker:createProcessingJob.sync", "processing"),
        ("arn:aws:states:::sagemaker:createTransformJob.sync", "transform"),
        ("arn:aws:states:::sagemaker:createLabelingJob.sync", "labeling"),
        ("arn:aws:states:::aws-sdk:sagemaker:createAutoMLJob", "automl"),
        ("arn:aws:states:::aws-sdk:sagemaker:createAutoMLJobV2", "automl"),
        ("arn:aws:states:::sagemaker:createModel", None),
        ("arn:aws:states:::aws-sdk:sagemaker:createTrainingJobs", None),
        ("arn:aws:states:::aws-sdk:sagemaker:describeTrainingJob", None),
        ("arn:aws:states:::lambda:invoke", None),
        ("arn:aws:lambda:eu-west-1:111122223333:function:createTrainingJob", None),
        (None, None),
    ],
)
def test_a_state_that_calls_sagemaker_starts_a_job(resource: Any, kind: str | None) -> None:
    whole = machine(Definition=working({"A": 1}, resource=resource))
    assert [task.kind for task in training_tasks(whole)] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("resource", "api", "calls"),
    [
        ("arn:aws:states:::sagemaker:createEndpoint", "createEndpoint", True),
        ("arn:aws:states:::sagemaker:createEndpoint.sync:2", "createEndpoint", True),
        ("arn:aws:states:::aws-sdk:sagemaker:createEndpoint", "createEndpoint", True),
        ("arn:aws:states:::sagemaker:createEndpointConfig", "createEndpoint", False),
        ("arn:aws:states:::sagemaker:updateEndpoint", "createEndpoint", False),
    ],
)
def test_a_state_knows_which_api_it_calls(resource: str, api: str, calls: bool) -> None:
    (state,) = states(machine(Definition=working({}, resource=resource)))
    assert state.calls(api) is calls


def test_states_are_found_in_maps_parallel_branches_and_old_iterators() -> None:
    def nested(name: str) -> dict[str, Any]:
        return {
            "StartAt": name,
            "States": {name: {"Type": "Task", "Resource": TASK, "Parameters": {"Is": name}}},
        }

    outer = {
        "Type": "Map",
        "ItemProcessor": {"States": {"Inner": {"Type": "Parallel", "Branches": [nested("Deep")]}}},
    }
    whole = machine(
        Definition={
            "States": {
                "Map": {"Type": "Map", "ItemProcessor": nested("A")},
                "Old": {"Type": "Map", "Iterator": nested("B")},
                "Both": {"Type": "Parallel", "Branches": [nested("C"), nested("D")]},
                "Outer": outer,
                "Last": {"Type": "Succeed"},
            }
        }
    )
    assert {task.name for task in training_tasks(whole)} == {"A", "B", "C", "D", "Deep"}
    assert len(states(whole)) == 11
    deep = next(task for task in training_tasks(whole) if task.name == "Deep")
    assert (
        deep["Is"].path
        == "Definition.States.Outer.ItemProcessor.States.Inner.Branches.States.Deep.Parameters.Is"
    )
    (b,) = [state for state in states(whole) if state.name == "B"]
    assert [name for name, _ in b.siblings.members] == ["B"]


def test_a_tuning_job_runs_one_definition_or_several() -> None:
    tuning = "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync"
    one = {"TrainingJobDefinition": {"Is": 1}}
    several = {"TrainingJobDefinitions": [{"Is": 2}, {"Is": 3}]}
    found = [
        [
            job["Is"].literal
            for job in training_tasks(machine(Definition=working(each, resource=tuning)))[0].jobs
        ]
        for each in (one, several)
    ]
    assert found == [[1], [2, 3]]


def test_steps_of_pipelines_and_of_their_conditions_start_jobs() -> None:
    condition = {
        "Name": "Good",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [],
            "IfSteps": [{"Name": "T", "Type": "Tuning", "Arguments": {}}],
            "ElseSteps": [
                {
                    "Name": "Again",
                    "Type": "Condition",
                    "Arguments": {"IfSteps": [], "ElseSteps": [{"Name": "A", "Type": "AutoML"}]},
                }
            ],
        },
    }
    body = {
        "Steps": [
            {"Name": "P", "Type": "Processing", "Arguments": {}},
            {"Name": "R", "Type": "Training", "Arguments": {}},
            {"Name": "X", "Type": "Transform", "Arguments": {}},
            {"Name": "M", "Type": "RegisterModel", "Arguments": {}},
            {"Name": "L", "Type": "Lambda"},
            condition,
        ]
    }
    for written in (body, {"PipelineDefinitionBody": json.dumps(body)}):
        whole = pipeline_node(written)
        assert {task.name: task.kind for task in training_tasks(whole)} == {
            "P": "processing",
            "R": "training",
            "X": "transform",
            "T": "tuning",
            "A": "automl",
        }
        assert len(steps(whole)) == 9
        owners = whole.graph.nodes(STATE_MACHINE, PIPELINE)
        assert sum(len(training_tasks(owner)) for owner in owners) == 5


def test_what_a_pipeline_computes_is_open() -> None:
    arguments = {
        "RoleArn": {"Get": "Parameters.Role"},
        "Uri": {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.Bucket"}]}},
        "Metric": {"Std:JsonGet": {"Path": "a.b"}},
        "Environment": {"Get": "kept", "Other": 1},
    }
    (task,) = training_tasks(
        pipeline_node(
            {
                "PipelineDefinitionBody": json.dumps(
                    {"Steps": [{"Name": "T", "Type": "Training", "Arguments": arguments}]}
                )
            }
        )
    )
    assert task["RoleArn"].shown == "Parameters.Role"
    assert all(task[name].is_open for name in ("RoleArn", "Uri", "Metric"))
    assert task["Environment"]["Get"].literal == "kept"


def test_a_pipeline_elsewhere_is_said_to_be_unread() -> None:
    whole = pipeline_node({"PipelineDefinitionS3Location": {"Bucket": "b", "Key": "k.json"}})
    unread = unread_body(whole)
    assert unread is not None
    assert unread.path == "PipelineDefinition.PipelineDefinitionS3Location"
    assert steps(whole) == []


# Other documents


def test_a_recipe_in_yaml_is_read() -> None:
    recipe = """
RecipeFormatVersion: '2020-01-25'
ComponentName: com.example
Manifests:
  - Platform: {os: linux}
1: 2
"""
    read = document(value(recipe))
    assert read is not None
    assert read["ComponentName"].literal == "com.example"
    assert read["Manifests"].elements[0]["Platform"]["os"].literal == "linux"
    assert read["1"].literal == 2


def test_a_dashboard_is_read() -> None:
    metric = '["AWS/SageMaker", "Invocations", "EndpointName", "${Endpoint.EndpointName}"]'
    read = document(value({"Fn::Sub": f'{{"widgets": [{{"properties": {{"metrics": [{metric}]}}}}]}}'}))
    assert read is not None
    (widget,) = read["widgets"].elements
    assert widget["properties"]["metrics"].elements[0].elements[3].reference is not None


TEXT = "#!/bin/bash\nautostop"
ENCODED = base64.b64encode(TEXT.encode()).decode()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (ENCODED, TEXT),
        (f"{ENCODED[:8]}\n{ENCODED[8:]}\n", TEXT),
        ({"Fn::Base64": TEXT}, TEXT),
        ({"Fn::Base64": {"Fn::Sub": "stop ${Bucket}"}}, "stop ${Bucket}"),
        ({"Fn::FindInMap": ["M", "a", "b"]}, TEXT),
        ("not base64!", None),
        ("//79", None),
        ({"Ref": "Nobody"}, None),
        (None, None),
    ],
)
def test_a_script_is_decoded(written: Any, read: str | None) -> None:
    assert script(value(written, Mappings={"M": {"a": {"b": {"Fn::Base64": TEXT}}}})) == read


# Whatever stands there

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["States", "Steps", "Arguments", "Parameters.$", "Branches", "Type", "Resource", "Get", "Ref"]
            )
            | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
fragments = st.lists(
    st.sampled_from(
        [
            '{"',
            '":',
            "{",
            "}",
            "[",
            "]",
            '"',
            "\\",
            ",",
            "${X}",
            "{% x %}",
            "\n",
            "- ",
            "a: ",
            "&a ",
            "*a",
            "\ue000",
        ]
    )
    | st.text(max_size=4)
    | st.sampled_from([{"Ref": "Bucket"}, {"Ref": "Nobody"}]),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(body=json_values)
def test_any_object_is_read_without_an_exception(body: Any) -> None:
    for whole in (machine(Definition=body), machine(DefinitionString=json.dumps(body))):
        assert all(task.jobs for task in training_tasks(whole))
        assert unread_body(whole) is None or definition(whole) is None
    for written in (body, {"PipelineDefinitionBody": json.dumps(body)}):
        assert len(training_tasks(pipeline_node(written))) >= 0


@settings(max_examples=300, deadline=None)
@given(pieces=fragments)
def test_any_text_is_read_or_not_without_an_exception(pieces: list[Any]) -> None:
    holder = value({"Fn::Join": ["", pieces]})
    for read in (document(holder), state_machine(holder, {"X": value("1")}), pipeline(holder)):
        assert read is None or read.is_list or read.is_object
    assert script(holder) is None or isinstance(script(holder), str)
