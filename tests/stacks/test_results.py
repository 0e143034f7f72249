"""Where the rows about faces go, and how analysts come to them and to nothing else."""

import base64
import json
from typing import Any

import pytest

from ml_lens.ai_services import FaceThresholds
from ml_lens.ai_services.face_views import confident_faces
from tests.stacks.synthesis import scenario
from tests.stacks.template import Template, references, text

RESULTS = "DemographicsResults"
ANALYSTS = "DemographicsAnalysts"
ANALYSE = "DemographicsAnalysisAnalyse"
CONFIDENT = "faces/certainty=confident/"


def results(template: Template) -> str:
    return template.id("AWS::S3::Bucket", RESULTS)


def table(template: Template, name: str) -> dict[str, Any]:
    (found,) = (
        table["TableInput"]
        for table in template.resources("AWS::Glue::Table").values()
        if table["TableInput"]["Name"] == name
    )
    return dict(found)


def view_definition(template: Template, name: str) -> dict[str, Any]:
    encoded = table(template, name)["ViewOriginalText"]
    assert encoded.startswith("/* Presto View: ")
    decoded: dict[str, Any] = json.loads(base64.b64decode(encoded.split()[3]))
    return decoded


@pytest.mark.lens("F2-17")
def test_rows_go_to_a_second_bucket(variant: Template) -> None:
    images = variant.id("AWS::S3::Bucket", "DemographicsImages")
    assert results(variant) != images
    function = variant.one("AWS::Lambda::Function", ANALYSE)
    assert function["Environment"]["Variables"]["RESULTS_BUCKET"] == {"Ref": results(variant)}
    writes = [
        statement
        for statement in variant.statements(variant.id("AWS::IAM::Role", f"{ANALYSE}Role"))
        if "s3:PutObject" in statement.actions
    ]
    assert [set(statement.resources) for statement in writes] == [
        {f"<{results(variant)}.Arn>/faces/*", f"<{results(variant)}.Arn>/rejected/*"}
    ]


def test_the_analysing_function_can_not_read_the_rows_it_has_written(variant: Template) -> None:
    statements = variant.statements(variant.id("AWS::IAM::Role", f"{ANALYSE}Role"))
    on_results = {
        action
        for statement in statements
        if any(f"<{results(variant)}.Arn>" in resource for resource in statement.resources)
        for action in statement.actions
    }
    assert on_results == {"s3:PutObject"}
    key = f"<{variant.key_of(results(variant))}.Arn>"
    assert [s.actions for s in statements if key in s.resources] == [{"kms:GenerateDataKey"}]


@pytest.mark.lens("F2-18")
def test_rows_have_a_key_that_encrypts_nothing_else(variant: Template) -> None:
    key = variant.key_of(results(variant))
    uses = {
        id
        for id, properties in variant.resources().items()
        if key in references(properties) and variant.body["Resources"][id]["Type"] != "AWS::IAM::Policy"
    }
    assert uses == {results(variant), variant.id("AWS::Athena::WorkGroup", "DemographicsQueriesWorkgroup")}


@pytest.mark.lens("F2-19")
def test_every_key_is_managed_by_the_customer_and_rotates(variant: Template) -> None:
    keys = variant.resources("AWS::KMS::Key")
    assert variant.key_of(results(variant)) in keys
    assert all(key["EnableKeyRotation"] is True for key in keys.values())
    assert all(
        key.get("Origin", "AWS_KMS") == "AWS_KMS" and key.get("Enabled", True) for key in keys.values()
    )


@pytest.mark.lens("F2-20")
@pytest.mark.parametrize("name", ["faces", "rejected"])
def test_athena_reads_the_csv_files_where_the_function_writes_them(variant: Template, name: str) -> None:
    definition = table(variant, name)
    storage, parameters = definition["StorageDescriptor"], definition["Parameters"]
    location = f"s3://<{results(variant)}>/{name}/"
    assert definition["TableType"] == "EXTERNAL_TABLE"
    assert text(storage["Location"]) == location
    assert storage["SerdeInfo"]["SerializationLibrary"].endswith(".LazySimpleSerDe")
    assert storage["SerdeInfo"]["Parameters"]["field.delim"] == ","
    assert parameters["skip.header.line.count"] == "1"
    assert parameters["classification"] == "csv"
    assert text(parameters["storage.location.template"]).startswith(location)


@pytest.mark.lens("F2-20")
def test_partitions_are_projected_so_that_no_crawler_and_no_repair_is_needed(variant: Template) -> None:
    parameters = table(variant, "faces")["Parameters"]
    keys = [key["Name"] for key in table(variant, "faces")["PartitionKeys"]]
    assert keys == ["certainty", "upload_date"]
    assert text(parameters["storage.location.template"]).endswith(
        "/faces/certainty=${certainty}/upload_date=${upload_date}/"
    )
    assert parameters["projection.enabled"] == "true"
    assert parameters["projection.certainty.values"] == "confident,uncertain"
    assert parameters["projection.upload_date.type"] == "date"


@pytest.mark.lens("F2-21")
def test_results_of_queries_are_encrypted_and_nobody_can_choose_otherwise(variant: Template) -> None:
    configuration = variant.only("AWS::Athena::WorkGroup")["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    written = configuration["ResultConfiguration"]
    assert text(written["OutputLocation"]) == f"s3://<{results(variant)}>/queries/"
    assert written["EncryptionConfiguration"] == {
        "EncryptionOption": "SSE_KMS",
        "KmsKey": {"Fn::GetAtt": [variant.key_of(results(variant)), "Arn"]},
    }


def test_results_of_queries_expire_after_a_week_and_rows_do_not(variant: Template) -> None:
    rules = variant.one("AWS::S3::Bucket", RESULTS)["LifecycleConfiguration"]["Rules"]
    expiring = {rule.get("Prefix"): rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"queries/": 7}


@pytest.mark.lens("F2-22")
def test_analysts_may_decrypt_with_the_key_of_the_rows_only(variant: Template) -> None:
    statements = variant.statements(variant.id("AWS::IAM::Role", ANALYSTS))
    decrypting = [s for s in statements if any(action.startswith("kms:") for action in s.actions)]
    assert [s.actions for s in decrypting] == [{"kms:Decrypt", "kms:GenerateDataKey"}]
    assert decrypting[0].resources == (f"<{variant.key_of(results(variant))}.Arn>",)


@pytest.mark.lens("F2-23")
def test_the_view_carries_the_thresholds_that_were_set(tmp_path_factory: pytest.TempPathFactory) -> None:
    template = scenario(
        tmp_path_factory.mktemp("thresholds"),
        age_range_threshold=71.5,
        gender_threshold=82.25,
        emotion_thresholds={"HAPPY": 63},
    )
    expected = FaceThresholds(age_range=71.5, gender=82.25, emotions={"HAPPY": 63})
    definition = view_definition(template, "confident_faces")
    assert definition["originalSql"] == confident_faces(expected).sql
    assert "age_confidence >= 71.5" in definition["originalSql"]
    assert "gender_confidence >= 82.25" in definition["originalSql"]
    assert "happy_confidence >= 63.0" in definition["originalSql"]
    function = template.one("AWS::Lambda::Function", ANALYSE)
    assert function["Environment"]["Variables"]["THRESHOLDS"] == expected.to_json()


@pytest.mark.lens("F2-23")
@pytest.mark.parametrize("name", ["confident_faces", "rejected_uploads"])
def test_views_are_as_athena_stores_them(variant: Template, name: str) -> None:
    stored, definition = table(variant, name), view_definition(variant, name)
    assert stored["TableType"] == "VIRTUAL_VIEW"
    assert stored["Parameters"]["presto_view"] == "true"
    assert stored["ViewExpandedText"] == "/* Presto View */"
    assert definition["catalog"] == "awsdatacatalog"
    assert definition["schema"] == variant.only("AWS::Glue::Database")["DatabaseInput"]["Name"]
    presto = {"string": "varchar", "int": "integer"}
    assert [(column["name"], column["type"]) for column in definition["columns"]] == [
        (column["Name"], presto.get(column["Type"], column["Type"]))
        for column in stored["StorageDescriptor"]["Columns"]
    ]


@pytest.mark.lens("F2-24")
def test_analysts_reach_confident_rows_only_and_only_through_athena(variant: Template) -> None:
    statements = variant.statements(variant.id("AWS::IAM::Role", ANALYSTS))
    reading = [s for s in statements if "s3:GetObject" in s.actions]
    bucket = f"<{results(variant)}.Arn>"
    assert {resource for s in reading for resource in s.resources} == {
        f"{bucket}/{CONFIDENT}*",
        f"{bucket}/queries/*",
    }
    writing = [s for s in statements if "s3:PutObject" in s.actions]
    assert [s.resources for s in writing] == [(f"{bucket}/queries/*",)]
    data = [s for s in statements if not any(action.startswith("athena:") for action in s.actions)]
    assert len(data) == len(statements) - 1
    through_athena = {"ForAnyValue:StringEquals": {"aws:CalledVia": "athena.amazonaws.com"}}
    through_s3 = {
        "StringEquals": {
            "kms:ViaService": {"Fn::Join": ["", ["s3.", {"Ref": "AWS::Region"}, ".amazonaws.com"]]}
        }
    }
    for said in data:
        keys = {action for action in said.actions if action.startswith("kms:")}
        assert keys in (set(), said.actions)
        assert said.condition == (through_s3 if keys else through_athena)


@pytest.mark.lens("F2-24")
def test_analysts_see_the_view_and_the_table_it_stands_on_and_no_other(variant: Template) -> None:
    database = variant.only("AWS::Glue::Database")["DatabaseInput"]["Name"]
    statements = variant.statements(variant.id("AWS::IAM::Role", ANALYSTS))
    (catalogue,) = (s for s in statements if "glue:GetTable" in s.actions)
    assert catalogue.actions == {"glue:GetDatabase", "glue:GetTable"}
    assert {resource.rpartition("<AWS::AccountId>:")[2] for resource in catalogue.resources} == {
        "catalog",
        f"database/{database}",
        "database/default",
        f"table/{database}/confident_faces",
        f"table/{database}/faces",
    }


@pytest.mark.lens("F2-27")
def test_only_analysts_may_query_and_only_in_the_workgroup(variant: Template) -> None:
    name = variant.only("AWS::Athena::WorkGroup")["Name"]
    may_query = {
        role: [s for s in variant.statements(role) if any(a.startswith("athena:") for a in s.actions)]
        for role in variant.resources("AWS::IAM::Role")
    }
    for role, statements in may_query.items():
        asking = [said for said in statements if "athena:StartQueryExecution" in said.actions]
        assert len(asking) == min(1, len(statements))
        for said in asking:
            (workgroup,) = said.resources
            assert workgroup.endswith(f":workgroup/{name}"), role
    askers = {role for role, statements in may_query.items() if statements}
    expected = {variant.id("AWS::IAM::Role", ANALYSTS)}
    if variant.resources("AWS::QuickSight::Dashboard"):
        expected.add(variant.id("AWS::IAM::Role", "DemographicsDashboardRole"))
    assert askers == expected


def test_saved_queries_stand_ready_in_the_workgroup(variant: Template) -> None:
    workgroup = variant.only("AWS::Athena::WorkGroup")["Name"]
    queries = variant.resources("AWS::Athena::NamedQuery").values()
    assert len(queries) >= 3
    assert {query["WorkGroup"] for query in queries} == {workgroup}
    assert all(
        "FROM confident_faces" in q["QueryString"] or "FROM rejected_uploads" in q["QueryString"]
        for q in queries
    )
