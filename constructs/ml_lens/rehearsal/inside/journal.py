"""Small JSON files in the sandbox's folder: how the two processes tell each other things."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "ML_LENS_SANDBOX_FOLDER"

DECLARED = "declared.json"
REKOGNITION_SCRIPT = "rekognition-script.json"
REKOGNITION_CALLS = "rekognition-calls.json"


class Journal:
    """Reads and writes whole documents; a reader never sees half of one."""

    def __init__(self, folder: Path) -> None:
        """Keep the documents in ``folder``, which exists."""
        self._folder = folder
        self._lock = threading.Lock()

    def write(self, name: str, document: Any) -> None:
        """Replace the document ``name``."""
        with self._lock:
            draft = self._folder / f".{name}.{os.getpid()}"
            draft.write_text(json.dumps(document), encoding="utf-8")
            draft.replace(self._folder / name)

    def read(self, name: str, default: Any) -> Any:
        """Return the document ``name``, or ``default`` while there is none."""
        try:
            return json.loads((self._folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return default

    def stamp(self, name: str) -> tuple[int, int]:
        """Return a value that changes whenever the document is replaced."""
        try:
            found = (self._folder / name).stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_ino)
