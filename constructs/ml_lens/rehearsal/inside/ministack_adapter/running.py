"""Functions: the runtime they run on, the layers they find, the logs they may write."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime, responses
from ministack.services import lambda_svc, ssm

from ml_lens.rehearsal.inside import functions
from ml_lens.rehearsal.inside.ministack_adapter.access import Policies, endpoint, function_role

logger = logging.getLogger("ml_lens.sandbox")

_FIXED_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
    }
)
_layer_lock = threading.Lock()


def run_functions_on_the_runtime_client() -> None:
    """Run Python functions by awslambdaric, which reports an exception by its own class."""
    warm, code_of, env_of = (
        lambda_svc._execute_function_warm,
        lambda_svc._provided_runtime_code_dir,
        lambda_svc._provided_worker_env,
    )
    class_of = lambda_runtime._worker_class_for

    def is_python(config: Mapping[str, Any]) -> bool:
        return str(config.get("Runtime", "")).startswith("python")

    def execute(function: dict[str, Any], event: Any, request_id: str) -> Any:
        run = (
            lambda_svc._execute_function_provided_warm
            if is_python(function.get("config") or function)
            else warm
        )
        return run(function, event, request_id)

    def code_with_bootstrap(archive: bytes) -> str:
        folder = str(code_of(archive))
        # No process may start while the file is open for writing: it could not be executed.
        with lambda_svc._provided_code_lock:
            functions.install_bootstrap(Path(folder))
        return folder

    def environment(config: Mapping[str, Any], code: str, port: int) -> dict[str, str]:
        original: dict[str, str] = env_of(config, code, port)
        if not is_python(config):
            return original
        fixed = {k: v for k, v in original.items() if k.startswith("AWS_LAMBDA_") or k in _FIXED_VARIABLES}
        fixed["AWS_ENDPOINT_URL"] = endpoint()
        fixed["AWS_LAMBDA_LOG_GROUP_NAME"] = _log_group(config)
        return functions.environment(lambda_svc._runtime_env_vars(config), fixed, Path(code), _layers(config))

    lambda_runtime._worker_class_for = lambda config: (
        lambda_runtime.ProvidedWorker if is_python(config) else class_of(config)
    )
    lambda_svc._execute_function_warm = execute
    lambda_svc._provided_runtime_code_dir = code_with_bootstrap
    lambda_svc._provided_worker_env = environment


def _layers(config: Mapping[str, Any]) -> list[Path]:
    folders = []
    for reference in config.get("Layers", []):
        archive = lambda_svc._resolve_layer_zip(reference)
        if archive:
            target = Path(tempfile.gettempdir()) / f"layer-{hashlib.sha256(archive).hexdigest()[:16]}"
            with _layer_lock:
                folders.append(functions.unpack(archive, target))
    return folders


def _log_group(config: Mapping[str, Any]) -> str:
    return str(
        (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config.get('FunctionName')}"
    )


def log_as_the_function(gate: Policies) -> None:
    """Keep a function's log only where its role may write it."""
    emit = lambda_svc._emit_lambda_logs

    def emit_if_allowed(function: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        config = function.get("config") or function
        group = f"arn:aws:logs:{gate.region()}:{gate.account()}:log-group:{_log_group(config)}"
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            refused = gate.refusal(function_role(config), action, f"{group}:log-stream:any")
            if refused:
                logger.warning("%s has no log: %s", config.get("FunctionName"), refused)
                return
        emit(function, *args, **kwargs)

    lambda_svc._emit_lambda_logs = emit_if_allowed


def publish_powertools(account: str, region: str, versions: tuple[str, ...]) -> None:
    """Publish the layer and the public parameters that name it."""
    content = base64.b64encode(functions.powertools_layer()).decode()
    with responses.request_scope(account, region):
        _, _, body = lambda_svc._publish_layer_version(
            functions.POWERTOOLS_LAYER, {"Content": {"ZipFile": content}}
        )
    layer = json.loads(body)["LayerVersionArn"]
    for machine in ("arm64", "x86_64"):
        for version in versions:
            name = functions.POWERTOOLS_PARAMETER.format(machine=machine, version=version)
            ssm._PUBLIC_AMI_PARAMETERS[name] = layer
