"""The clients of the function: who is asked how patiently, and that nobody is asked twice behind its back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import boto3
import endpoint_clients
import pytest
from model_calls import ModelCall, call_model


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    clients: list[tuple[str, Any]] = []

    def client(service: str, config: Any) -> object:
        clients.append((service, config))
        return object()

    monkeypatch.setattr(boto3, "client", client)
    endpoint_clients._runtime.cache_clear()
    endpoint_clients.dynamodb.cache_clear()
    yield clients
    endpoint_clients._runtime.cache_clear()
    endpoint_clients.dynamodb.cache_clear()


def test_an_attempt_is_over_before_the_function_is(made: list[tuple[str, Any]]) -> None:
    within = endpoint_clients.clients_within(20)
    for seconds in (18.0, 17.0, 16.9, 8.0, 4.5, 1.0, 0.2):
        within(seconds)
    assert [config.read_timeout for _, config in made] == [17, 8, 4, 1]
    assert {config.connect_timeout for _, config in made} == {1}
    assert all(service == "sagemaker-runtime" for service, _ in made)


def test_a_client_is_made_once(made: list[tuple[str, Any]]) -> None:
    first, second = endpoint_clients.clients_within(20), endpoint_clients.clients_within(20)
    assert first(18.0) is second(18.0)
    assert endpoint_clients.dynamodb() is endpoint_clients.dynamodb()
    assert len(made) == 2


class Endpoint(BaseHTTPRequestHandler):
    """Answers every call, and keeps its headers."""

    asked: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("x-Amzn-Invoked-Production-Variant", "B")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.lens("INF-01")
def test_every_request_to_the_endpoint_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        endpoint_clients._runtime.cache_clear()
        call = ModelCall(endpoint_name="churn", body=b"{}", inference_id="1", variant="B")
        answer, retries = call_model(call, endpoint_clients.clients_within(20), lambda: 20.0)
        endpoint_clients._runtime.cache_clear()
    (headers,) = Endpoint.asked
    scheme, _, signature = headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    assert "/eu-west-1/sagemaker/aws4_request" in signature
    assert "x-amzn-sagemaker-target-variant" in signature
    assert headers["x-amzn-sagemaker-inference-id"] == "1"
    assert (answer.body, answer.variant, retries) == (b"[]", "B", 0)
