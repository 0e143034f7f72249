"""Apps of the tests, put into the sandbox without the command line, which would take longer than what they test."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.made_to_measure import eventually, failures, settled
from tests.stacks.synthesis import CONTEXT

_ASSETS = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"


@dataclass(frozen=True)
class DeployedStack:
    """A stack in the sandbox, asked by the ids of its constructs."""

    sandbox: Sandbox
    name: str
    outputs: dict[str, str]

    def runs(self, arn: str, **given: Any) -> dict[str, Any]:
        """Start a run of a state machine, and return how it ended."""
        started = self.start(arn, **given)
        return self.ended(started)

    def start(self, arn: str, **given: Any) -> str:
        """Start a run of a state machine, and return its ARN."""
        states = self.sandbox.client("stepfunctions")
        return str(states.start_execution(stateMachineArn=arn, input=json.dumps(given))["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        """Return how a run ended, once it has."""
        states = self.sandbox.client("stepfunctions")

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        found: dict[str, Any] = eventually(look, seconds=60)
        return found

    def output(self, run: dict[str, Any]) -> Any:
        """Return what a run that succeeded gives; the history of one that did not is what the test then shows."""
        if run["status"] != "SUCCEEDED":
            history = self.sandbox.client("stepfunctions").get_execution_history(
                executionArn=run["executionArn"], reverseOrder=True
            )
            told = [each for each in history["events"] if "Failed" in each["type"]]
            raise AssertionError(
                f"{run.get('error')}: {run.get('cause')}\n{told}\n{self.sandbox.log_tail(30)}"
            )
        return json.loads(run["output"])


@contextmanager
def deployed(sandbox: Sandbox, app: cdk.App, stack: str) -> Iterator[DeployedStack]:
    """Upload the assets of ``app``, create ``stack``, and delete it in the end."""
    folder = Path(app.synth().directory)
    _publish(sandbox, folder, stack)
    cloudformation = sandbox.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack,
        TemplateURL=f"{sandbox.endpoint}/{_ASSETS}/{stack}.template.json",
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    found = settled(cloudformation, stack)
    assert found["StackStatus"] == "CREATE_COMPLETE", failures(cloudformation, stack)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    yield DeployedStack(sandbox, stack, outputs)
    cloudformation.delete_stack(StackName=stack)
    time.sleep(0.2)
    _let_go_of_assets(sandbox)


def _let_go_of_assets(sandbox: Sandbox) -> None:
    """Delete the bucket of assets unless it belongs to the bootstrap stack, which could not be made beside it."""
    stacks = sandbox.client("cloudformation").list_stacks()["StackSummaries"]
    if any(each["StackName"] == "CDKToolkit" and each["StackStatus"] != "DELETE_COMPLETE" for each in stacks):
        return
    s3 = sandbox.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=_ASSETS):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=_ASSETS, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=_ASSETS)


def app_in(folder: Path) -> cdk.App:
    """Return an app whose stacks need no bootstrapping."""
    return cdk.App(
        context={**CONTEXT},
        outdir=str(folder),
        builtin_cloud_formation_validation=False,
        default_stack_synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
    )


def _publish(sandbox: Sandbox, folder: Path, stack: str) -> None:
    s3 = sandbox.client("s3")
    if _ASSETS not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=_ASSETS)
    # CloudFormation takes no template of this size but from a bucket.
    template = (folder / f"{stack}.template.json").read_bytes()
    s3.put_object(Bucket=_ASSETS, Key=f"{stack}.template.json", Body=template)
    manifest = json.loads((folder / f"{stack}.assets.json").read_text())
    for asset in manifest["files"].values():
        source = folder / asset["source"]["path"]
        content = _zipped(source) if asset["source"]["packaging"] == "zip" else source.read_bytes()
        for destination in asset["destinations"].values():
            s3.put_object(Bucket=_ASSETS, Key=destination["objectKey"], Body=content)


def _zipped(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                written.write(file, file.relative_to(folder))
    return archive.getvalue()
