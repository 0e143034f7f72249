"""Packs a model and the code that serves it as SageMaker takes them, the same bytes for the same content."""

import argparse
import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).parent
_SERVING = ("inference.py", "features.py", "features.json")


def pack(version: str, folder: Path) -> Path:
    """Pack the version ``version`` of the churn model into ``folder``, and return the file.

    Raises:
        FileNotFoundError: There is no such version; the message lists those that are.
    """
    model = _HERE / "models" / version / "model.json"
    if not model.is_file():
        raise FileNotFoundError(
            f"no version {version!r} of the churn model; there are {', '.join(versions())}"
        )
    packed = folder / f"churn-{version}.tar.gz"
    packed.write_bytes(packed_model(model.read_bytes(), version))
    return packed


def versions() -> list[str]:
    """Return the versions there are."""
    return sorted(path.parent.name for path in _HERE.glob("models/*/model.json"))


def packed_model(model: bytes, version: str) -> bytes:
    """Return the archive of a model, which XGBoost saved as JSON, with the code that serves it."""
    return archive(
        {
            "model.json": model,
            "version.json": json.dumps({"version": version}).encode() + b"\n",
            **{f"code/{name}": (_HERE / name).read_bytes() for name in _SERVING},
        }
    )


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return ``files`` as ``.tar.gz``: in the order of their names, without times and owners."""
    packed = io.BytesIO()
    # Neither a name nor a time goes into the header, and nothing is squeezed: libraries differ in what they make of it.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=0, fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def main() -> None:
    """Pack the version that the command line names."""
    made = argparse.ArgumentParser(description="Pack a version of the churn model for SageMaker.")
    made.add_argument("version", choices=versions())
    made.add_argument("folder", type=Path)
    chosen = made.parse_args()
    print(pack(chosen.version, chosen.folder))


if __name__ == "__main__":
    main()
