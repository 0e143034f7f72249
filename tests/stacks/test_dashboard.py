"""The dashboard, which is there when somebody is named who may see it."""

import pytest

from tests.stacks.synthesis import VIEWERS
from tests.stacks.template import Template

QUICKSIGHT = ("AWS::QuickSight::DataSource", "AWS::QuickSight::DataSet", "AWS::QuickSight::Dashboard")


def test_without_a_viewer_there_is_no_dashboard(sandbox: Template, production: Template) -> None:
    assert not sandbox.resources(*QUICKSIGHT)
    assert not production.resources(*QUICKSIGHT)


@pytest.mark.lens("F2-25")
def test_the_dashboard_shows_the_view_and_not_the_table(dashboard: Template) -> None:
    (physical,) = dashboard.only("AWS::QuickSight::DataSet")["PhysicalTableMap"].values()
    relation = physical["RelationalTable"]
    source = dashboard.id("AWS::QuickSight::DataSource", "DemographicsDashboardSource")
    assert relation["Name"] == "confident_faces"
    assert relation["Schema"] == dashboard.only("AWS::Glue::Database")["DatabaseInput"]["Name"]
    assert relation["DataSourceArn"] == {"Fn::GetAtt": [source, "Arn"]}
    shown = dashboard.only("AWS::QuickSight::Dashboard")["Definition"]
    data_set = dashboard.id("AWS::QuickSight::DataSet", "DemographicsDashboardDataSet")
    assert [each["DataSetArn"] for each in shown["DataSetIdentifierDeclarations"]] == [
        {"Fn::GetAtt": [data_set, "Arn"]}
    ]
    assert len(shown["Sheets"][0]["Visuals"]) == 3


@pytest.mark.lens("F2-25")
def test_the_data_set_has_the_columns_of_the_view(dashboard: Template) -> None:
    (physical,) = dashboard.only("AWS::QuickSight::DataSet")["PhysicalTableMap"].values()
    (view,) = (
        table["TableInput"]
        for table in dashboard.resources("AWS::Glue::Table").values()
        if table["TableInput"]["Name"] == "confident_faces"
    )
    types = {"string": "STRING", "int": "INTEGER", "double": "DECIMAL", "timestamp": "DATETIME"}
    assert [(column["Name"], column["Type"]) for column in physical["RelationalTable"]["InputColumns"]] == [
        (column["Name"], types[column["Type"]]) for column in view["StorageDescriptor"]["Columns"]
    ]


@pytest.mark.lens("F2-26")
@pytest.mark.parametrize("type", QUICKSIGHT)
def test_only_the_named_viewers_see_the_dashboard(dashboard: Template, type: str) -> None:
    (permission,) = dashboard.only(type)["Permissions"]
    assert permission["Principal"] == VIEWERS
    verbs = ("Describe", "List", "Pass", "Query")
    assert all(
        action.startswith(tuple(f"quicksight:{verb}" for verb in verbs)) for action in permission["Actions"]
    )
    assert "LinkSharingConfiguration" not in dashboard.only(type)


@pytest.mark.lens("F2-26")
def test_quicksight_queries_with_the_rights_of_an_analyst(dashboard: Template) -> None:
    role = dashboard.id("AWS::IAM::Role", "DemographicsDashboardRole")
    analyst = dashboard.id("AWS::IAM::Role", "DemographicsAnalysts")
    source = dashboard.only("AWS::QuickSight::DataSource")
    athena = source["DataSourceParameters"]["AthenaParameters"]
    assert athena == {
        "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
        "WorkGroup": dashboard.only("AWS::Athena::WorkGroup")["Name"],
    }
    assert {said.resources for said in dashboard.statements(analyst)} <= {
        said.resources for said in dashboard.statements(role)
    }
    more = dashboard.actions(role) - dashboard.actions(analyst)
    assert more == {
        "athena:GetDataCatalog",
        "athena:GetDatabase",
        "athena:GetQueryResultsStream",
        "athena:GetTableMetadata",
        "athena:ListDatabases",
        "athena:ListTableMetadata",
    }
    (trust,) = dashboard.resources("AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "quicksight.amazonaws.com"}
