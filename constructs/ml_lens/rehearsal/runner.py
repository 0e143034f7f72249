"""A rehearsal from the first process to the last: deploy, walk through, destroy, nothing left."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ml_lens.rehearsal.cli import Cdk
from ml_lens.rehearsal.errors import RehearsalError, StepFailed, WalkthroughFailed
from ml_lens.rehearsal.inventory import inventory
from ml_lens.rehearsal.place import Place, real_client
from ml_lens.rehearsal.report import Progress, Report, ScenarioReport
from ml_lens.rehearsal.sandbox import ACCESS_KEY, REGION, SECRET_KEY, Sandbox
from ml_lens.rehearsal.scenarios import ALL, chosen_scenarios, walkthrough_of

Say = Callable[[str], None]

_EVENT = re.compile(r"\|\s*\d+(?:/\d+)?\s*\|.*\|\s*([A-Z_]+)\s*\|\s*(\S+)")


def rehearse(scenario: str, *, keep: bool = False) -> None:
    """Rehearse one scenario, or all of them, and print what was seen.

    Args:
        scenario: A scenario's name, or ``all``.
        keep: Leave the deployed sandbox running, and say how to reach and how to stop it.

    Raises:
        RehearsalError: Something failed, does not hold, or is left behind.
    """
    names = chosen_scenarios(scenario)
    report = Report()
    progress = Progress(report)
    sandbox = Sandbox(detached=keep)
    try:
        with progress.step("sandbox", "starting"):
            sandbox.start()
        _rehearse(sandbox, names, keep=keep, report=report, progress=progress)
        for line in report.lines():
            progress.say(line)
    except (StepFailed, WalkthroughFailed, BotoCoreError, ClientError) as failure:
        _show_failure(failure, sandbox, progress)
        if keep:
            _hand_over(sandbox, progress)
        raise RehearsalError(str(failure)) from failure
    else:
        if keep:
            _hand_over(sandbox, progress)
    finally:
        if not sandbox.handed_over:
            sandbox.stop()


def _command_line(sandbox: Sandbox, names: list[str], on_line: Say) -> Cdk:
    return Cdk(
        environment=sandbox.environment(),
        assembly=sandbox.folder / "assembly",
        context={"scenarios": names[0] if len(names) == 1 else ALL},
        on_line=on_line,
    )


def _rehearse(sandbox: Sandbox, names: list[str], *, keep: bool, report: Report, progress: Progress) -> None:
    cdk = _command_line(sandbox, names, on_line=lambda line: progress.tick(_event(line)))
    with progress.step("synth", "templates and their checks"):
        cdk.synth()
    with progress.step("bootstrap", "the account of the sandbox"):
        cdk.bootstrap()
    before = inventory(sandbox)
    for name in names:
        with progress.step("deploy", name):
            cdk.deploy([name])
        report.scenarios.append(_walk(sandbox, name, progress))
        if keep:
            continue
        with progress.step("destroy", name):
            cdk.destroy([name])
        with progress.step("leftovers", "everything that exists, compared with before"):
            _require_nothing_left(inventory(sandbox) - before)
        report.scenarios[-1].removed = True


def _walk(sandbox: Sandbox, name: str, progress: Progress) -> ScenarioReport:
    cloudformation = sandbox.client("cloudformation")
    place = Place(
        _outputs(cloudformation, name), sandbox=sandbox, say=lambda text: progress.say(f"{'':14} {text}")
    )
    with progress.step("walkthrough", name):
        _walked(name, place)
    if not place.checks:
        raise WalkthroughFailed(f"the walkthrough of {name} checked nothing")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    own = {resource["LogicalResourceId"] for resource in resources}
    return ScenarioReport(
        name,
        deployed=Counter(resource["ResourceType"] for resource in resources),
        checks=place.checks,
        declared_only=[(kind, logical) for kind, logical in sandbox.declared_only() if logical in own],
    )


def _walked(name: str, place: Place) -> None:
    try:
        walkthrough_of(name)(place)
    except RehearsalError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StepFailed(f"the walkthrough of {name} broke off: {reason}", traceback.format_exc()) from error


def walk(scenario: str, images: Path | None = None) -> None:
    """Walk through a scenario that is deployed in the account of the ordinary credential chain.

    Args:
        scenario: A scenario's name.
        images: A folder of pictures to use.

    Raises:
        RehearsalError: The scenario is not deployed there, or something does not hold.
    """
    if images is not None and not images.is_dir():
        raise RehearsalError(f"{images} is not a folder")
    if scenario == ALL:
        raise RehearsalError(f"name one scenario to walk through: {', '.join(chosen_scenarios(ALL))}")
    (name,) = chosen_scenarios(scenario)
    report = Report()
    progress = Progress(report)
    try:
        outputs = _outputs(real_client("cloudformation"), name)
        place = Place(outputs, images=images, say=lambda text: progress.say(f"{'':14} {text}"))
        with progress.step("walkthrough", name):
            _walked(name, place)
    except (BotoCoreError, ClientError) as error:
        raise RehearsalError(" ".join(str(error).split())) from error
    for check in place.checks:
        progress.say(f"  holds        {check.statement}")


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _require_nothing_left(left: set[tuple[str, str]]) -> None:
    if left:
        listed = ", ".join(f"{kind} {name}" for kind, name in sorted(left))
        raise WalkthroughFailed(f"{len(left)} things are left after destroy: {listed}")


def _event(line: str) -> str:
    found = _EVENT.search(line)
    return f"{found[1]} {found[2]}" if found else line


def _show_failure(failure: Exception, sandbox: Sandbox, progress: Progress) -> None:
    details = getattr(failure, "details", "")
    if details:
        progress.say(f"--- what the command line printed last\n{details}")
    log = sandbox.log_tail()
    if log:
        progress.say(f"--- the sandbox's log, its last lines\n{log}")


def _hand_over(sandbox: Sandbox, progress: Progress) -> None:
    endpoint, folder = sandbox.endpoint, sandbox.folder
    process = sandbox.hand_over()
    progress.say(
        f"""
The sandbox stays up. Point the AWS command line at it:
  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION} AWS_ACCESS_KEY_ID={ACCESS_KEY} \
AWS_SECRET_ACCESS_KEY={SECRET_KEY}
  aws s3 ls
Stop it, with everything in it:
  kill -9 -- -{process}; rm -rf {folder}"""
    )
