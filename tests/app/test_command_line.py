"""``app.py`` as the CDK's command line runs it: one clear line for each mistake, and no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.stacks.synthesis import CHECKOUT, CONTEXT, findings

OPEN_BUCKET = """
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3


@dataclass(frozen=True)
class Settings:
    name: str = "open"


class ScenarioStack(cdk.Stack):
    def __init__(self, scope, id, *, posture, settings):
        super().__init__(scope, id)
        s3.Bucket(self, "Bucket")
"""
WITH_OPEN_BUCKET = """
import runpy
import stacks
stacks.SCENARIOS["OpenBucket"] = "open_bucket"
runpy.run_path("app.py", run_name="__main__")
"""


def synth(
    outdir: Path, *, command: tuple[str, ...] = ("app.py",), path: str = "", **context: object
) -> subprocess.CompletedProcess[str]:
    """Run the app; dots in the names of settings are written as two underscores."""
    given = {name.replace("__", "."): value for name, value in context.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CDK_")}
    environment |= {
        "CDK_CONTEXT_JSON": json.dumps({**CONTEXT, **given}),
        "CDK_OUTDIR": str(outdir),
        "PYTHONPATH": os.pathsep.join(filter(None, [path, str(CHECKOUT)])),
        "PYTHONUTF8": "1",
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, *command],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a failed run says, which is clear lines and nothing else."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr.removeprefix("error: ").splitlines()


def test_the_settings_of_cdk_json_synthesize_with_every_check_on(tmp_path: Path) -> None:
    done = synth(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "CustomerDemographics.template.json").is_file()
    assert findings(tmp_path) == []


def test_every_mistake_in_the_settings_is_one_line_with_the_nearest_choice(tmp_path: Path) -> None:
    done = synth(
        tmp_path,
        postur="production",
        posture="prodction",
        scenarios="CustomerDemografics",
        CustomerDemographics__batch_size="many",
        CustomerDemographics__gendr_threshold=90,
    )
    problems = "\n".join(told(done))
    assert len(told(done)) == 5
    assert "unknown setting 'postur', did you mean 'posture'?" in problems
    assert "unknown posture 'prodction', did you mean 'production'?" in problems
    assert "unknown scenario 'CustomerDemografics', did you mean 'CustomerDemographics'?" in problems
    assert "CustomerDemographics.batch_size: 'many' is not a whole number" in problems
    assert "did you mean 'CustomerDemographics.gender_threshold'?" in problems


def test_production_is_refused_with_the_purpose_of_the_sample(tmp_path: Path) -> None:
    (problem,) = told(synth(tmp_path, posture="production"))
    assert problem.startswith("CustomerDemographics: purpose: is still that of the sample")
    assert "-c CustomerDemographics.purpose='...'" in problem
    assert not (tmp_path / "CustomerDemographics.template.json").exists()


def test_values_that_no_construct_can_use_are_told_all_at_once(tmp_path: Path) -> None:
    lines = told(
        synth(
            tmp_path,
            CustomerDemographics__batch_size="5000",
            CustomerDemographics__batches_at_once="1",
            CustomerDemographics__parallel_calls="100",
        )
    )
    assert [line.split(": ")[:2] for line in lines] == [
        ["Analysis (UploadAnalysis)", "burst.batch_size"],
        ["Analysis (UploadAnalysis)", "burst.batches_at_once"],
        ["Analysis (UploadAnalysis)", "burst.parallel_calls"],
    ]


def test_a_finding_of_the_rule_pack_fails_the_command(tmp_path: Path) -> None:
    (tmp_path / "open_bucket.py").write_text(OPEN_BUCKET)
    done = synth(
        tmp_path / "out", command=("-c", WITH_OPEN_BUCKET), path=str(tmp_path), scenarios="OpenBucket"
    )
    (line,) = told(done)
    assert line.startswith("the templates break rules, listed in validation-report.json")
    # The command line lists them from this report.
    assert findings(tmp_path / "out") == [
        "AwsSolutions-S1 OpenBucket/Bucket/Resource",
        "AwsSolutions-S10 OpenBucket/Bucket/Resource",
    ]
