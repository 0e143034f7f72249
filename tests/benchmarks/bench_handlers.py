"""What the functions of the customer demographics cost before they do anything, and per row.

Run it with ``python tests/benchmarks/bench_handlers.py``. It prints ratios measured in one run, and
asserts nothing about time.
"""

from __future__ import annotations

import csv
import io
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

LAMBDA = Path(__file__).parents[2] / "lambda"
sys.path.insert(0, str(LAMBDA / "face_attributes"))

from cell_text import timestamp  # noqa: E402
from faces import EMOTIONS, FACE_COLUMNS, FaceRow, face_rows  # noqa: E402
from records import csv_body  # noqa: E402
from uploads import Upload  # noqa: E402

ROWS = 20_000
REPEATS = 5
IMPORTS = 15
BUDGET_MS = 150

TIMED_IMPORT = """
import sys, time
sys.path.insert(0, {folder!r})
start = time.perf_counter()
import {module}
print((time.perf_counter() - start) * 1000, "boto3" in sys.modules)
"""


def sample_rows(count: int) -> list[FaceRow]:
    moment = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    detail = {
        "Confidence": 99.98731231689453,
        "AgeRange": {"Low": 22, "High": 30},
        "Gender": {"Value": "Female", "Confidence": 99.91},
        "Emotions": [{"Type": name, "Confidence": 12.345678710937 + i} for i, name in enumerate(EMOTIONS)],
    }
    uploads = (Upload("images", f"door 7/{n}.jpg", "v1", 1024, moment) for n in range(count // 4))
    return [
        row
        for upload in uploads
        for row in face_rows(
            upload,
            [detail] * 4,
            image_id="ab" * 32,
            analysis_id="20261120T120000000000-0123abcd",
            analysed_at=moment,
        )
    ]


def standard_csv(rows: Sequence[FaceRow]) -> bytes:
    """The same bytes, written by the standard library."""
    cells = attrgetter(*FACE_COLUMNS)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FACE_COLUMNS)
    writer.writerows(
        [timestamp(value) if isinstance(value, datetime) else value for value in cells(row)] for row in rows
    )
    return text.getvalue().encode()


def rows_per_second(count: int, write: Callable[[], bytes]) -> float:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        write()
        taken.append(time.perf_counter() - start)
    return count / statistics.median(taken)


def import_ms(module: str, folder: Path) -> tuple[float, bool]:
    """Median time of a first import in fresh interpreters, and whether it drew in boto3."""
    environment = os.environ | {"POWERTOOLS_SERVICE_NAME": "bench", "POWERTOOLS_METRICS_NAMESPACE": "MLLens"}
    code = TIMED_IMPORT.format(folder=str(folder), module=module)
    lines = [
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(IMPORTS)
    ]
    return statistics.median(float(taken) for taken, _ in lines), lines[0][1] == "True"


def whole_ms(code: str) -> float:
    """Median time of an interpreter from start to end."""
    taken = []
    for _ in range(IMPORTS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def print_writer() -> None:
    rows = sample_rows(ROWS)
    written = csv_body(FACE_COLUMNS, rows)
    if written != standard_csv(rows):
        sys.exit("csv_body and csv.writer wrote different bytes: there is nothing to compare")
    ours = rows_per_second(ROWS, lambda: csv_body(FACE_COLUMNS, rows))
    theirs = rows_per_second(ROWS, lambda: standard_csv(rows))
    size = len(written) / ROWS
    print(f"record writer, {ROWS} rows of {len(FACE_COLUMNS)} columns, {size:.0f} bytes each")
    print(f"  csv_body                {ours:10,.0f} rows/s")
    print(f"  csv.writer, same bytes  {theirs:10,.0f} rows/s   csv_body is {ours / theirs:.2f} x")


def print_imports() -> None:
    interpreter = whole_ms("pass")
    print(
        f"cold import, median of {IMPORTS} fresh interpreters; a bare one takes {interpreter:.0f} ms in all"
    )
    for module in ("face_attributes", "erase_images"):
        taken, with_boto3 = import_ms(module, LAMBDA / module)
        print(
            f"  {module:16} {taken:5.0f} ms   {taken / interpreter:4.1f} x a bare interpreter   "
            f"{taken / BUDGET_MS:4.0%} of the budget   boto3 {'imported' if with_boto3 else 'not imported'}"
        )


if __name__ == "__main__":
    print_writer()
    print_imports()
