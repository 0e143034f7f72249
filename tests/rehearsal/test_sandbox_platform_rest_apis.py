"""REST APIs in the sandbox: who gets in, and what everybody else is told."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.made_to_measure import LOGS, Role, Roles, Stack, eventually, function

pytestmark = pytest.mark.xdist_group("sandbox")

CODE = """
import json, time
def handler(event, _):
    asked = json.loads(event["body"] or "{}")
    if asked.get("do") == "fail": raise ValueError("secret inside")
    if asked.get("do") == "sleep": time.sleep(3)
    if asked.get("do") == "nonsense": return ["no", "answer"]
    return {"statusCode": 200, "body": json.dumps({"ok": True})}
"""
KINDS = {
    "BAD_REQUEST_BODY": 400,
    "THROTTLED": 429,
    "REQUEST_TOO_LARGE": 413,
    "INTEGRATION_TIMEOUT": 504,
    "API_CONFIGURATION_ERROR": 500,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "ACCESS_DENIED": 403,
}


def resources(name: str, *, is_let: bool = True) -> dict[str, Any]:
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"
    api, ref = {"Ref": "Api"}, {"Ref": "Model"}
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "required": ["do"],
        "properties": {"do": {"type": "string"}},
    }

    def of(kind: str, **properties: Any) -> dict[str, Any]:
        return {"Type": f"AWS::ApiGateway::{kind}", "Properties": {"RestApiId": api, **properties}}

    made = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": name}},
        "Model": of("Model", ContentType="application/json", Schema=schema),
        "Checks": of("RequestValidator", ValidateRequestBody=True),
        "Path": of("Resource", ParentId={"Fn::GetAtt": ["Api", "RootResourceId"]}, PathPart="do"),
        "Post": of(
            "Method",
            ResourceId={"Ref": "Path"},
            HttpMethod="POST",
            AuthorizationType="AWS_IAM",
            RequestModels={"application/json": ref},
            RequestValidatorId={"Ref": "Checks"},
            Integration={
                "Type": "AWS_PROXY",
                "IntegrationHttpMethod": "POST",
                "Uri": uri,
                "TimeoutInMillis": 1000,
            },
        ),
        "Deployment": {
            **of("Deployment"),
            "DependsOn": ["Post", *(f"Said{each}" for each in map(clean, KINDS))],
        },
        "Stage": of(
            "Stage",
            StageName="v1",
            DeploymentId={"Ref": "Deployment"},
            MethodSettings=[
                {
                    "HttpMethod": "*",
                    "ResourcePath": "/*",
                    "ThrottlingRateLimit": 5,
                    "ThrottlingBurstLimit": 10,
                }
            ],
            AccessLogSetting={
                "DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]},
                "Format": '{"status": "$context.status", "problem": "$context.error.responseType", '
                '"who": "$context.identity.apiKeyId"}',
            },
        ),
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"/calls/{name}"}},
        "Writer": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "apigateway.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ]
                },
                "Policies": [
                    {
                        "PolicyName": "logs",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}],
                        },
                    }
                ],
            },
        },
        "Account": {
            "Type": "AWS::ApiGateway::Account",
            "Properties": {"CloudWatchRoleArn": {"Fn::GetAtt": ["Writer", "Arn"]}},
        },
    }
    for kind, status in KINDS.items():
        made[f"Said{clean(kind)}"] = of(
            "GatewayResponse",
            ResponseType=kind,
            StatusCode=str(status),
            ResponseParameters={
                "gatewayresponse.header.Content-Type": "'application/problem+json'",
                "gatewayresponse.header.Retry-After": "'7'",
            },
            ResponseTemplates={"application/json": json.dumps({"kind": kind})},
        )
    if is_let:
        made["Let"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": name,
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": {"Fn::Sub": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:${{Api}}/v1/POST/do"},
            },
        }
    return made


def clean(kind: str) -> str:
    return kind.title().replace("_", "")


class Api:
    def __init__(self, sandbox: Sandbox, id: str, caller: Role | None) -> None:
        self._url = f"{sandbox.endpoint}/v1/do"
        self._host = f"{id}.execute-api.localhost:{sandbox.endpoint.rsplit(':', 1)[1]}"
        self.id, self.caller = id, caller
        if caller:
            taken = sandbox.client("sts").assume_role(RoleArn=caller.arn, RoleSessionName="api")
            keys = taken["Credentials"]
            self._keys = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def ask(self, body: Any, *, signed: bool = True, **headers: str) -> tuple[int, Any, dict[str, str]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = AWSRequest(
            "POST",
            self._url,
            data=data,
            headers={"Content-Type": "application/json", "Host": self._host, **headers},
        )
        if signed and self.caller:
            SigV4Auth(self._keys, "execute-api", REGION).add_auth(request)
        made = urllib.request.Request(self._url, data, dict(request.headers), method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(made, timeout=20) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), dict(error.headers)


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    return iter(f"api-{time.monotonic_ns()}-{number}" for number in range(100))


@pytest.fixture
def api(sandbox: Sandbox, role: Roles, stack: Stack, names: Iterator[str]) -> Any:
    def create(*, is_let: bool = True) -> Api:
        name = next(names)
        function(sandbox, name, CODE, role(LOGS), Timeout=10)
        made = stack(resources(name, is_let=is_let), Outputs={"Id": {"Value": {"Ref": "Api"}}})
        may = {
            "Action": "execute-api:Invoke",
            "Resource": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{made['Id']}/v1/POST/do",
        }
        made_api = Api(sandbox, made["Id"], role(may))
        made_api.name = name  # type: ignore[attr-defined]
        return made_api

    return create


def test_only_who_may_is_let_in(api: Any, role: Roles, sandbox: Sandbox) -> None:
    one = api()
    assert one.ask({"do": "it"})[:2] == (200, {"ok": True})
    status, body, headers = one.ask({"do": "it"}, signed=False)
    assert (status, body) == (403, {"kind": "MISSING_AUTHENTICATION_TOKEN"})
    assert headers["Content-Type"] == "application/problem+json"
    stranger = Api(sandbox, one.id, role())
    assert stranger.ask({"do": "it"})[:2] == (403, {"kind": "ACCESS_DENIED"})


def test_a_body_is_checked_by_the_model_of_its_type(api: Any) -> None:
    one = api()
    assert one.ask({"do": 1})[:2] == (400, {"kind": "BAD_REQUEST_BODY"})
    assert one.ask({})[:2] == (400, {"kind": "BAD_REQUEST_BODY"})
    assert one.ask({}, **{"Content-Type": "text/plain"})[0] == 200
    assert one.ask(b"x" * (10 * 1024 * 1024 + 1))[:2] == (413, {"kind": "REQUEST_TOO_LARGE"})


def test_twice_the_throttle_is_refused_with_a_time_to_wait(api: Any) -> None:
    one = api()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: one.ask({"do": "it"}), range(40)))
    refused = [each for each in answers if each[0] == 429]
    assert refused[0][1] == {"kind": "THROTTLED"}
    assert refused[0][2]["Retry-After"] == "7"


def test_nothing_inside_shows_when_the_function_fails(api: Any) -> None:
    one = api()
    for do in ("fail", "nonsense"):
        status, body, _ = one.ask({"do": do})
        assert (status, body) == (502, {"message": "Internal server error"})
    assert one.ask({"do": "sleep"})[:2] == (504, {"kind": "INTEGRATION_TIMEOUT"})


def test_the_function_has_to_let_the_gateway_in(api: Any) -> None:
    assert api(is_let=False).ask({"do": "it"})[:2] == (500, {"kind": "API_CONFIGURATION_ERROR"})


def test_calls_are_logged(api: Any, sandbox: Sandbox) -> None:
    one = api()
    one.ask({"do": "it"})
    one.ask({"do": 1})

    def lines() -> list[Any]:
        found = sandbox.client("logs").filter_log_events(logGroupName=f"/calls/{one.name}")["events"]
        return [json.loads(each["message"]) for each in found]

    eventually(lambda: len(lines()) == 2)
    assert lines() == [
        {"status": "200", "problem": "-", "who": "-"},
        {"status": "400", "problem": "BAD_REQUEST_BODY", "who": "-"},
    ]
