"""What a synthesis costs, against a bare CDK app with as many resources.

Run it with ``python tests/benchmarks/bench_synth.py``. It prints ratios measured in one run, and asserts
nothing about time. Every measurement is a process of its own, as a synthesis is for whoever waits for it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CONTEXT = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
REPEATS = 5
BUDGET_S = 4.0
SCENARIO = "CustomerDemographics"

BARE_APP = """
import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
app = cdk.App()
stack = cdk.Stack(app, "Bare")
for number in range({resources}):
    sqs.CfnQueue(stack, f"Queue{{number}}")
app.synth()
"""
WITHOUT_PACKS = """
import aws_cdk as cdk
import app
composed = cdk.App()
app.add_scenarios(composed)
composed.synth()
"""


def seconds(program: list[str], *, validated: bool) -> tuple[float, int]:
    """Run ``program`` once and return how long it took, and how many resources came out."""
    with tempfile.TemporaryDirectory() as outdir:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
        environment |= {
            "CDK_CONTEXT_JSON": json.dumps(CONTEXT),
            "CDK_OUTDIR": outdir,
            "CDK_VALIDATION": str(validated).lower(),
            "PYTHONPATH": str(CHECKOUT),
        }
        start = time.perf_counter()
        subprocess.run([sys.executable, *program], cwd=CHECKOUT, env=environment, check=True)  # noqa: S603
        took = time.perf_counter() - start
        templates = [json.loads(path.read_text()) for path in Path(outdir).glob("*.template.json")]
        return took, sum(len(template["Resources"]) for template in templates)


def main() -> None:
    _, resources = seconds(["app.py"], validated=True)  # also warms every cache
    bare = ["-c", BARE_APP.format(resources=resources)]
    rows = (
        ("bare app, no validation", bare, False),
        ("bare app, validation", bare, True),
        (f"{SCENARIO}, neither", ["-c", WITHOUT_PACKS], False),
        (f"{SCENARIO}, validation", ["-c", WITHOUT_PACKS], True),
        (f"{SCENARIO}, validation and packs", ["app.py"], True),
    )
    taken: dict[str, list[float]] = {name: [] for name, _, _ in rows}
    for _ in range(REPEATS):  # in turn, so that a busy moment of the machine meets all of them
        for name, program, validated in rows:
            taken[name].append(seconds(program, validated=validated)[0])
    first = statistics.median(taken[rows[0][0]])
    print(f"synthesis of {resources} resources, median of {REPEATS} processes")
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"  {name:<46}{median:6.2f} s  {median / first:5.2f} x bare")
    print(f"  budget with everything on: {BUDGET_S:.0f} s")


if __name__ == "__main__":
    main()
