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
    functions = (_IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT) / "lambda"
    folder = functions / name
    if not folder.is_dir():
        shipped = ", ".join(sorted(entry.name for entry in functions.glob("*/"))) or "none"
        raise FileNotFoundError(f"no function {name!r} in {functions}; there are: {shipped}")
    return folder
