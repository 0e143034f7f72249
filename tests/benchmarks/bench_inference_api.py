"""What the function of an API costs, per call above the endpoint's own time and before its first call.

Run it with ``python tests/benchmarks/bench_inference_api.py``. An endpoint on the loopback answers after a fixed time;
calls of it by boto3 alone and through the function are measured in one run. It prints ratios, and asserts nothing about
time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.churn_request import CUSTOMER

ROOT = Path(__file__).parents[2]
LAMBDA = ROOT / "lambda" / "inference_api"
ENDPOINT_MS = 5.0
CALLS, WARM_UP, IMPORTS = 300, 30, 15
BUDGET_MS = 150
BATCHES = (1, 10, 100)
TIMED_IMPORT = """
import sys, time
sys.path.insert(0, {folder!r})
start = time.perf_counter()
import inference_api
print((time.perf_counter() - start) * 1000, "boto3" in sys.modules)
"""


class Endpoint(BaseHTTPRequestHandler):
    """Answers as an endpoint does, after a fixed time."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(ENDPOINT_MS / 1000)
        told = [{"probability": 0.123456}] * len(asked["instances"])
        body = json.dumps({"predictions": told, "model_version": "1.0.0"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-Amzn-Invoked-Production-Variant", "AllTraffic")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of a call."""
    taken = []
    for number in range(WARM_UP + CALLS):
        start = time.perf_counter()
        call()
        if number >= WARM_UP:
            taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def environment(url: str) -> dict[str, str]:
    sys.path.insert(0, str(ROOT / "constructs"))
    from ml_lens.assets import job_code
    from ml_lens.hosting.api_schema import packed

    schema = json.loads((job_code("churn") / "features.json").read_text())
    return {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url,
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "MLLens",
        "ENDPOINT_NAME": "bench",
        "MODEL_VERSIONS": '{"AllTraffic": "1.0.0"}',
        "REQUEST_SCHEMA": packed(schema),
        "LARGEST_BODY": "1000000",
        "ANSWER_SECONDS": "20",
    }


def print_calls() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ.update(environment(f"http://127.0.0.1:{server.server_port}"))
    sys.path.insert(0, str(LAMBDA))
    import boto3
    import inference_api

    client = boto3.client("sagemaker-runtime")
    context = SimpleNamespace(
        function_name="bench",
        memory_limit_in_mb=512,
        invoked_function_arn="bench",
        aws_request_id="bench",
        get_remaining_time_in_millis=lambda: 19_900,
    )
    print(f"median of {CALLS} calls of an endpoint on the loopback that takes {ENDPOINT_MS:.0f} ms")
    for batch in BATCHES:
        body = json.dumps({"instances": [CUSTOMER] * batch})

        def bare(body: str = body) -> object:
            return client.invoke_endpoint(EndpointName="bench", ContentType="application/json", Body=body)[
                "Body"
            ].read()

        def through(body: str = body) -> dict[str, Any]:
            event = {"body": body, "headers": {}, "requestContext": {"requestId": "bench"}}
            response: dict[str, Any] = inference_api.handler(event, context)
            if response["statusCode"] != 200:
                sys.exit(f"the function answered {response['statusCode']}: there is nothing to compare")
            return response

        with redirect_stdout(StringIO()):
            inference_api.logger.handlers[0].stream = StringIO()  # type: ignore[attr-defined]
            alone, with_function = milliseconds(bare), milliseconds(through)
        print(
            f"  {batch:4} instances   boto3 alone {alone:6.2f} ms   the function {with_function:6.2f} ms   "
            f"{with_function / alone:4.2f} x, {with_function - alone:5.2f} ms above it"
        )
    server.shutdown()


def whole_ms(code: str) -> float:
    """Return the median time of an interpreter from start to end."""
    taken = []
    for _ in range(IMPORTS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def print_import() -> None:
    code = TIMED_IMPORT.format(folder=str(LAMBDA))
    lines = [
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(IMPORTS)
    ]
    taken = statistics.median(float(milliseconds) for milliseconds, _ in lines)
    bare = whole_ms("pass")
    drawn = "imported" if any(boto3 == "True" for _, boto3 in lines) else "not imported"
    print(f"cold import, median of {IMPORTS} fresh interpreters; a bare one takes {bare:.0f} ms in all")
    print(
        f"  inference_api  {taken:5.0f} ms   {taken / bare:4.1f} x a bare interpreter   "
        f"{taken / BUDGET_MS:4.0%} of the budget   boto3 {drawn}"
    )


if __name__ == "__main__":
    print_calls()
    print_import()
