"""Rights that the sandbox does not enforce, proven needed and narrow from the template alone.

``tests/rehearsal/test_least_privilege.py`` takes every other right away and sees the walkthrough fail.
"""

import pytest

from tests.stacks.template import Template

TRACING = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
QUERYING = "athena:StartQueryExecution"


def roles_with(template: Template, action: str) -> set[str]:
    return {role for role in template.resources("AWS::IAM::Role") if action in template.actions(role)}


def resources_of(template: Template, role: str, action: str) -> set[str]:
    return {
        resource
        for statement in template.statements(role)
        if action in statement.actions
        for resource in statement.resources
    }


@pytest.mark.parametrize("action", sorted(TRACING))
def test_only_functions_that_are_traced_send_traces(variant: Template, action: str) -> None:
    traced = {
        function["Role"]["Fn::GetAtt"][0]
        for function in variant.resources("AWS::Lambda::Function").values()
        if function.get("TracingConfig") == {"Mode": "Active"}
    }
    assert traced
    assert roles_with(variant, action) == traced


def test_only_those_who_query_stop_queries_and_only_in_their_workgroup(variant: Template) -> None:
    queriers = roles_with(variant, QUERYING)
    assert queriers
    assert roles_with(variant, "athena:StopQueryExecution") == queriers
    for role in queriers:
        stopping = resources_of(variant, role, "athena:StopQueryExecution")
        assert stopping == resources_of(variant, role, QUERYING)


def test_only_those_who_query_look_at_the_database_and_at_no_other(variant: Template) -> None:
    database = variant.only("AWS::Glue::Database")["DatabaseInput"]["Name"]
    assert roles_with(variant, "glue:GetDatabase") == roles_with(variant, QUERYING)
    for role in roles_with(variant, "glue:GetDatabase"):
        named = resources_of(variant, role, "glue:GetDatabase")
        assert {name.rpartition(":")[2].partition("/")[0] for name in named} == {
            "catalog",
            "database",
            "table",
        }
        others = {name.rpartition(":")[2] for name in named if f"/{database}" not in name}
        assert others == {"catalog", "database/default"}


def test_only_those_who_query_learn_where_the_result_bucket_is(variant: Template) -> None:
    results = variant.id("AWS::S3::Bucket", "DemographicsResults")
    assert roles_with(variant, "s3:GetBucketLocation") == roles_with(variant, QUERYING)
    for role in roles_with(variant, QUERYING):
        assert resources_of(variant, role, "s3:GetBucketLocation") == {f"<{results}.Arn>"}
