"""What runs in a container of the sandbox: the contract of SageMaker's XGBoost image, over HTTP on the loopback.

The artifact's own script serves it where ``SAGEMAKER_PROGRAM`` names one; else the file ``xgboost-model`` is served.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ml_lens.rehearsal.inside.sagemaker import algorithm
from ml_lens.rehearsal.inside.sagemaker.algorithm import CSV, JSON, Answer, NotServed

DELAY = "ML_LENS_SANDBOX_DELAY_MS"
_IN_IMAGE = "/opt/ml/model"
Predict = Callable[[bytes, str, str], Answer]


def script(folder: Path, program: str, where: str) -> Predict:
    """Return how the script ``program`` of an artifact answers; what it leaves out, the image does.

    Args:
        folder: The unpacked artifact.
        program: Name of the script.
        where: Its folder, as the image sees it.
    """
    inside = where.removeprefix(_IN_IMAGE).strip("/") if where.startswith(_IN_IMAGE) else "code"
    sys.path.insert(0, str(folder / inside))
    module: Any = importlib.import_module(Path(program).stem)
    model = module.model_fn(str(folder)) if hasattr(module, "model_fn") else algorithm.booster(folder)
    if hasattr(module, "transform_fn"):
        return lambda body, kind, accept: _answer(
            module.transform_fn(model, _text(body, kind), kind, accept), accept
        )
    read = getattr(module, "input_fn", algorithm.rows)
    predict = getattr(module, "predict_fn", lambda data, model: algorithm.scores(model, data))
    write = getattr(module, "output_fn", algorithm.written)
    return lambda body, kind, accept: _answer(
        write(predict(read(_text(body, kind), kind), model), accept), accept
    )


def _text(body: bytes, content_type: str) -> bytes | str:
    return body.decode() if content_type.startswith("text/") else body


def _answer(said: Any, accept: str) -> Answer:
    content, kind = said if isinstance(said, tuple) else (said, accept)
    return (content.encode() if isinstance(content, str) else bytes(content)), kind


@dataclass(frozen=True)
class Served:
    """A model, and how long it takes over an answer beyond its own time."""

    predict: Predict
    delay: float


class Handler(BaseHTTPRequestHandler):
    """Answers ``/ping`` and ``/invocations``."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet, or each answer waits for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    served: Served

    def do_GET(self) -> None:
        """Tell that the container is well."""
        self._answer(200, b"", "text/plain")

    def do_POST(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.served.delay)
        kind, accept = self.headers.get("Content-Type", CSV), self.headers.get("Accept", JSON)
        try:
            content, kind = self.served.predict(body, kind, accept)
            self._answer(200, content, kind)
        except NotServed as refusal:
            self._answer(refusal.status, str(refusal).encode(), "text/plain")
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


def serve(folder: Path) -> None:
    """Serve the model in a folder; print the port once there is an answer to expect."""
    program = os.environ.get("SAGEMAKER_PROGRAM")
    where = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    Handler.served = Served(
        predict=script(folder, program, where) if program else algorithm.serving(folder),
        delay=float(os.environ.get(DELAY, "0")) / 1000,
    )
    server = Server(("127.0.0.1", 0), Handler)
    print(f"port {server.server_address[1]}", flush=True)
    server.serve_forever()
