"""The gateway in front of a model: what it checks, logs, limits and says by itself."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import pytest
from aws_cdk import Duration, Size
from aws_cdk import aws_cognito as cognito

from ml_lens.hosting import ApiAccess, ApiOptions, ApiReach, Throttle
from tests.stacks.synthesis import new_app
from tests.stacks.template import Template, text
from tests.unit.apis import API, METHOD, RESPONSE, SCHEMA, STAGE, refused, serve, served
from tests.unit.serving import PRODUCTION, template

WEB_ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/front/0f1e2d3c"
DEPLOYMENT = "AWS::ApiGateway::Deployment"


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Template:
    stack = cdk.Stack(new_app(tmp_path_factory.mktemp("api")), "Serving")
    serve(stack)
    return template(stack)


@pytest.mark.lens("F14-01", "F14-04", "CHG-16")
def test_consumers_reach_a_regional_api_that_passes_requests_to_the_function(made: Template) -> None:
    api = made.only(API)
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert "Policy" not in api
    (method,) = made.resources(METHOD).values()
    assert method["HttpMethod"] == "POST"
    assert method["Integration"]["Type"] == "AWS_PROXY"
    function = made.id("AWS::Lambda::Function", "ApiFunction")
    assert f"<{function}.Arn>/invocations" in text(method["Integration"]["Uri"])
    permission = made.only("AWS::Lambda::Permission")
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert text(permission["SourceArn"]).endswith("/POST/predictions")
    # The address of the endpoint is nobody's business but the function's.
    told = json.dumps([made.resources(METHOD), made.resources(STAGE), made.resources(RESPONSE)])
    assert "sagemaker" not in told.lower()


def test_nothing_older_than_tls_1_2_is_spoken(made: Template) -> None:
    assert made.only(API)["SecurityPolicy"].startswith("SecurityPolicy_TLS13_1_2_PFS_")
    policies = boto3.client("apigateway", region_name="eu-west-1").meta.service_model.shape_for(
        "SecurityPolicy"
    )
    assert made.only(API)["SecurityPolicy"] in policies.enum


@pytest.mark.lens("F14-10")
def test_calls_are_signed_checked_throttled_and_logged(made: Template) -> None:
    (method,) = made.resources(METHOD).values()
    assert method["AuthorizationType"] == "AWS_IAM"
    assert method["RequestModels"] == {
        "application/json": {"Ref": made.id("AWS::ApiGateway::Model", "ApiRequest")}
    }
    validator = made.only("AWS::ApiGateway::RequestValidator")
    assert validator["ValidateRequestBody"] is True
    model = made.only("AWS::ApiGateway::Model")["Schema"]
    assert model["required"] == ["instances"]
    assert model["properties"]["instances"]["items"]["additionalProperties"] is False
    stage = made.only(STAGE)
    (settings,) = stage["MethodSettings"]
    assert settings["ResourcePath"] == "/*"
    assert settings["HttpMethod"] == "*"
    assert settings["ThrottlingRateLimit"] == 50
    assert settings["ThrottlingBurstLimit"] == 100
    assert settings["LoggingLevel"] == "ERROR"
    assert settings["DataTraceEnabled"] is False
    assert stage["TracingEnabled"] is True
    assert made.id("AWS::Logs::LogGroup", "ApiAccessLogLogs") in text(
        stage["AccessLogSetting"]["DestinationArn"]
    )


@pytest.mark.lens("LOG-02", "LOG-03")
def test_logs_are_kept_under_a_key_and_tell_of_no_address_or_body(stack: cdk.Stack) -> None:
    serve(stack, posture=PRODUCTION)
    made = template(stack)
    key = {"Fn::GetAtt": [made.id("AWS::KMS::Key", "ApiKey"), "Arn"]}
    for path in ("ApiAccessLogLogs", "ApiExecutionLogLogs", "ApiFunctionLogs"):
        group = made.one("AWS::Logs::LogGroup", path)
        assert group["KmsKeyId"] == key
        assert group["RetentionInDays"] == 365
    line = json.loads(made.only(STAGE)["AccessLogSetting"]["Format"])
    assert {"request_id", "time", "status", "caller", "problem"} <= line.keys()
    for personal in (
        "sourceIp",
        "userAgent",
        "validationErrorString",
        "error.message",
        "claims.sub",
        "email",
    ):
        assert personal not in json.dumps(line)
    # The execution log exists before API Gateway would make one of the same name.
    name = text(made.one("AWS::Logs::LogGroup", "ApiExecutionLogLogs")["LogGroupName"])
    assert name == f"API-Gateway-Execution-Logs_<{made.id(API, 'Api')}>/v1"
    (stage,) = [each for each in made.body["Resources"].values() if each["Type"] == STAGE]
    assert made.id("AWS::Logs::LogGroup", "ApiExecutionLogLogs") in stage["DependsOn"]


def responses(made: Template) -> dict[str, Any]:
    return {each["ResponseType"]: each for each in made.resources(RESPONSE).values()}


@pytest.mark.lens("F14-10")
def test_every_answer_of_the_gateway_itself_is_a_problem(made: Template) -> None:
    kinds = boto3.client("apigateway", region_name="eu-west-1").meta.service_model.shape_for(
        "GatewayResponseType"
    )
    found = responses(made)
    assert found.keys() == set(kinds.enum)
    for kind, response in found.items():
        parameters = response["ResponseParameters"]
        assert parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'", kind
        (template,) = response["ResponseTemplates"].values()
        problem = json.loads(template)
        assert {"type", "title", "detail", "instance"} <= problem.keys()
        assert problem["instance"] == "urn:uuid:$context.requestId"
        assert str(problem.get("status", "None")) == str(response.get("StatusCode"))
        # Its own words name roles, accounts and the API.
        variables = {word for word in template.split('"') if "$context" in word}
        said = (
            "".join(variables)
            .replace("$context.requestId", "")
            .replace("$context.error.validationErrorString", "")
        )
        assert "$context" not in said, kind


@pytest.mark.lens("F14-10")
@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [
        ("BAD_REQUEST_BODY", "400", None),
        ("UNAUTHORIZED", "401", None),
        ("MISSING_AUTHENTICATION_TOKEN", "403", None),
        ("ACCESS_DENIED", "403", None),
        ("RESOURCE_NOT_FOUND", "404", None),
        ("REQUEST_TOO_LARGE", "413", None),
        ("UNSUPPORTED_MEDIA_TYPE", "415", None),
        ("THROTTLED", "429", "'1'"),
        ("QUOTA_EXCEEDED", "429", "'3600'"),
        ("INTEGRATION_TIMEOUT", "503", "'5'"),
        ("INTEGRATION_FAILURE", "503", "'5'"),
        ("API_CONFIGURATION_ERROR", "500", None),
    ],
)
def test_who_is_told_to_wait_is_told_how_long(
    made: Template, kind: str, status: str, retry_after: str | None
) -> None:
    response = responses(made)[kind]
    assert response["StatusCode"] == status
    assert response["ResponseParameters"].get("gatewayresponse.header.Retry-After") == retry_after


def test_a_refused_body_names_the_field_in_the_gateways_words(made: Template) -> None:
    (template,) = responses(made)["BAD_REQUEST_BODY"]["ResponseTemplates"].values()
    assert json.loads(template)["detail"].endswith("$context.error.validationErrorString")


def test_whatever_changes_reaches_the_callers(tmp_path: Path) -> None:
    def deployed(number: int, **props: Any) -> str:
        stack = cdk.Stack(new_app(tmp_path / str(number)), "Serving")
        if props.pop("pool", False):
            props["access"] = ApiAccess.cognito(cognito.UserPool(stack, "Pool"), scopes=["churn/predict"])
        serve(stack, **props)
        (id,) = template(stack).resources(DEPLOYMENT)
        return id

    schema = {"type": "object", "required": ["rows"]}
    variants: list[dict[str, Any]] = [
        {},
        {"request_schema": schema},
        {"pool": True},
        {"throttle": Throttle(daily_quota=100)},
        {"options": ApiOptions(answer_within=Duration.seconds(10))},
        {"options": ApiOptions(reach=ApiReach.internet(ip_ranges=["203.0.113.0/24"]))},
        {"options": ApiOptions(reach=ApiReach.private(vpc_endpoints=["vpce-0123456789abcdef0"]))},
    ]
    ids = [deployed(number, **props) for number, props in enumerate(variants)]
    assert len(set(ids)) == len(ids)
    assert deployed(99) == ids[0]


@pytest.mark.lens("F14-10")
def test_a_quota_is_counted_by_the_key_of_each_consumer(stack: cdk.Stack) -> None:
    api = serve(stack, throttle=Throttle(rate=5, burst=10, daily_quota=1000))
    api.consumer_key("Shop")
    made = template(stack)
    plan = made.only("AWS::ApiGateway::UsagePlan")
    assert plan["Quota"] == {"Limit": 1000, "Period": "DAY"}
    assert plan["Throttle"] == {"BurstLimit": 10, "RateLimit": 5}
    (method,) = made.resources(METHOD).values()
    assert method["ApiKeyRequired"] is True
    # A key opens nothing.
    assert method["AuthorizationType"] == "AWS_IAM"
    assert len(made.resources("AWS::ApiGateway::UsagePlanKey")) == 1


def test_without_a_quota_there_are_no_keys(stack: cdk.Stack) -> None:
    api = serve(stack)
    with pytest.raises(ValueError, match="daily_quota"):
        api.consumer_key("Shop")
    made = template(stack)
    assert not made.resources("AWS::ApiGateway::UsagePlan", "AWS::ApiGateway::ApiKey")
    (method,) = made.resources(METHOD).values()
    assert method["ApiKeyRequired"] is False


def test_a_web_acl_filters_the_stage(stack: cdk.Stack) -> None:
    serve(stack, options=ApiOptions(web_acl_arn=WEB_ACL))
    made = template(stack)
    association = made.only("AWS::WAFv2::WebACLAssociation")
    assert association["WebACLArn"] == WEB_ACL
    api, stage = made.id(API, "Api"), made.id(STAGE, "ApiDeploymentStagev1")
    assert text(association["ResourceArn"]).endswith(f"/restapis/<{api}>/stages/<{stage}>")


def test_the_role_for_all_logs_of_an_account_is_set_only_when_asked_for(tmp_path: Path) -> None:
    for asked in (False, True):
        stack = cdk.Stack(new_app(tmp_path / str(asked)), "Serving")
        serve(stack, options=ApiOptions(account_logging=asked))
        made = template(stack)
        assert len(made.resources("AWS::ApiGateway::Account")) == asked
        (stage,) = [each for each in made.body["Resources"].values() if each["Type"] == STAGE]
        assert any(id.startswith("ApiAccount") for id in stage["DependsOn"]) is asked
    role = made.id("AWS::IAM::Role", "ApiAccountLogging")
    assert {action.partition(":")[0] for action in made.actions(role)} == {"logs"}


def test_alarms_tell_of_failing_late_refused_and_throttled_calls(stack: cdk.Stack) -> None:
    api = serve(stack)
    assert [alarm.node.id for alarm in api.alarms] == [
        "FailuresAlarm",
        "AwayAlarm",
        "LatencyAlarm",
        "RefusedAlarm",
        "ErrorsAlarm",
        "ThrottlesAlarm",
    ]
    made = template(stack)
    name = made.only(API)["Name"]
    away = made.one("AWS::CloudWatch::Alarm", "ApiAwayAlarm")
    assert {each["Name"] for each in away["Dimensions"]} == {"service", "Endpoint"}
    late = made.one("AWS::CloudWatch::Alarm", "ApiLatencyAlarm")
    assert late["Threshold"] == 10_000
    assert {"Name": "ApiName", "Value": name} in late["Dimensions"]
    for alarm in ("Failures", "Away", "Latency", "Refused"):
        assert len(made.one("AWS::CloudWatch::Alarm", f"Api{alarm}Alarm")["AlarmDescription"]) > 50
    told = [
        api.metric_calls(),
        api.metric_latency(),
        api.metric_server_errors(),
        api.metric_predictions(),
        api.metric_endpoint_away(),
    ]
    assert len({metric.metric_name for metric in told}) == 5


def test_two_apis_of_one_model_share_no_metric(stack: cdk.Stack) -> None:
    serve(stack)
    serve(stack, id="Second")
    names = {each["Name"] for each in template(stack).resources(API).values()}
    assert len(names) == 2


def test_every_problem_is_named_before_anything_is_created(stack: cdk.Stack) -> None:
    served(stack)
    found = refused(
        stack,
        request_schema={**SCHEMA, "anyOf": []},
        access=ApiAccess(user_pool=cognito.UserPool(stack, "Pool"), accounts=["42"]),
        throttle=Throttle(rate=0, burst=9999, daily_quota=0),
        options=ApiOptions(
            reach=ApiReach(vpcs=["vpc-1"], ip_ranges=["203.0.113.7/24"]),
            web_acl_arn="arn:aws:wafv2:us-east-1:123456789012:global/webacl/front/0f1e2d3c",
            answer_within=Duration.seconds(29),
            largest_body=Size.mebibytes(5),
        ),
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "request_schema",
        "access.scopes",
        "access.accounts",
        "throttle.rate",
        "throttle.burst",
        "throttle.daily_quota",
        "options.reach.vpc_endpoints",
        "options.reach.vpcs",
        "options.reach.ip_ranges",
        "options.answer_within",
        "options.largest_body",
        "options.web_acl_arn",
    ]
