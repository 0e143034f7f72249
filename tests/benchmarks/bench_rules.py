"""What the rule pack costs: over one app, over growing apps, and beside AwsSolutionsChecks on the same app.

Run it with ``python -m tests.benchmarks.bench_rules``. It asserts nothing about time.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk.cloudformation_include import CfnInclude
from cdk_nag import AwsSolutionsChecks

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.pack import MLLensChecks
from ml_lens.rules.templates import TemplateFile, read_templates
from tests.benchmarks.learning_app import template

REPEATS = 5
BUDGET_MS = 150
RESOURCES = 1_000
STACK = 500


def median_ms(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def written(folder: Path, stacks: int, resources: int) -> list[Path]:
    paths = []
    for stack in range(stacks):
        path = folder / f"Stack{stack}.template.json"
        path.write_text(json.dumps(template(resources, stack=stack)))
        paths.append(path)
    return paths


def rules_alone(folder: Path) -> None:
    first = 0.0
    print(f"rules over templates of {STACK} resources each, median of {REPEATS} runs")
    for stacks in (1, 2, 5, 10, 20):
        read: Sequence[TemplateFile] = read_templates(written(folder, stacks, STACK))
        resources = sum(len(each.body["Resources"]) for each in read)
        took = median_ms(lambda read=read: judge(read, Options()))  # type: ignore[misc]
        first = first or took / resources
        budget = f"   budget {BUDGET_MS} ms" if resources == RESOURCES else ""
        print(
            f"  {resources:>6} resources{took:9.0f} ms{took / resources / first:7.2f} x per resource{budget}"
        )


def synthesis(path: Path, outdir: Path, *packs: type) -> None:
    app = cdk.App(outdir=str(outdir), builtin_cloud_formation_validation=False, analytics_reporting=False)
    stack = cdk.Stack(app, "Included")
    CfnInclude(stack, "Template", template_file=str(path))
    for pack in packs:
        cdk.Validations.of(app).add_plugins(pack(app))
    try:
        app.synth()
    except RuntimeError as refusal:
        if "ValidationFailed" not in str(refusal):
            raise


def beside_other_packs(folder: Path) -> None:
    (path,) = written(folder, 1, STACK)
    taken: dict[str, list[float]] = {"": [], MLLensChecks.__name__: [], AwsSolutionsChecks.__name__: []}
    for turn in range(REPEATS + 2):  # in turn, after two rounds in which Node.js warms up
        for pack in (None, MLLensChecks, AwsSolutionsChecks):
            name = pack.__name__ if pack else ""
            start = time.perf_counter()
            synthesis(path, folder / f"{turn}{name}", *([pack] if pack else []))
            if turn > 1:
                taken[name].append((time.perf_counter() - start) * 1000)
    bare, *others = (statistics.median(each) for each in taken.values())
    print(f"synthesis of a CDK app with {STACK} resources, {bare:.0f} ms without packs; added by")
    for name, took in zip(list(taken)[1:], others, strict=True):
        print(f"  {name:<20}{took - bare:9.0f} ms{(took - bare) / bare:7.2f} x the synthesis itself")


def main() -> None:
    sys.stderr = open("/dev/null", "w")  # noqa: SIM115, PTH123 -- the findings themselves are not the subject
    with tempfile.TemporaryDirectory() as folder:
        rules_alone(Path(folder))
        beside_other_packs(Path(folder))


if __name__ == "__main__":
    main()
