"""What runs in a container of the sandbox: the contract of SageMaker's XGBoost image, over HTTP on the loopback.

The artifact's own script serves it where ``SAGEMAKER_PROGRAM`` names one; else the file ``xgboost-model`` is served.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DELAY = "ML_LENS_SANDBOX_DELAY_MS"
JSON = "application/json"
CSV = "text/csv"
Predict = Callable[[bytes, str, str], tuple[bytes, str]]


def script(folder: Path, program: str) -> Predict:
    """Return how the script ``program`` of an artifact answers."""
    sys.path.insert(0, str(folder / "code"))
    module: Any = importlib.import_module(Path(program).stem)
    model = module.model_fn(str(folder))

    def predict(body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        text: Any = body.decode() if content_type.startswith("text/") else body
        answer = module.output_fn(module.predict_fn(module.input_fn(text, content_type), model), accept)
        content, kind = answer if isinstance(answer, tuple) else (answer, accept)
        return (content.encode() if isinstance(content, str) else bytes(content)), kind

    return predict


def algorithm(folder: Path) -> Predict:
    """Return how the image answers without a script: rows of CSV in, one number for each out."""
    import numpy as np
    import xgboost as xgb

    booster = xgb.Booster(params={"nthread": 1}, model_file=str(folder / "xgboost-model"))

    def predict(body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        if not content_type.startswith(CSV):
            raise ValueError(f"Content-type {content_type} is not supported")
        rows = np.array([line.split(",") for line in body.decode().split()], dtype=np.float32)
        scores = [float(score) for score in booster.predict(xgb.DMatrix(rows))]
        if accept == JSON:
            return json.dumps({"predictions": [{"score": score} for score in scores]}).encode(), JSON
        return "\n".join(map(str, scores)).encode(), CSV

    return predict


class Handler(BaseHTTPRequestHandler):
    """Answers ``/ping`` and ``/invocations``."""

    protocol_version = "HTTP/1.1"
    predict: Predict
    delay = 0.0

    def do_GET(self) -> None:
        """Tell that the container is well."""
        self._answer(200, b"", "text/plain")

    def do_POST(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(type(self).delay)
        try:
            content, kind = type(self).predict(
                body, self.headers.get("Content-Type", CSV), self.headers.get("Accept", JSON)
            )
            self._answer(200, content, kind)
        except Exception as failure:
            status = int(getattr(failure, "status_code", 500))
            traceback.print_exc()
            self._answer(status, str(getattr(failure, "message", failure)).encode(), "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: failures print their traceback."""

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Answers at once, also in many small pieces."""

    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve the model in the folder that is named; print the port once there is an answer to expect."""
    folder = Path(sys.argv[1])
    program = os.environ.get("SAGEMAKER_PROGRAM")
    Handler.predict = staticmethod(script(folder, program) if program else algorithm(folder))
    Handler.delay = float(os.environ.get(DELAY, "0")) / 1000
    server = Server(("127.0.0.1", 0), Handler)
    print(f"port {server.server_address[1]}", flush=True)
    server.serve_forever()
