"""How a Python function runs here: AWS's own runtime client, in the sandbox's interpreter."""

from __future__ import annotations

import io
import os
import shlex
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

POWERTOOLS_PARAMETER = "/aws/service/powertools/python/{machine}/{version}/latest"
POWERTOOLS_LAYER = "AWSLambdaPowertoolsPythonV3"
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")


def bootstrap() -> str:
    """Return the executable that starts the runtime client for whatever handler the function names."""
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -u -m awslambdaric "$_HANDLER"\n'


def install_bootstrap(code: Path) -> None:
    """Put the bootstrap beside a function's code unless it brings its own.

    It appears whole and executable: another worker of the same function may be looking for it right now.
    """
    target = code / "bootstrap"
    if not target.exists():
        draft = code / "bootstrap.draft"
        draft.write_text(bootstrap(), encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(target)


def environment(
    configured: Mapping[str, str], fixed: Mapping[str, str], code: Path, layers: Iterable[Path]
) -> dict[str, str]:
    """Return a function's environment: the interpreter's needs, its own variables, then Lambda's.

    Nothing else of the sandbox's environment reaches the function.
    """
    inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    paths = [str(code), *(str(layer / "python") for layer in layers)]
    return {
        **inherited,
        "TZ": ":UTC",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_XRAY_CONTEXT_MISSING": "IGNORE_ERROR",
        **configured,
        **fixed,
        "PYTHONPATH": os.pathsep.join(paths),
    }


def unpack(archive: bytes, target: Path) -> Path:
    """Unpack a layer once."""
    if not target.exists():
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        with zipfile.ZipFile(io.BytesIO(archive)) as layer:
            layer.extractall(draft)
        draft.rename(target)
    return target


def powertools_layer() -> bytes:
    """Return a layer with a marker; the package itself is installed in the sandbox's interpreter."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as layer:
        layer.writestr("python/powertools-of-the-sandbox.txt", sysconfig.get_path("purelib"))
    return buffer.getvalue()
