"""Finds the code of functions and jobs, in a checkout or in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_IN_WHEEL = _PACKAGE / "_assets"
_IN_CHECKOUT = _PACKAGE.parent.parent


def function_code(name: str) -> Path:
    """Return the folder that is the import root of the function ``name``.

    Raises:
        FileNotFoundError: No such function is shipped; the message lists those that are.
    """
    return _shipped("lambda", name, what="function")


def job_code(name: str) -> Path:
    """Return the folder that is the import root of the job ``name``: what runs in a container of SageMaker.

    Raises:
        FileNotFoundError: No such job is shipped; the message lists those that are.
    """
    return _shipped("jobs", name, what="job")


def _shipped(kind: str, name: str, *, what: str) -> Path:
    folders = (_IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT) / kind
    folder = folders / name
    if not folder.is_dir():
        shipped = ", ".join(sorted(entry.name for entry in folders.glob("*/"))) or "none"
        raise FileNotFoundError(f"no {what} {name!r} in {folders}; there are: {shipped}")
    return folder
