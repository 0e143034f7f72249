"""Environments in which nothing of the user's own AWS set-up matters."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PYTHONPATH",
    "PYTHONUTF8",
    "SYSTEMROOT",
    "TERM",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
)
_KEPT_PREFIXES = ("JSII_", "PYENV_")


def clean_environment(temporary: Path) -> dict[str, str]:
    """Return the few variables that programs need: no AWS, proxy or certificate setting is among them.

    Args:
        temporary: The folder for temporary files. AWS configuration files are looked for here too, in vain.
    """
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    own = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": os.pathsep.join([own, os.environ.get("PATH", os.defpath)]),
        "TMPDIR": str(temporary),
        "NO_PROXY": "*",
        "AWS_CONFIG_FILE": str(temporary / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(temporary / "no-aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
