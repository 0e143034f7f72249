"""Calls of endpoints in the sandbox: how they fail, and what is measured, captured and logged of them."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from botocore.exceptions import ClientError

from ml_lens.assets import job_code
from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.hosted import BODY, BUCKET, IMAGE, NAME, READ, Hosting, packed
from tests.rehearsal.made_to_measure import Role, eventually

pytestmark = pytest.mark.xdist_group("sandbox")


def test_a_model_that_fails_is_an_error_that_names_its_variant(hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("2.0.0", key="broken")))
    failure = _failure(hosting.ask)
    assert failure["Error"]["Code"] == "ModelError"
    assert "Received server error (500) from primary" in failure["Error"]["Message"]
    assert failure["OriginalStatusCode"] == 500
    assert "log-stream:AllTraffic/" in failure["LogStreamArn"]
    assert failure["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_a_request_that_the_model_refuses_is_the_clients_error(hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0")))
    failure = _failure(lambda: hosting.call(b"{}"))
    assert failure["OriginalStatusCode"] == 400
    assert "Received client error (400) from primary" in failure["Error"]["Message"]


def test_what_is_not_there_or_too_large_is_refused(hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model("1.0.0")))
    for call, said in (
        (lambda: hosting.call(TargetVariant="B"), "Variant B not found"),
        (lambda: hosting.call(TargetModel="a.tar.gz"), "multi-model endpoints only"),
        (lambda: hosting.call(b"x" * (6 * 1024 * 1024 + 1)), "limit of 6291456 bytes"),
        (
            lambda: hosting.runtime.invoke_endpoint(EndpointName="nobody", Body=b"x"),
            f"Endpoint nobody of account {ACCOUNT} not found.",
        ),
    ):
        failure = _failure(call)
        assert failure["Error"]["Code"] == "ValidationError"
        assert said in failure["Error"]["Message"]


def test_a_container_that_ends_is_started_again(hosting: Hosting, sandbox: Sandbox) -> None:
    code = b"import os\ndef model_fn(folder): return 1\ndef transform_fn(model, body, kind, accept):\n"
    code += b"    if body == b'end': os._exit(3)\n    return body, kind\n"
    sandbox.client("s3").put_object(
        Bucket=BUCKET, Key="ends.tar.gz", Body=packed({"code/inference.py": code})
    )
    hosting.endpoint(hosting.alone(hosting.model("1.0.0", key="ends")))
    assert hosting.call(b"hello")["Body"].read() == b"hello"
    assert _failure(lambda: hosting.call(b"end"))["OriginalStatusCode"] == 503
    eventually(lambda: _answers(hosting))


def test_a_container_sees_neither_credentials_nor_the_sandbox(hosting: Hosting, sandbox: Sandbox) -> None:
    code = b"import json, os\ndef model_fn(folder): return 1\ndef transform_fn(model, body, kind, accept):\n"
    code += b"    return json.dumps(dict(os.environ)), 'application/json'\n"
    sandbox.client("s3").put_object(
        Bucket=BUCKET, Key="looks.tar.gz", Body=packed({"code/inference.py": code})
    )
    hosting.endpoint(hosting.alone(hosting.model("1.0.0", key="looks", MINE="true")))
    seen = json.loads(hosting.call(b"{}")["Body"].read())
    assert seen["MINE"] == "true"
    assert [name for name in seen if name.startswith(("AWS_", "ML_LENS", "MINISTACK", "GATEWAY"))] == []


def test_the_image_answers_without_a_script_as_the_model_does(hosting: Hosting) -> None:
    hosting.endpoint(hosting.alone(hosting.model_of(PrimaryContainer=_plain())))
    booster = xgb.Booster(model_file=job_code("churn") / "models" / "1.0.0" / "model.json")
    row = [float(each) for each in range(booster.num_features())]
    (expected,) = booster.predict(xgb.DMatrix(np.array([row])), validate_features=False)
    line = ",".join(map(str, row))
    answer = json.loads(hosting.call(line, "text/csv", Accept="application/json")["Body"].read())
    assert answer["predictions"][0]["score"] == pytest.approx(float(expected), abs=1e-6)
    sparse = " ".join(f"{index}:{value}" for index, value in enumerate(row))
    assert float(hosting.call(sparse, "text/libsvm", Accept="text/csv")["Body"].read()) == pytest.approx(
        float(expected), abs=1e-6
    )
    assert _failure(lambda: hosting.call("1,2", "text/csv"))["OriginalStatusCode"] == 400
    assert _failure(lambda: hosting.call("x", "image/png"))["OriginalStatusCode"] == 415


def test_containers_of_a_pipeline_answer_one_after_the_other(hosting: Hosting, sandbox: Sandbox) -> None:
    code = b"def model_fn(folder): return 1\ndef transform_fn(model, body, kind, accept):\n"
    code += b"    return body.replace(b'months', b'tenure_months'), 'application/json'\n"
    sandbox.client("s3").put_object(
        Bucket=BUCKET, Key="first.tar.gz", Body=packed({"code/inference.py": code})
    )
    first, second = hosting.definition("0", key="first"), hosting.definition("1.0.0")
    hosting.endpoint(hosting.alone(hosting.model_of(Containers=[first, second])))
    answer = hosting.call(BODY.replace("tenure_months", "months"))
    assert json.loads(answer["Body"].read())["model_version"] == "1.0.0"


def test_one_of_several_models_is_asked_by_its_name(hosting: Hosting) -> None:
    several = {
        **hosting.definition("several"),
        "Mode": "MultiModel",
        "ModelDataUrl": f"s3://{BUCKET}/",
    }
    del several["Environment"]["MODEL_VERSION"]
    hosting.endpoint(hosting.alone(hosting.model_of(PrimaryContainer=several)))
    for version in ("1.0.0", "2.0.0"):
        assert hosting.ask(TargetModel=f"{version}.tar.gz") == ("AllTraffic", version)
    assert "Target-Model" in _failure(hosting.call)["Error"]["Message"]
    missing = _failure(lambda: hosting.call(TargetModel="3.tar.gz"))
    assert "does not exist" in missing["Error"]["Message"]


def test_a_serverless_variant_takes_no_more_calls_than_it_says(hosting: Hosting, sandbox: Sandbox) -> None:
    model = hosting.model("1.0.0", ML_LENS_SANDBOX_DELAY_MS="300")
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 2},
    }
    told = hosting.endpoint(_config(hosting, [variant]))["ProductionVariants"][0]
    assert told["CurrentServerlessConfig"]["MaxConcurrency"] == 2

    before = _metric(sandbox, "Invocation4XXErrors", "AllTraffic")
    with ThreadPoolExecutor(4) as callers:
        assert {*callers.map(lambda _: hosting.ask(), range(4))} == {("AllTraffic", "1.0.0")}
    # The client was told to slow down, and tried again later.
    assert _metric(sandbox, "Invocation4XXErrors", "AllTraffic") - before >= 2
    assert _metric(sandbox, "ServerlessConcurrentExecutionsUtilization", "AllTraffic", "Maximum") == 1


def test_a_shadow_sees_the_calls_and_never_answers(hosting: Hosting, sandbox: Sandbox) -> None:
    models = hosting.model("1.0.0"), hosting.model("2.0.0", key="broken")
    shadow = hosting.variant("Shadow", models[1])
    hosting.endpoint(hosting.alone(models[0], ShadowProductionVariants=[shadow]))
    before = _metric(sandbox, "InvocationModelErrors", "AllTraffic")
    assert {hosting.ask() for _ in range(10)} == {("AllTraffic", "1.0.0")}
    eventually(lambda: _metric(sandbox, "InvocationModelErrors", "Shadow") == 10)
    assert _metric(sandbox, "InvocationModelErrors", "AllTraffic") == before


def test_calls_are_measured_by_variant(hosting: Hosting, sandbox: Sandbox) -> None:
    slow = hosting.model("1.0.0", ML_LENS_SANDBOX_DELAY_MS="50")
    hosting.endpoint(hosting.config({"A": (hosting.model("1.0.0"), 1), "Slow": (slow, 0)}, count=2))
    before = _metric(sandbox, "Invocations", "A")
    for _ in range(10):
        hosting.ask()
    assert _metric(sandbox, "Invocations", "A") - before == 10
    hosting.ask(TargetVariant="Slow")
    assert _metric(sandbox, "Invocations", "Slow") == 1
    assert _metric(sandbox, "InvocationsPerInstance", "Slow") == 0.5
    assert 50_000 < _metric(sandbox, "ModelLatency", "Slow", "p99") < 1_000_000
    assert _metric(sandbox, "ModelLatency", "A", "p50") < 50_000
    assert _metric(sandbox, "ModelLatency", "Slow", "SampleCount") == 1
    assert _metric(sandbox, "MemoryUtilization", "A", "Average", "/aws/sagemaker/Endpoints") > 0


@pytest.mark.parametrize("declared", [True, False])
def test_calls_are_captured_with_the_rights_of_the_role(
    hosting: Hosting, sandbox: Sandbox, server: Role, declared: bool
) -> None:
    server.may(READ, {"Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/captured/*"})
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captured/{declared}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    if declared:
        capture["CaptureContentTypeHeader"] = {"JsonContentTypes": ["application/json"]}
    hosting.endpoint(hosting.alone(hosting.model("1.0.0"), DataCaptureConfig=capture))
    hosting.ask(InferenceId="mine")
    s3 = sandbox.client("s3")
    prefix = f"captured/{declared}/{NAME}/AllTraffic/{datetime.now(UTC):%Y/%m/%d}/"
    (stored,) = eventually(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents"))
    record = json.loads(s3.get_object(Bucket=BUCKET, Key=stored["Key"])["Body"].read())
    assert record["eventMetadata"]["inferenceId"] == "mine"
    given = record["captureData"]["endpointInput"]
    assert given["encoding"] == ("JSON" if declared else "BASE64")
    assert given["data"] == (BODY if declared else base64.b64encode(BODY.encode()).decode())


def test_what_a_container_prints_is_logged_where_the_role_may(
    hosting: Hosting, sandbox: Sandbox, server: Role
) -> None:
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/*"
    actions = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    server.may(READ, {"Action": actions, "Resource": group})
    hosting.endpoint(hosting.alone(hosting.model("2.0.0", key="broken")))
    _failure(hosting.ask)
    logs = sandbox.client("logs")
    where = {"logGroupName": f"/aws/sagemaker/Endpoints/{NAME}", "logStreamName": "AllTraffic/i-sandbox"}

    def traceback() -> bool:
        lines = [each["message"] for each in logs.get_log_events(**where)["events"]]
        return any("Traceback" in line for line in lines)

    assert eventually(traceback)


def _failure(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as failed:
        call()
    found: dict[str, Any] = failed.value.response
    return found


def _answers(hosting: Hosting) -> bool:
    try:
        return bool(hosting.call(b"hello")["Body"].read() == b"hello")
    except ClientError:
        return False


def _plain() -> dict[str, Any]:
    return {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/plain.tar.gz"}


def _config(hosting: Hosting, variants: list[dict[str, Any]]) -> str:
    return hosting.config_of(ProductionVariants=variants)


@functools.lru_cache(maxsize=1)
def _cloudwatch(sandbox: Sandbox) -> Any:
    return sandbox.client("cloudwatch")


def _metric(
    sandbox: Sandbox, metric: str, variant: str, stat: str = "Sum", namespace: str = "AWS/SageMaker"
) -> float:
    now = datetime.now(UTC)
    query = {
        "Id": "m",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [
                    {"Name": "EndpointName", "Value": NAME},
                    {"Name": "VariantName", "Value": variant},
                ],
            },
            "Period": 3600,
            "Stat": stat,
        },
    }
    found = _cloudwatch(sandbox).get_metric_data(
        MetricDataQueries=[query], StartTime=now - timedelta(hours=1), EndTime=now + timedelta(hours=1)
    )["MetricDataResults"][0]["Values"]
    return float(sum(found))
