"""The function `inference_api` in front of a stubbed SageMaker runtime, and calls to make of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import endpoint_clients
import inference_api
import model_calls
import pytest
from botocore.config import Config
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from ml_lens.assets import job_code
from ml_lens.hosting.api_schema import packed
from tests.churn_request import CUSTOMER

ENDPOINT = "serving-churn-0123abcd"
REQUEST_ID = "8f14e45f-ceea-467f-a0e6-0d1c2b3a4f5e"
SCHEMA = json.loads((job_code("churn") / "features.json").read_text())
# Keys of nobody: the stubs answer before anything is sent.
_NOBODY = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "none", "region_name": "eu-west-1"}


def customers(count: int = 1, **changes: object) -> dict[str, Any]:
    return {"instances": [{**CUSTOMER, **changes}] * count}


def predictions(count: int = 1, **members: object) -> dict[str, Any]:
    return {"predictions": [{"probability": 0.12}] * count, "model_version": "1.0.0", **members}


@dataclass
class Api:
    """The function as API Gateway calls it, with what it said and waited."""

    runtime: Stubber
    dynamodb: Stubber
    metrics: pytest.CaptureFixture[str]
    log: io.StringIO
    seconds_left: list[float] = field(default_factory=lambda: [19.9])
    waits: list[float] = field(default_factory=list)
    within: list[float] = field(default_factory=list)

    def answers(
        self,
        body: object,
        *,
        variant: str = "AllTraffic",
        asked: dict[str, Any] | None = None,
        **members: str,
    ) -> None:
        """Let the next call of the endpoint, which has to be ``asked``, be answered."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.runtime.add_response(
            "invoke_endpoint",
            {
                "Body": StreamingBody(io.BytesIO(content), len(content)),
                "ContentType": "application/json",
                "InvokedProductionVariant": variant,
                **members,
            },
            asked,
        )

    def fails(self, code: str, status: int = 400, **fields: Any) -> None:
        """Let the next call of the endpoint fail."""
        self.runtime.add_client_error(
            "invoke_endpoint",
            service_error_code=code,
            service_message="Endpoint secret of account 123456789012 said 42",
            http_status_code=status,
            modeled_fields=fields,
        )

    def raw(self, body: object, **event: Any) -> dict[str, Any]:
        """Call the function with ``body`` and return what it gives to API Gateway."""
        context = SimpleNamespace(
            function_name="inference_api",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:inference_api",
            aws_request_id=REQUEST_ID,
            get_remaining_time_in_millis=self._left,
        )
        given = {
            "body": body if isinstance(body, str | None) else json.dumps(body),
            "headers": {"Content-Type": "application/json"},
            "requestContext": {"requestId": REQUEST_ID},
            **event,
        }
        return dict(inference_api.handler(given, context))

    def post(self, body: object, **event: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Call the function and return status, body and headers of its answer."""
        response = self.raw(body, **event)
        assert response["headers"]["Cache-Control"] == "no-store"
        return response["statusCode"], json.loads(response["body"]), response["headers"]

    def problem(self, status: int, body: object, **event: Any) -> dict[str, Any]:
        """Call the function, demand a problem of ``status`` and return it."""
        found, problem, headers = self.post(body, **event)
        assert found == status
        assert headers["Content-Type"] == "application/problem+json"
        assert problem["status"] == status
        assert problem["type"] == "about:blank"
        assert problem["instance"] == f"urn:uuid:{REQUEST_ID}"
        assert {"title", "detail"} <= problem.keys()
        text = json.dumps(problem)
        for internal in ("arn:", "123456789012", ENDPOINT, "secret", "Traceback", "boto"):
            assert internal not in text
        self.retry_after = headers.get("Retry-After")
        return problem

    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged, and the metrics since the last look."""
        out = self.log.getvalue() + self.metrics.readouterr().out
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def _left(self) -> float:
        return 1000 * (self.seconds_left.pop(0) if len(self.seconds_left) > 1 else self.seconds_left[0])


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Api]:
    for name, value in {
        "ENDPOINT_NAME": ENDPOINT,
        "REQUEST_SCHEMA": packed(SCHEMA),
        "LARGEST_BODY": "20000",
        "ANSWER_SECONDS": "20",
        "MODEL_VERSIONS": '{"AllTraffic": "0.9.0", "B": "0.9.1"}',
    }.items():
        monkeypatch.setenv(name, value)
    runtime = boto3.client("sagemaker-runtime", **_NOBODY, config=Config(retries={"total_max_attempts": 1}))
    dynamodb = boto3.client("dynamodb", **_NOBODY, config=Config(retries={"total_max_attempts": 1}))
    with Stubber(runtime) as stubbed, Stubber(dynamodb) as table:
        made = Api(stubbed, table, capsys, io.StringIO())
        for handler in inference_api.logger.handlers:
            monkeypatch.setattr(handler, "stream", made.log)

        def within(seconds: float) -> object:
            made.within.append(seconds)
            return runtime

        monkeypatch.setattr(inference_api, "clients_within", lambda answer_seconds: within)
        monkeypatch.setattr(inference_api, "dynamodb", lambda: dynamodb)
        monkeypatch.setattr(model_calls.time, "sleep", made.waits.append)
        yield made
        stubbed.assert_no_pending_responses()
        table.assert_no_pending_responses()
    endpoint_clients.dynamodb.cache_clear()


__all__ = ["ANY", "CUSTOMER", "ENDPOINT", "SCHEMA", "Api", "api", "customers", "predictions"]
