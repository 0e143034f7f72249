"""Multi-model containers: models below a prefix, each loaded when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ml_lens.rehearsal.inside.sagemaker.containers import Container, ContainerFailed, Reply
from ml_lens.rehearsal.inside.sagemaker.faults import Fault

_KEPT = 8
"""Models that are held at the same time; the one that was longest not asked for makes room."""


class MultiModel:
    """A container of models.

    Args:
        load: Returns the container of a model, given its name below the prefix.
    """

    def __init__(self, load: Callable[[str], Container]) -> None:
        """Load nothing yet."""
        self._load = load
        self._lock = threading.Lock()
        self._loaded: dict[str, Container] = {}

    def wait(self) -> None:
        """Be ready at once: there is nothing to load before the first call."""

    def ask(
        self, body: bytes, content_type: str, accept: str, *, attributes: str = "", target: str = ""
    ) -> Reply:
        """Send a request to the model ``target``.

        Raises:
            Fault: No model is named, or it cannot be loaded.
        """
        if not target:
            raise Fault("ValidationError", "Missing required header X-Amzn-SageMaker-Target-Model.")
        return self._model(target).ask(body, content_type, accept, attributes=attributes)

    def stop(self) -> None:
        """End every model."""
        with self._lock:
            loaded, self._loaded = self._loaded, {}
        for container in loaded.values():
            container.stop()

    def _model(self, target: str) -> Container:
        with self._lock:
            found = self._loaded.pop(target, None)
            if found is None:
                found = self._begin(target)
            self._loaded[target] = found
            gone = self._loaded.pop(next(iter(self._loaded))) if len(self._loaded) > _KEPT else None
        if gone is not None:
            gone.stop()
        return found

    def _begin(self, target: str) -> Container:
        try:
            made = self._load(target)
            made.wait()
        except ContainerFailed as failed:
            raise Fault("ValidationError", str(failed)) from failed
        return made
